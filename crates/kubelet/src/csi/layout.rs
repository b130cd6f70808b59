//! Where volumes of CSI drivers are on the node, and what is written down beside them: upstream's, so that either
//! kubelet finds what the other mounted.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use podrules::csi::{handle_directory, unique_volume_name};
use serde::{Deserialize, Serialize};

/// The file beside a mount.
const RECORD: &str = "vol_data.json";

/// One volume of one driver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId {
    /// The driver's name.
    pub driver: String,
    /// The driver's name for the volume.
    pub handle: String,
}

/// How long a volume lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifecycle {
    /// As long as its PersistentVolume.
    #[default]
    Persistent,
    /// As long as its pod.
    Ephemeral,
}

/// What is written down of a mounted volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The PersistentVolume, or the pod's volume.
    #[serde(rename = "specVolID")]
    pub spec_name: String,
    /// The driver's name for it.
    pub volume_handle: String,
    /// The driver.
    pub driver_name: String,
    /// This node.
    pub node_name: String,
    /// The VolumeAttachment; empty where there is none.
    #[serde(rename = "attachmentID")]
    pub attachment: String,
    /// How long it lives.
    #[serde(rename = "volumeLifecycleMode")]
    pub lifecycle: Lifecycle,
}

impl Record {
    /// Says which volume it is.
    pub fn id(&self) -> VolumeId {
        VolumeId { driver: self.driver_name.clone(), handle: self.volume_handle.clone() }
    }
}

/// A volume as one pod has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The pod.
    pub pod_uid: String,
    /// Its directory.
    pub directory: PathBuf,
    /// What is known of it.
    pub record: Record,
}

impl Published {
    /// Where it is mounted.
    pub fn target(&self) -> PathBuf {
        self.directory.join("mount")
    }
}

/// Finds volumes below the kubelet's root directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Looks below a root.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where plugins put their registration sockets.
    pub fn registry(&self) -> PathBuf {
        self.root.join("plugins_registry")
    }

    fn of_pod(&self, uid: &str) -> PathBuf {
        self.root.join("pods").join(uid).join("volumes/kubernetes.io~csi")
    }

    fn of_drivers(&self) -> PathBuf {
        self.root.join("plugins/kubernetes.io/csi")
    }

    /// A volume's directory in a pod's.
    pub fn publishing(&self, uid: &str, spec_name: &str) -> PathBuf {
        self.of_pod(uid).join(spec_name)
    }

    /// A volume's directory for the node.
    pub fn staging(&self, id: &VolumeId) -> PathBuf {
        self.of_drivers().join(&id.driver).join(handle_directory(&id.handle))
    }

    /// Where a volume is mounted for the node.
    pub fn global_mount(&self, id: &VolumeId) -> PathBuf {
        self.staging(id).join("globalmount")
    }

    /// The volumes of a pod.
    pub fn published(&self, uid: &str) -> io::Result<Vec<Published>> {
        let mut found = Vec::new();
        for directory in directories(&self.of_pod(uid))? {
            // Without a record nothing was ever asked of the driver.
            if let Some(record) = read(&directory)? {
                found.push(Published { pod_uid: uid.to_owned(), directory, record });
            }
        }
        Ok(found)
    }

    /// The volumes of all pods.
    pub fn all_published(&self) -> io::Result<Vec<Published>> {
        let mut found = Vec::new();
        for pod in directories(&self.root.join("pods"))? {
            if let Some(uid) = pod.file_name().and_then(|name| name.to_str()) {
                found.extend(self.published(uid)?);
            }
        }
        Ok(found)
    }

    /// The volumes that were staged, or may have been.
    pub fn all_staged(&self) -> io::Result<Vec<Record>> {
        let mut found = Vec::new();
        for driver in directories(&self.of_drivers())? {
            for volume in directories(&driver)? {
                found.extend(read(&volume)?);
            }
        }
        Ok(found)
    }

    /// The names of the attachable volumes that are mounted or are about to be: the node's `volumesInUse`.
    pub fn in_use(&self) -> io::Result<BTreeSet<String>> {
        let published = self.all_published()?.into_iter().map(|published| published.record);
        let all = published.chain(self.all_staged()?);
        let attachable = all.filter(|record| !record.attachment.is_empty());
        Ok(attachable.map(|record| unique_volume_name(&record.driver_name, &record.volume_handle)).collect())
    }
}

fn directories(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Reads what is written down in a directory. What a machine that lost its power half wrote is nothing: what it was
/// about is no longer mounted.
fn read(directory: &Path) -> io::Result<Option<Record>> {
    match fs::read(directory.join(RECORD)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)
            .inspect_err(
                |error| tracing::warn!(directory = %directory.display(), %error, "cannot read {RECORD}"),
            )
            .ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes down what is about to be mounted in a directory, which is made. Written whole, or not at all.
pub fn write(directory: &Path, record: &Record) -> io::Result<()> {
    if read(directory)?.as_ref() == Some(record) {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    let temporary = directory.join(format!("{RECORD}.new"));
    fs::write(&temporary, serde_json::to_vec(record).map_err(io::Error::other)?)?;
    fs::rename(temporary, directory.join(RECORD))
}

/// Removes a directory in which nothing is mounted any more, with its record. What else is in it is an error: it may
/// be data.
pub fn remove(directory: &Path, mounted: &Path) -> io::Result<()> {
    let gone = |done: io::Result<()>| match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    gone(fs::remove_dir(mounted))?;
    gone(fs::remove_file(directory.join(RECORD)))?;
    gone(fs::remove_dir(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(handle: &str, attachment: &str) -> Record {
        Record {
            spec_name: format!("pv-{handle}"),
            volume_handle: handle.into(),
            driver_name: "d.io".into(),
            node_name: "n1".into(),
            attachment: attachment.into(),
            lifecycle: Lifecycle::Persistent,
        }
    }

    #[test]
    fn what_is_written_down_is_upstreams_and_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        assert!(layout.in_use().unwrap().is_empty());
        let one = record("one", "csi-1");
        let directory = layout.publishing("uid", "pv-one");
        assert!(directory.ends_with("pods/uid/volumes/kubernetes.io~csi/pv-one"));
        write(&directory, &one).unwrap();
        let text = fs::read_to_string(directory.join("vol_data.json")).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            serde_json::json!({"specVolID": "pv-one", "volumeHandle": "one", "driverName": "d.io",
                "nodeName": "n1", "attachmentID": "csi-1", "volumeLifecycleMode": "Persistent"})
        );
        write(&layout.staging(&record("two", "").id()), &record("two", "")).unwrap();
        write(&layout.staging(&record("three", "csi-3").id()), &record("three", "csi-3")).unwrap();
        assert!(
            layout
                .global_mount(&one.id())
                .ends_with(format!("plugins/kubernetes.io/csi/d.io/{}/globalmount", handle_directory("one")))
        );
        assert_eq!(layout.published("uid").unwrap().len(), 1);
        assert_eq!(layout.published("other").unwrap(), []);
        assert_eq!(layout.all_published().unwrap()[0].record, one);
        // Two is not attachable; three is staged for nobody, and still in use.
        let names: Vec<String> = layout.in_use().unwrap().into_iter().collect();
        assert_eq!(names, ["kubernetes.io/csi/d.io^one", "kubernetes.io/csi/d.io^three"]);
    }

    #[test]
    fn a_record_that_was_half_written_hinders_nobody() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let directory = layout.publishing("uid", "pv-one");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(RECORD), "").unwrap();
        assert!(layout.in_use().unwrap().is_empty());
        write(&directory, &record("one", "csi-1")).unwrap();
        assert_eq!(layout.in_use().unwrap().len(), 1);
    }

    #[test]
    fn data_that_are_left_are_not_removed() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("v");
        write(&directory, &record("one", "")).unwrap();
        fs::create_dir(directory.join("mount")).unwrap();
        fs::write(directory.join("mount/data"), "x").unwrap();
        assert!(remove(&directory, &directory.join("mount")).is_err());
        assert!(directory.join("mount/data").exists());
        fs::remove_file(directory.join("mount/data")).unwrap();
        remove(&directory, &directory.join("mount")).unwrap();
        assert!(!directory.exists());
        remove(&directory, &directory.join("mount")).unwrap();
    }
}
