//! Volumes, claims and storage classes, cut down to what binding and protection decide by.

mod attachment;

use std::collections::BTreeMap;

use apimachinery::{Quantity, labels::Selector};
use controller_runtime::resource;
use informer::{Key, Metadata, null_is_default};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use attachment::{CsiDriver, VolumeAttachment};

/// The annotation that named an object's class before there was a field for it; it still comes first.
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// A volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
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
    /// The claim it belongs to.
    pub claim_ref: Option<ClaimRef>,
    /// What happens once the claim is gone: `Retain`, `Delete` or `Recycle`.
    pub persistent_volume_reclaim_policy: String,
    /// The class, empty for none.
    pub storage_class_name: String,
    /// `Filesystem` (also when empty) or `Block`.
    pub volume_mode: String,
    /// The class of attributes.
    pub volume_attributes_class_name: Option<String>,
    /// Set if a CSI driver owns it.
    pub csi: Option<CsiSource>,
}

/// What a CSI driver knows of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CsiSource {
    /// The driver.
    pub driver: String,
    /// Its name for the volume.
    pub volume_handle: String,
}

/// A claim as a volume refers to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaimRef {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The uid; empty if an administrator has set the volume aside and the claim was not bound yet.
    pub uid: String,
}

impl ClaimRef {
    /// Returns the claim's key.
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }
}

/// How a volume stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    /// `Pending`, `Available`, `Bound`, `Released` or `Failed`.
    pub phase: String,
}

resource!(PersistentVolume, "", "v1", "PersistentVolume", "persistentvolumes");

/// A claim.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolumeClaim {
    /// The metadata.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: ClaimSpec,
    /// What was got.
    pub status: ClaimStatus,
}

/// What a claim asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// How it is to be mounted.
    #[serde(deserialize_with = "null_is_default")]
    pub access_modes: Vec<String>,
    /// How much of what.
    pub resources: Resources,
    /// The class; none if the administrator's default is meant and there is none yet.
    pub storage_class_name: Option<String>,
    /// `Filesystem` (also when empty) or `Block`.
    pub volume_mode: String,
    /// The volume it is bound to, or must be.
    pub volume_name: String,
    /// Which volumes it may have.
    #[serde(deserialize_with = "selector")]
    pub selector: Selector,
    /// The class of attributes.
    pub volume_attributes_class_name: Option<String>,
}

impl Default for ClaimSpec {
    fn default() -> Self {
        ClaimSpec {
            access_modes: Vec::new(),
            resources: Resources::default(),
            storage_class_name: None,
            volume_mode: String::new(),
            volume_name: String::new(),
            selector: Selector::everything(),
            volume_attributes_class_name: None,
        }
    }
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
#[serde(rename_all = "camelCase", default)]
pub struct ClaimStatus {
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// How it can be mounted.
    #[serde(deserialize_with = "null_is_default")]
    pub access_modes: Vec<String>,
    /// The amounts.
    #[serde(deserialize_with = "null_is_default")]
    pub capacity: BTreeMap<String, Value>,
}

resource!(PersistentVolumeClaim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");

/// A storage class.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    /// The metadata.
    pub metadata: Metadata,
    /// Who makes volumes of this class.
    pub provisioner: String,
    /// `WaitForFirstConsumer` or `Immediate`.
    pub volume_binding_mode: String,
}

resource!(StorageClass, "storage.k8s.io", "v1", "StorageClass", "storageclasses");

/// Reads a claim's selector: none at all selects everything.
fn selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(Selector::everything());
    }
    Ok(Selector::from_label_selector(&value).unwrap_or_else(|_| Selector::nothing()))
}

fn storage(amounts: &BTreeMap<String, Value>) -> Option<Quantity> {
    amounts.get("storage")?.as_str()?.parse().ok()
}

fn mode(mode: &str) -> &str {
    if mode.is_empty() { "Filesystem" } else { mode }
}

impl PersistentVolume {
    /// Returns the class, empty for none.
    pub fn class(&self) -> &str {
        self.metadata.annotations.get(OLD_CLASS).map_or(&self.spec.storage_class_name, String::as_str)
    }

    /// Tells whether it is set aside for, or bound to, this very claim.
    pub fn is_for(&self, claim: &PersistentVolumeClaim) -> bool {
        self.spec.claim_ref.as_ref().is_some_and(|reference| {
            reference.name == claim.metadata.name
                && reference.namespace == claim.metadata.namespace
                && (reference.uid.is_empty() || reference.uid == claim.metadata.uid)
        })
    }

    /// Returns the size.
    pub fn size(&self) -> Option<Quantity> {
        storage(&self.spec.capacity)
    }
}

impl PersistentVolumeClaim {
    /// Returns the class, empty for none.
    pub fn class(&self) -> &str {
        let class = self.metadata.annotations.get(OLD_CLASS).or(self.spec.storage_class_name.as_ref());
        class.map_or("", String::as_str)
    }

    /// Returns how much is asked for.
    pub fn request(&self) -> Option<Quantity> {
        storage(&self.spec.resources.requests)
    }

    /// Returns how much it has.
    pub fn capacity(&self) -> Option<Quantity> {
        storage(&self.status.capacity)
    }

    /// Says why a volume cannot serve the claim; none if it can. Its size, class, mode and ways of mounting count.
    pub fn misfit(&self, volume: &PersistentVolume) -> Option<&'static str> {
        let asked = self.request().unwrap_or(Quantity::ZERO);
        let attributes = |name: &Option<String>| name.clone().unwrap_or_default();
        if volume.size().is_none_or(|size| size < asked) {
            Some("requested PV is too small")
        } else if volume.class() != self.class() {
            Some("storageClassName does not match")
        } else if attributes(&volume.spec.volume_attributes_class_name)
            != attributes(&self.spec.volume_attributes_class_name)
        {
            Some("volumeAttributesClassName does not match")
        } else if mode(&volume.spec.volume_mode) != mode(&self.spec.volume_mode) {
            Some("incompatible volumeMode")
        } else if !self.spec.access_modes.iter().all(|mode| volume.spec.access_modes.contains(mode)) {
            Some("incompatible accessMode")
        } else {
            None
        }
    }
}
