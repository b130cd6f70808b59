//! Volumes of CSI drivers: drivers register, their volumes are attached, staged and published, and taken back.
//!
//! Keeps true: what pods of this node use is mounted, and nothing else is; the API server knows the drivers of the node,
//! and the volumes that it uses. Woken by: sockets that come and go; pods. Reads: what is written down beside mounts,
//! the node's own object, attachments. Writes: mounts, through the drivers; CSINode, annotations and labels of the node.
//! Gives up when: never; a pod's worker comes back.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context as _;
use component::Runtime as Process;
use informer::{Store, Watch, reflect};
use k8s_openapi::api::storage::v1::CSIDriver;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

mod attach;
mod drivers;
mod expand;
mod layout;
mod limits;
mod mount;
mod node_objects;
mod registration;
mod request;
mod turns;

pub use drivers::{Abilities, Driver, Drivers};
pub use expand::{Growth, growth};
pub use layout::{Layout, Lifecycle, VolumeId};
pub use registration::follow;
pub use request::{Mount, SecretName, Spec, Terms, pod_info};

use attach::Seen;
use turns::Turns;

/// How long a pod's start waits for the API server's first word of drivers before that is reported and tried again.
const FIRST_ANSWER: std::time::Duration = std::time::Duration::from_secs(10);

/// The volumes of CSI drivers on this node.
pub struct Csi {
    node: String,
    client: Option<Client>,
    process: Process,
    layout: Layout,
    /// The drivers there are.
    pub drivers: Drivers,
    turns: Turns,
    /// What this process has staged.
    staged: Mutex<HashSet<VolumeId>>,
    in_use: watch::Sender<BTreeSet<String>>,
    reported: watch::Sender<Seen>,
    attached: OnceLock<watch::Receiver<Seen>>,
    objects: OnceLock<Store<CSIDriver>>,
    /// Rings when the node's object was made.
    pub node_is_new: Notify,
}

impl Csi {
    /// Looks at what is mounted below the kubelet's root directory from before.
    pub fn new(node: &str, root: &Path, client: Option<Client>, process: Process) -> Self {
        let layout = Layout::new(root);
        let in_use = layout.in_use().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell which volumes are in use");
            BTreeSet::new()
        });
        Self {
            node: node.to_owned(),
            client,
            process,
            layout,
            drivers: Drivers::default(),
            turns: Turns::default(),
            staged: Mutex::default(),
            in_use: watch::Sender::new(in_use),
            reported: watch::Sender::default(),
            attached: OnceLock::new(),
            objects: OnceLock::new(),
            node_is_new: Notify::new(),
        }
    }

    /// The terms on which a driver works. The objects that say so are watched from the first time that somebody asks.
    pub async fn terms(&self, driver: &str) -> anyhow::Result<Terms> {
        let store = self.driver_objects().context("no API server to read CSI drivers from")?;
        let answered = tokio::time::timeout(FIRST_ANSWER, store.ready()).await;
        answered.context("CSIDriver lister not synced")?;
        Ok(Terms::of(store.get(driver).as_deref()))
    }

    fn driver_objects(&self) -> Option<&Store<CSIDriver>> {
        let client = self.client.clone()?;
        Some(self.objects.get_or_init(|| {
            let store = Store::new();
            let watched = store.clone();
            self.process
                .spawn_session(async move { reflect(client, Watch::all::<CSIDriver>(), watched).await });
            store
        }))
    }
}
