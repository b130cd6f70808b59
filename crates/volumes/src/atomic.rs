//! Writes a volume's files so that a reader sees all of the old ones or all of the new ones.
//!
//! The files live in a folder named for the time of writing; the link `..data` points to it, and what the pod sees
//! are links through `..data`. An update writes a new folder and renames a new link over the old one. Upstream's
//! names are kept: pods look for them.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink},
    path::{Component, Path, PathBuf},
};

use io::Write;
use jiff::Timestamp;

use crate::{Error, Payload};

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Makes the volume at `directory` hold exactly `payload`. Answers whether anything had to be written.
///
/// `finish` is called on the new folder before readers can see it (for its group).
pub fn write(
    directory: &Path,
    payload: &Payload,
    now: Timestamp,
    finish: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<bool, Error> {
    let data = directory.join(DATA);
    let old = fs::read_link(&data).ok().map(|target| directory.join(target));
    if let Some(old) = &old
        && holds(old, payload)
        && links_are_right(directory, payload)
    {
        return Ok(false);
    }
    let folder = new_folder(directory, now)?;
    let written = fill(&folder, payload).and_then(|()| finish(&folder));
    if let Err(error) = written {
        // What is half-written was never visible.
        let _ = fs::remove_dir_all(&folder);
        return Err(error);
    }
    let name = folder.file_name().map(PathBuf::from).unwrap_or_default();
    let new_data = directory.join(NEW_DATA);
    let _ = fs::remove_file(&new_data);
    symlink(name, &new_data).map_err(Error::io("link", &new_data))?;
    fs::rename(&new_data, &data).map_err(Error::io("rename", &data))?;
    link(directory, payload)?;
    unlink_stale(directory, payload)?;
    if let Some(old) = old {
        fs::remove_dir_all(&old).or_else(absent).map_err(Error::io("remove", &old))?;
    }
    Ok(true)
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// A folder named for the time, made so that two writes in one nanosecond do not meet.
fn new_folder(directory: &Path, now: Timestamp) -> Result<PathBuf, Error> {
    let stamp = now.strftime("..%Y_%m_%d_%H_%M_%S").to_string();
    for fraction in now.subsec_nanosecond().max(0).. {
        let folder = directory.join(format!("{stamp}.{fraction:09}"));
        match fs::create_dir(&folder) {
            Ok(()) => {
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))
                    .map_err(Error::io("chmod", &folder))?;
                return Ok(folder);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", folder)(error)),
        }
    }
    Err(Error::InvalidPath(stamp))
}

fn fill(folder: &Path, payload: &Payload) -> Result<(), Error> {
    for (path, file) in payload {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let mut options = fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(file.mode & 0o777).open(&target);
        let mut opened = opened.map_err(Error::io("create", &target))?;
        opened.write_all(&file.data).map_err(Error::io("write", &target))?;
        // The mode given at creation went through the umask.
        let permissions = fs::Permissions::from_mode(file.mode);
        opened.set_permissions(permissions).map_err(Error::io("chmod", &target))?;
        if let Some(owner) = file.owner {
            chown(&target, Some(owner), None).map_err(Error::io("chown", &target))?;
        }
    }
    Ok(())
}

/// Tells whether a folder holds just these files with these contents and modes.
fn holds(folder: &Path, payload: &Payload) -> bool {
    let same = payload.iter().all(|(path, file)| {
        let target = folder.join(path);
        // A group set on the volume adds bits for the group; they do not make the file another.
        let mode = fs::symlink_metadata(&target).map(|metadata| metadata.permissions().mode() & 0o707);
        mode.is_ok_and(|mode| mode == file.mode & 0o707)
            && fs::read(&target).is_ok_and(|present| present == file.data)
    });
    same && count(folder).is_ok_and(|files| files == payload.len())
}

fn count(folder: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

/// The first part of every file's path: what the pod sees at the volume's top.
fn tops(payload: &Payload) -> BTreeSet<&str> {
    payload.keys().filter_map(|path| path.split('/').next()).collect()
}

fn links_are_right(directory: &Path, payload: &Payload) -> bool {
    tops(payload)
        .into_iter()
        .all(|top| fs::read_link(directory.join(top)).is_ok_and(|target| target == Path::new(DATA).join(top)))
}

fn link(directory: &Path, payload: &Payload) -> Result<(), Error> {
    for top in tops(payload) {
        let (visible, target) = (directory.join(top), Path::new(DATA).join(top));
        match fs::read_link(&visible) {
            Ok(present) if present == target => continue,
            Ok(_) => fs::remove_file(&visible).map_err(Error::io("remove", &visible))?,
            Err(_) => {}
        }
        symlink(target, &visible).map_err(Error::io("link", &visible))?;
    }
    Ok(())
}

fn unlink_stale(directory: &Path, payload: &Payload) -> Result<(), Error> {
    let tops = tops(payload);
    for entry in fs::read_dir(directory).map_err(Error::io("read", directory))?.flatten() {
        let path = entry.path();
        let through_data = fs::read_link(&path)
            .is_ok_and(|target| target.components().next() == Some(Component::Normal(DATA.as_ref())));
        let wanted = entry.file_name().to_str().is_some_and(|name| tops.contains(name));
        if through_data && !wanted {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let mut payload = Payload::new();
        for (path, data) in files {
            place(&mut payload, path, data.as_bytes().to_vec(), 0o644, None).unwrap();
        }
        payload
    }

    fn update(directory: &Path, files: &[(&str, &str)]) -> bool {
        write(directory, &payload(files), Timestamp::UNIX_EPOCH, |_| Ok(())).unwrap()
    }

    fn visible(directory: &Path) -> Vec<String> {
        let entries =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn readers_see_links_through_data() {
        let directory = tempfile::tempdir().unwrap();
        assert!(update(directory.path(), &[("a", "1"), ("d/e", "2")]));
        assert_eq!(visible(directory.path()), ["..1970_01_01_00_00_00.000000000", "..data", "a", "d"]);
        assert_eq!(fs::read_link(directory.path().join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::read_to_string(directory.path().join("d/e")).unwrap(), "2");
    }

    #[test]
    fn the_same_payload_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        assert!(update(directory.path(), &[("a", "1")]));
        let before = fs::read_link(directory.path().join("..data")).unwrap();
        assert!(!update(directory.path(), &[("a", "1")]));
        assert_eq!(fs::read_link(directory.path().join("..data")).unwrap(), before);
    }

    #[test]
    fn a_change_replaces_everything_and_clears_what_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        update(directory.path(), &[("a", "1"), ("b", "1")]);
        assert!(update(directory.path(), &[("a", "2"), ("c", "3")]));
        assert_eq!(visible(directory.path()), ["..1970_01_01_00_00_00.000000001", "..data", "a", "c"]);
        assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "2");
    }

    #[test]
    fn a_failed_finish_leaves_the_old_files() {
        let directory = tempfile::tempdir().unwrap();
        update(directory.path(), &[("a", "1")]);
        let refused = |_: &Path| Err(Error::InvalidPath("x".into()));
        assert!(write(directory.path(), &payload(&[("a", "2")]), Timestamp::UNIX_EPOCH, refused).is_err());
        assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "1");
        assert_eq!(visible(directory.path()).len(), 3);
    }

    #[test]
    fn modes_are_exact() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Payload::new();
        place(&mut files, "k", b"s".to_vec(), 0o400, None).unwrap();
        place(&mut files, "w", b"s".to_vec(), 0o666, None).unwrap();
        write(directory.path(), &files, Timestamp::UNIX_EPOCH, |_| Ok(())).unwrap();
        let mode =
            |name: &str| fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("k"), mode("w")), (0o400, 0o666));
    }
}
