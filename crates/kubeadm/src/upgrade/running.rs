//! What runs on this machine, and whether it is what is installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::release::sum;
use crate::systemd;

/// A component of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) unit: &'static str,
    /// The sum of the program that runs; `None` where none does.
    pub(super) running: Option<String>,
    /// The sum of the installed program.
    pub(super) installed: Option<String>,
}

impl Component {
    /// Whether it is to be restarted to be what is installed.
    pub(super) fn is_behind(&self) -> bool {
        self.running.is_some() && self.installed.is_some() && self.running != self.installed
    }
}

/// The components of this machine in the order in which they are restarted. etcd is not of this release.
pub(super) async fn components() -> anyhow::Result<Vec<Component>> {
    let mut components = Vec::new();
    for unit in systemd::CONTROL_PLANE.iter().chain(systemd::NODE).filter(|unit| **unit != "kube-etcd") {
        let state = systemd::unit(unit).await?;
        if !state.exists() || (!state.is_active() && state.enabled != "enabled") {
            continue;
        }
        let (mut running, mut program) = (None, None);
        if state.pid != 0 {
            let link = PathBuf::from(format!("/proc/{}/exe", state.pid));
            let target = fs::read_link(&link).with_context(|| format!("reading {}", link.display()))?;
            program = Some(present(&target));
            // The program that runs, also where its file has been replaced since.
            running = Some(sum(&link)?);
        }
        let program = program.or_else(|| installed(unit));
        let installed =
            program.filter(|program| program.is_file()).map(|program| sum(&program)).transpose()?;
        components.push(Component { unit, running, installed });
    }
    Ok(components)
}

/// The path of a program whose file may have been replaced.
fn present(target: &Path) -> PathBuf {
    let text = target.to_string_lossy();
    let path = text.strip_suffix(" (deleted)").unwrap_or(&text);
    // A package manager or an install script puts the new file there first, and then renames it.
    PathBuf::from(path.strip_suffix(".dpkg-tmp").unwrap_or(path))
}

fn installed(unit: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(unit))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_behind_when_another_program_is_installed() {
        let component = |running: Option<&str>, installed: Option<&str>| Component {
            unit: "kubelet",
            running: running.map(str::to_owned),
            installed: installed.map(str::to_owned),
        };
        assert!(component(Some("a"), Some("b")).is_behind());
        assert!(!component(Some("a"), Some("a")).is_behind());
        assert!(!component(None, Some("b")).is_behind());
        assert!(!component(Some("a"), None).is_behind());
    }

    #[test]
    fn a_replaced_program_is_looked_for_where_it_was() {
        assert_eq!(present(Path::new("/usr/bin/kubelet (deleted)")), Path::new("/usr/bin/kubelet"));
        assert_eq!(present(Path::new("/usr/bin/kubelet.dpkg-tmp (deleted)")), Path::new("/usr/bin/kubelet"));
        assert_eq!(present(Path::new("/usr/local/bin/podnet")), Path::new("/usr/local/bin/podnet"));
    }
}
