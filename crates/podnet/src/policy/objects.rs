//! Policies and pods, watched into what rules need.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use apimachinery::labels::Selector;
use informer::{Identity, IdentityRef, Metadata, Object, null_is_default};
use ipnet::Ipv4Net;
use k8s_openapi::api::networking::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use netrules::Protocol;
use serde::Deserialize;

/// A NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WirePolicy")]
pub struct Policy {
    identity: Identity,
    /// The pods of its namespace that it isolates.
    pub pods: Selector,
    /// Who may reach them; none when it says nothing of ingress.
    pub ingress: Option<Vec<Rule>>,
    /// Whom they may reach; none when it says nothing of egress.
    pub egress: Option<Vec<Rule>>,
}

/// Traffic that a policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// With whom; none means everybody.
    pub peers: Option<Vec<Peer>>,
    /// On which ports of the destination; none means all of every protocol.
    pub ports: Option<Vec<Port>>,
}

/// The other end of allowed traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Pods by label.
    Pods {
        /// Of which namespaces; none means the policy's own.
        namespaces: Option<Selector>,
        /// Which of them.
        pods: Selector,
    },
    /// Addresses.
    Block {
        /// From this range,
        net: Ipv4Net,
        /// but not from these.
        except: Vec<Ipv4Net>,
    },
}

/// Ports of the destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// Which of its ports.
    pub which: Which,
}

/// Which ports of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Every one.
    All,
    /// From the first to the last.
    Range(u16, u16),
    /// The one that a container of the destination calls so.
    Named(Box<str>),
}

#[derive(Deserialize)]
struct WirePolicy {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<api::NetworkPolicySpec>,
}

impl From<WirePolicy> for Policy {
    fn from(wire: WirePolicy) -> Self {
        let spec = wire.spec.unwrap_or_default();
        let types = spec.policy_types.unwrap_or_default();
        let says = |kind: &str| types.iter().any(|one| one == kind);
        // Without types a policy is about ingress, and about egress when it has such rules.
        let is_ingress = says("Ingress") || types.is_empty();
        let is_egress = says("Egress") || (types.is_empty() && spec.egress.is_some());
        let ingress =
            spec.ingress.unwrap_or_default().into_iter().map(|rule| read_rule(rule.from, rule.ports));
        let egress = spec.egress.unwrap_or_default().into_iter().map(|rule| read_rule(rule.to, rule.ports));
        Policy {
            identity: wire.metadata.identity().into(),
            pods: spec.pod_selector.as_ref().map_or_else(Selector::everything, read_selector),
            ingress: is_ingress.then(|| ingress.collect()),
            egress: is_egress.then(|| egress.collect()),
        }
    }
}

fn read_rule(peers: Option<Vec<api::NetworkPolicyPeer>>, ports: Option<Vec<api::NetworkPolicyPort>>) -> Rule {
    let peers = peers.filter(|peers| !peers.is_empty());
    let ports = ports.filter(|ports| !ports.is_empty());
    Rule {
        // What is not understood, such as a range of IPv6, is nobody.
        peers: peers.map(|peers| peers.iter().filter_map(read_peer).collect()),
        ports: ports.map(|ports| ports.iter().filter_map(read_port).collect()),
    }
}

fn read_peer(peer: &api::NetworkPolicyPeer) -> Option<Peer> {
    if let Some(block) = &peer.ip_block {
        let net: Ipv4Net = block.cidr.parse().ok()?;
        let except = block.except.iter().flatten().filter_map(|net| net.parse::<Ipv4Net>().ok());
        return Some(Peer::Block {
            net: net.trunc(),
            // One range inside another would be refused as conflicting.
            except: Ipv4Net::aggregate(&except.map(|net| net.trunc()).collect()),
        });
    }
    Some(Peer::Pods {
        namespaces: peer.namespace_selector.as_ref().map(read_selector),
        pods: peer.pod_selector.as_ref().map_or_else(Selector::everything, read_selector),
    })
}

fn read_port(port: &api::NetworkPolicyPort) -> Option<Port> {
    let which = match (&port.port, port.end_port) {
        (None, _) => Which::All,
        (Some(IntOrString::String(name)), _) => Which::Named(name.as_str().into()),
        (Some(IntOrString::Int(first)), last) => {
            Which::Range(u16::try_from(*first).ok()?, u16::try_from(last.unwrap_or(*first)).ok()?)
        }
    };
    Some(Port { protocol: Protocol::from_api(port.protocol.as_deref())?, which })
}

fn read_selector(selector: &LabelSelector) -> Selector {
    let value = serde_json::to_value(selector).unwrap_or_default();
    // The API server refuses what cannot be read here.
    Selector::from_label_selector(&value).unwrap_or_else(|_| Selector::nothing())
}

impl Object for Policy {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WirePod")]
pub struct Pod {
    identity: Identity,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The node it runs on; empty before it has one.
    pub node: Box<str>,
    /// Its address, once it is known.
    pub address: Option<Ipv4Addr>,
    /// Its containers' named ports.
    pub ports: Box<[(Box<str>, Protocol, u16)]>,
    /// False for a pod in its node's network, or one that has ended and whose address may be another's by now.
    pub has_network: bool,
}

impl Pod {
    /// Tells whether rules are the same for another version of the pod.
    pub fn is_same_to_rules(&self, other: &Pod) -> bool {
        self.address == other.address
            && self.has_network == other.has_network
            && self.node == other.node
            && self.labels == other.labels
            && self.ports == other.ports
    }
}

#[derive(Deserialize)]
struct WirePod {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: WirePodSpec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: WirePodStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WirePodSpec {
    #[serde(deserialize_with = "null_is_default")]
    node_name: Box<str>,
    #[serde(deserialize_with = "null_is_default")]
    host_network: bool,
    #[serde(deserialize_with = "null_is_default")]
    containers: Vec<WireContainer>,
    #[serde(deserialize_with = "null_is_default")]
    init_containers: Vec<WireContainer>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireContainer {
    #[serde(deserialize_with = "null_is_default")]
    restart_policy: String,
    #[serde(deserialize_with = "null_is_default")]
    ports: Vec<WirePort>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WirePort {
    #[serde(deserialize_with = "null_is_default")]
    name: Box<str>,
    protocol: Option<String>,
    #[serde(deserialize_with = "null_is_default")]
    container_port: u16,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WirePodStatus {
    #[serde(deserialize_with = "null_is_default")]
    phase: String,
    #[serde(rename = "podIP", deserialize_with = "null_is_default")]
    pod_ip: String,
    #[serde(rename = "podIPs", deserialize_with = "null_is_default")]
    pod_ips: Vec<WireAddress>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireAddress {
    #[serde(deserialize_with = "null_is_default")]
    ip: String,
}

impl From<WirePod> for Pod {
    fn from(wire: WirePod) -> Self {
        let status = wire.status;
        let mut addresses = status.pod_ips.iter().map(|address| &address.ip).chain([&status.pod_ip]);
        let sidecars = wire.spec.init_containers.iter().filter(|one| one.restart_policy == "Always");
        let ports = wire.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
        let named = ports.filter(|port| !port.name.is_empty()).filter_map(|port| {
            Some((port.name.clone(), Protocol::from_api(port.protocol.as_deref())?, port.container_port))
        });
        Pod {
            ports: named.collect(),
            address: addresses.find_map(|address| address.parse().ok()),
            has_network: !wire.spec.host_network && !matches!(&*status.phase, "Succeeded" | "Failed"),
            node: wire.spec.node_name,
            identity: wire.metadata.identity().into(),
            labels: wire.metadata.labels,
        }
    }
}

impl Object for Pod {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}
