//! Brings a control plane back from a backup: its keys and configuration where they are missing, and etcd's data.

mod etcd_data;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use pki::{Described, cluster::Signer};

use crate::{
    backup::{archive, snapshot},
    certificates, certs, kubeconfigs, node_files,
    paths::Paths,
    systemd,
};

/// How long the units may take to be ready again.
const PATIENCE: Duration = Duration::from_secs(180);

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The file that `kubeadm backup` wrote
    file: PathBuf,
    /// Put the backup in the place of what this machine has, which is moved aside
    #[arg(long, short)]
    force: bool,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let paths = Paths::system();
    let now = Timestamp::now();
    let described = archive::describe(&flags.file)?;
    println!(
        "[restore] {:?} was made on {:.0} of {} ({}, {} keys at revision {})",
        flags.file.display().to_string(),
        described.created,
        described.node,
        described.version,
        described.etcd.keys,
        described.etcd.revision
    );
    if !systemd::is_running() {
        bail!("systemd does not run this machine");
    }
    let tool = etcd_data::tool()?;
    let state = State::of(&paths);
    if state.has_data && !flags.force {
        bail!(
            "{} holds a cluster's data; what was written since the backup will be lost. To put the backup in its place (the \
             data is moved aside, not deleted): kubeadm restore --force {}",
            paths.etcd().display(),
            flags.file.display()
        );
    }
    let unpacked = tempfile::Builder::new()
        .prefix(".kubeadm-restore-")
        .tempdir_in(paths.at("/var/lib"))
        .context("making a directory in /var/lib")?;
    archive::unpack(&flags.file, unpacked.path())?;
    let snapshot = unpacked.path().join("etcd/snapshot.db");
    snapshot::check(&snapshot)?;
    if state.is_of_another(unpacked.path())? && !flags.force {
        bail!(
            "{} is of another cluster than the backup; with --force it is moved aside",
            paths.pki().join("ca.crt").display()
        );
    }

    stop().await?;
    let suffix = now.strftime("%Y%m%d-%H%M%S").to_string();
    bring_files(&paths, unpacked.path(), state.is_of_another(unpacked.path())?, &suffix)?;
    println!("[restore] Restoring etcd's data with {tool}");
    etcd_data::restore(&paths, tool, &snapshot, &suffix).await?;
    renew(&paths, now)?;
    start(&paths).await?;
    println!(
        "\nThe control plane is back as it was at the backup.\n\nOther nodes have seen later things; let them look anew, on each \
         of them:\n\n\tsystemctl restart kubelet kube-proxy podnet\n\nOther control planes must leave and join again: on each \
         kubeadm reset, then kubeadm join --control-plane."
    );
    Ok(())
}

/// What a machine has.
struct State {
    /// Whether there is data of etcd's.
    has_data: bool,
    /// The authority's certificate.
    authority: Option<String>,
}

impl State {
    fn of(paths: &Paths) -> Self {
        Self {
            has_data: paths.etcd().join("member").exists(),
            authority: fs::read_to_string(paths.pki().join("ca.crt")).ok(),
        }
    }

    fn is_of_another(&self, unpacked: &Path) -> anyhow::Result<bool> {
        let path = unpacked.join("etc/kubernetes/pki/ca.crt");
        let saved = fs::read_to_string(&path).context("the backup has no authority")?;
        Ok(self.authority.as_ref().is_some_and(|own| *own != saved))
    }
}

/// The units that are there, those that need others first.
async fn present() -> anyhow::Result<Vec<&'static str>> {
    let mut units = Vec::new();
    for unit in systemd::NODE.iter().chain(systemd::CONTROL_PLANE.iter().rev()) {
        if systemd::unit(unit).await?.exists() {
            units.push(*unit);
        }
    }
    Ok(units)
}

async fn stop() -> anyhow::Result<()> {
    let units = present().await?;
    println!("[restore] Stopping {}", units.join(", "));
    systemd::stop(&units).await
}

/// Puts files in place that are missing; all of them where this machine was of another cluster.
fn bring_files(paths: &Paths, unpacked: &Path, replace: bool, suffix: &str) -> anyhow::Result<()> {
    if replace {
        let aside = paths.at(&format!("/etc/kubernetes-before-{suffix}"));
        fs::rename(paths.kubernetes(), &aside).with_context(|| format!("moving to {}", aside.display()))?;
        println!("[restore] Moved \"/etc/kubernetes\" to {:?}", aside.display().to_string());
    }
    let brought = bring_missing(&unpacked.join("etc"), &paths.at("/etc"))?
        + bring_missing(&unpacked.join("var"), &paths.at("/var"))?;
    println!(
        "[restore] Wrote {brought} files that were missing below \"/etc/kubernetes\" and \"/var/lib/kubelet\""
    );
    Ok(())
}

fn bring_missing(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let mut brought = 0;
    let Ok(entries) = fs::read_dir(from) else { return Ok(0) };
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            brought += bring_missing(&entry.path(), &target)?;
        } else if !target.exists() {
            fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
            // With its mode, which it has had since it was unpacked.
            fs::copy(entry.path(), &target).with_context(|| format!("writing {}", target.display()))?;
            brought += 1;
        }
    }
    Ok(brought)
}

/// Certificates may have expired since the backup, and the kubelet's was not in it.
fn renew(paths: &Paths, now: Timestamp) -> anyhow::Result<()> {
    let current = kubeconfigs::kubelet_current(paths);
    let authority = certificates::authority(&paths.pki(), Signer::Cluster)?;
    let root = pki::certificates_of(authority.certificate())?;
    let own = fs::read_to_string(&current).ok().and_then(|text| pki::certificates_of(&text).ok());
    let good = own
        .and_then(|own| Some(pki::is_signed_by(own.first()?, root.first()?) && is_current(own.first()?, now)))
        .unwrap_or(false);
    if !good {
        let node = etcd_data::arguments(paths)?.name;
        let issued = authority.issue(&pki::cluster::kubelet(&node), now)?;
        kubeconfigs::replace_kubelet(paths, &issued, now)?;
        println!("[restore] Issued a certificate to this machine's kubelet");
    }
    for held in certs::renew_due(paths, now)? {
        println!("[restore] {} renewed", held.purpose);
    }
    Ok(())
}

fn is_current(certificate: &rustls::pki_types::CertificateDer<'_>, now: Timestamp) -> bool {
    Described::of(certificate).is_ok_and(|described| described.is_current(now))
}

async fn start(paths: &Paths) -> anyhow::Result<()> {
    let mut units = present().await?;
    units.retain(|unit| paths.env(unit).exists());
    units.reverse();
    println!("[restore] Starting {}", units.join(", "));
    systemd::daemon_reload().await?;
    node_files::enable_and_start(&units).await?;
    systemd::enable_existing(&["kubeadm-renew-boot.service", "kubeadm-renew.timer"]).await?;
    let control_plane: Vec<&str> =
        units.iter().copied().filter(|unit| systemd::CONTROL_PLANE.contains(unit)).collect();
    node_files::wait_active(&control_plane, PATIENCE).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_is_missing_comes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, root) = (folder.path().join("unpacked"), folder.path().join("root"));
        let paths = Paths::under(&root);
        for (name, text) in [("ca.crt", "ca"), ("apiserver.crt", "old")] {
            pki::write_public(&from.join("etc/kubernetes/pki").join(name), text).unwrap();
        }
        pki::write_private(&from.join("etc/kubernetes/admin.conf"), "admin").unwrap();
        pki::write_public(&paths.pki().join("ca.crt"), "ca").unwrap();
        pki::write_public(&paths.pki().join("apiserver.crt"), "new").unwrap();
        assert!(!State::of(&paths).is_of_another(&from).unwrap());
        bring_files(&paths, &from, false, "x").unwrap();
        assert_eq!(fs::read_to_string(paths.pki().join("apiserver.crt")).unwrap(), "new");
        assert_eq!(fs::read_to_string(paths.kubeconfig("admin")).unwrap(), "admin");
        pki::write_public(&paths.pki().join("ca.crt"), "another").unwrap();
        assert!(State::of(&paths).is_of_another(&from).unwrap());
        bring_files(&paths, &from, true, "x").unwrap();
        assert_eq!(fs::read_to_string(paths.pki().join("ca.crt")).unwrap(), "ca");
        assert!(paths.at("/etc/kubernetes-before-x/pki/ca.crt").exists());
    }
}
