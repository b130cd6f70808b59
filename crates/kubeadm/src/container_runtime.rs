//! containerd on this machine: its configuration, its service, and the cluster's own images in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::{paths::Paths, systemd};

/// Its configuration.
pub const CONFIG: &str = "/etc/containerd/config.toml";
const CRICTL: &str = "/etc/crictl.yaml";
const CRICTL_FILE: &str = "runtime-endpoint: unix:///run/containerd/containerd.sock\n";
/// The package's own configuration, kept for `kubeadm reset`.
const BEFORE: &str = "/etc/containerd/config.toml.before-kubeadm";
/// The registry of the images that a package of a course brings.
pub const REGISTRY: &str = "magnetite-registry.service";
/// How a configuration of kubeadm's begins.
const WRITTEN: &str = "# Written by kubeadm";
const PAUSE: &str = "registry.k8s.io/pause:3.10";

/// A configuration that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeFile {
    /// As the distribution's package left it: kubeadm writes another.
    Untouched,
    /// The operator's, and good.
    Fit,
    /// The operator's, and of no use; why, and how to mend it.
    Unfit(String),
}

/// The lines that packages of Debian and Docker leave, in any order, without comments and blanks.
const PACKAGED: &[&str] = &[
    "version = 2",
    "version = 3",
    "disabled_plugins = [\"cri\"]",
    "[plugins]",
    "[plugins.\"io.containerd.grpc.v1.cri\"]",
    "[plugins.\"io.containerd.grpc.v1.cri\".cni]",
    "bin_dir = \"/usr/lib/cni\"",
    "conf_dir = \"/etc/cni/net.d\"",
    "[plugins.\"io.containerd.internal.v1.opt\"]",
    "path = \"/var/lib/containerd\"",
    "path = \"/var/lib/containerd/opt\"",
];

/// Judges a configuration.
pub fn judge(text: &str) -> RuntimeFile {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty());
    if lines.clone().all(|line| PACKAGED.contains(&line)) {
        return RuntimeFile::Untouched;
    }
    let says = |wanted: &str| {
        let packed = |line: &str| line.chars().filter(|char| !char.is_whitespace()).collect::<String>();
        lines.clone().any(|line| packed(line).contains(wanted))
    };
    if says("disabled_plugins=[\"cri\"") {
        return RuntimeFile::Unfit(format!(
            "the CRI of containerd is turned off (disabled_plugins in {CONFIG}); take \"cri\" out of the list, or remove \
             the file to have kubeadm write one, and run: systemctl restart containerd"
        ));
    }
    RuntimeFile::Fit
}

/// The kubelet's `cgroupDriver` that goes with a configuration; none when it does not say whether systemd owns the
/// cgroups of containers. The kubelet asks containerd itself from 2.0 on.
pub fn cgroup_driver(text: &str) -> Option<&'static str> {
    let mut values = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| key.trim() == "SystemdCgroup")
        .map(|(_, value)| value.trim() == "true");
    Some(if values.next()? { "systemd" } else { "cgroupfs" })
}

/// What a configuration depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// Where CNI plugins are.
    pub cni: &'a str,
    /// Whether the kernel runs AppArmor.
    pub apparmor: bool,
    /// Whether processes may be made less likely to be killed (CAP_SYS_RESOURCE); containers in containers may not.
    pub may_lower_oom_score: bool,
}

/// A configuration for containerd 1.6 to 2.x.
pub fn configuration(conditions: Conditions<'_>) -> String {
    let Conditions { cni, apparmor, may_lower_oom_score } = conditions;
    let (no_apparmor, restrict) = (!apparmor, !may_lower_oom_score);
    format!(
        r#"{WRITTEN}; `kubeadm reset` puts the package's own back.
version = 2
oom_score = 0

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {restrict}
  disable_apparmor = {no_apparmor}
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_unprivileged_ports = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "/etc/cni/net.d"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
"#
    )
}

/// Whether this process has CAP_SYS_RESOURCE, by `/proc/self/status`.
fn may_lower_oom_score(status: &str) -> bool {
    const SYS_RESOURCE: u32 = 24;
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> SYS_RESOURCE & 1 == 1)
}

/// Writes the configuration where the package's own is, starts the service, and tells crictl where it is. `Some(text)`
/// says what was written.
pub async fn prepare(paths: &Paths) -> anyhow::Result<Option<PathBuf>> {
    let written = write_files(paths)?;
    if written.is_some() {
        systemd::restart(&["containerd"]).await?;
    } else {
        systemd::start(&["containerd"]).await?;
    }
    systemd::enable(&["containerd"]).await?;
    // What images come in packages can be pulled from this machine itself.
    systemd::enable_existing(&[REGISTRY]).await?;
    Ok(written)
}

/// Only the files.
pub fn write_files(paths: &Paths) -> anyhow::Result<Option<PathBuf>> {
    let path = paths.at(CONFIG);
    let present = fs::read_to_string(&path).ok();
    let crictl = paths.at(CRICTL);
    if !crictl.exists() {
        pki::write_public(&crictl, CRICTL_FILE)?;
    }
    if present.as_deref().is_some_and(|text| judge(text) != RuntimeFile::Untouched) {
        return Ok(None);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let apparmor = fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    let text = configuration(Conditions {
        cni: if Path::new("/opt/cni/bin/bridge").exists() { "/opt/cni/bin" } else { "/usr/lib/cni" },
        apparmor: apparmor.trim() == "Y" && Path::new("/sys/kernel/security/apparmor").exists(),
        may_lower_oom_score: may_lower_oom_score(&status),
    });
    if let Some(present) = present {
        pki::write_public(&paths.at(BEFORE), &present)?;
    }
    pki::write_public(&path, &text)?;
    Ok(Some(path))
}

/// Puts the package's own configuration back where kubeadm has written another.
pub async fn restore(paths: &Paths) -> anyhow::Result<()> {
    let path = paths.at(CONFIG);
    if !fs::read_to_string(&path).is_ok_and(|text| text.starts_with(WRITTEN)) {
        return Ok(());
    }
    let before = paths.at(BEFORE);
    if before.exists() {
        fs::rename(&before, &path).with_context(|| format!("restoring {}", path.display()))?;
    } else {
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    let crictl = paths.at(CRICTL);
    if fs::read_to_string(&crictl).is_ok_and(|text| text == CRICTL_FILE) {
        fs::remove_file(&crictl).with_context(|| format!("removing {}", crictl.display()))?;
    }
    systemd::restart(&["containerd"]).await
}

/// The archives of the cluster's own images.
pub fn archives(paths: &Paths) -> anyhow::Result<Vec<PathBuf>> {
    let directory = paths.images();
    let Ok(entries) = fs::read_dir(&directory) else { return Ok(Vec::new()) };
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
    };
    let mut archives: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_archive).collect();
    // What every pod needs first, then the cluster's own, then the rest.
    archives.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (!name.contains("pause"), !name.contains("magnetite"), name)
    });
    Ok(archives)
}

/// Imports archives, a few at once.
pub async fn import(archives: Vec<PathBuf>) -> anyhow::Result<()> {
    use futures::{StreamExt as _, TryStreamExt as _};
    ready().await?;
    // More at once would only wait for the same disk.
    futures::stream::iter(archives).map(import_one).buffer_unordered(2).try_collect().await
}

async fn import_one(archive: PathBuf) -> anyhow::Result<()> {
    let output = ctr(&["images", "import"], Some(&archive)).await?;
    if !output.status.success() {
        bail!("importing {}: {}", archive.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

async fn ctr(arguments: &[&str], file: Option<&Path>) -> anyhow::Result<std::process::Output> {
    let mut command = Command::new("ctr");
    command.args(["--namespace", "k8s.io"]).args(arguments).args(file).stdin(Stdio::null());
    command.output().await.context("running ctr")
}

/// Waits until containerd answers.
async fn ready() -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let output = ctr(&["version"], None).await?;
        if output.status.success() {
            return Ok(());
        }
        if tokio::time::Instant::now() >= end {
            bail!(
                "containerd does not answer: {}; see journalctl -u containerd",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_left_is_not_the_operators() {
        let debian = "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    \
            [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n      \
            conf_dir = \"/etc/cni/net.d\"\n  [plugins.\"io.containerd.internal.v1.opt\"]\n    \
            path = \"/var/lib/containerd\"\n";
        let docker = "#   Licensed …\ndisabled_plugins = [\"cri\"]\n\n#root = \"/var/lib/containerd\"\n";
        for text in [debian, docker, ""] {
            assert_eq!(judge(text), RuntimeFile::Untouched, "{text}");
        }
    }

    #[test]
    fn an_operators_configuration_is_kept_or_refused() {
        let own =
            configuration(Conditions { cni: "/usr/lib/cni", apparmor: true, may_lower_oom_score: true });
        assert_eq!(judge(&own), RuntimeFile::Fit);
        assert!(own.contains("restrict_oom_score_adj = false") && own.contains("disable_apparmor = false"));
        assert_eq!(cgroup_driver(&own), Some("cgroupfs"));
        let systemd = own.replace("SystemdCgroup = false", "SystemdCgroup=true # as Docker's page has it");
        assert_eq!((judge(&systemd), cgroup_driver(&systemd)), (RuntimeFile::Fit, Some("systemd")));
        assert_eq!(cgroup_driver("version = 3\n# SystemdCgroup = true\n"), None);
        let off = "root = \"/data\"\ndisabled_plugins = [ \"cri\" ]\n";
        assert!(matches!(judge(off), RuntimeFile::Unfit(why) if why.contains("turned off")));
    }

    #[test]
    fn capabilities_are_read_bit_by_bit() {
        assert!(may_lower_oom_score("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(!may_lower_oom_score("CapEff:\t000001fffeffffff\n"));
    }
}
