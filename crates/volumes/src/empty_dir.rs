//! An empty folder on the node's disk or in its memory.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{Error, mount};

/// Where an empty directory lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// On the disk the kubelet's root is on.
    Disk,
    /// In memory, at most so many bytes.
    Memory(Option<u64>),
}

/// Makes an empty directory that everyone may write to. One that is there is kept with what it holds.
pub fn empty_dir(directory: &Path, medium: Medium) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    if let Medium::Memory(limit) = medium
        && !mount::is_mount_point(directory)?
    {
        mount::tmpfs(directory, limit)?;
    }
    let metadata = fs::metadata(directory).map_err(Error::io("stat", directory))?;
    if metadata.permissions().mode() & 0o777 != 0o777 {
        // Bits beyond the nine are fsGroup's and stay.
        let mode = metadata.permissions().mode() & 0o7000 | 0o777;
        fs::set_permissions(directory, fs::Permissions::from_mode(mode))
            .map_err(Error::io("chmod", directory))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_may_write_whatever_the_umask() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        empty_dir(&directory, Medium::Disk).unwrap();
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o777);
        fs::write(directory.join("kept"), "").unwrap();
        empty_dir(&directory, Medium::Disk).unwrap();
        assert!(directory.join("kept").exists());
    }
}
