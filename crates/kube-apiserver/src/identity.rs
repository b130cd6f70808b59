//! Each server's own Lease in kube-system, by which the servers of a cluster are known, and the end of those that are
//! gone.
//!
//! Keeps true: a live server has a Lease `apiserver-…` that is not older than it says; one that has expired goes.
//! Woken by: time. Reads and writes: Leases of kube-system with the label of API servers.
//! Gives up when: the server stops.

use std::sync::Arc;

use apimachinery::{ObjectExt, Status, time};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use storage::{Change, Query};

use crate::bootstrap::{change, create_missing};
use crate::server::Server;

const GROUP: &str = "coordination.k8s.io";
const PLURAL: &str = "leases";
const NAMESPACE: &str = "kube-system";
const LABEL: &str = "apiserver.kubernetes.io/identity";
const COMPONENT: &str = "kube-apiserver";

/// Who this server is among those of its cluster.
#[derive(Debug, Clone)]
pub struct Identity {
    hostname: String,
    name: String,
    holder: String,
}

impl Identity {
    /// The server on the machine of this name. `random` tells apart servers that follow one another there.
    pub fn new(hostname: &str, random: &str) -> Self {
        let hash = Sha256::digest(hostname.as_bytes());
        let name = format!("apiserver-{}", base32(&hash[..16]));
        let holder = format!("{name}_{random}");
        Self { hostname: hostname.to_owned(), name, holder }
    }

    /// The server on this machine.
    pub fn of_this_machine() -> Self {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self::new(hostname.trim(), &crate::http::headers::random_id().to_string())
    }

    fn lease(&self, lasts: i64, now: &str) -> Value {
        json!({
            "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
            "metadata": {
                "name": self.name, "namespace": NAMESPACE,
                "labels": { LABEL: COMPONENT, "kubernetes.io/hostname": self.hostname },
            },
            "spec": {
                "holderIdentity": self.holder, "leaseDurationSeconds": lasts, "acquireTime": now, "renewTime": now,
            },
        })
    }
}

/// Lower-case base32 without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let mut bits = [0_u8; 8];
        bits[3..3 + chunk.len()].copy_from_slice(chunk);
        let number = u64::from_be_bytes(bits);
        for place in 0..(chunk.len() * 8).div_ceil(5) {
            let index = (number >> (35 - 5 * place)) & 31;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// Renews this server's Lease, and looks for those of servers that are gone, until the server stops.
pub async fn run(server: Arc<Server>) {
    let identity = Identity::of_this_machine();
    let mut renewal = tokio::time::interval(server.options.identity_renewal);
    renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        renewal.tick().await;
        if let Err(status) = renew(&server, &identity).await {
            tracing::warn!(%status, "cannot renew this server's lease");
        }
        // Read from memory: nothing is asked unless one has expired.
        for name in expired(&server, Timestamp::now()) {
            if let Err(status) = remove(&server, &name).await {
                tracing::warn!(%status, name, "cannot remove the lease of a server that is gone");
            }
        }
    }
}

async fn renew(server: &Server, identity: &Identity) -> Result<(), Status> {
    let lasts = i64::try_from(server.options.identity_lease.as_secs()).unwrap_or(i64::MAX);
    let now = time::rfc3339_micro(Timestamp::now());
    if create_missing(server, GROUP, PLURAL, identity.lease(lasts, &now)).await? {
        return Ok(());
    }
    change(server, GROUP, PLURAL, &format!("{NAMESPACE}/{}", identity.name), |old| {
        let mut new = old.clone();
        if old.str_at(&["spec", "holderIdentity"]) != Some(&identity.holder) {
            new.set_at(&["spec"], identity.lease(lasts, &now)["spec"].clone());
        }
        new.set_at(&["spec", "renewTime"], now.as_str().into());
        new.set_at(&["spec", "leaseDurationSeconds"], lasts.into());
        Some(new)
    })
    .await
}

fn expired(server: &Server, now: Timestamp) -> Vec<String> {
    let mut expired = Vec::new();
    let Some(entry) = server.registry.stored(GROUP, PLURAL) else { return expired };
    let query = Query { namespace: NAMESPACE.to_owned(), ..Query::default() };
    entry.cache().visit(&query, |object| {
        if object.name().starts_with("apiserver-")
            && object.value().is_ok_and(|lease| is_expired(&lease, now))
        {
            expired.push(object.name().to_owned());
        }
        true
    });
    expired
}

fn is_expired(lease: &Value, now: Timestamp) -> bool {
    if lease.label(LABEL) != Some(COMPONENT) {
        return false;
    }
    let renewed = lease.str_at(&["spec", "renewTime"]).and_then(time::parse);
    let lasts = lease.i64_at(&["spec", "leaseDurationSeconds"]);
    match (renewed, lasts) {
        (Some(renewed), Some(lasts)) => now.duration_since(renewed).as_secs() > lasts,
        // As upstream: what says nothing of its age is of nobody.
        _ => true,
    }
}

async fn remove(server: &Server, name: &str) -> Result<(), Status> {
    let Some(entry) = server.registry.stored(GROUP, PLURAL) else { return Ok(()) };
    let key = entry.key(NAMESPACE, name);
    let removed = server
        .store
        .update::<storage::Error, _>(entry.cache(), &key, None, |current| {
            let expired = current
                .and_then(|lease| lease.value().ok())
                .is_some_and(|lease| is_expired(&lease, Timestamp::now()));
            Ok(if expired { Change::Delete } else { Change::Keep })
        })
        .await;
    match removed {
        Ok(_) | Err(storage::Error::NotFound) => Ok(()),
        Err(error) => Err(crate::refusal::of_object(error, &entry, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_made_of_the_machines_as_upstream_makes_it() {
        // RFC 4648's examples.
        for (text, expected) in
            [("", ""), ("f", "my"), ("fo", "mzxq"), ("foob", "mzxw6yq"), ("foobar", "mzxw6ytboi")]
        {
            assert_eq!(base32(text.as_bytes()), expected);
        }
        let identity = Identity::new("m-k8s", "r");
        assert!(identity.name.starts_with("apiserver-") && identity.name.len() == 36, "{}", identity.name);
        assert_eq!(identity.holder, format!("{}_r", identity.name));
    }

    #[test]
    fn only_leases_of_servers_expire() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let mut lease = Identity::new("a", "r").lease(3600, "2026-01-01T00:00:00.000000Z");
        assert!(!is_expired(&lease, now));
        lease["spec"]["renewTime"] = json!("2025-12-31T23:59:59.000000Z");
        assert!(is_expired(&lease, now));
        lease["metadata"]["labels"][LABEL] = json!("other");
        assert!(!is_expired(&lease, now));
    }
}
