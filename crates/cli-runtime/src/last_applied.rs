//! The annotation that keeps what was applied last.

use apimachinery::ObjectExt as _;
use serde_json::Value;

/// The annotation that keeps the applied configuration.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The configuration of an object as its annotation keeps it: the object without the annotation, as one line.
pub fn configuration(object: &Value) -> String {
    let mut object = object.clone();
    object.map_at_mut(&["metadata", "annotations"]).remove(LAST_APPLIED);
    format!("{}\n", formats::json::compact(&object))
}

/// Records an object's configuration in its annotation, for a later apply.
pub fn record(object: &mut Value) {
    let configuration = configuration(object);
    object.set_at(&["metadata", "annotations", LAST_APPLIED], configuration.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_applied_is_noted_whatever_stood_there() {
        for metadata in [json!(null), json!("text"), json!({}), json!({"annotations": [1]})] {
            let mut object = json!({"kind": "ConfigMap", "metadata": metadata});
            record(&mut object);
            let noted = object["metadata"]["annotations"][LAST_APPLIED].clone();
            assert_eq!(noted, "{\"kind\":\"ConfigMap\",\"metadata\":{\"annotations\":{}}}\n");
        }
    }
}
