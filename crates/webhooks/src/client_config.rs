//! Whom a `clientConfig` of a webhook names.

use std::path::Path;
use std::sync::Arc;

use apimachinery::ObjectExt as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pki::Trust;
use serde_json::Value;

use crate::client::{Credentials, Peer};
use crate::dial::Place;
use crate::error::ConfigError;
use crate::url::Url;
use crate::users::Users;

/// A port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The port.
    pub port: u16,
}

/// Knows where Services are.
pub trait Services: Send + Sync {
    /// One of the places that the Service has now, or why it has none, in words.
    fn place(&self, service: Service<'_>) -> Result<Place, String>;
}

/// Where trusted authorities are on systems of several makers.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Those whom the system trusts: who calls a public service gives no bundle.
pub fn system_trust() -> Result<Trust, ConfigError> {
    let set = std::env::var_os("SSL_CERT_FILE");
    let known = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists());
    match set.as_deref().map(Path::new).or(known) {
        Some(path) => Trust::file(path).map_err(ConfigError::new),
        None => Err(ConfigError::new("x509: certificate signed by unknown authority")),
    }
}

/// Reads a `clientConfig`: `url` or `service`, and `caBundle`; among the users, the one for its server calls.
pub(crate) fn peer(
    config: &Value,
    services: Arc<dyn Services>,
    users: Option<&Users>,
) -> Result<(Peer, Credentials), ConfigError> {
    let trust = match config.str_at(&["caBundle"]) {
        None | Some("") => system_trust()?,
        Some(bundle) => {
            let refuse = |error: &dyn std::fmt::Display| {
                ConfigError::new(format!("unable to load root certificates: {error}"))
            };
            let bundle = BASE64_STANDARD.decode(bundle).map_err(|error| refuse(&error))?;
            Trust::pem(&bundle).map_err(|error| refuse(&error))?
        }
    };
    let caller = |target: &str| {
        let (credentials, identity) =
            users.map(|users| users.for_target(target)).transpose()?.unwrap_or_default();
        let tls = pki::client_config(trust, identity).map_err(ConfigError::new)?;
        Ok::<_, ConfigError>((credentials, Some(Arc::new(tls))))
    };
    let Some(service) = config.get("service").filter(|service| service.is_object()) else {
        let url = config.str_at(&["url"]).unwrap_or_default();
        let url = Url::parse(url, false)?;
        let (credentials, tls) = caller(&url.authority)?;
        return Ok((Peer { url, tls, server_name: None, service: None }, credentials));
    };
    let text = |key| service.str_at(&[key]).unwrap_or_default().to_owned();
    let (namespace, name, path) = (text("namespace"), text("name"), text("path"));
    let port = service.i64_at(&["port"]).unwrap_or(443);
    let port =
        u16::try_from(port).map_err(|_| ConfigError::new(format!("invalid port {port} of a service")))?;
    let server_name = format!("{name}.{namespace}.svc");
    let path = if path.is_empty() || path.starts_with('/') { path } else { format!("/{path}") };
    let url = Url::parse(&format!("https://{server_name}:{port}{path}"), false)?;
    let (credentials, tls) = caller(&format!("{server_name}:{port}"))?;
    let peer = Peer { url, tls, server_name: Some(server_name), service: Some((namespace, name, services)) };
    Ok((peer, credentials))
}
