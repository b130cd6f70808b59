//! The files and units of every node, written and started in the same way by `init` and `join`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{
    arguments::{self, Arguments},
    configuration::{ClusterSettings, NodeSettings},
    container_runtime,
    paths::Paths,
    rejoin, systemd,
};

/// How often a thing that is to come is looked for on this machine.
const LOOK: Duration = Duration::from_millis(50);

/// Writes a unit's environment file.
pub fn write_env(paths: &Paths, unit: &str, arguments: &Arguments) -> anyhow::Result<()> {
    // Readable by root alone: an operator's flags may hold what others should not see.
    Ok(pki::write_private(&paths.env(unit), &arguments.env_file())?)
}

/// Writes the kubelet's configuration and flags. What is this machine's alone stands over what all have in common.
pub fn write_kubelet(paths: &Paths, node: &NodeSettings, common: &Value) -> anyhow::Result<()> {
    let mut configuration = common.clone();
    // systemd-resolved's own stub listens on loopback, which is another one in a pod.
    let resolved = "/run/systemd/resolve/resolv.conf";
    if configuration["resolvConf"].is_null() && std::path::Path::new(resolved).exists() && uses_stub() {
        configuration["resolvConf"] = resolved.into();
    }
    // Kubelet and runtime must have the same owner of cgroups, or each undoes what the other did.
    let runtime = std::fs::read_to_string(paths.at(container_runtime::CONFIG)).unwrap_or_default();
    if let Some(driver) = container_runtime::cgroup_driver(&runtime) {
        configuration["cgroupDriver"] = driver.into();
    }
    pki::write_public(&paths.kubelet_config(), &formats::yaml::text(&configuration))?;
    let manifests = paths.at("/etc/kubernetes/manifests");
    std::fs::create_dir_all(&manifests).with_context(|| format!("making {}", manifests.display()))?;
    write_env(paths, "kubelet", &arguments::kubelet(node))
}

fn uses_stub() -> bool {
    std::fs::read_to_string("/etc/resolv.conf")
        .is_ok_and(|text| text.lines().any(|line| line.trim() == "nameserver 127.0.0.53"))
}

/// Writes the configuration and flags of kube-proxy.
pub fn write_kube_proxy(paths: &Paths, node: &NodeSettings, common: &Value) -> anyhow::Result<()> {
    pki::write_public(&paths.kube_proxy_config(), &formats::yaml::text(common))?;
    write_env(paths, "kube-proxy", &arguments::kube_proxy(node))
}

/// Writes the flags of podnet.
pub fn write_podnet(paths: &Paths, cluster: &ClusterSettings, node: &NodeSettings) -> anyhow::Result<()> {
    write_env(paths, "podnet", &arguments::podnet(cluster, node))
}

/// Has units run, now and after every boot, without waiting for them.
pub async fn enable_and_start(units: &[&str]) -> anyhow::Result<()> {
    systemd::enable(units).await?;
    systemd::start_in_background(units).await
}

/// Waits until units say that they are ready. One that ended three times since is not waited for any longer.
pub async fn wait_active(units: &[&str], within: Duration) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + within;
    for name in units {
        loop {
            let unit = systemd::unit(name).await?;
            if unit.is_active() {
                break;
            }
            if unit.restarts >= 3 || unit.active == "failed" {
                bail!("{name} ends again and again:\n{}", systemd::last_words(name).await);
            }
            if tokio::time::Instant::now() >= end {
                bail!(
                    "waited {within:?} for {name}, which is {} ({}). Its last words:\n{}",
                    unit.active,
                    unit.sub,
                    systemd::last_words(name).await
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

/// Gives the node what lets it come back when its certificate has ended while it was off. It works without.
pub async fn ensure_return(paths: &Paths, node: &str) {
    if let Err(error) = rejoin::ensure(paths, node, Duration::from_secs(30)).await {
        eprintln!(
            "\t[WARNING Rejoin]: this node has no certificate with which to come back after its own has expired: {error:#}. \
             It is asked for again by kubeadm-renew.timer"
        );
    }
}

/// Waits until a file is there, while a unit is to make it.
pub async fn wait_file(path: &std::path::Path, unit: &str, within: Duration) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + within;
    while !path.exists() {
        if tokio::time::Instant::now() >= end {
            bail!(
                "waited {within:?} for {} to write {}. Its last words:\n{}",
                unit,
                path.display(),
                systemd::last_words(unit).await
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
