//! Binding a pod to a node, as the scheduler asks for it (`pods/binding`, `bindings`).

use apimachinery::ObjectExt;
use apimachinery::status::{FieldError, Status};
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;

/// The errors of a Binding object.
pub fn validate(binding: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    let target = &binding["target"];
    let path = Path::root("target");
    if !matches!(target.text("kind"), "" | "Node") {
        errors.unsupported(&path.child("kind"), target.text("kind"), &["Node", "<empty>"]);
    }
    if target.text("name").is_empty() {
        errors.required(&path.child("name"), "");
    }
    errors.into_vec()
}

/// Gives the pod its node; `now` is when the pod became scheduled, in RFC 3339.
pub fn bind(pod: &mut Value, binding: &Value, now: &str) -> Result<(), Status> {
    let name = pod.name().to_owned();
    let conflict = |why: String| Err(Status::conflict("", "pods/binding", &name, &why));
    let wanted = binding.uid();
    if !wanted.is_empty() && wanted != pod.uid() {
        return conflict(format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
            pod.uid()
        ));
    }
    let version = binding.resource_version();
    if !version.is_empty() && version != pod.resource_version() {
        return conflict(format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
            pod.resource_version()
        ));
    }
    if pod.deletion_timestamp().is_some() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let node = pod["spec"].text("nodeName");
    if !node.is_empty() {
        return conflict(format!("pod {name} is already assigned to node {node:?}"));
    }
    if !pod["spec"].items("schedulingGates").is_empty() {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    write::set(write::ensure(pod, "spec"), "nodeName", binding["target"].text("name"));
    let metadata = write::ensure(pod, "metadata");
    for (name, value) in binding["metadata"].entries("annotations") {
        write::set(write::ensure(metadata, "annotations"), name, value.clone());
    }
    // A label that the pod has already stays as it is.
    for (name, value) in binding["metadata"].entries("labels") {
        write::missing(write::ensure(metadata, "labels"), name, value.clone());
    }
    let status = write::ensure(pod, "status");
    write::remove(status, "nominatedNodeName");
    let mut condition = json!({"type": "PodScheduled", "status": "True"});
    let generation = pod["metadata"].int("generation");
    if let Some(generation) = generation {
        condition["observedGeneration"] = json!(generation);
    }
    set_condition(pod, condition, now);
    Ok(())
}

/// Puts a condition into a pod's status; the time of its transition moves only when its status changes.
pub fn set_condition(pod: &mut Value, mut condition: Value, now: &str) {
    let status = write::ensure(pod, "status");
    let before = status
        .items("conditions")
        .iter()
        .find(|other| other.text("type") == condition.text("type"))
        .filter(|other| other.text("status") == condition.text("status"));
    let since = before.map_or(json!(now), |other| other["lastTransitionTime"].clone());
    condition["lastTransitionTime"] = since;
    write::missing(&mut condition, "lastProbeTime", Value::Null);
    write::missing(status, "conditions", json!([]));
    let Some(Value::Array(conditions)) = status.get_mut("conditions") else { return };
    match conditions.iter_mut().find(|other| other.text("type") == condition.text("type")) {
        Some(other) => *other = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_bound_once() {
        let mut pod = json!({"metadata": {"name": "web", "uid": "1", "annotations": {"a": "a"}, "labels": {"a": "a"}}, "spec": {}, "status": {"phase": "Pending"}});
        let binding = json!({"metadata": {"annotations": {"a": "b"}, "labels": {"a": "b", "c": "d"}}, "target": {"kind": "Node", "name": "w1"}});
        assert!(validate(&binding).is_empty());
        bind(&mut pod, &binding, "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(pod["spec"]["nodeName"], "w1");
        assert_eq!(pod["metadata"]["annotations"]["a"], "b");
        assert_eq!(pod["metadata"]["labels"], json!({"a": "a", "c": "d"}));
        assert_eq!(pod["status"]["conditions"][0]["status"], "True");
        let refused = bind(&mut pod, &binding, "2026-01-01T00:00:00Z").unwrap_err();
        assert_eq!(refused.code, 409);
        assert_eq!(
            refused.message,
            "Operation cannot be fulfilled on pods/binding \"web\": pod web is already assigned to node \"w1\""
        );
    }

    #[test]
    fn another_pod_of_the_same_name_is_not_bound() {
        let mut pod = json!({"metadata": {"name": "web", "uid": "1"}, "spec": {}});
        let binding = json!({"metadata": {"uid": "2"}, "target": {"name": "w1"}});
        assert_eq!(bind(&mut pod, &binding, "").unwrap_err().code, 409);
        assert!(pod["spec"].text("nodeName").is_empty());
    }

    #[test]
    fn a_dying_or_gated_pod_is_not_bound() {
        let to = json!({"target": {"name": "w1"}});
        let mut dying = json!({"metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let mut gated = json!({"metadata": {"name": "web"}, "spec": {"schedulingGates": [{"name": "x"}]}});
        let said = |pod: &mut Value| bind(pod, &to, "").unwrap_err().message;
        assert!(said(&mut dying).contains("is being deleted, cannot be assigned to a host"));
        assert!(said(&mut gated).contains("has non-empty .spec.schedulingGates"));
        assert_eq!(validate(&json!({}))[0].field, "target.name");
    }
}
