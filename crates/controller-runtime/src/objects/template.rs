//! A pod template, kept as the text it came in, with a digest to compare by.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The label by which a deployment tells its replica sets apart.
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// The template of the pods of a workload.
#[derive(Clone)]
pub struct Template {
    text: Box<RawValue>,
    digest: [u8; 16],
}

impl Template {
    /// Returns the template as a value.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.text.get()).unwrap_or_default()
    }

    /// Tells whether two templates make the same pods, the template hash label apart.
    pub fn is_same(&self, other: &Template) -> bool {
        self.digest == other.digest
    }

    /// Returns the short hash that names what is made from this template; `collisions` gives another one.
    pub fn hash(&self, collisions: Option<i32>) -> String {
        let mut bytes = self.digest.to_vec();
        if let Some(collisions) = collisions {
            bytes.extend(collisions.to_le_bytes());
        }
        apimachinery::hash::safe_encode(&apimachinery::hash::fnv32a(&bytes).to_string())
    }
}

impl From<&Value> for Template {
    fn from(value: &Value) -> Template {
        let text = RawValue::from_string(value.to_string()).unwrap_or_default();
        let mut value = value.clone();
        if let Some(labels) = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove(POD_TEMPLATE_HASH);
        }
        prune(&mut value);
        let hash = Sha256::digest(value.to_string().as_bytes());
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash[..16]);
        Template { text, digest }
    }
}

/// Removes what is the same as being absent, so that it makes no difference.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
            map.remove("creationTimestamp");
            for name in ["metadata", "labels", "annotations"] {
                if map.get(name).and_then(Value::as_object).is_some_and(|map| map.is_empty()) {
                    map.remove(name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Default for Template {
    fn default() -> Self {
        Template::from(&Value::Object(serde_json::Map::new()))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.get())
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Template::from(&value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_the_same_whatever_their_hash_label_and_empty_fields() {
        let plain =
            Template::from(&json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [1]}}));
        let labelled = json!({"metadata": {"labels": {"app": "web", "pod-template-hash": "x"},
            "creationTimestamp": null}, "spec": {"containers": [1], "volumes": []}});
        let labelled = Template::from(&labelled);
        assert!(plain.is_same(&labelled));
        assert_eq!(plain.hash(None), labelled.hash(None));
        assert_ne!(plain.hash(None), plain.hash(Some(1)));
        let other =
            Template::from(&json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [2]}}));
        assert!(!plain.is_same(&other));
        assert_eq!(labelled.value()["metadata"]["labels"]["pod-template-hash"], "x");
    }
}
