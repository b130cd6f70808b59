//! What servers behind this one need to check whom it speaks for: kube-system/extension-apiserver-authentication.

use apimachinery::{ObjectExt, Status};
use serde_json::{Value, json};

use super::{change, create_missing};
use crate::server::Server;

const NAME: &str = "extension-apiserver-authentication";

/// The flags whose content is published.
#[derive(Debug, Clone, Default)]
pub struct Authentication {
    /// The content of `--client-ca-file`.
    pub client_ca: Option<String>,
    /// The content of `--requestheader-client-ca-file`.
    pub proxy_ca: Option<String>,
    /// `--requestheader-allowed-names`
    pub allowed_names: Vec<String>,
    /// `--requestheader-username-headers`
    pub username_headers: Vec<String>,
    /// `--requestheader-uid-headers`
    pub uid_headers: Vec<String>,
    /// `--requestheader-group-headers`
    pub group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`
    pub extra_prefixes: Vec<String>,
}

impl Authentication {
    fn data(&self) -> Value {
        let mut data = json!({});
        if let Some(ca) = &self.client_ca {
            data["client-ca-file"] = ca.as_str().into();
        }
        if let Some(ca) = &self.proxy_ca {
            data["requestheader-client-ca-file"] = ca.as_str().into();
            for (key, list) in [
                ("requestheader-allowed-names", &self.allowed_names),
                ("requestheader-extra-headers-prefix", &self.extra_prefixes),
                ("requestheader-group-headers", &self.group_headers),
                ("requestheader-uid-headers", &self.uid_headers),
                ("requestheader-username-headers", &self.username_headers),
            ] {
                if !list.is_empty() {
                    data[key] = json!(list).to_string().into();
                }
            }
        }
        data
    }

    /// Makes the ConfigMap, or brings it up to date.
    pub(super) async fn ensure(&self, server: &Server) -> Result<(), Status> {
        let data = self.data();
        let object = json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": { "name": NAME, "namespace": "kube-system" }, "data": data,
        });
        if create_missing(server, "", "configmaps", object).await? {
            return Ok(());
        }
        change(server, "", "configmaps", &format!("kube-system/{NAME}"), |old| {
            let mut new = old.clone();
            for (key, value) in data.as_object().into_iter().flatten() {
                new.set_at(&["data", key], value.clone());
            }
            (new != *old).then_some(new)
        })
        .await
    }
}
