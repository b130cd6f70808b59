//! The pod of a daemon set on one node: pinned there by affinity, so that the scheduler still has its say.

use controller_runtime::objects::daemon_set::DaemonSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use super::HASH;
use super::placement::added_tolerations;
use crate::pods::{Name, from_template};

/// The annotation and the label with the number of the template in older versions of the API.
const GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";
const GENERATION_LABEL: &str = "pod-template-generation";

/// Makes a pod.
pub fn object(set: &DaemonSet, template: &Value, owner: &OwnerReference, node: &str, hash: &str) -> Value {
    let metadata = &set.metadata;
    let mut pod = from_template(template, owner, &metadata.namespace, Name::Generated(&metadata.name));
    pod["metadata"]["labels"][HASH] = hash.into();
    if let Some(generation) = metadata.annotations.get(GENERATION_ANNOTATION) {
        pod["metadata"]["labels"][GENERATION_LABEL] = generation.clone().into();
    }
    let spec = &mut pod["spec"];
    // In place of the template's own terms, which were checked for this very node.
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]});
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for toleration in added_tolerations(spec["hostNetwork"] == true) {
        let toleration = json!(toleration);
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    spec["tolerations"] = tolerations.into();
    pod
}
