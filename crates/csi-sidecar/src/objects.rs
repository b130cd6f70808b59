//! Attachments, nodes and their drivers, cut down to what decides about a driver's volumes.

use controller_runtime::resource;
use informer::{Metadata, null_is_default};
use serde::Deserialize;

/// A volume's attachment to a node, wanted or there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// The metadata.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: AttachmentSpec,
    /// What is there.
    pub status: AttachmentStatus,
}

/// What is to be attached where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSpec {
    /// The driver.
    pub attacher: String,
    /// The node.
    pub node_name: String,
    /// The volume.
    pub source: AttachmentSource,
}

/// What is attached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSource {
    /// By its PersistentVolume.
    pub persistent_volume_name: String,
}

/// What is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AttachmentStatus {
    /// It is attached.
    pub attached: bool,
}

resource!(Attachment, "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments");

/// The drivers of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CsiNode {
    /// The metadata.
    pub metadata: Metadata,
    /// The drivers.
    pub spec: CsiNodeSpec,
}

/// The drivers of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CsiNodeSpec {
    /// Each by its name.
    #[serde(deserialize_with = "null_is_default")]
    pub drivers: Vec<NodeDriver>,
}

/// A driver on a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeDriver {
    /// The driver.
    pub name: String,
    /// Its name for the node.
    #[serde(rename = "nodeID")]
    pub node_id: String,
    /// The labels that say where the node is.
    #[serde(deserialize_with = "null_is_default")]
    pub topology_keys: Vec<String>,
}

resource!(CsiNode, "storage.k8s.io", "v1", "CSINode", "csinodes");

/// A node, of which its labels count.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// The metadata.
    pub metadata: Metadata,
}

resource!(Node, "", "v1", "Node", "nodes");

impl CsiNode {
    /// What a driver says of the node.
    pub fn driver(&self, name: &str) -> Option<&NodeDriver> {
        self.spec.drivers.iter().find(|driver| driver.name == name)
    }
}
