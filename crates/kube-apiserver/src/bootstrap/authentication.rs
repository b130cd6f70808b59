//! What servers behind this one need to check whom it speaks for: kube-system/extension-apiserver-authentication.
//!
//! Keeps true: the ConfigMap holds this server's authorities and headers, beside those of other servers.
//! Woken by: changes of the files, and time.
//! Reads and writes: the ConfigMap.
//! Gives up when: the server stops.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectExt, Status};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::{change, create_missing};
use crate::server::Server;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
/// How often the ConfigMap is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The flags whose content is published.
#[derive(Debug, Clone, Default)]
pub struct Authentication {
    /// `--client-ca-file`
    pub client_ca: Option<PathBuf>,
    /// `--requestheader-client-ca-file`
    pub proxy_ca: Option<PathBuf>,
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
    /// What is to be published, where this is there already.
    fn data(&self, old: &Value, now: Timestamp) -> Map<String, Value> {
        let mut data = old.map_at(&["data"]).cloned().unwrap_or_default();
        let before = |key: &str| old.str_at(&["data", key]).unwrap_or_default();
        let authorities = |key: &str, path: &Path| match std::fs::read_to_string(path) {
            Ok(own) => united(before(key), &own, now),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "kept the authorities that others know");
                before(key).to_owned()
            }
        };
        let lists = [
            ("requestheader-allowed-names", &self.allowed_names),
            ("requestheader-extra-headers-prefix", &self.extra_prefixes),
            ("requestheader-group-headers", &self.group_headers),
            ("requestheader-uid-headers", &self.uid_headers),
            ("requestheader-username-headers", &self.username_headers),
        ];
        if let Some(path) = &self.client_ca {
            data.insert("client-ca-file".into(), authorities("client-ca-file", path).into());
        }
        if let Some(path) = &self.proxy_ca {
            let key = "requestheader-client-ca-file";
            data.insert(key.into(), authorities(key, path).into());
            for (key, own) in lists.into_iter().filter(|(_, own)| !own.is_empty()) {
                let mut list: Vec<String> = serde_json::from_str(before(key)).unwrap_or_default();
                for name in own {
                    if !list.contains(name) {
                        list.push(name.clone());
                    }
                }
                data.insert(key.into(), json!(list).to_string().into());
            }
        }
        data
    }

    /// Makes the ConfigMap, or brings it up to date.
    pub(super) async fn ensure(&self, server: &Server) -> Result<(), Status> {
        let now = Timestamp::now();
        let object = json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": { "name": NAME, "namespace": NAMESPACE }, "data": self.data(&Value::Null, now),
        });
        if create_missing(server, "", "configmaps", object).await? {
            return Ok(());
        }
        change(server, "", "configmaps", &format!("{NAMESPACE}/{NAME}"), |old| {
            let mut new = old.clone();
            new.set_at(&["data"], self.data(old, now).into());
            (new != *old).then_some(new)
        })
        .await
    }

    /// Keeps the ConfigMap up to date; `changed` says that a file is another.
    pub async fn keep(self, server: Arc<Server>, changed: Arc<Notify>) {
        let Some(entry) = server.registry.stored("", "configmaps") else { return };
        let key = format!("{NAMESPACE}/{NAME}");
        let mut round = tokio::time::interval(LOOK_AGAIN);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The version that was found to be right.
        let mut right = None;
        loop {
            tokio::select! {
                _ = round.tick() => {}
                () = changed.notified() => right = None,
            }
            // Read from memory: nothing is asked unless somebody has changed it.
            let present = entry.cache().get(&key).map(|object| object.revision());
            if present.is_some() && present == right {
                continue;
            }
            match self.ensure(&server).await {
                // What was changed is looked at once more: it may have been changed again.
                Ok(()) => right = present,
                Err(status) => tracing::warn!(%status, "cannot tell other servers of this one's authorities"),
            }
        }
    }
}

/// The certificates of both texts, each once, without those whose time is over.
fn united(old: &str, own: &str, now: Timestamp) -> String {
    let mut held: Vec<CertificateDer<'static>> = Vec::new();
    let texts = [old, own].map(|text| CertificateDer::pem_slice_iter(text.as_bytes()));
    for certificate in texts.into_iter().flatten().flatten() {
        let is_over = pki::Described::of(&certificate).is_ok_and(|described| described.not_after < now);
        if !is_over && !held.contains(&certificate) {
            held.push(certificate);
        }
    }
    held.iter().map(|certificate| pki::pem("CERTIFICATE", certificate)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_of_all_servers_are_told_while_they_last() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let of =
            |name: &str, at: Timestamp| pki::Authority::new(name, 1, at).unwrap().certificate().to_owned();
        let (one, other) = (of("one", now), of("other", now));
        let old = of("old", "1996-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(united("", &one, now), one);
        assert_eq!(united(&format!("{old}{one}"), &format!("{one}{other}"), now), format!("{one}{other}"));
        assert_eq!(united("junk", &one, now), one);
    }

    #[test]
    fn lists_of_all_servers_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        std::fs::write(&path, "").unwrap();
        let own = Authentication {
            proxy_ca: Some(path),
            allowed_names: vec!["front".into(), "back".into()],
            ..Authentication::default()
        };
        let old = json!({"data": {"requestheader-allowed-names": "[\"other\",\"front\"]", "kept": "x"}});
        let data = own.data(&old, Timestamp::now());
        assert_eq!(data["requestheader-allowed-names"], r#"["other","front","back"]"#);
        assert_eq!(data["kept"], "x");
        assert!(!data.contains_key("client-ca-file"));
    }
}
