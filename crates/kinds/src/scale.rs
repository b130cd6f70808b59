//! The subresource `scale` of workloads: an autoscaling/v1 Scale read from the object and written back.

use apimachinery::ObjectExt;
use apimachinery::labels::Selector;
use apimachinery::status::FieldError;
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;

/// The Scale of a Deployment, ReplicaSet, StatefulSet or ReplicationController.
pub fn of(object: &Value) -> Value {
    let mut metadata = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if object["metadata"].has(key) {
            metadata[key] = object["metadata"][key].clone();
        }
    }
    let mut spec = json!({});
    let replicas = object["spec"].int("replicas").unwrap_or(0);
    if replicas != 0 {
        spec["replicas"] = json!(replicas);
    }
    let mut status = json!({"replicas": object["status"].int("replicas").unwrap_or(0)});
    let selector = selector_text(&object["spec"]["selector"]);
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec, "status": status})
}

/// Writes the wanted replicas of a Scale into the object, whose own update rules run afterwards.
pub fn apply(object: &mut Value, scale: &Value) {
    let replicas = scale["spec"].int("replicas").unwrap_or(0);
    write::set(write::ensure(object, "spec"), "replicas", replicas);
    let version = scale.resource_version();
    if !version.is_empty() {
        write::set(write::ensure(object, "metadata"), "resourceVersion", version);
    }
}

/// The errors of a Scale.
pub fn validate(scale: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    if let Some(replicas) = scale["spec"].int("replicas").filter(|replicas| *replicas < 0) {
        errors.invalid(&Path::root("spec.replicas"), replicas, "must be greater than or equal to 0");
    }
    errors.into_vec()
}

/// A selector of either form, a LabelSelector or a plain map, in text.
fn selector_text(selector: &Value) -> String {
    if selector.has("matchLabels") || selector.has("matchExpressions") {
        return Selector::from_label_selector(selector)
            .map(|selector| selector.to_string())
            .unwrap_or_default();
    }
    let pairs = selector.as_object().into_iter().flatten();
    Selector::from_pairs(pairs.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_round_trips() {
        let mut object = json!({"metadata": {"name": "web", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}}, "status": {"replicas": 2}});
        let mut scale = of(&object);
        assert_eq!(
            scale,
            json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "resourceVersion": "7"},
                   "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "app=web"}})
        );
        scale["spec"] = json!({});
        apply(&mut object, &scale);
        assert_eq!(object["spec"]["replicas"], 0);
        assert_eq!(validate(&json!({"spec": {"replicas": -1}})).len(), 1);
        assert_eq!(
            of(&json!({"spec": {"selector": {"app": "web", "b": "c"}}}))["status"]["selector"],
            "app=web,b=c"
        );
    }
}
