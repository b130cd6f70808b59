//! Mounts of the node: made, found and undone.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, umount2};

use crate::Error;

/// Mounts memory at a directory.
pub fn tmpfs(directory: &Path, limit: Option<u64>) -> Result<(), Error> {
    let options = limit.map(|bytes| format!("size={bytes}"));
    nix::mount::mount(Some("tmpfs"), directory, Some("tmpfs"), MsFlags::empty(), options.as_deref())
        .map_err(Error::io("mount tmpfs on", directory))
}

/// Mounts a filesystem of a kind that the kernel knows.
pub(crate) fn filesystem(
    source: &str,
    directory: &Path,
    kind: &str,
    flags: MsFlags,
    options: &str,
) -> Result<(), nix::errno::Errno> {
    nix::mount::mount(Some(source), directory, Some(kind), flags, Some(options))
}

/// Mounts a file or directory at a second place.
pub fn bind(source: &Path, target: &Path) -> Result<(), Error> {
    nix::mount::mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(Error::io("bind mount on", target))
}

/// Tells whether something is mounted at a path. A path that is not there has no mount.
pub fn is_mount_point(path: &Path) -> Result<bool, Error> {
    let own = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("stat", path)(error)),
    };
    let parent = path.parent().unwrap_or(path);
    let above = fs::symlink_metadata(parent).map_err(Error::io("stat", parent))?;
    if own.dev() != above.dev() {
        return Ok(true);
    }
    // A bind mount within one filesystem shows only in the mount table.
    let table = fs::read_to_string("/proc/thread-self/mountinfo")
        .map_err(Error::io("read", "/proc/thread-self/mountinfo"))?;
    Ok(points(&table).any(|point| point == path))
}

/// Lists the mounts at and below a path, deepest first.
pub fn below(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let table = fs::read_to_string("/proc/thread-self/mountinfo")
        .map_err(Error::io("read", "/proc/thread-self/mountinfo"))?;
    let mut found: Vec<PathBuf> = points(&table).filter(|point| point.starts_with(path)).collect();
    found.reverse();
    Ok(found)
}

/// Undoes every mount at and below a path. A busy one is detached: it goes when its last user does.
pub fn unmount_all(path: &Path) -> Result<(), Error> {
    for point in below(path)? {
        match umount2(&point, MntFlags::empty()) {
            Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
            Err(_) => umount2(&point, MntFlags::MNT_DETACH).map_err(Error::io("unmount", &point))?,
        }
    }
    Ok(())
}

/// The mount points of a mount table (`/proc/PID/mountinfo`), in its order.
pub fn points(table: &str) -> impl Iterator<Item = PathBuf> {
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| PathBuf::from(unescape(point)))
}

/// The mount table writes blanks and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 8).ok())) {
            (b'\\', Some(escaped)) => {
                plain.push(escaped);
                at += 4;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_table_is_unescaped() {
        let table = "36 35 98:0 / /mnt/a\\040b rw - ext4 /dev/sda rw\n37 35 0:5 / /mnt rw - tmpfs tmpfs rw\n";
        assert_eq!(points(table).collect::<Vec<_>>(), [Path::new("/mnt/a b"), Path::new("/mnt")]);
    }

    #[test]
    fn proc_is_a_mount_and_a_fresh_folder_is_not() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_mount_point(folder.path()).unwrap());
        assert!(!is_mount_point(&folder.path().join("none")).unwrap());
    }
}
