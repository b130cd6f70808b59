//! The command that another machine joins with.

use anyhow::Context as _;

use crate::{configuration::Endpoint, kubeconfigs::Target};

/// What the command says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinCommand {
    endpoint: String,
    token: String,
    hashes: Vec<String>,
}

/// The command for a cluster and a token.
pub fn of(target: &Target, token: &str) -> anyhow::Result<JoinCommand> {
    let hashes = pki::certificates_of(&target.authority)?
        .iter()
        .map(pki::public_key_hash)
        .collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(!hashes.is_empty(), "the cluster's authority has no certificate");
    let endpoint = Endpoint::parse(&target.server, 6443).context("the cluster's server")?.authority();
    Ok(JoinCommand { endpoint, token: token.into(), hashes })
}

impl JoinCommand {
    /// With the token left out.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self { token: "<value withheld>".into(), ..self }
    }

    /// On two lines, as `kubeadm init` prints it.
    pub fn worker(&self) -> String {
        format!("kubeadm join {} --token {} \\\n\t{}", self.endpoint, self.token, self.hashes())
    }

    /// For a further control plane.
    pub fn control_plane(&self, key: Option<&str>) -> String {
        let key = key.map(|key| format!(" --certificate-key {key}")).unwrap_or_default();
        format!("{} \\\n\t--control-plane{key}", self.worker())
    }

    /// On one line, as `kubeadm token create --print-join-command` prints it.
    pub fn line(&self, key: Option<&str>) -> String {
        let key = key.map(|key| format!("--control-plane --certificate-key {key}")).unwrap_or_default();
        format!("kubeadm join {} --token {} {} {key}", self.endpoint, self.token, self.hashes())
    }

    fn hashes(&self) -> String {
        let flags: Vec<String> =
            self.hashes.iter().map(|hash| format!("--discovery-token-ca-cert-hash {hash}")).collect();
        flags.join(" ")
    }
}
