//! The drivers that have registered, by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use csi::Client;
use csi::v1::node_service_capability::rpc::Type as Rpc;
use parking_lot::RwLock;

/// What a driver's node part does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// It mounts once for the node before it mounts for pods.
    pub stages: bool,
    /// It grows what is in a volume.
    pub expands: bool,
    /// It tells one pod that writes from many.
    pub counts_writers: bool,
    /// It gives volumes to groups by itself.
    pub sets_group: bool,
}

impl Abilities {
    /// Reads what the driver says.
    pub fn of(types: &[Rpc]) -> Self {
        let has = |kind| types.contains(&kind);
        Self {
            stages: has(Rpc::StageUnstageVolume),
            expands: has(Rpc::ExpandVolume),
            counts_writers: has(Rpc::SingleNodeMultiWriter),
            sets_group: has(Rpc::VolumeMountGroup),
        }
    }
}

/// A driver.
#[derive(Debug, Clone)]
pub struct Driver {
    /// Its name.
    pub name: String,
    /// What it does.
    pub abilities: Abilities,
    /// How to ask it.
    pub client: Client,
    /// The socket by which it registered.
    pub registered_by: PathBuf,
}

/// A driver that is asked for and is not there.
#[derive(Debug, thiserror::Error)]
#[error("driver name {0} not found in the list of registered CSI drivers")]
pub struct NotRegistered(String);

/// All of them.
#[derive(Debug, Default)]
pub struct Drivers(RwLock<BTreeMap<String, Arc<Driver>>>);

impl Drivers {
    /// Finds a driver.
    pub fn get(&self, name: &str) -> Result<Arc<Driver>, NotRegistered> {
        self.0.read().get(name).cloned().ok_or_else(|| NotRegistered(name.to_owned()))
    }

    /// Adds a driver; a newer one of its name takes its place.
    pub fn add(&self, driver: Driver) {
        self.0.write().insert(driver.name.clone(), Arc::new(driver));
    }

    /// Removes the driver that registered by a socket, and tells its name. One that has registered by another socket
    /// since stays.
    pub fn remove(&self, registered_by: &std::path::Path) -> Option<String> {
        let mut drivers = self.0.write();
        let found = drivers.values().find(|driver| driver.registered_by == registered_by);
        let name = found.map(|driver| driver.name.clone())?;
        drivers.remove(&name);
        Some(name)
    }
}
