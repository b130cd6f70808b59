//! Folders of one hierarchy: created from the top, listed, and removed from the bottom.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::Error;

/// Joins a cgroup's path to a hierarchy's root; a leading slash does not leave it, nor does `..`.
pub(crate) fn join(root: &Path, path: &str) -> PathBuf {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..");
    parts.fold(root.to_owned(), |joined, part| joined.join(part))
}

/// Creates a cgroup and its parents. A new cpuset may hold no process before it names processors, so it takes over
/// its parent's.
pub(crate) fn create_v1(root: &Path, path: &str, cpuset: bool) -> Result<(), Error> {
    let mut directory = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let parent = directory.clone();
        directory = join(&directory, part);
        create(&directory)?;
        if cpuset {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                inherit(&parent.join(file), &directory.join(file))?;
            }
        }
    }
    Ok(())
}

fn inherit(from: &Path, to: &Path) -> Result<(), Error> {
    let present = fs::read_to_string(to).unwrap_or_default();
    if !present.trim().is_empty() {
        return Ok(());
    }
    let value = fs::read_to_string(from).map_err(Error::io("read", from))?;
    fs::write(to, value.trim()).map_err(Error::io("write", to))
}

/// Creates a cgroup and its parents and hands every controller down to it.
pub(crate) fn create_v2(root: &Path, path: &str) -> Result<(), Error> {
    let mut directory = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let controllers = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
        for controller in controllers.split_whitespace() {
            // One controller that cannot be handed down (in use elsewhere) must not keep back the others.
            if let Err(error) = fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}"))
            {
                tracing::debug!(controller, directory = %directory.display(), %error, "controller not delegated");
            }
        }
        directory = join(&directory, part);
        create(&directory)?;
    }
    Ok(())
}

fn create(directory: &Path) -> Result<(), Error> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create", directory)(error))
        }
        _ => Ok(()),
    }
}

/// Lists the cgroups directly below a directory.
pub(crate) fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Lists the processes in a directory and below it.
pub(crate) fn processes(directory: &Path) -> Vec<i32> {
    let own = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let mut processes: Vec<i32> =
        own.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect();
    for child in children(directory) {
        processes.extend(self::processes(&child));
    }
    processes
}

/// Removes a cgroup and everything below it. Its files are the kernel's and go with the directory.
pub(crate) fn remove(directory: &Path) -> Result<(), Error> {
    for child in children(directory) {
        remove(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", directory)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_leaves_the_hierarchy() {
        assert_eq!(join(Path::new("/r"), "/a/../../b//c"), Path::new("/r/a/b/c"));
    }

    #[test]
    fn a_new_cpuset_takes_over_its_parents_processors() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cpuset.cpus"), "0-1\n").unwrap();
        fs::write(root.path().join("cpuset.mems"), "0\n").unwrap();
        create_v1(root.path(), "/a/b", true).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("a/b/cpuset.cpus")).unwrap(), "0-1");
    }
}
