//! Binding a pod to a node: `pods/binding`, and the older `bindings`.

use std::sync::Arc;

use admission::Operation;
use apimachinery::{ObjectExt, Status, time};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use storage::{Change, Object};

use super::call::Call;
use super::write;
use crate::http::input::Encoding;
use crate::http::{Response, response};
use crate::refusal::Refusal;
use crate::registry::Entry;

/// Binds the pod that the path or the binding names.
pub async fn bind(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let dry_run = call.dry_run()?;
    let expected = if call.info.subresource.is_empty() {
        write::Expected::own(call)
    } else {
        write::Expected::sub(call)?
    };
    let mut binding = write::decode(call, &body, encoding, &expected)?;
    write::adopt_namespace(call, &mut binding)?;
    let name = if call.info.name.is_empty() { binding.name().to_owned() } else { call.info.name.clone() };
    if binding.name() != name && !binding.name().is_empty() {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let pods = call.server.registry.stored("", "pods").ok_or_else(Status::no_such_resource)?;
    let attributes = write::attributes(call, Operation::Create, "Binding", &name, dry_run);
    let view = call.server.view();
    call.warn(call.server.admission.admit(&attributes, &mut binding, None, &view)?);
    call.warn(call.server.admission.validate(&attributes, &binding, None, &view)?);
    let key = pods.key(&call.info.namespace, &name);
    let decide = |current: Option<&Arc<Object>>| decide(&pods, &name, &binding, dry_run, current);
    let result = call.server.store.update::<Refusal, _>(pods.cache(), &key, None, decide).await;
    match result {
        Ok(_) => {
            let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
            Ok(response::value(StatusCode::CREATED, &status, &call.form))
        }
        Err(refusal) => Err(refusal.into_status(&pods, &name)),
    }
}

fn decide(
    pods: &Entry,
    name: &str,
    binding: &Value,
    dry_run: bool,
    current: Option<&Arc<Object>>,
) -> Result<Change, Refusal> {
    let current = current.ok_or_else(|| Status::not_found("", "pods", name))?;
    let mut pod = current.value().map_err(Status::internal)?;
    pods.strategy.default(&mut pod);
    assign(&mut pod, name, binding)?;
    if dry_run {
        return Ok(Change::Keep);
    }
    Ok(Change::Write(write::stored_bytes(&mut pod)?))
}

/// Puts the pod on the binding's node.
fn assign(pod: &mut Value, name: &str, binding: &Value) -> Result<(), Status> {
    let conflict = |why: String| Status::conflict("", "pods/binding", name, &why);
    let target = binding.at(&["target", "name"]).and_then(Value::as_str).unwrap_or_default();
    let kind = binding.at(&["target", "kind"]).and_then(Value::as_str).unwrap_or_default();
    let mut errors = Vec::new();
    if !matches!(kind, "" | "Node") {
        errors.push(apimachinery::FieldError::not_supported("target.kind", kind, &["Node", "<empty>"]));
    }
    if target.is_empty() {
        errors.push(apimachinery::FieldError::required("target.name", ""));
    }
    if !errors.is_empty() {
        return Err(Status::invalid("", "Binding", name, errors));
    }
    let (uid, version) = (binding.uid(), binding.resource_version());
    if !uid.is_empty() && uid != pod.uid() {
        return Err(conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            pod.uid()
        )));
    }
    if !version.is_empty() && version != pod.resource_version() {
        return Err(conflict(format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
            pod.resource_version()
        )));
    }
    if pod.deletion_timestamp().is_some() {
        return Err(conflict(format!("pod {name} is being deleted, cannot be assigned to a host")));
    }
    let node = pod.at(&["spec", "nodeName"]).and_then(Value::as_str).unwrap_or_default();
    if !node.is_empty() {
        return Err(conflict(format!("pod {name} is already assigned to node {node:?}")));
    }
    let gates = pod.at(&["spec", "schedulingGates"]).and_then(Value::as_array);
    if gates.is_some_and(|gates| !gates.is_empty()) {
        return Err(conflict(format!("pod {name} has non-empty .spec.schedulingGates")));
    }
    pod.set_at(&["spec", "nodeName"], target.into());
    let annotations: Vec<(String, String)> =
        binding.annotations().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for (key, value) in annotations {
        pod.set_at(&["metadata", "annotations", &key], value.into());
    }
    let labels: Vec<(String, String)> =
        binding.labels().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for (key, value) in labels {
        pod.set_at(&["metadata", "labels", &key], value.into());
    }
    set_scheduled(pod);
    Ok(())
}

fn set_scheduled(pod: &mut Value) {
    let mut condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::now_rfc3339(),
    });
    if let Some(generation) = pod.at(&["metadata", "generation"]).and_then(Value::as_i64) {
        condition["observedGeneration"] = generation.into();
    }
    let status = pod.map_at_mut(&["status"]);
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = conditions.as_array_mut() else { return };
    match list.iter_mut().find(|known| known["type"] == "PodScheduled") {
        Some(known) if known["status"] == "True" => {}
        Some(known) => *known = condition,
        None => list.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(pod: Value, binding: Value) -> Result<Value, String> {
        let mut pod = pod;
        assign(&mut pod, "web", &binding).map(|()| pod).map_err(|status| status.message)
    }

    #[test]
    fn a_pod_is_bound_once() {
        let binding = json!({"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "w1"}});
        let bound =
            bind(json!({"metadata": {"name": "web", "uid": "u"}, "spec": {}}), binding.clone()).unwrap();
        assert_eq!(bound["spec"]["nodeName"], "w1");
        assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
        assert_eq!(
            bind(bound, binding).unwrap_err(),
            "Operation cannot be fulfilled on pods/binding \"web\": pod web is already assigned to node \"w1\""
        );
    }

    #[test]
    fn a_dying_or_gated_pod_is_not_bound() {
        let binding = json!({"target": {"name": "w1"}});
        let dying =
            json!({"metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}});
        assert!(
            bind(dying, binding.clone())
                .unwrap_err()
                .contains("is being deleted, cannot be assigned to a host")
        );
        let gated = json!({"metadata": {"name": "web"}, "spec": {"schedulingGates": [{"name": "x"}]}});
        assert!(bind(gated, binding).unwrap_err().contains("has non-empty .spec.schedulingGates"));
        assert!(bind(json!({"spec": {}}), json!({})).unwrap_err().contains("target.name: Required value"));
    }
}
