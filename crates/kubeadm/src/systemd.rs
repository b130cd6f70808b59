//! The machine's systemd: the one place that runs `systemctl`.

use std::process::{Output, Stdio};

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// The units of a control plane in the order in which one needs the other; etcd's only where a member runs here.
pub const CONTROL_PLANE: &[&str] =
    &["kube-etcd", "kube-apiserver", "kube-controller-manager", "cloud-controller-manager", "kube-scheduler"];

/// The units of every node.
pub const NODE: &[&str] = &["kubelet", "kube-proxy", "podnet"];

/// What systemd says of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked` …
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed` …
    pub active: String,
    /// Finer than `active`: `running`, `auto-restart` …
    pub sub: String,
    /// `enabled`, `disabled`, `static` or nothing.
    pub enabled: String,
    /// Its main process, 0 where there is none.
    pub pid: u32,
    /// How often systemd has started it again by itself since it was told to.
    pub restarts: u32,
}

impl Unit {
    /// Whether systemd knows a file for it.
    pub fn exists(&self) -> bool {
        self.load == "loaded"
    }

    /// Whether it says it is ready.
    pub fn is_active(&self) -> bool {
        self.active == "active"
    }
}

async fn run(arguments: &[&str]) -> anyhow::Result<Output> {
    Command::new("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("running systemctl {}", arguments.join(" ")))
}

async fn must(verb: &str, units: &[&str]) -> anyhow::Result<()> {
    let arguments: Vec<&str> = verb.split(' ').chain(units.iter().copied()).collect();
    let output = run(&arguments).await?;
    if !output.status.success() {
        bail!("systemctl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Whether systemd runs this machine.
pub fn is_running() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

/// Reads the units' files again.
pub async fn daemon_reload() -> anyhow::Result<()> {
    must("daemon-reload", &[]).await
}

/// Has units started at boot.
pub async fn enable(units: &[&str]) -> anyhow::Result<()> {
    must("--quiet enable", units).await
}

/// Has those units started at boot that are installed, and now those that are for more than a boot.
pub async fn enable_existing(units: &[&str]) -> anyhow::Result<()> {
    for name in units {
        if unit(name).await?.exists() {
            enable(&[name]).await?;
            if !name.ends_with("-boot.service") {
                // None of them is needed for what is done now.
                start_in_background(&[name]).await?;
            }
        }
    }
    Ok(())
}

/// Has units no longer started at boot.
pub async fn disable(units: &[&str]) -> anyhow::Result<()> {
    must("--quiet disable", units).await
}

/// Starts units in the order their files say and returns when each is ready.
pub async fn start(units: &[&str]) -> anyhow::Result<()> {
    must("start", units).await
}

/// Has units started without waiting for them.
pub async fn start_in_background(units: &[&str]) -> anyhow::Result<()> {
    must("--no-block start", units).await
}

/// What a unit wrote last to the journal.
pub async fn last_words(unit: &str) -> String {
    let output = Command::new("journalctl")
        .args(["--no-pager", "--output=cat", "--lines=8", "--unit", unit])
        .stdin(Stdio::null())
        .output()
        .await;
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().map(|line| format!("\t{line}\n")).collect::<String>()
        + &format!("More of them: journalctl -u {unit}")
}

/// Stops units and returns when they have ended.
pub async fn stop(units: &[&str]) -> anyhow::Result<()> {
    must("stop", units).await
}

/// Ends units' main processes at once.
pub async fn kill(units: &[&str]) -> anyhow::Result<()> {
    must("kill --signal=SIGKILL --kill-who=main", units).await
}

/// Restarts units and returns when each is ready again.
pub async fn restart(units: &[&str]) -> anyhow::Result<()> {
    must("restart", units).await
}

/// Forgets that units have failed.
pub async fn reset_failed(units: &[&str]) -> anyhow::Result<()> {
    must("reset-failed", units).await
}

/// Asks for a unit's state; one that is unknown is `not-found`.
pub async fn unit(name: &str) -> anyhow::Result<Unit> {
    let properties = "--property=LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts";
    let output = run(&["show", properties, "--", name]).await?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(shown: &str) -> Unit {
    let mut unit = Unit::default();
    for (name, value) in shown.lines().filter_map(|line| line.split_once('=')) {
        let value = value.to_owned();
        match name {
            "LoadState" => unit.load = value,
            "ActiveState" => unit.active = value,
            "SubState" => unit.sub = value,
            "UnitFileState" => unit.enabled = value,
            "MainPID" => unit.pid = value.parse().unwrap_or(0),
            "NRestarts" => unit.restarts = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systemctl_shows() {
        let shown =
            "MainPID=812\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n";
        let unit = parse(shown);
        assert!(unit.exists() && unit.is_active());
        assert_eq!((unit.pid, unit.enabled.as_str()), (812, "enabled"));
        assert!(!parse("LoadState=not-found\nActiveState=inactive\n").exists());
    }
}
