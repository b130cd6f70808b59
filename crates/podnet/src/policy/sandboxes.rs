//! The addresses of this node's sandboxes, read where the container runtime's CNI library notes what plugins gave.
//!
//! A note is written when a sandbox has its network, before any of its containers runs. The pod's status tells the
//! address later, by way of the API server: for that long a new pod would not be isolated.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::Notify;

use crate::plan::NETWORK;

/// Where the CNI library keeps its notes; the runtimes leave it at that.
pub const RESULTS: &str = "/var/lib/cni/results";
/// A note is about 1 KiB; what is far longer is none.
const LONGEST: u64 = 64 << 10;

/// Addresses by the pods' keys.
pub type Addresses = BTreeMap<String, BTreeSet<Ipv4Addr>>;

/// The notes of one directory, each read once.
#[derive(Debug)]
pub struct Sandboxes {
    directory: PathBuf,
    seen: BTreeMap<OsString, (String, BTreeSet<Ipv4Addr>)>,
}

/// What is used of a note.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    #[serde(default)]
    cni_args: Vec<(String, String)>,
    result: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    ips: Vec<Given>,
}

#[derive(Deserialize)]
struct Given {
    address: IpNet,
}

impl Sandboxes {
    /// Knows nothing yet.
    pub fn new(directory: &Path) -> Self {
        Sandboxes { directory: directory.to_owned(), seen: BTreeMap::new() }
    }

    /// Reads notes that are new, forgets those that are gone, and returns all addresses.
    pub fn read(&mut self) -> Addresses {
        let prefix = format!("{NETWORK}-");
        let mut present = BTreeSet::new();
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with(&prefix) {
                continue;
            }
            if !self.seen.contains_key(&name) {
                // A note that is being written is heard of again when it is whole.
                let short = entry.metadata().is_ok_and(|metadata| metadata.len() <= LONGEST);
                let text = if short { std::fs::read(entry.path()).ok() } else { None };
                if let Some(read) = text.as_deref().and_then(read_note) {
                    self.seen.insert(name.clone(), read);
                }
            }
            present.insert(name);
        }
        self.seen.retain(|name, _| present.contains(name));
        let mut addresses = Addresses::new();
        for (key, given) in self.seen.values() {
            addresses.entry(key.clone()).or_default().extend(given);
        }
        addresses
    }
}

/// Reads a note: a pod's key and its addresses.
pub fn read_note(text: &[u8]) -> Option<(String, BTreeSet<Ipv4Addr>)> {
    let note: Note = serde_json::from_slice(text).ok()?;
    let argument = |name: &str| note.cni_args.iter().find(|(one, _)| one == name).map(|(_, value)| value);
    let key = format!("{}/{}", argument("K8S_POD_NAMESPACE")?, argument("K8S_POD_NAME")?);
    let addresses = note.result.ips.iter().filter_map(|given| match given.address.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    Some((key, addresses.collect()))
}

/// Rings `changed` whenever a note is written or removed, for as long as it is polled.
pub async fn watch(directory: &Path, changed: &Notify) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let events = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
    inotify.add_watch(directory, events)?;
    let mut events = pipe::Receiver::from_owned_fd_unchecked(OwnedFd::from(inotify))?;
    // Read like a pipe: that events come is all that counts.
    let mut buffer = [0; 4096];
    while events.read(&mut buffer).await? > 0 {
        changed.notify_one();
    }
    Err(std::io::Error::other("the kernel closed the inotify descriptor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = r#"{"kind":"cniCacheV1","containerId":"f1","ifName":"eth0","networkName":"podnet",
        "cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","default"],["K8S_POD_NAME","web"]],
        "result":{"cniVersion":"0.4.0","ips":[{"address":"172.16.1.7/24","gateway":"172.16.1.1","version":"4"},
        {"address":"fd00::7/64","version":"6"}]}}"#;

    #[tokio::test]
    async fn notes_of_this_network_are_read_when_they_come_and_forgotten_when_they_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results");
        let changed = Notify::new();
        let mut sandboxes = Sandboxes::new(&path);
        assert!(sandboxes.read().is_empty());
        let test = async {
            // The watch has made the directory once it waits.
            tokio::task::yield_now().await;
            std::fs::write(path.join("other-f0-eth0"), NOTE).unwrap();
            std::fs::write(path.join("podnet-f1-eth0"), NOTE).unwrap();
            changed.notified().await;
            let address = BTreeSet::from([Ipv4Addr::new(172, 16, 1, 7)]);
            assert_eq!(sandboxes.read(), Addresses::from([("default/web".into(), address)]));
            std::fs::write(path.join("podnet-f2-eth0"), "half").unwrap();
            assert_eq!(sandboxes.read().len(), 1);
            std::fs::remove_file(path.join("podnet-f1-eth0")).unwrap();
            assert!(sandboxes.read().is_empty());
        };
        tokio::select! {
            biased;
            ended = watch(&path, &changed) => panic!("{ended:?}"),
            () = test => {}
        }
    }
}
