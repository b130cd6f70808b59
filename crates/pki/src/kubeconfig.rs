//! Kubeconfig files of components: one cluster, one user, one context.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::files::{Error, write_private};

/// How a kubeconfig's user proves who it is.
pub enum Credentials<'a> {
    /// A client certificate and key, PEM, embedded.
    Certificate {
        /// The certificate.
        certificate: &'a str,
        /// Its key.
        key: &'a str,
    },
    /// A client certificate and key in files that are read again when they change.
    CertificateFiles {
        /// Path of the certificate.
        certificate: &'a Path,
        /// Path of its key.
        key: &'a Path,
    },
    /// A bearer token.
    Token(&'a str),
}

/// What a kubeconfig says.
pub struct Kubeconfig<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// URL of its API server.
    pub server: &'a str,
    /// The authority its certificate is checked against, PEM.
    pub authority: &'a str,
    /// Name of the user.
    pub user: &'a str,
    /// How it proves itself.
    pub credentials: Credentials<'a>,
}

impl Kubeconfig<'_> {
    /// The file's text. JSON is YAML: every reader of kubeconfigs takes it, and so it is written as YAML's block
    /// form only to be read by people.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let user = match &self.credentials {
            Credentials::Certificate { certificate, key } => {
                json!({"client-certificate-data": encode(certificate), "client-key-data": encode(key)})
            }
            Credentials::CertificateFiles { certificate, key } => {
                json!({"client-certificate": certificate, "client-key": key})
            }
            Credentials::Token(token) => json!({"token": token}),
        };
        let context = format!("{}@{}", self.user, self.cluster);
        let config: Value = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.cluster, "cluster": {
                "server": self.server,
                "certificate-authority-data": encode(self.authority)}}],
            "users": [{"name": self.user, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": self.cluster, "user": self.user}}],
            "current-context": context,
            "preferences": {},
        });
        // Scripts look for a field and take what follows it on its line.
        let on_one_line = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(&config, on_one_line).map_err(Error::make)
    }

    /// Writes the file (0600).
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_private(path, &self.to_yaml()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_yaml_reads_back_and_has_each_field_on_a_line() {
        let long = "certificate ".repeat(200);
        let kubeconfig = Kubeconfig {
            cluster: "kubernetes",
            server: "https://127.0.0.1:6443",
            authority: &long,
            user: "kubernetes-admin",
            credentials: Credentials::Certificate { certificate: "C", key: "K" },
        };
        let text = kubeconfig.to_yaml().unwrap();
        let line = text.lines().find(|line| line.contains("certificate-authority-data:")).unwrap();
        assert!(line.ends_with(&BASE64_STANDARD.encode(&long)), "{text}");
        let back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back["current-context"], "kubernetes-admin@kubernetes");
        assert_eq!(back["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
        assert_eq!(back["users"][0]["user"]["client-key-data"], "Sw==");
    }
}
