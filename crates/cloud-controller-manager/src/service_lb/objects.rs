//! The objects that addresses are given by, each cut down to what decides about them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use informer::{Identity, IdentityRef, Key, Metadata, Object, null_is_default};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use serde::Deserialize;

use crate::pool::Pool;

/// Holds a Service back until its address is free again; upstream's name.
pub const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// The class of this provider; a Service without any class is ours too.
pub const CLASS: &str = "magnetite/pool";
/// The address that a Service asks for; outweighs `spec.loadBalancerIP`.
pub const WANTED: &str = "magnetite/load-balancer-ip";
/// The node that is to answer for the address; podnet reads it.
pub const ANNOUNCED_BY: &str = "magnetite/announced-by";
/// Nodes with this label take no traffic from load balancers; upstream's name.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A Service; one that has nothing to do with load balancers is only a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "ServiceWire")]
pub struct Service {
    identity: Identity,
    /// What matters of a Service that is, or still is cleared up as, a load balancer.
    pub balancer: Option<Box<Balancer>>,
}

/// What matters of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancer {
    /// Whether it is to have an address: of the type, not on its way out.
    pub is_wanted: bool,
    /// Whether our finaliser is on it.
    pub has_finalizer: bool,
    /// The address it asks for, as written.
    pub asks_for: Option<Box<str>>,
    /// Whether it takes IPv4.
    pub takes_ipv4: bool,
    /// Whether only nodes with endpoints may answer for it.
    pub is_local: bool,
    /// The addresses in its status: what it was given.
    pub given: Vec<Ipv4Addr>,
    /// Whether the status says exactly that the first of these delivers packets as they are.
    pub status_is_plain: bool,
    /// The node that is to answer.
    pub announced_by: Option<Box<str>>,
    /// When it was created.
    pub created: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ServiceWire {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "null_is_default")]
    load_balancer_class: String,
    #[serde(rename = "loadBalancerIP", deserialize_with = "null_is_default")]
    load_balancer_ip: String,
    #[serde(deserialize_with = "null_is_default")]
    external_traffic_policy: String,
    #[serde(deserialize_with = "null_is_default")]
    ip_families: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "null_is_default")]
    load_balancer: Given,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Given {
    #[serde(deserialize_with = "null_is_default")]
    ingress: Vec<Ingress>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ingress {
    #[serde(deserialize_with = "null_is_default")]
    ip: String,
    #[serde(deserialize_with = "null_is_default")]
    ip_mode: String,
}

impl From<ServiceWire> for Service {
    fn from(wire: ServiceWire) -> Self {
        let ServiceWire { metadata, spec, status } = wire;
        // Another provider's Services are left alone, finaliser and all.
        let is_ours = spec.load_balancer_class.is_empty() || spec.load_balancer_class == CLASS;
        let has_finalizer = metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
        let is_balancer = spec.kind == "LoadBalancer";
        let balancer = (is_ours && (is_balancer || has_finalizer)).then(|| {
            let asks_for = metadata.annotations.get(WANTED).unwrap_or(&spec.load_balancer_ip).trim();
            let ingress = &status.load_balancer.ingress;
            Box::new(Balancer {
                is_wanted: is_balancer && metadata.deletion_timestamp.is_none(),
                has_finalizer,
                asks_for: (!asks_for.is_empty()).then(|| asks_for.into()),
                takes_ipv4: spec.ip_families.is_empty() || spec.ip_families.iter().any(|name| name == "IPv4"),
                is_local: spec.external_traffic_policy == "Local",
                given: ingress.iter().filter_map(|ingress| ingress.ip.parse().ok()).collect(),
                status_is_plain: matches!(&ingress[..], [one] if one.ip_mode == "VIP"),
                announced_by: metadata.annotations.get(ANNOUNCED_BY).map(|node| node.as_str().into()),
                created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            })
        });
        Service { identity: metadata.identity().into(), balancer }
    }
}

impl Object for Service {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

impl Service {
    /// Returns the reference by which events name the Service.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(self.namespace().to_owned()),
            name: Some(self.name().to_owned()),
            uid: Some(self.uid().to_owned()),
            resource_version: Some(self.resource_version().to_owned()),
            field_path: None,
        }
    }
}

/// A node.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "NodeWire")]
pub struct Node {
    identity: Identity,
    /// Whether load balancers may use it at all.
    pub is_eligible: bool,
    /// Whether its kubelet says that all is well.
    pub is_ready: bool,
    /// Its addresses, internal ones first.
    pub addresses: Vec<IpAddr>,
}

#[derive(Deserialize)]
struct NodeWire {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    status: Option<k8s_openapi::api::core::v1::NodeStatus>,
}

impl From<NodeWire> for Node {
    fn from(wire: NodeWire) -> Self {
        let status = wire.status.unwrap_or_default();
        let mut addresses: Vec<(bool, IpAddr)> = status
            .addresses
            .iter()
            .flatten()
            .filter(|address| matches!(address.type_.as_str(), "InternalIP" | "ExternalIP"))
            .filter_map(|address| Some((address.type_ == "ExternalIP", address.address.parse().ok()?)))
            .collect();
        addresses.sort_by_key(|(is_external, _)| *is_external);
        let ready = |condition: &k8s_openapi::api::core::v1::NodeCondition| {
            condition.type_ == "Ready" && condition.status == "True"
        };
        Node {
            is_eligible: !wire.metadata.labels.contains_key(EXCLUDED)
                && wire.metadata.deletion_timestamp.is_none(),
            is_ready: status.conditions.iter().flatten().any(ready),
            addresses: addresses.into_iter().map(|(_, address)| address).collect(),
            identity: wire.metadata.identity().into(),
        }
    }
}

impl Object for Node {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

/// The nodes that one slice has ready endpoints on.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "SliceWire")]
pub struct EndpointSlice {
    identity: Identity,
    /// The Service that the endpoints are of.
    pub service: Option<Key>,
    /// The nodes.
    pub nodes: BTreeSet<Box<str>>,
}

#[derive(Deserialize)]
struct SliceWire {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "null_is_default")]
    endpoints: Vec<Endpoint>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    node_name: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    conditions: Conditions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
}

impl From<SliceWire> for EndpointSlice {
    fn from(wire: SliceWire) -> Self {
        let service = wire.metadata.labels.get(SERVICE_NAME);
        EndpointSlice {
            service: service.map(|name| Key::new(&wire.metadata.namespace, name)),
            nodes: wire
                .endpoints
                .into_iter()
                // Absent means ready.
                .filter(|endpoint| endpoint.conditions.ready != Some(false))
                .filter_map(|endpoint| endpoint.node_name)
                .collect(),
            identity: wire.metadata.identity().into(),
        }
    }
}

impl Object for EndpointSlice {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

/// The ConfigMap of the pool.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "PoolWire")]
pub struct PoolMap {
    identity: Identity,
    /// The pool, or what is wrong with it.
    pub pool: Result<Pool, String>,
}

#[derive(Deserialize)]
struct PoolWire {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "null_is_default")]
    data: BTreeMap<String, String>,
}

impl From<PoolWire> for PoolMap {
    fn from(wire: PoolWire) -> Self {
        let pool = match wire.data.get("addresses") {
            Some(text) => text.parse::<Pool>().map_err(|error| error.to_string()),
            None => Err("it has no key \"addresses\"".to_owned()),
        };
        PoolMap { identity: wire.metadata.identity().into(), pool }
    }
}

impl Object for PoolMap {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn balancer(metadata: serde_json::Value, spec: serde_json::Value) -> Option<Balancer> {
        let status = json!({"loadBalancer": {"ingress": [{"ip": "192.168.1.11", "ipMode": "VIP"}]}});
        let service = json!({"metadata": metadata, "spec": spec, "status": status});
        serde_json::from_value::<Service>(service).unwrap().balancer.map(|balancer| *balancer)
    }

    #[test]
    fn only_load_balancers_of_this_provider_matter() {
        let of = |spec| balancer(json!({"name": "web"}), spec);
        assert_eq!(of(json!({"type": "ClusterIP"})), None);
        assert_eq!(of(json!({"type": "LoadBalancer", "loadBalancerClass": "other/one"})), None);
        assert!(of(json!({"type": "LoadBalancer", "loadBalancerClass": CLASS})).unwrap().is_wanted);
        let plain = of(json!({"type": "LoadBalancer", "ipFamilies": null})).unwrap();
        assert!(plain.is_wanted && plain.takes_ipv4 && plain.status_is_plain && !plain.has_finalizer);
        let left = balancer(json!({"name": "web", "finalizers": [FINALIZER]}), json!({"type": "ClusterIP"}));
        assert!(!left.unwrap().is_wanted, "to be cleared up");
        let foreign = json!({"type": "LoadBalancer", "loadBalancerClass": "other/one"});
        assert_eq!(balancer(json!({"name": "web", "finalizers": [FINALIZER]}), foreign), None);
    }

    #[test]
    fn the_annotation_outweighs_the_field() {
        let spec = json!({"type": "LoadBalancer", "loadBalancerIP": "192.168.1.12"});
        let asks = |metadata| balancer(metadata, spec.clone()).unwrap().asks_for;
        assert_eq!(asks(json!({})).as_deref(), Some("192.168.1.12"));
        assert_eq!(asks(json!({"annotations": {WANTED: "192.168.1.13"}})).as_deref(), Some("192.168.1.13"));
    }

    #[test]
    fn nodes_and_slices_say_who_can_answer() {
        let node = |value| serde_json::from_value::<Node>(value).unwrap();
        let plain = node(json!({"metadata": {"name": "w1"}, "status": {
            "addresses": [{"type": "ExternalIP", "address": "203.0.113.1"}, {"type": "Hostname", "address": "w1"},
                {"type": "InternalIP", "address": "192.168.1.101"}],
            "conditions": [{"type": "Ready", "status": "True"}]}}));
        assert!(plain.is_eligible && plain.is_ready);
        assert_eq!(plain.addresses[0].to_string(), "192.168.1.101");
        assert!(!node(json!({"metadata": {"labels": {EXCLUDED: ""}}})).is_eligible);
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"namespace": "default", "name": "web-x", "labels": {SERVICE_NAME: "web"}},
            "endpoints": [{"nodeName": "w1"}, {"nodeName": "w2", "conditions": {"ready": false}}, {}]}))
        .unwrap();
        assert_eq!(slice.service, Some(Key::new("default", "web")));
        assert_eq!(slice.nodes, BTreeSet::from(["w1".into()]));
    }
}
