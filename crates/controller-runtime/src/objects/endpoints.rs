//! Endpoints, the older form of endpoint slices.

use informer::{Metadata, null_is_default};
use serde::{Deserialize, Serialize};

use super::endpoint_slice::TargetRef;
use super::resource;

/// The endpoints of a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// The metadata.
    pub metadata: Metadata,
    /// The addresses, grouped by equal ports.
    #[serde(deserialize_with = "null_is_default")]
    pub subsets: Vec<Subset>,
}

/// Addresses with the same ports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subset {
    /// Those that take connections.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub addresses: Vec<Address>,
    /// Those that do not yet.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub not_ready_addresses: Vec<Address>,
    /// The ports.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub ports: Vec<Port>,
}

/// An address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Address {
    /// The address.
    pub ip: String,
    /// The pod's host name within the service.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// The node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// The pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<TargetRef>,
}

/// A port.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// The name of the service's port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The number on the pods.
    pub port: i32,
    /// The protocol.
    pub protocol: String,
    /// What is spoken on the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

resource!(Endpoints, "", "v1", "Endpoints", "endpoints");
