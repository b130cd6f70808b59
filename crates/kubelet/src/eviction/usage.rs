//! What a pod uses of what a node can run short of.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::threshold::{Resource, Signal};

/// A part of a filesystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub inodes: u64,
}

impl Disk {
    fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, inodes: self.inodes + other.inodes }
    }

    fn of(self, resource: Resource) -> u64 {
        if resource == Resource::Inodes { self.inodes } else { self.bytes }
    }
}

/// What one container uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Its name.
    pub name: String,
    /// Its working set in bytes.
    pub memory: u64,
    /// Its writable layer.
    pub layer: Disk,
    /// Its logs.
    pub logs: Disk,
}

/// What a pod uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodUsage {
    /// Its working set in bytes.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Its containers that run.
    pub containers: Vec<ContainerUsage>,
    /// Its emptyDir volumes on disk, by name.
    pub volumes: Vec<(String, Disk)>,
}

/// Which of a pod's files lie on the filesystem that is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// All of them.
    Everything,
    /// Logs and volumes, where the runtime has a filesystem of its own.
    LogsAndVolumes,
    /// Writable layers, there.
    Layers,
}

impl Where {
    /// Tells by the signal.
    pub fn of(signal: Signal, runtime_is_apart: bool) -> Self {
        match signal {
            _ if !runtime_is_apart => Self::Everything,
            Signal::Imagefs | Signal::ImagefsInodes => Self::Layers,
            _ => Self::LogsAndVolumes,
        }
    }
}

impl PodUsage {
    /// All of it that lies there.
    pub fn disk(&self, place: Where) -> Disk {
        let layers = self.containers.iter().fold(Disk::default(), |sum, one| sum.plus(one.layer));
        let logs = self.containers.iter().fold(Disk::default(), |sum, one| sum.plus(one.logs));
        let volumes = self.volumes.iter().fold(Disk::default(), |sum, (_, one)| sum.plus(*one));
        match place {
            Where::Everything => layers.plus(logs).plus(volumes),
            Where::LogsAndVolumes => logs.plus(volumes),
            Where::Layers => layers,
        }
    }

    /// How much it uses of what the node is short of.
    pub fn of(&self, resource: Resource, place: Where) -> u64 {
        match resource {
            Resource::Memory => self.memory,
            Resource::Pids => self.processes,
            Resource::EphemeralStorage | Resource::Inodes => self.disk(place).of(resource),
        }
    }
}

/// Measures a folder and everything below it on the same filesystem.
pub fn folder(path: &Path) -> Disk {
    let Ok(top) = fs::symlink_metadata(path) else { return Disk::default() };
    let mut used = Disk { bytes: top.blocks() * 512, inodes: 1 };
    let mut pending = vec![path.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
            if metadata.dev() != top.dev() {
                continue;
            }
            used = used.plus(Disk { bytes: metadata.blocks() * 512, inodes: 1 });
            if metadata.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_depends_on_the_filesystem_that_is_short() {
        let disk = |bytes| Disk { bytes, inodes: 1 };
        let container = ContainerUsage { layer: disk(1), logs: disk(10), ..ContainerUsage::default() };
        let usage = PodUsage {
            containers: vec![container],
            volumes: vec![("v".into(), disk(100))],
            ..PodUsage::default()
        };
        let counted = |signal, apart| usage.of(Resource::EphemeralStorage, Where::of(signal, apart));
        assert_eq!(counted(Signal::Nodefs, false), 111);
        assert_eq!(counted(Signal::Imagefs, false), 111);
        assert_eq!(counted(Signal::Nodefs, true), 110);
        assert_eq!(counted(Signal::Imagefs, true), 1);
        assert_eq!(usage.of(Resource::Inodes, Where::Everything), 3);
    }

    #[test]
    fn a_folder_is_all_below_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/file"), vec![1; 100_000]).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("away")).unwrap();
        let used = super::folder(folder.path());
        assert_eq!(used.inodes, 4);
        assert!((100_000..200_000).contains(&used.bytes), "{used:?}");
        assert_eq!(super::folder(&folder.path().join("none")), Disk::default());
    }
}
