//! This node as the proxy holds it, and how traffic of its pods is told from other traffic.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1 as api;
use netrules::{Family, Match};

/// The taint that a cluster autoscaler puts on a node it is about to remove.
const TO_BE_DELETED_TAINT: &str = "ToBeDeletedByClusterAutoscaler";

/// The Node this proxy runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Box<str>,
    /// The zone it is in.
    pub zone: Option<Box<str>>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its part of the pod network.
    pub pod_cidrs: Vec<IpNet>,
    /// Whether a load balancer should no longer send traffic here.
    pub leaving: bool,
}

impl Node {
    /// Reads a node.
    pub fn from_api(node: &api::Node) -> Self {
        let metadata = &node.metadata;
        let label = |name: &str| {
            metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(|zone| zone.as_str().into())
        };
        let spec = node.spec.as_ref();
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let mut addresses: Vec<_> = addresses
            .filter(|address| address.type_ == "InternalIP" || address.type_ == "ExternalIP")
            .map(|address| (address.type_ != "InternalIP", address.address.parse::<IpAddr>().ok()))
            .collect();
        addresses.sort_by_key(|(external, _)| *external);
        Node {
            name: metadata.name.as_deref().unwrap_or_default().into(),
            zone: label("topology.kubernetes.io/zone"),
            addresses: addresses.into_iter().filter_map(|(_, address)| address).collect(),
            pod_cidrs: spec
                .iter()
                .flat_map(|spec| spec.pod_cidrs.iter().flatten().chain(spec.pod_cidr.as_ref()))
                .filter_map(|cidr| cidr.parse().ok())
                .collect(),
            leaving: metadata.deletion_timestamp.is_some()
                || spec.is_some_and(|spec| {
                    spec.taints.iter().flatten().any(|taint| taint.key == TO_BE_DELETED_TAINT)
                }),
        }
    }

    /// The first address of a family, internal ones before external ones.
    pub fn primary_address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| family.holds(*address))
    }

    /// The pod network's part of a family.
    pub fn pod_cidr(&self, family: Family) -> Option<IpNet> {
        self.pod_cidrs.iter().copied().find(|cidr| family.holds(cidr.addr()))
    }
}

/// How traffic from pods of this cluster is recognised, so that only other traffic is masqueraded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalDetector {
    /// Not at all: nothing is masqueraded for being foreign.
    #[default]
    None,
    /// By its source address.
    Cidr(IpNet),
    /// By the bridge it came from.
    Bridge(String),
    /// By how the name of the interface it came from begins.
    InterfacePrefix(String),
}

impl LocalDetector {
    /// The condition that holds for local traffic.
    pub fn if_local(&self) -> Option<Match> {
        self.condition(false)
    }

    /// The condition that holds for other traffic.
    pub fn if_not_local(&self) -> Option<Match> {
        self.condition(true)
    }

    fn condition(&self, not: bool) -> Option<Match> {
        match self {
            LocalDetector::None => None,
            LocalDetector::Cidr(net) => Some(Match::Source { net: *net, not }),
            LocalDetector::Bridge(name) => Some(Match::InInterface { name: name.clone(), not }),
            LocalDetector::InterfacePrefix(prefix) => {
                Some(Match::InInterface { name: format!("{prefix}+"), not })
            }
        }
    }
}
