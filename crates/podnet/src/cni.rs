//! The CNI configuration file, written so that the container runtime never reads half of it.

use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "10-podnet.conflist";

/// The file's path in a directory.
pub fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Writes the file unless it is there with this content; tells whether it wrote.
pub fn write(directory: &Path, content: &str) -> io::Result<bool> {
    let path = path(directory);
    if std::fs::read(&path).is_ok_and(|present| present == content.as_bytes()) {
        return Ok(false);
    }
    std::fs::create_dir_all(directory)?;
    // The runtime looks only at names that end in .conf, .conflist or .json.
    let temporary = directory.join(format!(".{NAME}.tmp"));
    std::fs::write(&temporary, content)?;
    std::fs::rename(&temporary, &path)?;
    Ok(true)
}

/// Removes the file; an absent one is no error.
pub fn remove(directory: &Path) -> io::Result<()> {
    match std::fs::remove_file(path(directory)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_only_what_differs_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("net.d");
        assert!(write(&inside, "one").unwrap());
        assert!(!write(&inside, "one").unwrap());
        assert!(write(&inside, "two").unwrap());
        assert_eq!(std::fs::read_to_string(path(&inside)).unwrap(), "two");
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 1);
        remove(&inside).unwrap();
        remove(&inside).unwrap();
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 0);
    }
}
