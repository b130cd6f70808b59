//! Whatever runs in a machine, found by its cgroups and ended at once.

use std::{fs, path::Path, time::Duration};

use lab::{cgroup, processes::wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Kills every process of a cgroup and of those below it, and waits until none is left. A machine's first process
/// outlives the nspawn that made it, so that ending that one is not enough.
pub fn cut(cgroup: &str) -> anyhow::Result<()> {
    wait_for("the processes of a machine to end", Duration::from_secs(20), || {
        let mut left = Vec::new();
        for hierarchy in cgroup::hierarchies() {
            processes(&hierarchy.join(cgroup.trim_start_matches('/')), &mut left);
        }
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        Ok(left.is_empty().then_some(()))
    })
}

fn processes(directory: &Path, found: &mut Vec<Pid>) {
    let own = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    found.extend(own.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).map(Pid::from_raw));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            processes(&entry.path(), found);
        }
    }
}
