//! The group of a volume (`fsGroup`): who shares it may read it, and write it where it is writable.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::Path,
};

use crate::Error;

/// When to walk the whole volume (`fsGroupChangePolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangePolicy {
    /// At every mount.
    Always,
    /// Only when the volume's own folder has not got the group and the bits.
    OnRootMismatch,
}

const READ_WRITE: u32 = 0o660;
const READ: u32 = 0o440;
const EXECUTE: u32 = 0o110;
const SET_GROUP: u32 = 0o2000;

/// Gives a volume and everything in it to a group. New files in its folders belong to the group too.
pub fn set_group(volume: &Path, group: u32, read_only: bool, policy: ChangePolicy) -> Result<(), Error> {
    let mask = if read_only { READ } else { READ_WRITE };
    if policy == ChangePolicy::OnRootMismatch {
        let metadata = fs::symlink_metadata(volume).map_err(Error::io("stat", volume))?;
        let wanted = mask | EXECUTE | SET_GROUP;
        if metadata.gid() == group && metadata.mode() & wanted == wanted {
            return Ok(());
        }
    }
    walk(volume, group, mask)
}

fn walk(path: &Path, group: u32, mask: u32) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(Error::io("stat", path))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))?.flatten() {
            walk(&entry.path(), group, mask)?;
        }
    }
    lchown(path, None, Some(group)).map_err(Error::io("chown", path))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let added = if metadata.is_dir() { mask | EXECUTE | SET_GROUP } else { mask };
    let permissions = fs::Permissions::from_mode(metadata.mode() & 0o7777 | added);
    fs::set_permissions(path, permissions).map_err(Error::io("chmod", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_gets_in_and_links_are_not_followed() {
        let volume = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let before = fs::metadata(outside.path()).unwrap().mode();
        fs::write(volume.path().join("f"), "x").unwrap();
        fs::set_permissions(volume.path().join("f"), fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(outside.path(), volume.path().join("l")).unwrap();
        let own = fs::metadata(volume.path()).unwrap().gid();
        set_group(volume.path(), own, false, ChangePolicy::Always).unwrap();
        assert_eq!(fs::metadata(volume.path().join("f")).unwrap().mode() & 0o7777, 0o660);
        assert_eq!(fs::metadata(volume.path()).unwrap().mode() & 0o2770, 0o2770);
        assert_eq!(fs::metadata(outside.path()).unwrap().mode(), before);
    }
}
