//! Claims, volumes and storage classes, cut down to what the provisioner decides by.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use controller_runtime::objects::Condition;
use controller_runtime::resource;
use informer::{Metadata, null_is_default};
use k8s_openapi::api::core::v1::NodeSelector;
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
    /// What happens once the claim is gone.
    pub persistent_volume_reclaim_policy: String,
    /// The nodes it can be used on.
    pub node_affinity: Option<NodeAffinity>,
    /// Where it is, as a path of the node.
    pub host_path: Option<Directory>,
    /// Where it is, as a local volume.
    pub local: Option<Directory>,
    /// The uid of the claim it belongs to.
    pub claim_ref: Option<ClaimRef>,
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

/// A directory of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Directory {
    /// Its path.
    pub path: String,
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
    /// What happens to volumes once their claims are gone; `Delete` when empty.
    pub reclaim_policy: String,
    /// How they are mounted.
    #[serde(deserialize_with = "null_is_default")]
    pub mount_options: Vec<String>,
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

    /// Where it is on its node.
    pub fn path(&self) -> Option<&str> {
        self.spec.host_path.as_ref().or(self.spec.local.as_ref()).map(|directory| directory.path.as_str())
    }
}
