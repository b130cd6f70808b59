//! Saves the cluster's objects and keys of this control plane in one file, which `kubeadm restore` brings back.

pub mod archive;
pub mod snapshot;

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::{etcd::Etcd, paths::Paths};
use archive::{Description, Writer};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The file to write; it holds every secret of the cluster, so only root may read it
    file: PathBuf,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let paths = Paths::system();
    if !paths.pki().join("ca.crt").exists() {
        bail!("this machine is not a control plane: {} is missing", paths.pki().join("ca.crt").display());
    }
    if !paths.env("kube-etcd").exists() {
        bail!("this cluster's etcd runs elsewhere: take its snapshot there, with etcdctl snapshot save");
    }
    if flags.file.exists() {
        bail!("{} exists already", flags.file.display());
    }
    save(&paths, &flags.file).await?;
    println!(
        "\nKeep it where the cluster's machines are not, and secret: it holds the keys of the cluster. To bring the control \
         plane back:\n\n\tkubeadm restore {}",
        flags.file.display()
    );
    Ok(())
}

/// Saves this control plane in a file.
pub async fn save(paths: &Paths, file: &Path) -> anyhow::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.map_or_else(|| PathBuf::from("."), PathBuf::from);
    if !directory.exists() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.with_context(|| format!("making {}", directory.display()))?;
    }
    let mut etcd = Etcd::open(&["https://127.0.0.1:2379".to_owned()], &paths.pki()).await?;
    let snapshot = tempfile::NamedTempFile::new_in(&directory)
        .with_context(|| format!("making a file in {}", directory.display()))?;
    println!("[backup] Taking a snapshot of etcd");
    let taken = snapshot::take(etcd.client(), snapshot.path()).await?;
    let node = etcd.own_name().await?;
    let created = Timestamp::now();
    let description = Description { version: component::VERSION.into(), node, created, etcd: taken };
    println!("[backup] Adding \"/etc/kubernetes\" and the kubelet's configuration");
    let mut writer = Writer::new(&directory, &description)?;
    writer.file("etcd/snapshot.db", snapshot.path())?;
    writer.tree(&paths.kubernetes(), "etc/kubernetes")?;
    if paths.kubelet_config().exists() {
        writer.file("var/lib/kubelet/config.yaml", &paths.kubelet_config())?;
    }
    writer.finish(file)?;
    // Read back, so that a file that cannot be restored is known now and not on the day it is needed.
    archive::describe(file)?;
    println!(
        "[backup] Wrote {:?}: {} keys at revision {}",
        file.display().to_string(),
        description.etcd.keys,
        description.etcd.revision
    );
    Ok(())
}
