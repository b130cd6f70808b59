//! A part of a volume mounted by itself, safe from links that the pod plants in the volume.
//!
//! The path is opened by the kernel with the rule that no step may leave the volume, and what was opened is bind
//! mounted: between looking and mounting nothing can be swapped.

use std::{
    fs,
    os::fd::{AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    sys::stat::{Mode, SFlag, fstat, mkdirat},
};

use crate::{Error, mount};

/// Bind mounts `sub_path` of the volume to `target`, creating it as a folder in the volume where it is missing.
pub fn sub_path(volume: &Path, sub_path: &Path, target: &Path) -> Result<(), Error> {
    if mount::is_mount_point(target)? {
        return Ok(());
    }
    if sub_path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(Error::SubPathEscapes(sub_path.to_owned()));
    }
    let root =
        open(volume, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(Error::io("open", volume))?;
    // A volume that is a single file (a hostPath) has no parts.
    let opened = match within(&root, sub_path) {
        Ok(opened) => opened,
        Err(Errno::ENOENT) => {
            create(&root, volume, sub_path)?;
            within(&root, sub_path).map_err(refused(sub_path))?
        }
        Err(errno) => return Err(refused(sub_path)(errno)),
    };
    let metadata = fstat(&opened).map_err(Error::io("stat", sub_path))?;
    if SFlag::from_bits_truncate(metadata.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR {
        fs::create_dir_all(target).map_err(Error::io("create", target))?;
    } else {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        fs::File::create(target).map_err(Error::io("create", target))?;
    }
    let source = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), opened.as_raw_fd()));
    mount::bind(&source, target)
}

/// Undoes and removes the sub path mounts below a folder.
pub fn clean_sub_paths(directory: &Path) -> Result<(), Error> {
    if !directory.exists() {
        return Ok(());
    }
    mount::unmount_all(directory)?;
    fs::remove_dir_all(directory).map_err(Error::io("remove", directory))
}

fn within(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    openat2(root, path, how)
}

fn create(root: &OwnedFd, volume: &Path, sub_path: &Path) -> Result<(), Error> {
    // Folders made in a volume get the volume's own permissions, as upstream.
    let mode = Mode::from_bits_truncate(fstat(root).map_err(Error::io("stat", volume))?.st_mode & 0o777);
    let mut made = PathBuf::new();
    for part in sub_path.components() {
        let parent = within(root, &made).map_err(refused(sub_path))?;
        made.push(part);
        match mkdirat(&parent, Path::new(part.as_os_str()), mode) {
            Ok(()) => {
                let folder = within(root, &made).map_err(refused(sub_path))?;
                let path = format!("/proc/{}/fd/{}", std::process::id(), folder.as_raw_fd());
                let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode.bits());
                fs::set_permissions(&path, permissions).map_err(Error::io("chmod", &made))?;
            }
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(Error::io("create", volume.join(&made))(errno)),
        }
    }
    Ok(())
}

fn refused(path: &Path) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |errno| match errno {
        Errno::EXDEV | Errno::ELOOP => Error::SubPathEscapes(path),
        errno => Error::io("open", path)(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_does_not_lead_out() {
        let volume = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", volume.path().join("planted")).unwrap();
        for path in ["planted", "planted/passwd", "../x"] {
            let mounted = sub_path(volume.path(), Path::new(path), &target.path().join("0"));
            assert!(matches!(mounted, Err(Error::SubPathEscapes(_))), "{path}: {mounted:?}");
        }
    }

    #[test]
    fn a_link_that_stays_inside_is_followed_and_a_missing_folder_made() {
        let volume = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        fs::create_dir(volume.path().join("..1")).unwrap();
        fs::write(volume.path().join("..1/key"), "value").unwrap();
        std::os::unix::fs::symlink("..1", volume.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/key", volume.path().join("key")).unwrap();
        let file = target.path().join("0");
        if let Err(Error::Io { operation: "bind mount on", .. }) =
            sub_path(volume.path(), Path::new("key"), &file)
        {
            // No right to mount here; everything up to the mount went well.
            return;
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "value");
        sub_path(volume.path(), Path::new("new/folder"), &target.path().join("1")).unwrap();
        assert!(volume.path().join("new/folder").is_dir());
        clean_sub_paths(target.path()).unwrap();
        assert!(!target.path().exists());
        fs::create_dir(target.path()).unwrap();
    }
}
