//! Attachments of volumes to nodes, and the drivers that they are of.

use controller_runtime::resource;
use informer::Metadata;
use serde::Deserialize;

/// A volume's attachment to a node, wanted or there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeAttachment {
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
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentStatus {
    /// It is attached.
    pub attached: bool,
    /// Why it is not.
    pub attach_error: Option<VolumeError>,
    /// Why it is still.
    pub detach_error: Option<VolumeError>,
}

/// What a driver said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VolumeError {
    /// A sentence.
    pub message: String,
}

resource!(VolumeAttachment, "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments");

/// A driver.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CsiDriver {
    /// The metadata.
    pub metadata: Metadata,
    /// On what terms it works.
    pub spec: CsiDriverSpec,
}

/// On what terms a driver works.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CsiDriverSpec {
    /// Whether its volumes are attached before they are mounted; they are where nothing is said.
    pub attach_required: Option<bool>,
}

resource!(CsiDriver, "storage.k8s.io", "v1", "CSIDriver", "csidrivers");
