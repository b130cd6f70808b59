//! Kubeconfigs of the users of a machine, with certificates that the cluster's authority issues here.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::Timestamp;
use pki::{
    Authority, Credentials, Issued, Kubeconfig,
    cluster::{User, kubelet},
};

use crate::paths::Paths;

/// A cluster as kubeconfigs name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub cluster: String,
    /// URL of its API server.
    pub server: String,
    /// Its authority's certificate, PEM.
    pub authority: String,
}

impl Target {
    /// A kubeconfig of a user with this certificate.
    pub fn with_certificate(&self, user: &str, issued: &Issued) -> anyhow::Result<String> {
        let credentials = Credentials::Certificate { certificate: &issued.certificate, key: &issued.key };
        self.with(user, credentials)
    }

    /// A kubeconfig of a user with this token.
    pub fn with_token(&self, user: &str, token: &str) -> anyhow::Result<String> {
        self.with(user, Credentials::Token(token))
    }

    fn with(&self, user: &str, credentials: Credentials<'_>) -> anyhow::Result<String> {
        let kubeconfig = Kubeconfig {
            cluster: &self.cluster,
            server: &self.server,
            authority: &self.authority,
            user,
            credentials,
        };
        Ok(kubeconfig.to_yaml()?)
    }
}

/// Issues a user's certificate and gives the kubeconfig with it.
pub fn issue(
    authority: &Authority,
    target: &Target,
    user: &User,
    days: i64,
    now: Timestamp,
) -> anyhow::Result<String> {
    let mut leaf = user.leaf();
    leaf.days = days;
    target.with_certificate(user.name, &authority.issue(&leaf, now)?)
}

/// Whether a kubeconfig is there for this server and this authority; an error says what does not fit.
pub fn is_for(path: &Path, target: &Target) -> anyhow::Result<bool> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(false) };
    let config = formats::yaml::one(&text).with_context(|| path.display().to_string())?;
    let cluster = &config["clusters"][0]["cluster"];
    let said = cluster["certificate-authority-data"].as_str().unwrap_or_default();
    let wanted = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &target.authority);
    anyhow::ensure!(
        said.is_empty() || said == wanted,
        "{} is of another cluster (its authority is not {}); remove it, or run kubeadm reset",
        path.display(),
        "/etc/kubernetes/pki/ca.crt"
    );
    anyhow::ensure!(
        cluster["server"] == target.server.as_str(),
        "{} names the server {}, not {}; remove it to have a new one made",
        path.display(),
        cluster["server"],
        target.server
    );
    Ok(true)
}

/// Where the kubelet keeps its certificate and key: one file, renewed by it, behind a link.
pub fn kubelet_current(paths: &Paths) -> PathBuf {
    paths.kubelet_pki().join("kubelet-client-current.pem")
}

/// Issues the kubelet's certificate into the kubelet's own directory and gives the kubeconfig that names it.
pub fn issue_kubelet(
    paths: &Paths,
    authority: &Authority,
    target: &Target,
    node: &str,
    days: i64,
    now: Timestamp,
) -> anyhow::Result<String> {
    let mut leaf = kubelet(node);
    leaf.days = days;
    replace_kubelet(paths, &authority.issue(&leaf, now)?, now)?;
    let shown = Path::new("/var/lib/kubelet/pki/kubelet-client-current.pem");
    target.with(
        &format!("system:node:{node}"),
        Credentials::CertificateFiles { certificate: shown, key: shown },
    )
}

/// Makes a certificate the kubelet's current one; a kubelet that runs shows it within a minute.
pub fn replace_kubelet(paths: &Paths, issued: &Issued, now: Timestamp) -> anyhow::Result<()> {
    let name = format!("kubelet-client-{}.pem", now.strftime("%Y-%m-%d-%H-%M-%S"));
    pki::write_private(&paths.kubelet_pki().join(&name), &format!("{}{}", issued.certificate, issued.key))?;
    let current = kubelet_current(paths);
    let link = paths.kubelet_pki().join(".kubelet-client-current.pem");
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link).with_context(|| format!("removing {}", link.display()))?;
    }
    // Absolute, as upstream's kubelet writes it.
    symlink(format!("/var/lib/kubelet/pki/{name}"), &link)
        .with_context(|| format!("linking {}", link.display()))?;
    fs::rename(&link, &current).with_context(|| format!("linking {}", current.display()))
}
