//! Where a node's kubelet is, and how it is spoken to.

use std::sync::Arc;

use apimachinery::{ObjectExt as _, Status};
use pki::Trust;
use rustls::ClientConfig;
use serde_json::Value;

/// The order in which a node's addresses are tried, as kubeadm sets `--kubelet-preferred-address-types`.
pub const PREFERRED_ADDRESSES: [&str; 3] = ["InternalIP", "ExternalIP", "Hostname"];

/// The port where nothing says otherwise.
const PORT: u16 = 10250;

/// How kubelets are reached.
pub struct Kubelets {
    verified: Arc<ClientConfig>,
    unverified: Arc<ClientConfig>,
    preferred: Vec<String>,
}

/// One kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
}

impl Kubelets {
    /// `authority` is `--kubelet-certificate-authority`: without it kubelets' certificates are not checked, as
    /// upstream, whose kubelets sign their own. `identity` is `--kubelet-client-certificate` with its key.
    pub fn new(
        authority: Option<Trust>,
        identity: Option<Arc<pki::Identity>>,
        preferred: Vec<String>,
    ) -> Result<Self, pki::Error> {
        let unverified = Arc::new(pki::client_config(Trust::anybody(), identity.clone())?);
        let verified = match authority {
            Some(authority) => pki::client_config(authority, identity)?.into(),
            None => unverified.clone(),
        };
        Ok(Self { verified, unverified, preferred })
    }

    /// How to speak to a kubelet; `verify` is false when the client of a log request waives it.
    pub(super) fn tls(&self, verify: bool) -> Arc<ClientConfig> {
        if verify { self.verified.clone() } else { self.unverified.clone() }
    }

    /// Where a node's kubelet listens.
    pub(super) fn address(&self, node: &Value) -> Result<Address, Status> {
        let port = node.i64_at(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"]);
        let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).unwrap_or(PORT);
        let addresses = node.list_at(&["status", "addresses"]);
        let of_type = |wanted: &String| {
            addresses
                .iter()
                .filter(|address| address.str_at(&["type"]) == Some(wanted))
                .find_map(|address| address.str_at(&["address"]).filter(|text| !text.is_empty()))
        };
        match self.preferred.iter().find_map(of_type) {
            Some(host) => Ok(Address { host: host.to_owned(), port }),
            None => {
                let known: Vec<&str> =
                    addresses.iter().filter_map(|address| address.str_at(&["type"])).collect();
                let message = format!("no preferred addresses found; known addresses: [{}]", known.join(" "));
                Err(Status::new(500, "", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_tried_in_order() {
        let preferred = PREFERRED_ADDRESSES.map(str::to_owned).to_vec();
        let kubelets = Kubelets::new(None, None, preferred).unwrap();
        let node = |addresses: Value, port: Value| json!({"status": {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}});
        let internal = json!({"type": "InternalIP", "address": "10.0.0.1"});
        let hostname = json!({"type": "Hostname", "address": "w1"});
        let at = |node: &Value| kubelets.address(node).map(|at| format!("{}:{}", at.host, at.port));
        assert_eq!(at(&node(json!([hostname, internal]), json!(10350))), Ok("10.0.0.1:10350".into()));
        assert_eq!(at(&node(json!([hostname]), json!(0))), Ok("w1:10250".into()));
        let nowhere = at(&node(json!([{"type": "InternalDNS", "address": "x"}]), json!(null))).unwrap_err();
        assert_eq!(nowhere.message, "no preferred addresses found; known addresses: [InternalDNS]");
    }
}
