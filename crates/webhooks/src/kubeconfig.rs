//! Whom a kubeconfig names, and as whom it says to call.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use apimachinery::ObjectExt as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pki::{Identity, Trust};
use serde_json::Value;

use crate::client::{Credentials, Peer};
use crate::client_config::system_trust;
use crate::error::ConfigError;
use crate::url::Url;

/// Reads the file's current context; paths in it are beside it.
pub(crate) fn peer(path: &Path) -> Result<(Peer, Credentials), ConfigError> {
    let config = read(path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    parse(&config, directory).map_err(|error| named(path, &error))
}

/// Reads a kubeconfig.
pub(crate) fn read(path: &Path) -> Result<Value, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| named(path, &error))?;
    serde_saphyr::from_str(&text).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::new(format!("{}: {error}", path.display()))
}

fn parse(config: &Value, directory: &Path) -> Result<(Peer, Credentials), ConfigError> {
    let item = |list: &str, name: &str, of: &str| -> Option<Value> {
        config.list_at(&[list]).iter().find(|item| item.str_at(&["name"]) == Some(name))?.get(of).cloned()
    };
    let current = config.str_at(&["current-context"]).unwrap_or_default();
    let context = item("contexts", current, "context")
        .ok_or_else(|| ConfigError::new(format!("context {current:?} does not exist")))?;
    let name = context.str_at(&["cluster"]).unwrap_or_default();
    let cluster = item("clusters", name, "cluster")
        .ok_or_else(|| ConfigError::new(format!("cluster {name:?} does not exist")))?;
    let user = context.str_at(&["user"]).and_then(|name| item("users", name, "user")).unwrap_or_default();

    let url = Url::parse(cluster.str_at(&["server"]).unwrap_or_default(), true)?;
    let tls = match url.tls {
        false => None,
        true => {
            let trust = trust(&cluster, directory)?;
            let identity = identity(&user, directory)?;
            Some(Arc::new(pki::client_config(trust, identity).map_err(ConfigError::new)?))
        }
    };
    let server_name = cluster.str_at(&["tls-server-name"]).map(str::to_owned);
    Ok((Peer { url, tls, server_name, service: None }, credentials(&user, directory)))
}

fn trust(cluster: &Value, directory: &Path) -> Result<Trust, ConfigError> {
    if cluster.bool_at(&["insecure-skip-tls-verify"]) == Some(true) {
        return Ok(Trust::anybody());
    }
    if let Some(bundle) = data(cluster, "certificate-authority-data")? {
        return Trust::pem(&bundle).map_err(ConfigError::new);
    }
    match file(cluster, "certificate-authority", directory) {
        Some(path) => Trust::file(&path).map_err(ConfigError::new),
        None => system_trust(),
    }
}

pub(crate) fn identity(user: &Value, directory: &Path) -> Result<Option<Arc<Identity>>, ConfigError> {
    let (certificate, key) = (data(user, "client-certificate-data")?, data(user, "client-key-data")?);
    if let (Some(certificate), Some(key)) = (certificate, key) {
        return Identity::from_pem(&certificate, &key).map(Some).map_err(ConfigError::new);
    }
    match (file(user, "client-certificate", directory), file(user, "client-key", directory)) {
        (Some(certificate), Some(key)) => {
            Identity::load(&certificate, &key).map(Some).map_err(ConfigError::new)
        }
        (None, None) => Ok(None),
        _ => Err(ConfigError::new("client-certificate and client-key belong together")),
    }
}

pub(crate) fn credentials(user: &Value, directory: &Path) -> Credentials {
    if let Some(path) = file(user, "tokenFile", directory) {
        return Credentials::TokenFile(path);
    }
    let text = |key| user.str_at(&[key]).filter(|text| !text.is_empty());
    if let Some(token) = text("token") {
        return Credentials::Header(format!("Bearer {token}"));
    }
    match text("username") {
        Some(name) => {
            let pair = format!("{name}:{}", text("password").unwrap_or_default());
            Credentials::Header(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        None => Credentials::None,
    }
}

fn file(of: &Value, key: &str, directory: &Path) -> Option<PathBuf> {
    of.str_at(&[key]).filter(|path| !path.is_empty()).map(|path| directory.join(path))
}

fn data(of: &Value, key: &str) -> Result<Option<Vec<u8>>, ConfigError> {
    let text = of.str_at(&[key]).filter(|text| !text.is_empty());
    text.map(|text| BASE64_STANDARD.decode(text).map_err(|error| ConfigError::new(format!("{key}: {error}"))))
        .transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(user: Value) -> Value {
        json!({
            "current-context": "webhook",
            "contexts": [{"name": "webhook", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://authn.example:8443/review",
                "insecure-skip-tls-verify": true, "tls-server-name": "other"}}],
            "users": [{"name": "u", "user": user}],
        })
    }

    #[test]
    fn the_current_context_says_whom_to_call_and_as_whom() {
        let (peer, credentials) = parse(&config(json!({"token": "t"})), Path::new("/etc")).unwrap();
        assert_eq!((peer.url.host.as_str(), peer.url.port), ("authn.example", 8443));
        assert_eq!(peer.server_name.as_deref(), Some("other"));
        assert_eq!(credentials, Credentials::Header("Bearer t".into()));
        let of = |user| parse(&config(user), Path::new("/etc")).unwrap().1;
        assert_eq!(of(json!({"username": "a", "password": "b"})), Credentials::Header("Basic YTpi".into()));
        assert_eq!(of(json!({"tokenFile": "tok"})), Credentials::TokenFile("/etc/tok".into()));
        assert_eq!(of(json!({})), Credentials::None);
        let mut broken = config(json!({}));
        broken["current-context"] = "none".into();
        let error = parse(&broken, Path::new("/")).err().unwrap();
        assert_eq!(error.to_string(), "context \"none\" does not exist");
    }
}
