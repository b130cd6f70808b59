//! The volumes there are: a directory each, with what is known of it beside its data.
//!
//! `<state>/<id>/volume.json` and `<state>/<id>/data`. What is known is written whole, so that every instance that sees
//! the directory, on whichever node, sees the same.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use csi::tonic::Status;
use serde::{Deserialize, Serialize};

/// What is known of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// How large it is said to be.
    pub capacity: i64,
    /// The node it is of; none where every node reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The nodes it is attached to, each with whether it may only be read there.
    #[serde(default)]
    pub attached: BTreeMap<String, bool>,
    /// It goes with its pod.
    #[serde(default)]
    pub ephemeral: bool,
    /// The pod that it was last published for, where the driver is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
}

/// A pod that uses a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `namespace/name`.
    pub pod: String,
    /// For whom the driver got tokens of the pod's account.
    pub audiences: Vec<String>,
    /// When the first of them expires.
    pub expires: Option<String>,
}

/// Why something was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be meant.
    #[error("{0}")]
    Invalid(String),
    /// There is no such volume.
    #[error("volume {0:?} does not exist")]
    NotFound(String),
    /// A volume of this name is something else.
    #[error("volume {0:?} already exists with other properties")]
    Exists(String),
    /// It cannot be done as things are.
    #[error("{0}")]
    Precondition(String),
    /// The disk did not do it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The kernel did not mount or unmount.
    #[error("{0}")]
    Mount(#[from] volumes::Error),
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let message = error.to_string();
        match error {
            Error::Invalid(_) => Status::invalid_argument(message),
            Error::NotFound(_) => Status::not_found(message),
            Error::Exists(_) => Status::already_exists(message),
            Error::Precondition(_) => Status::failed_precondition(message),
            Error::Io(_) | Error::Mount(_) => Status::internal(message),
        }
    }
}

/// All volumes. Cheap to clone; its calls block.
#[derive(Debug, Clone)]
pub struct Volumes {
    directory: PathBuf,
}

impl Volumes {
    /// Looks at a directory.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// A volume's own directory. Its id comes from outside, and must not lead anywhere else.
    fn place(&self, id: &str) -> Result<PathBuf, Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > 128 || id.starts_with('.') || !id.bytes().all(plain) {
            return Err(Error::Invalid(format!("{id:?} is not the id of a volume")));
        }
        Ok(self.directory.join(id))
    }

    /// Where a volume's data are.
    pub fn data(&self, id: &str) -> Result<PathBuf, Error> {
        Ok(self.place(id)?.join("data"))
    }

    /// What is known of a volume.
    pub fn find(&self, id: &str) -> Result<Volume, Error> {
        match fs::read(self.place(id)?.join("volume.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).map_err(io::Error::other)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound(id.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a volume, or finds that it is there already as it is wanted.
    pub fn make(&self, id: &str, wanted: Volume) -> Result<Volume, Error> {
        match self.find(id) {
            Ok(found) if found.capacity == wanted.capacity && found.node == wanted.node => Ok(found),
            Ok(_) => Err(Error::Exists(id.to_owned())),
            Err(Error::NotFound(_)) => {
                let data = self.data(id)?;
                fs::create_dir_all(&data)?;
                // Pods of every user write to it; the mask of this process does not count.
                fs::set_permissions(&data, fs::Permissions::from_mode(0o777))?;
                self.write(id, &wanted)?;
                Ok(wanted)
            }
            Err(error) => Err(error),
        }
    }

    /// Changes what is known of a volume.
    pub fn change<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Volume) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut volume = self.find(id)?;
        let before = volume.clone();
        let answer = change(&mut volume)?;
        if volume != before {
            self.write(id, &volume)?;
        }
        Ok(answer)
    }

    /// Removes a volume with its data; one that is not there is removed.
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        match fs::remove_dir_all(self.place(id)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn write(&self, id: &str, volume: &Volume) -> Result<(), Error> {
        let place = self.place(id)?;
        let bytes = serde_json::to_vec(volume).map_err(io::Error::other)?;
        let temporary = place.join("volume.json.new");
        fs::write(&temporary, bytes)?;
        fs::rename(temporary, place.join("volume.json"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(capacity: i64) -> Volume {
        Volume { capacity, node: None, attached: BTreeMap::new(), ephemeral: false, user: None }
    }

    #[test]
    fn a_volume_is_made_once_and_its_id_leads_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(directory.path());
        assert!(matches!(volumes.find("v"), Err(Error::NotFound(_))));
        volumes.make("v", volume(1)).unwrap();
        volumes.make("v", volume(1)).unwrap();
        assert!(matches!(volumes.make("v", volume(2)), Err(Error::Exists(_))));
        let grow = |volume: &mut Volume| {
            volume.capacity = 5;
            Ok(())
        };
        volumes.change("v", grow).unwrap();
        assert_eq!(volumes.find("v").unwrap().capacity, 5);
        volumes.remove("v").unwrap();
        volumes.remove("v").unwrap();
        for id in ["", "..", "a/b", ".hidden", "a b"] {
            assert!(matches!(volumes.remove(id), Err(Error::Invalid(_))), "{id:?}");
        }
    }
}
