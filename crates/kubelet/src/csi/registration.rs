//! Plugins that make themselves known: each by a socket in the registry's directory, for as long as that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use component::cause::whole;
use csi::registration::PluginInfo;
use csi::{Client, Registrant, socket_path, v1};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Csi;
use super::drivers::{Abilities, Driver};
use super::limits::Limits;
use super::node_objects::{NodeObjects, Place};
use crate::kubelet::Kubelet;
use crate::listen;
use crate::volume::blocking;

/// How long a plugin may take to answer while it registers.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a driver may take over a volume, as upstream.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the first try to register again waits, and the longest wait.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(120));
/// How often the directory is looked at even when nothing was heard of it.
const CHECK: Duration = Duration::from_secs(60);

/// Tells a socket from another that took its place.
type SocketId = (u64, i64, i64);

/// How a socket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It is being asked.
    Asked,
    /// Its plugin is known.
    Registered,
    /// Its plugin was refused, or did not answer; it is asked again at this time.
    Failed(Instant),
}

#[derive(Debug, Clone, Copy)]
struct Known {
    id: SocketId,
    stand: Stand,
    /// How often it has failed in a row.
    failures: u32,
}

/// How long a plugin that has failed is left alone.
fn pause(failures: u32) -> Duration {
    (RETRY.0 * 2u32.saturating_pow(failures.min(16))).min(RETRY.1)
}

/// What is to be done about sockets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    ask: Vec<PathBuf>,
    forget: Vec<PathBuf>,
}

/// Decides about the sockets there are.
fn decide(known: &BTreeMap<PathBuf, Known>, found: &BTreeMap<PathBuf, SocketId>, now: Instant) -> Changes {
    let gone = known.iter().filter(|(path, known)| found.get(*path) != Some(&known.id));
    let forget: Vec<PathBuf> = gone.map(|(path, _)| path.clone()).collect();
    let due = |path: &PathBuf| match known.get(path) {
        Some(known) if !forget.contains(path) => {
            matches!(known.stand, Stand::Failed(at) if at <= now)
        }
        _ => true,
    };
    let ask = found.keys().filter(|path| due(path)).cloned().collect();
    Changes { ask, forget }
}

/// Lists the sockets of the registry.
fn sockets(directory: &Path) -> BTreeMap<PathBuf, SocketId> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        let id = (metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
        metadata.file_type().is_socket().then(|| (entry.path(), id))
    });
    found.collect()
}

/// Checks what a plugin says of itself; the error is what it is told.
fn check(info: &PluginInfo, socket: &Path) -> Result<PathBuf, String> {
    if info.r#type != "CSIPlugin" {
        return Err(format!(
            "no handler registered for plugin type: {} at socket {}",
            info.r#type,
            socket.display()
        ));
    }
    if info.name.is_empty() {
        return Err("the plugin has no name".to_owned());
    }
    if info.supported_versions.is_empty() {
        return Err(format!("CSI driver {} did not report any supported versions", info.name));
    }
    let is_known = |version: &String| {
        let version = version.trim_start_matches('v');
        version == "1" || version.starts_with("1.")
    };
    if !info.supported_versions.iter().any(is_known) {
        return Err(format!(
            "plugin registration failed: none of the versions {:?} of CSI driver {} is supported",
            info.supported_versions, info.name
        ));
    }
    Ok(if info.endpoint.is_empty() { socket.to_owned() } else { socket_path(&info.endpoint) })
}

/// Follows the registry's directory; runs until shutdown.
pub async fn follow(kubelet: Arc<Kubelet>) -> anyhow::Result<()> {
    let shutdown = kubelet.process.shutdown();
    let woken = Arc::clone(&kubelet);
    tokio::select! {
        // Pods may wait for the driver.
        done = kubelet.csi.follow(move || woken.pods.wake_all()) => done,
        () = shutdown.cancelled() => Ok(()),
    }
}

impl Csi {
    /// Registers plugins as they come, forgets them as they go; `registered` hears of each that came.
    pub async fn follow(&self, registered: impl Fn()) -> anyhow::Result<()> {
        let directory = self.layout.registry();
        std::fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        let mut listener = listen::appearing(&directory);
        let objects = self.client.clone().map(|client| Arc::new(NodeObjects::new(client, &self.node)));
        let mut has_object = objects.is_none();
        let mut known: BTreeMap<PathBuf, Known> = BTreeMap::new();
        let mut asked: JoinSet<(PathBuf, SocketId, anyhow::Result<Driver>)> = JoinSet::new();
        // Drivers that have gone, and that the API server has yet to be told of.
        let mut gone: BTreeSet<String> = BTreeSet::new();
        let mut limits = Limits::default();
        let mut renewals: JoinSet<()> = JoinSet::new();
        loop {
            if let Some(objects) = objects.as_ref().filter(|_| !has_object) {
                match objects.ensure().await {
                    Ok(_) => has_object = true,
                    Err(error) => tracing::debug!(error = whole(error.as_ref()), "cannot make the CSINode"),
                }
            }
            let folder = directory.clone();
            let found = blocking(move || Ok(sockets(&folder))).await?;
            let changes = decide(&known, &found, Instant::now());
            for socket in changes.forget {
                known.remove(&socket);
                gone.extend(self.drivers.remove(&socket));
            }
            // One that is being asked may be one of them that comes back.
            if !known.values().any(|known| known.stand == Stand::Asked) {
                self.tell_of_gone(&mut gone, objects.as_deref()).await;
            }
            for socket in changes.ask.into_iter().filter(|_| has_object) {
                let Some(id) = found.get(&socket).copied() else { continue };
                let failures = known.get(&socket).map_or(0, |known| known.failures);
                known.insert(socket.clone(), Known { id, stand: Stand::Asked, failures });
                let objects = objects.clone();
                asked.spawn(async move {
                    let outcome = register(&socket, objects.as_deref()).await;
                    (socket, id, outcome)
                });
            }
            let due = known.values().filter_map(|known| match known.stand {
                Stand::Failed(at) => Some(at),
                Stand::Asked | Stand::Registered => None,
            });
            limits.keep(|driver| self.drivers.get(driver).is_ok());
            let (renewed, renewal) = limits.due(|driver| self.limit_period(driver), Instant::now());
            for driver in renewed {
                limits.asked(&driver, Instant::now());
                if let (Ok(driver), Some(objects)) = (self.drivers.get(&driver), objects.clone()) {
                    renewals.spawn(renew(driver, objects));
                }
            }
            let due = due.chain(renewal);
            let is_told = has_object && gone.is_empty();
            let again = Instant::now() + if is_told { CHECK } else { RETRY.0 };
            let next = due.min().filter(|_| has_object).map_or(again, |due| due.min(again));
            tokio::select! {
                () = listen::changed(listener.as_mut()) => {}
                () = tokio::time::sleep_until(next) => {}
                Some(_) = renewals.join_next() => {}
                // The node's objects are new, and know nothing of the drivers.
                () = self.node_is_new.notified() => {
                    has_object = objects.is_none();
                    let registered = known.values_mut().filter(|known| known.stand == Stand::Registered);
                    registered.for_each(|known| known.stand = Stand::Failed(Instant::now()));
                }
                Some(answer) = asked.join_next() => {
                    let Ok((socket, id, outcome)) = answer else { continue };
                    let known = known.get_mut(&socket).filter(|known| known.id == id);
                    match (outcome, known) {
                        (Ok(driver), Some(known)) => {
                            tracing::info!(driver = driver.name, socket = %socket.display(), "registered");
                            limits.asked(&driver.name, Instant::now());
                            self.drivers.add(driver);
                            (known.stand, known.failures) = (Stand::Registered, 0);
                            registered();
                        }
                        // It went while it was being asked.
                        (Ok(driver), None) => {
                            gone.insert(driver.name);
                        }
                        (Err(error), Some(known)) => {
                            let error = whole(error.as_ref());
                            // A socket is seen a moment before its owner listens.
                            match known.failures {
                                0 => tracing::debug!(socket = %socket.display(), error, "cannot register a plugin"),
                                _ => tracing::warn!(socket = %socket.display(), error, "cannot register a plugin"),
                            }
                            known.stand = Stand::Failed(Instant::now() + pause(known.failures));
                            known.failures += 1;
                        }
                        (Err(_), None) => {}
                    }
                }
            }
        }
    }

    /// How often a driver wants to be asked how many volumes the node takes.
    fn limit_period(&self, driver: &str) -> Option<Duration> {
        let driver = self.driver_objects()?.get(driver)?;
        let seconds = driver.spec.node_allocatable_update_period_seconds?;
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// Tells the API server of drivers that have gone, but for those that have come back.
    async fn tell_of_gone(&self, gone: &mut BTreeSet<String>, objects: Option<&NodeObjects>) {
        for driver in std::mem::take(gone) {
            if self.drivers.get(&driver).is_ok() {
                continue;
            }
            let told = match objects {
                Some(objects) => objects.remove(&driver).await,
                None => Ok(()),
            };
            match told {
                Ok(()) => tracing::info!(driver, "deregistered"),
                Err(error) => {
                    tracing::debug!(
                        driver,
                        error = whole(error.as_ref()),
                        "cannot take a driver from the CSINode"
                    );
                    gone.insert(driver);
                }
            }
        }
    }
}

/// Asks a driver how many volumes the node takes now, and writes that where it has changed.
async fn renew(driver: Arc<Driver>, objects: Arc<NodeObjects>) {
    let renewed = async {
        let place = Place::from(driver.client.node_info(v1::NodeGetInfoRequest {}).await?);
        objects.limit(&driver.name, &place).await
    };
    if let Err(error) = renewed.await {
        tracing::debug!(
            driver = driver.name,
            error = whole(error.as_ref()),
            "cannot ask for a driver's limit"
        );
    }
}

/// Asks a plugin who it is, makes it known, and tells it so.
async fn register(socket: &Path, objects: Option<&NodeObjects>) -> anyhow::Result<Driver> {
    let mut registrant = Registrant::new(socket, REGISTRATION_TIMEOUT);
    let info = registrant.info().await.context("asking who it is")?;
    let outcome = match check(&info, socket) {
        Ok(endpoint) => introduce(&info, &endpoint, socket, objects).await,
        Err(why) => Err(anyhow::anyhow!(why)),
    };
    let told = outcome.as_ref().map(drop).map_err(|error| whole(error.as_ref()));
    registrant.notify(told).await.context("telling it that it is registered")?;
    outcome
}

async fn introduce(
    info: &PluginInfo,
    endpoint: &Path,
    socket: &Path,
    objects: Option<&NodeObjects>,
) -> anyhow::Result<Driver> {
    // It becomes part of paths.
    ensure!(!info.name.contains('/') && info.name != "..", "{:?} is not the name of a driver", info.name);
    let asked = Client::new(endpoint, REGISTRATION_TIMEOUT);
    let place = Place::from(asked.node_info(v1::NodeGetInfoRequest {}).await.context("NodeGetInfo")?);
    ensure!(!place.node_id.is_empty(), "the driver has no name for the node");
    let abilities = Abilities::of(&asked.node_capabilities().await.context("NodeGetCapabilities")?);
    if let Some(objects) = objects {
        objects.add(&info.name, &place).await.context("updating the CSINode")?;
    }
    Ok(Driver {
        name: info.name.clone(),
        abilities,
        client: Client::new(endpoint, CALL_TIMEOUT),
        registered_by: socket.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sockets_are_asked_once_and_again_when_they_are_others_or_have_failed() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let path = |name: &str| PathBuf::from(name);
        let known = |ino, stand| Known { id: (ino, 0, 0), stand, failures: 0 };
        let all = BTreeMap::from([
            (path("asked"), known(1, Stand::Asked)),
            (path("done"), known(2, Stand::Registered)),
            (path("due"), known(3, Stand::Failed(now))),
            (path("early"), known(4, Stand::Failed(later))),
            (path("gone"), known(5, Stand::Registered)),
            (path("other"), known(6, Stand::Registered)),
        ]);
        let found = [("asked", 1), ("done", 2), ("due", 3), ("early", 4), ("new", 7), ("other", 8)];
        let found = found.into_iter().map(|(name, ino)| (path(name), (ino, 0, 0))).collect();
        assert_eq!(
            decide(&all, &found, now),
            Changes {
                ask: vec![path("due"), path("new"), path("other")],
                forget: vec![path("gone"), path("other")],
            }
        );
        assert_eq!([0, 1, 20].map(|failures| pause(failures).as_millis()), [500, 1000, 120_000]);
    }

    #[test]
    fn only_csi_plugins_of_version_one_are_known() {
        let info = |kind: &str, versions: &[&str]| PluginInfo {
            r#type: kind.into(),
            name: "d.io".into(),
            endpoint: "/csi/csi.sock".into(),
            supported_versions: versions.iter().map(|version| (*version).to_owned()).collect(),
        };
        let check = |kind: &str, versions: &[&str]| check(&info(kind, versions), Path::new("/r.sock"));
        assert_eq!(check("CSIPlugin", &["0.3.0", "1.0.0"]), Ok(PathBuf::from("/csi/csi.sock")));
        assert!(check("CSIPlugin", &["0.3.0"]).is_err());
        assert!(check("CSIPlugin", &["10.0.0"]).is_err());
        assert!(check("CSIPlugin", &[]).is_err());
        assert_eq!(
            check("DevicePlugin", &["v1beta1"]).unwrap_err(),
            "no handler registered for plugin type: DevicePlugin at socket /r.sock"
        );
    }
}
