//! Nodes.

use informer::{Metadata, null_is_default};
use k8s_openapi::api::core::v1::Taint;
use serde::Deserialize;

use super::{Condition, resource};

/// A node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: NodeSpec,
    /// What the kubelet reports.
    pub status: NodeStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// The addresses of the node's pods, one range for each family.
    #[serde(rename = "podCIDRs", deserialize_with = "null_is_default")]
    pub pod_cidrs: Vec<String>,
    /// The first of these.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    /// The taints.
    #[serde(deserialize_with = "null_is_default")]
    pub taints: Vec<Taint>,
    /// Whether no new pods should come.
    pub unschedulable: bool,
    /// The node as the cloud names it.
    #[serde(rename = "providerID")]
    pub provider_id: String,
}

/// What the kubelet reports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// The conditions.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// Where the node is reached.
    #[serde(deserialize_with = "null_is_default")]
    pub addresses: Vec<NodeAddress>,
    /// Volumes that pods on the node use.
    #[serde(deserialize_with = "null_is_default")]
    pub volumes_in_use: Vec<String>,
    /// Volumes that are attached to the node.
    #[serde(deserialize_with = "null_is_default")]
    pub volumes_attached: Vec<AttachedVolume>,
}

/// Where a node is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`, …
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The address or name.
    pub address: Box<str>,
}

impl NodeAddress {
    /// Tells whether it is an address, not a name.
    pub fn is_ip(&self) -> bool {
        matches!(&*self.kind, "InternalIP" | "ExternalIP")
    }
}

/// A volume that is attached to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AttachedVolume {
    /// Its unique name.
    pub name: String,
}

resource!(Node, "", "v1", "Node", "nodes");

impl Node {
    /// Returns the zone, from the label of that name; empty if there is none.
    pub fn zone(&self) -> &str {
        let labels = &self.metadata.labels;
        labels.get("topology.kubernetes.io/zone").map_or("", String::as_str)
    }

    /// Returns region and zone in one, the unit in which failures are counted.
    pub fn region_zone(&self) -> String {
        let region = self.metadata.labels.get("topology.kubernetes.io/region").map_or("", String::as_str);
        match (region, self.zone()) {
            ("", "") => String::new(),
            (region, zone) => format!("{region}:\0:{zone}"),
        }
    }
}
