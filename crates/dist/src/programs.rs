//! The programs of a release: stripped copies of the built ones.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

/// What machines have in their path.
pub const INSTALLED: [&str; 9] = [
    "cloud-controller-manager",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
    "podnet",
];

/// What is in images or beside them.
pub const OTHERS: [&str; 8] = [
    "chk-hn",
    "cluster-dns",
    "csi-hostpath-driver",
    "csi-sidecar",
    "images",
    "local-path-provisioner",
    "metrics-server",
    "pause",
];

/// Copies all programs without symbols, which are of use to a debugger alone and most of a development build's size.
pub fn strip_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    let running = INSTALLED
        .iter()
        .chain(&OTHERS)
        .map(|name| {
            let child = Command::new("strip")
                .args(["--strip-all", "--remove-section=.comment", "--remove-section=.note", "-o"])
                .arg(to.join(name))
                .arg(from.join(name))
                .spawn()
                .context("running strip, of the package binutils")?;
            Ok((name, child))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    for (name, mut child) in running {
        let status = child.wait()?;
        if !status.success() {
            bail!("strip {name}: {status}");
        }
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal.
pub fn checksum(path: &Path) -> anyhow::Result<String> {
    let mut file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
