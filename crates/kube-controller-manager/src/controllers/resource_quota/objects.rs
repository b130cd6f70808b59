//! Quotas, whole; and of what they count, the parts that count.

use controller_runtime::resource;
use informer::{Identity, IdentityRef, Metadata, Object};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

/// A quota.
#[derive(Clone, Debug, Default)]
pub struct ResourceQuota {
    /// The metadata.
    pub metadata: Metadata,
    /// All of it, as its status is written back with.
    pub whole: Value,
}

impl<'de> Deserialize<'de> for ResourceQuota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Value::deserialize(deserializer)?;
        let metadata = Metadata::deserialize(&whole["metadata"]).map_err(D::Error::custom)?;
        Ok(ResourceQuota { metadata, whole })
    }
}

resource!(ResourceQuota, "", "v1", "ResourceQuota", "resourcequotas");

/// An object that quotas count.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    identity: Identity,
    /// What decides how much it uses, and whether a quota's scopes choose it.
    pub parts: Value,
}

impl Object for Counted {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

/// Fields of a `spec` that count; those of containers are cut down further.
const SPEC: [&str; 13] = [
    "activeDeadlineSeconds",
    "affinity",
    "allocateLoadBalancerNodePorts",
    "containers",
    "devices",
    "initContainers",
    "overhead",
    "ports",
    "priorityClassName",
    "resources",
    "storageClassName",
    "type",
    "volumeAttributesClassName",
];
const CONTAINER: [&str; 3] = ["name", "resources", "restartPolicy"];
/// When an object that is being deleted should have gone.
const END: [&str; 2] = ["deletionGracePeriodSeconds", "deletionTimestamp"];
const STATUS: [&str; 4] =
    ["allocatedResources", "currentVolumeAttributesClassName", "modifyVolumeStatus", "phase"];

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut whole = Value::deserialize(deserializer)?;
        let identity = Identity::deserialize(&whole["metadata"]).map_err(D::Error::custom)?;
        let mut parts = Map::new();
        // The annotation that once named a claim's class.
        let annotations = whole["metadata"]["annotations"].take();
        let mut metadata = Map::new();
        if let Some(class) = annotations.get("volume.beta.kubernetes.io/storage-class") {
            let annotations = serde_json::json!({"volume.beta.kubernetes.io/storage-class": class});
            metadata.insert("annotations".to_owned(), annotations);
        }
        for field in END {
            if let Some(value) = whole["metadata"].get(field).filter(|value| !value.is_null()) {
                metadata.insert(field.to_owned(), value.clone());
            }
        }
        if !metadata.is_empty() {
            parts.insert("metadata".to_owned(), Value::Object(metadata));
        }
        if let Value::Object(mut spec) = whole["spec"].take() {
            spec.retain(|name, _| SPEC.contains(&&**name));
            for list in ["containers", "initContainers"] {
                let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
                containers.filter_map(Value::as_object_mut).for_each(|container| {
                    container.retain(|name, _| CONTAINER.contains(&&**name));
                });
            }
            parts.insert("spec".to_owned(), Value::Object(spec));
        }
        if let Value::Object(mut status) = whole["status"].take() {
            status.retain(|name, value| STATUS.contains(&&**name) && !value.is_null());
            if !status.is_empty() {
                parts.insert("status".to_owned(), Value::Object(status));
            }
        }
        Ok(Counted { identity, parts: Value::Object(parts) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_counts_is_kept() {
        let pod = json!({"metadata": {"name": "p", "namespace": "a", "uid": "u", "resourceVersion": "1",
                "annotations": {"large": "x"}},
            "spec": {"nodeName": "w1", "priorityClassName": "high",
                "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Running", "podIP": "172.16.0.1"}});
        let counted: Counted = serde_json::from_value(pod).unwrap();
        assert_eq!(counted.key().as_str(), "a/p");
        assert_eq!(
            counted.parts,
            json!({"spec": {"priorityClassName": "high",
                    "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
                "status": {"phase": "Running"}})
        );
    }
}
