//! The cgroups under which a node's pods live, in whichever hierarchies the machine has.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

const ROOT: &str = "/sys/fs/cgroup";

/// The roots of all cgroup hierarchies: the unified one of v2, or each of v1.
pub fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.into()];
    }
    let entries = fs::read_dir(root).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut roots: Vec<PathBuf> = entries
        .into_iter()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| path.join("cgroup.procs").exists())
        .collect();
    roots.sort();
    roots
}

/// Makes a cgroup in every hierarchy, with the controllers of its parents.
pub fn create(cgroup: &str) -> anyhow::Result<()> {
    for hierarchy in hierarchies() {
        let mut path = hierarchy.clone();
        for part in cgroup.split('/').filter(|part| !part.is_empty()) {
            delegate(&path);
            let child = path.join(part);
            match fs::create_dir(&child) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("making cgroup {}", child.display()));
                }
                _ => inherit_cpuset(&path, &child),
            }
            path = child;
        }
    }
    Ok(())
}

/// On v2, a child has only the controllers that its parent hands down. What cannot be handed down is absent on
/// this machine, and pods then run without that limit.
fn delegate(parent: &Path) {
    if let Ok(controllers) = fs::read_to_string(parent.join("cgroup.controllers")) {
        for controller in controllers.split_whitespace() {
            let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

/// On v1, a new cpuset has no processors until it is given some. One that is there already may be another process's,
/// which has not come to that yet.
fn inherit_cpuset(parent: &Path, child: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let has_some = |value: String| !value.trim().is_empty();
        if fs::read_to_string(child.join(file)).is_ok_and(has_some) {
            continue;
        }
        if let Ok(value) = fs::read_to_string(parent.join(file)) {
            let _ = fs::write(child.join(file), value);
        }
    }
}

/// Removes a cgroup with its children from every hierarchy. Processes in it must have ended.
pub fn remove(cgroup: &str) -> anyhow::Result<()> {
    for hierarchy in hierarchies() {
        let path = hierarchy.join(cgroup.trim_start_matches('/'));
        remove_tree(&path).with_context(|| format!("removing cgroup {}", path.display()))?;
    }
    Ok(())
}

fn remove_tree(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries.flatten() {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    // The kernel frees a cgroup a moment after its last process.
    let mut tries = 0;
    loop {
        match fs::remove_dir(path) {
            Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) && tries < 100 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
}

/// Removes a parent cgroup when nothing is left in it.
pub fn remove_if_empty(cgroup: &str) {
    for hierarchy in hierarchies() {
        let _ = fs::remove_dir(hierarchy.join(cgroup.trim_start_matches('/')));
    }
}
