//! The directories behind volumes: made for everybody, removed with all that is in them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The longest name that Linux takes.
const NAME_MAX: usize = 255;

/// Why a directory could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A volume says that its data are where none are made.
    #[error("path {path} is not directly below {base}")]
    Elsewhere {
        /// Where they are said to be.
        path: String,
        /// Where they are made.
        base: String,
    },
}

impl Error {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.display().to_string();
        move |source| Error::Io { operation, path, source }
    }
}

/// Where a volume's directory is: its name tells people whose it is.
pub fn path(base: &Path, volume: &str, namespace: &str, claim: &str) -> PathBuf {
    let mut name = format!("{volume}_{namespace}_{claim}");
    // These names are ASCII; the volume's own, which comes first, is unique and short.
    name.truncate(NAME_MAX);
    base.join(name)
}

/// Makes a volume's directory, which every user may write to: who that will be is not known yet.
pub fn make(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("make", path)(error));
        }
        _ => {}
    }
    // Set apart from making, which the process's mask would weaken.
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).map_err(Error::io("change mode of", path))
}

/// Removes a volume's directory. What a volume says of itself is not believed: only what could have been made here is
/// removed, and links in it are not followed.
pub fn remove(base: &Path, path: &Path) -> Result<(), Error> {
    let plain = path.file_name().is_some_and(|name| path == base.join(name));
    if !plain || path.parent() != Some(base) {
        let (path, base) = (path.display().to_string(), base.display().to_string());
        return Err(Error::Elsewhere { path, base });
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_write_and_nothing_is_left() {
        let base = tempfile::tempdir().unwrap();
        let volume = path(base.path(), "pvc-1", "default", "data");
        assert!(volume.ends_with("pvc-1_default_data"));
        make(&volume).unwrap();
        fs::write(volume.join("kept"), "x").unwrap();
        make(&volume).unwrap();
        assert_eq!(fs::metadata(&volume).unwrap().permissions().mode() & 0o7777, 0o777);
        assert!(volume.join("kept").exists(), "making it again keeps what is in it");
        remove(base.path(), &volume).unwrap();
        remove(base.path(), &volume).unwrap();
        assert!(!volume.exists());
        let long = path(base.path(), "pvc-1", &"n".repeat(63), &"c".repeat(253));
        make(&long).unwrap();
    }

    #[test]
    fn nothing_outside_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "x").unwrap();
        let link = base.path().join("link");
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        for path in [
            outside.path().to_owned(),
            base.path().to_owned(),
            base.path().join("a/b"),
            base.path().join(".."),
            base.path().join("../x"),
            PathBuf::from("/"),
            PathBuf::new(),
        ] {
            assert!(matches!(remove(base.path(), &path), Err(Error::Elsewhere { .. })), "{}", path.display());
        }
        let _ = remove(base.path(), &link);
        assert!(outside.path().join("file").exists());
    }
}
