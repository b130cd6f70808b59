//! What a lab left on this machine after it was taken down: there must be nothing.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Refuses a machine on which something of a lab is left, or whose own packet rules are not those that were there
/// before it.
pub fn none(directory: &Path, name: &str, rules_before: &[String]) -> anyhow::Result<()> {
    let mut left = of(directory, name);
    left.extend(
        host_rules()
            .into_iter()
            .filter(|rule| !rules_before.contains(rule))
            .map(|rule| format!("rule {rule}")),
    );
    anyhow::ensure!(left.is_empty(), "left behind: {left:#?}");
    Ok(())
}

/// The same of machines.
pub fn of_machines(home: &Path, name: &str, rules_before: &[String]) -> anyhow::Result<()> {
    let state = home.join(name);
    let mut left: Vec<String> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let is_supply = line.split(' ').next().is_some_and(|program| program.ends_with("/machines"));
        if (is_supply && speaks_of(&line, &state)) || speaks_of(&mounts, &state) {
            left.push(format!("process {} {line}", entry.file_name().display()));
        }
    }
    let cgroups = lab::cgroup::hierarchies()
        .into_iter()
        .map(|hierarchy| hierarchy.join("magnetite-machines").join(name));
    let namespace = Path::new("/run/netns").join(format!("{name}-machines"));
    let paths = cgroups.chain([state, namespace]).filter(|path| path.exists());
    left.extend(paths.map(|path| path.display().to_string()));
    let new = |rule: &String| !rules_before.contains(rule);
    left.extend(host_rules().into_iter().filter(new).map(|rule| format!("rule {rule}")));
    anyhow::ensure!(left.is_empty(), "left behind: {left:#?}");
    Ok(())
}

/// Processes, namespaces, mounts, cgroups and files of a lab.
fn of(directory: &Path, name: &str) -> Vec<String> {
    let state = directory.join(name);
    let run = Path::new("/run/magnetite").join(name);
    let mut left = processes(&state);
    for namespace in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let found = namespace.file_name().to_string_lossy().into_owned();
        if found.starts_with(&format!("{name}-")) {
            left.push(format!("namespace {found}"));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    left.extend(
        mounts.lines().filter(|mount| speaks_of(mount, &state)).map(|mount| format!("mount {mount}")),
    );
    let cgroups =
        lab::cgroup::hierarchies().into_iter().map(|hierarchy| hierarchy.join("magnetite").join(name));
    let paths = cgroups.chain([state, run]).filter(|path| path.exists());
    left.extend(paths.map(|path| path.display().to_string()));
    left
}

/// Processes whose command line names the lab's directory, and those that live among a node's mounts: whatever a node
/// or a container runs.
fn processes(state: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let mounts = || fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let is_lab =
            line.split(' ').next().is_some_and(|program| program.ends_with("/lab") || program == "unshare");
        if (is_lab && speaks_of(&line, state)) || speaks_of(&mounts(), state) {
            found.push(format!("process {} {line}", entry.file_name().display()));
        }
    }
    found
}

/// Whether a text has this very path or one below it: a lab's name may begin another's.
fn speaks_of(text: &str, path: &Path) -> bool {
    let path = path.to_string_lossy();
    text.match_indices(&*path).any(|(at, _)| {
        !text[at + path.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.')
    })
}

/// The host's own packet rules.
pub fn host_rules() -> Vec<String> {
    let saved = Command::new("iptables-save").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = saved.map(|output| output.stdout).unwrap_or_default();
    let lines = String::from_utf8_lossy(&text).into_owned();
    lines.lines().filter(|line| line.starts_with('-')).map(str::to_owned).collect()
}
