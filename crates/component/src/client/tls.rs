//! TLS to the API server: whom to trust, and the certificate to show.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{Config, config::AuthInfo};
use pki::{Identity, Trust};
use rustls::ClientConfig;
use secrecy::ExposeSecret as _;

/// Bundles of a system's authorities, trusted where a kubeconfig names none (the places that Go looks at).
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes a client's TLS from its configuration. Certificates and authorities in files are read again when they change.
pub fn client_config(config: &Config) -> anyhow::Result<ClientConfig> {
    with_identity(config).map(|(tls, _)| tls)
}

/// The same, with the certificate that it shows.
pub(super) fn with_identity(config: &Config) -> anyhow::Result<(ClientConfig, Option<Arc<Identity>>)> {
    let trust = match (config.accept_invalid_certs, &config.root_cert_file, &config.root_cert) {
        (true, ..) => Trust::anybody(),
        (_, Some(file), _) => Trust::file(file)?,
        (_, None, Some(certificates)) => Trust::certificates(certificates)?,
        (_, None, None) => {
            let bundle = SYSTEM.iter().find(|bundle| Path::new(bundle).is_file());
            Trust::file(Path::new(bundle.context("no authority is named, and the system has none")?))?
        }
    };
    let identity = identity(&config.auth_info)?;
    Ok((pki::client_config(trust, identity.clone())?, identity))
}

/// The certificate of a user: data goes before files, as in client-go.
fn identity(user: &AuthInfo) -> anyhow::Result<Option<Arc<Identity>>> {
    let key = user.client_key_data.as_ref().map(|key| key.expose_secret());
    match (&user.client_certificate_data, key, &user.client_certificate, &user.client_key) {
        (None, None, None, None) => Ok(None),
        (Some(certificate), Some(key), ..) => {
            let certificate = STANDARD.decode(certificate).context("client-certificate-data")?;
            let key = STANDARD.decode(key).context("client-key-data")?;
            Ok(Some(Identity::from_pem(&certificate, &key)?))
        }
        (None, None, Some(certificate), Some(key)) => {
            Ok(Some(Identity::load(Path::new(certificate), Path::new(key))?))
        }
        (Some(_), None, _, Some(key)) => {
            let certificate = user.client_certificate_data.as_deref().unwrap_or_default();
            let certificate = STANDARD.decode(certificate).context("client-certificate-data")?;
            let key = std::fs::read(key).with_context(|| format!("reading {key}"))?;
            Ok(Some(Identity::from_pem(&certificate, &key)?))
        }
        (None, Some(data), Some(certificate), _) => {
            let certificate = std::fs::read(certificate).with_context(|| format!("reading {certificate}"))?;
            let data = STANDARD.decode(data).context("client-key-data")?;
            Ok(Some(Identity::from_pem(&certificate, &data)?))
        }
        (Some(_), None, ..) | (None, None, Some(_), None) => anyhow::bail!("client-key is missing"),
        (None, ..) => anyhow::bail!("client-certificate is missing"),
    }
}
