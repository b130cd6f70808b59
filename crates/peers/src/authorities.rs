//! Whom to believe, as the API server writes it down for the servers beside and behind it.

use std::collections::BTreeMap;
use std::error::Error;

use crate::request_header::RequestHeader;
use crate::x509::ClientAuthority;

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    /// Those who vouch for users.
    pub clients: Option<ClientAuthority>,
    /// Those who vouch for front proxies, and what these say in which headers.
    pub proxies: Option<RequestHeader>,
}

/// A value of the ConfigMap that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{key}")]
pub struct Unreadable {
    /// Its key.
    pub key: &'static str,
    /// What is wrong with it.
    pub source: Box<dyn Error + Send + Sync>,
}

impl Authorities {
    /// The namespace of the ConfigMap.
    pub const NAMESPACE: &'static str = "kube-system";
    /// Its name.
    pub const CONFIG_MAP: &'static str = "extension-apiserver-authentication";

    /// Reads the content of the ConfigMap. What it does not say is nobody.
    pub fn read(data: &BTreeMap<String, String>) -> Result<Self, Unreadable> {
        let text = |key: &str| data.get(key).map(String::as_str).filter(|text| !text.is_empty());
        let authority = |key: &'static str| {
            let read = text(key).map(|pem| ClientAuthority::from_pem(pem.as_bytes())).transpose();
            read.map_err(|error| Unreadable { key, source: error.into() })
        };
        let list = |key: &'static str| -> Result<Vec<String>, Unreadable> {
            let read = text(key).map_or(Ok(Vec::new()), serde_json::from_str);
            read.map_err(|error| Unreadable { key, source: error.into() })
        };
        let proxies = match authority("requestheader-client-ca-file")? {
            None => None,
            Some(authority) => Some(RequestHeader {
                authority,
                allowed_names: list("requestheader-allowed-names")?,
                username_headers: list("requestheader-username-headers")?,
                uid_headers: list("requestheader-uid-headers")?,
                group_headers: list("requestheader-group-headers")?,
                extra_prefixes: list("requestheader-extra-headers-prefix")?,
            }),
        };
        Ok(Self { clients: authority("client-ca-file")?, proxies })
    }
}

#[cfg(test)]
mod tests;
