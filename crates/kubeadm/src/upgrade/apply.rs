//! `kubeadm upgrade apply` and `node`: files in place, then each unit that runs an older program restarted when the one
//! before is ready. Pods run on: their processes belong to containerd, their rules to the kernel.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::{
    Source, Way, install,
    release::Release,
    running::{Component, components},
};
use crate::{
    addons, backup,
    cluster::Api,
    configuration::ClusterSettings,
    container_runtime,
    init::{apply_all, stored},
    paths::Paths,
    systemd,
};

/// How long a unit may take to be ready again.
const RESTART: Duration = Duration::from_secs(300);
/// How long the API server may take to say that it is ready.
const READY: Duration = Duration::from_secs(60);

/// What is upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// This machine and what all machines share.
    Cluster,
    /// This machine.
    Machine,
}

/// Runs the command.
pub(super) async fn run(
    paths: &Paths,
    scope: Scope,
    version: Option<&str>,
    source: &Source,
    way: &Way,
) -> anyhow::Result<()> {
    let on_control_plane = paths.env("kube-apiserver").exists();
    if scope == Scope::Cluster && !on_control_plane {
        bail!("this machine is not a control plane; use kubeadm upgrade node");
    }
    let installed = Release::read(&paths.release())?;
    let target = match &source.release {
        Some(directory) => install::read(directory)?,
        None => installed.clone(),
    };
    target.follows(&installed)?;
    if let Some(typed) = version
        && !target.is_meant_by(typed)
    {
        bail!("{typed} is not here: {} is; name another release's directory with --release", target.name());
    }
    println!("[upgrade/preflight] Running preflight checks");
    if !way.force {
        healthy(&components().await?, on_control_plane.then_some(paths)).await?;
    }
    let bundle = match &source.release {
        Some(directory) => {
            let bundle = install::find(paths, directory).await?;
            install::check(directory, &bundle)?;
            Some(bundle)
        }
        None => None,
    };
    println!("[upgrade] From {} to {}", installed.name(), target.name());
    if way.dry_run {
        return dry_run(&components().await?, &target, bundle.is_some());
    }
    confirm(way)?;
    if on_control_plane && paths.env("kube-etcd").exists() {
        let file = paths.at(&format!(
            "/var/lib/magnetite/before-upgrade-{}.tar.gz",
            Timestamp::now().strftime("%Y%m%d-%H%M%S")
        ));
        backup::save(paths, &file).await.context("saving the cluster before the upgrade")?;
    }
    if let Some(bundle) = &bundle {
        println!("[upgrade] Installing the release's files");
        install::put(bundle).await?;
        systemd::daemon_reload().await?;
        println!("[upgrade] Importing the release's images");
        container_runtime::import(container_runtime::archives(paths)?).await?;
    }
    let behind: Vec<&'static str> = components()
        .await?
        .iter()
        .filter(|component| component.is_behind())
        .map(|component| component.unit)
        .collect();
    for unit in &behind {
        restart(unit, paths).await?;
    }
    if behind.is_empty() {
        println!("[upgrade] Everything that runs here is of {} already", target.name());
    }
    match scope {
        Scope::Cluster => {
            add_ons(paths).await?;
            println!(
                "\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to {:?}.\n\n[upgrade] Now please proceed with \
                 upgrading the rest of the nodes by following the right order: kubeadm upgrade node on each.",
                target.name()
            );
        }
        Scope::Machine => println!("\n[upgrade] The machine was upgraded to {:?}.", target.name()),
    }
    Ok(())
}

/// Whether the machine can bear the restart of its parts.
async fn healthy(components: &[Component], control_plane: Option<&Paths>) -> anyhow::Result<()> {
    for component in components {
        if component.running.is_none() {
            bail!(
                "{} does not run: see systemctl status {0}; with --force the upgrade goes on all the same",
                component.unit
            );
        }
    }
    if let Some(paths) = control_plane {
        let api = Api::open(&paths.kubeconfig("admin")).await?;
        let asked = tokio::time::timeout(READY, api.ready()).await;
        asked.context("the API server does not answer")?.context("the API server is not ready")?;
    }
    Ok(())
}

fn dry_run(components: &[Component], target: &Release, installs: bool) -> anyhow::Result<()> {
    if installs {
        println!("[dryrun] Would install the release's files and import its images");
    }
    for component in components {
        let new = if installs { target.binaries.get(component.unit) } else { component.installed.as_ref() };
        if component.running.as_ref() != new {
            println!("[dryrun] Would restart {}", component.unit);
        }
    }
    Ok(())
}

fn confirm(way: &Way) -> anyhow::Result<()> {
    if way.yes || way.force || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    print!("[upgrade] Are you sure you want to proceed? [y/N]: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("won't proceed; the user didn't answer (Y|y) in order to continue"),
    }
}

async fn restart(unit: &str, paths: &Paths) -> anyhow::Result<()> {
    println!("[upgrade] Restarting {unit}");
    let restarted = tokio::time::timeout(RESTART, systemd::restart(&[unit])).await;
    let failed = match restarted {
        Ok(Ok(())) if unit == "kube-apiserver" => {
            let api = Api::open(&paths.kubeconfig("admin")).await?;
            let end = tokio::time::Instant::now() + READY;
            loop {
                match api.ready().await {
                    Ok(()) => return Ok(()),
                    Err(error) if tokio::time::Instant::now() >= end => break format!("{error:#}"),
                    Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        }
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("it is not ready after {RESTART:?}"),
    };
    bail!(
        "{unit}: {failed}\n{}\nThe units after it run what they ran before. When the cause is mended, run the same command again.",
        systemd::last_words(unit).await
    )
}

/// Brings what all machines share to what this release has.
async fn add_ons(paths: &Paths) -> anyhow::Result<()> {
    let api = Api::open(&paths.kubeconfig("admin")).await?;
    let cluster = ClusterSettings::new(stored(&api).await?)?;
    for add_on in addons::ADD_ONS {
        if add_on.phase == "coredns" && cluster.configuration.dns.disabled {
            continue;
        }
        apply_all(&api, &add_on.objects(&cluster)?).await?;
        println!("[addons] Applied essential addon: {}", add_on.title);
    }
    Ok(())
}
