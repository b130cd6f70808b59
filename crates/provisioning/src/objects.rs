//! Claims, volumes and storage classes, cut down to what provisioners decide by.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use controller_runtime::objects::Condition;
use controller_runtime::resource;
use informer::{Metadata, null_is_default};
use k8s_openapi::api::core::v1::{NodeSelector, TopologySelectorTerm};
use serde::Deserialize;
use serde_json::Value;

/// Named an object's class before there was a field for it; it still comes first.
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// A claim.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// The metadata.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: ClaimSpec,
    /// What was got.
    pub status: ClaimStatus,
}

/// What a claim asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// How it is to be mounted.
    #[serde(deserialize_with = "null_is_default")]
    pub access_modes: Vec<String>,
    /// How much.
    pub resources: Resources,
    /// The class.
    pub storage_class_name: Option<String>,
    /// `Filesystem` (also when empty) or `Block`.
    pub volume_mode: String,
    /// The volume it is bound to.
    pub volume_name: String,
    /// Which volumes it may have.
    pub selector: Option<Value>,
    /// What the volume is to be made of.
    pub data_source: Option<Value>,
}

/// How much a claim asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Amounts by name; `storage` counts.
    #[serde(deserialize_with = "null_is_default")]
    pub requests: BTreeMap<String, Value>,
}

/// What a claim got.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClaimStatus {
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// Amounts by name; `storage` counts.
    #[serde(deserialize_with = "null_is_default")]
    pub capacity: BTreeMap<String, Value>,
    /// How its expansion goes.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

resource!(Claim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");

/// A volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// The metadata.
    pub metadata: Metadata,
    /// What it is.
    pub spec: VolumeSpec,
    /// How it stands.
    pub status: VolumeStatus,
}

/// What a volume is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    /// Amounts by name; `storage` counts.
    #[serde(deserialize_with = "null_is_default")]
    pub capacity: BTreeMap<String, Value>,
    /// How it can be mounted.
    #[serde(deserialize_with = "null_is_default")]
    pub access_modes: Vec<String>,
    /// What happens once the claim is gone.
    pub persistent_volume_reclaim_policy: String,
    /// How it is mounted.
    #[serde(deserialize_with = "null_is_default")]
    pub mount_options: Vec<String>,
    /// `Filesystem` (also when empty) or `Block`.
    pub volume_mode: String,
    /// The nodes it can be used on.
    pub node_affinity: Option<NodeAffinity>,
    /// The claim it belongs to.
    pub claim_ref: Option<ClaimRef>,
    /// Its driver's part.
    pub csi: Option<Source>,
    /// Where it is, as a path of the node.
    pub host_path: Option<Directory>,
    /// Where it is, as a local volume.
    pub local: Option<Directory>,
}

/// A directory of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Directory {
    /// Its path.
    pub path: String,
}

/// What a driver knows of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// The driver.
    pub driver: String,
    /// Its name for the volume.
    pub volume_handle: String,
    /// Whether it may only be read.
    pub read_only: bool,
    /// The file system.
    pub fs_type: String,
    /// What the driver wants to be told again.
    #[serde(deserialize_with = "null_is_default")]
    pub volume_attributes: BTreeMap<String, String>,
    /// The secret for attaching.
    pub controller_publish_secret_ref: Option<SecretRef>,
    /// The secret for expanding.
    pub controller_expand_secret_ref: Option<SecretRef>,
}

/// A secret by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SecretRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The claim that a volume belongs to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClaimRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// The nodes a volume can be used on.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeAffinity {
    /// They must match.
    pub required: Option<NodeSelector>,
}

/// How a volume stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    /// `Pending`, `Available`, `Bound`, `Released` or `Failed`.
    pub phase: String,
}

resource!(Volume, "", "v1", "PersistentVolume", "persistentvolumes");

/// A storage class.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    /// The metadata.
    pub metadata: Metadata,
    /// Who makes its volumes.
    pub provisioner: String,
    /// What the driver is told.
    #[serde(deserialize_with = "null_is_default")]
    pub parameters: BTreeMap<String, String>,
    /// What happens to volumes once their claims are gone; `Delete` when empty.
    pub reclaim_policy: String,
    /// How they are mounted.
    #[serde(deserialize_with = "null_is_default")]
    pub mount_options: Vec<String>,
    /// `WaitForFirstConsumer` or `Immediate`.
    pub volume_binding_mode: String,
    /// Where volumes may be.
    #[serde(deserialize_with = "null_is_default")]
    pub allowed_topologies: Vec<TopologySelectorTerm>,
}

resource!(StorageClass, "storage.k8s.io", "v1", "StorageClass", "storageclasses");

fn storage(amounts: &BTreeMap<String, Value>) -> Option<Quantity> {
    amounts.get("storage")?.as_str()?.parse().ok()
}

impl Claim {
    /// The class, empty for none.
    pub fn class(&self) -> &str {
        let class = self.metadata.annotations.get(OLD_CLASS).or(self.spec.storage_class_name.as_ref());
        class.map_or("", String::as_str)
    }

    /// How much it asks for.
    pub fn request(&self) -> Option<Quantity> {
        storage(&self.spec.resources.requests)
    }

    /// How much it has.
    pub fn capacity(&self) -> Option<Quantity> {
        storage(&self.status.capacity)
    }
}

impl Volume {
    /// How large it is.
    pub fn capacity(&self) -> Option<Quantity> {
        storage(&self.spec.capacity)
    }

    /// Its part of a driver.
    pub fn of(&self, driver: &str) -> Option<&Source> {
        self.spec.csi.as_ref().filter(|source| source.driver == driver)
    }

    /// Where it is on its node.
    pub fn path(&self) -> Option<&str> {
        self.spec.host_path.as_ref().or(self.spec.local.as_ref()).map(|directory| directory.path.as_str())
    }
}
