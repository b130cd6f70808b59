//! Nodes as the pod network sees them: a part of the pod network and the address it is behind.

use std::net::Ipv4Addr;

use informer::{IdentityRef, Metadata, Object};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{NodeSpec, NodeStatus};
use serde::Deserialize;

/// A node, watched into what routes and configuration need.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Node {
    uid: Box<str>,
    resource_version: Box<str>,
    /// The node's name.
    pub name: Box<str>,
    /// Its part of the pod network.
    pub pod_cidr: Option<Ipv4Net>,
    /// The address that other nodes reach it at.
    pub address: Option<Ipv4Addr>,
    /// Whether its network is already said to be available.
    pub network_available: bool,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<NodeSpec>,
    status: Option<NodeStatus>,
}

impl From<Wire> for Node {
    fn from(wire: Wire) -> Self {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let cidrs = spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr);
        Node {
            uid: wire.metadata.uid.into(),
            resource_version: wire.metadata.resource_version.into(),
            name: wire.metadata.name.into(),
            pod_cidr: cidrs.filter_map(|cidr| cidr.parse::<Ipv4Net>().ok()).map(|cidr| cidr.trunc()).next(),
            address: status
                .addresses
                .iter()
                .flatten()
                .filter(|address| address.type_ == "InternalIP")
                .find_map(|address| address.address.parse().ok()),
            network_available: status
                .conditions
                .iter()
                .flatten()
                .any(|condition| condition.type_ == "NetworkUnavailable" && condition.status == "False"),
        }
    }
}

impl Object for Node {
    fn identity(&self) -> IdentityRef<'_> {
        IdentityRef {
            namespace: "",
            name: &self.name,
            uid: &self.uid,
            resource_version: &self.resource_version,
        }
    }
}
