//! Nodes and pods as far as they matter here, fed by watches.

use std::collections::BTreeMap;

use component::Runtime;
use informer::{IdentityRef, Object, Store, Watch, follow, null_is_default};
use kube::Client;
use serde::Deserialize;

use crate::config::Kubelets;

/// The part of an object's metadata that is used.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    name: Box<str>,
    namespace: Box<str>,
    uid: Box<str>,
    resource_version: Box<str>,
    /// The labels.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// A pod: its labels.
#[derive(Debug, Default, Deserialize)]
pub struct Pod {
    /// Names and labels.
    pub metadata: Identity,
}

/// A node: its labels and where its kubelet is.
#[derive(Debug, Default, Deserialize)]
pub struct Node {
    /// Names and labels.
    pub metadata: Identity,
    #[serde(default, deserialize_with = "null_is_default")]
    status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_default")]
    addresses: Vec<Address>,
    #[serde(deserialize_with = "null_is_default")]
    daemon_endpoints: DaemonEndpoints,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    r#type: Box<str>,
    address: Box<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DaemonEndpoints {
    #[serde(deserialize_with = "null_is_default")]
    kubelet_endpoint: Endpoint,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "Port")]
    port: u16,
}

macro_rules! identified {
    ($watched:ty) => {
        impl Object for $watched {
            fn identity(&self) -> IdentityRef<'_> {
                IdentityRef {
                    namespace: &self.metadata.namespace,
                    name: &self.metadata.name,
                    uid: &self.metadata.uid,
                    resource_version: &self.metadata.resource_version,
                }
            }
        }
    };
}

identified!(Pod);
identified!(Node);

impl Node {
    /// `host:port` of the kubelet; `None` while the node says no address.
    pub fn kubelet(&self, kubelets: &Kubelets) -> Option<String> {
        let own = self.status.daemon_endpoints.kubelet_endpoint.port;
        let port = if kubelets.use_node_port && own != 0 { own } else { kubelets.port };
        let host = kubelets.address_types.iter().find_map(|wanted| {
            let of_type = |address: &&Address| *address.r#type == **wanted && !address.address.is_empty();
            self.status.addresses.iter().find(of_type).map(|address| &address.address)
        })?;
        Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }
}

/// What is known of the cluster.
#[derive(Clone)]
pub struct Cluster {
    /// Nodes.
    pub nodes: Store<Node>,
    /// Pods.
    pub pods: Store<Pod>,
}

impl Cluster {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { nodes: Store::new(), pods: Store::new() }
    }

    /// Starts the watches.
    pub fn start(&self, runtime: &Runtime, client: &Client, node_selector: &str) {
        let mut nodes = Watch::resource("", "v1", "nodes", "");
        if !node_selector.is_empty() {
            nodes = nodes.labels(node_selector);
        }
        follow(runtime, client, nodes, self.nodes.clone());
        let pods = Watch::resource("", "v1", "pods", "").metadata_only();
        follow(runtime, client, pods, self.pods.clone());
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn kubelets_are_found_by_the_kinds_of_addresses_in_order() {
        let node: Node = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "w1"},
            "status": {
                "addresses": [{"type": "Hostname", "address": "w1"}, {"type": "InternalIP", "address": "10.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10350}},
            },
        }))
        .unwrap();
        let kubelets = |types: &[&str], use_node_port| Kubelets {
            authority: None,
            insecure: false,
            port: 10250,
            use_node_port,
            address_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            patience: Duration::from_secs(1),
        };
        let at = |types: &[&str], own| node.kubelet(&kubelets(types, own));
        assert_eq!(at(&["ExternalIP", "InternalIP", "Hostname"], true).as_deref(), Some("10.0.0.1:10350"));
        assert_eq!(at(&["Hostname", "InternalIP"], false).as_deref(), Some("w1:10250"));
        assert_eq!(at(&["ExternalIP"], false), None);
    }
}
