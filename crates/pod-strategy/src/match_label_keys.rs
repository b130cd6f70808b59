//! `matchLabelKeys` of affinity and spreading, turned into requirements on the pod's own labels at creation.

use serde_json::{Value, json};

use strategy::read::Read;
use strategy::write;

/// Adds the requirements to every term that names label keys.
pub fn merge(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].clone();
    let Some(spec) = write::object(pod, "spec") else { return };
    for constraint in write::items(spec, "topologySpreadConstraints") {
        merge_term(constraint, &labels);
    }
    let Some(affinity) = write::object(spec, "affinity") else { return };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = write::object(affinity, kind) else { continue };
        for term in write::items(affinity, "requiredDuringSchedulingIgnoredDuringExecution") {
            merge_term(term, &labels);
        }
        for term in write::items(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = write::object(term, "podAffinityTerm") {
                merge_term(term, &labels);
            }
        }
    }
}

fn merge_term(term: &mut Value, labels: &Value) {
    if !term["labelSelector"].is_object() {
        return;
    }
    let mut added = Vec::new();
    for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in term.items(list).iter().filter_map(Value::as_str) {
            if let Some(value) = labels.get(key) {
                added.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    if added.is_empty() {
        return;
    }
    let selector = write::ensure(term, "labelSelector");
    write::missing(selector, "matchExpressions", json!([]));
    if let Some(Value::Array(expressions)) = selector.get_mut("matchExpressions") {
        expressions.extend(added);
    }
}
