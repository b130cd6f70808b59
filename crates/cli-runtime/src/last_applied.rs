//! The annotation that keeps what was applied last.

use serde_json::{Value, json};

/// The annotation that keeps the applied configuration.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The configuration of an object as its annotation keeps it: the object without the annotation, as one line.
pub fn configuration(object: &Value) -> String {
    let mut object = object.clone();
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    }
    format!("{}\n", formats::json::compact(&object))
}

/// Records an object's configuration in its annotation, for a later apply.
pub fn record(object: &mut Value) {
    object["metadata"]["annotations"][LAST_APPLIED] = configuration(object).into();
}
