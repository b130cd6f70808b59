//! What may change in the template of a job that is there.

use serde_json::Value;

use super::status::is_true;
use crate::workload::SPEC;
use strategy::field::{Errors, IMMUTABLE};
use strategy::read::{Read, is_empty, same};
use strategy::write;

/// Validates the template against the one before: it stays, but that a suspended job of which nothing runs may be
/// told where its pods go and what they need.
pub(super) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    let (template, status) = (&new["spec"]["template"], &old["status"]);
    let mut before = old["spec"]["template"].clone();
    let is_open = old["spec"].flag("suspend") == Some(true)
        && (!status.has("startTime") || is_true(status, "Suspended"))
        && status.int("active").unwrap_or(0) == 0;
    let path = SPEC.child("template");
    if !is_open {
        errors.immutable(&path, template, &before);
        return;
    }
    let metadata = write::ensure(&mut before, "metadata");
    for key in ["labels", "annotations"] {
        write::copy(metadata, key, &template["metadata"]);
    }
    let pod = write::ensure(&mut before, "spec");
    for key in ["nodeSelector", "tolerations", "schedulingGates"] {
        write::copy(pod, key, &template["spec"]);
    }
    open_node_affinity(pod, &template["spec"]["affinity"]);
    for list in ["containers", "initContainers"] {
        let containers = template["spec"].items(list);
        if pod.items(list).len() != containers.len() {
            continue;
        }
        for (earlier, container) in write::items(pod, list).zip(containers) {
            if earlier["name"] == container["name"] {
                write::copy(earlier, "resources", container);
            }
        }
    }
    if !same(&template["metadata"], &before["metadata"]) {
        errors.invalid(&path, template.clone(), IMMUTABLE);
    }
    errors.immutable(&path.child("spec"), &template["spec"], &before["spec"]);
}

/// Puts the wanted affinity to nodes in the place of the one before; that to pods stays.
fn open_node_affinity(pod: &mut Value, wanted: &Value) {
    write::copy(write::ensure(pod, "affinity"), "nodeAffinity", wanted);
    if is_empty(&pod["affinity"]) {
        write::remove(pod, "affinity");
    }
}
