//! A node as the scheduler holds it: what it offers, and what its pods take of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use informer::{IdentityRef, Metadata, Object};
use k8s_openapi::api::core::v1 as api;
use podrules::node_affinity::NodeView;
use serde::Deserialize;

use crate::amounts::Amounts;
use crate::pod::{HostPort, Pod};

/// A node, watched into what decides about placement.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Wire")]
pub struct Node {
    uid: Box<str>,
    resource_version: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<api::Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// What it offers.
    pub allocatable: Amounts,
    /// Its images: bytes by each name.
    pub images: BTreeMap<Box<str>, i64>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<api::NodeSpec>,
    status: Option<api::NodeStatus>,
}

impl From<Wire> for Node {
    fn from(wire: Wire) -> Self {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let images = status.images.into_iter().flatten();
        Node {
            uid: wire.metadata.uid.into(),
            resource_version: wire.metadata.resource_version.into(),
            name: wire.metadata.name.into(),
            labels: wire.metadata.labels,
            taints: spec.taints.unwrap_or_default(),
            unschedulable: spec.unschedulable.unwrap_or(false),
            allocatable: Amounts::from_list(&podrules::requests::parse(status.allocatable.as_ref())),
            images: images
                .flat_map(|image| {
                    let size = image.size_bytes.unwrap_or(0);
                    image.names.into_iter().flatten().map(move |name| (name.into(), size))
                })
                .collect(),
        }
    }
}

impl Node {
    /// What node selectors look at.
    pub fn view(&self) -> NodeView<'_> {
        NodeView { name: &self.name, labels: &self.labels }
    }

    /// Tells whether a new version can take other pods than this one.
    pub fn is_equivalent(&self, new: &Node) -> bool {
        self.labels == new.labels
            && self.taints == new.taints
            && self.unschedulable == new.unschedulable
            && self.allocatable == new.allocatable
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

/// A node with its pods, bound and assumed.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// The node.
    pub node: Arc<Node>,
    /// Its pods, by uid.
    pub pods: BTreeMap<Box<str>, Arc<Pod>>,
    /// What they take.
    pub requested: Amounts,
    /// What they count as when nodes are scored: CPU and memory.
    pub scored: (i64, i64),
    /// How many of them have terms about other pods.
    pub with_affinity: usize,
    /// How many of them refuse others.
    pub with_required_anti: usize,
}

impl NodeInfo {
    /// Makes a node without pods.
    pub fn new(node: Arc<Node>) -> Self {
        NodeInfo { node, ..NodeInfo::default() }
    }

    /// Adds a pod, in place of an older version of it.
    pub fn add(&mut self, pod: Arc<Pod>) {
        self.remove(&pod.uid);
        self.requested.add(&pod.requests);
        self.scored.0 += pod.scored.0;
        self.scored.1 = self.scored.1.saturating_add(pod.scored.1);
        self.with_affinity += usize::from(!pod.affinity.is_empty());
        self.with_required_anti += usize::from(!pod.affinity.required_anti.is_empty());
        self.pods.insert(pod.uid.clone(), pod);
    }

    /// Takes a pod away.
    pub fn remove(&mut self, uid: &str) -> Option<Arc<Pod>> {
        let pod = self.pods.remove(uid)?;
        self.requested.subtract(&pod.requests);
        self.scored.0 -= pod.scored.0;
        self.scored.1 = self.scored.1.saturating_sub(pod.scored.1);
        self.with_affinity -= usize::from(!pod.affinity.is_empty());
        self.with_required_anti -= usize::from(!pod.affinity.required_anti.is_empty());
        Some(pod)
    }

    /// Tells whether a host port is taken.
    pub fn is_taken(&self, port: &HostPort) -> bool {
        self.pods.values().flat_map(|pod| &pod.host_ports).any(|taken| taken.conflicts(port))
    }

    /// The value of one of the node's labels.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.node.labels.get(key).map(String::as_str)
    }
}
