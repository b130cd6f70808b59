//! The pods of a stateful set and their claims: what makes each of them itself.

use controller_runtime::objects::stateful_set::StatefulSet;
use controller_runtime::ownership::controller_reference;
use serde_json::{Map, Value, json};

use super::REVISION;
use crate::pods::{Name, from_template};

/// Returns the labels that tell a pod from its siblings.
pub fn identity(set: &StatefulSet, pod_name: &str) -> Value {
    let mut labels = json!({"statefulset.kubernetes.io/pod-name": pod_name});
    if let Some(ordinal) = set.ordinal(pod_name) {
        labels["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
    }
    labels
}

/// Makes the pod of a number.
pub fn object(set: &StatefulSet, template: &Value, revision: &str, ordinal: i32) -> Value {
    let name = set.pod_name(ordinal);
    let namespace = &set.metadata.namespace;
    let mut pod = from_template(template, &controller_reference(set), namespace, Name::Exact(&name));
    for (key, value) in identity(set, &name).as_object().into_iter().flatten() {
        pod["metadata"]["labels"][key] = value.clone();
    }
    pod["metadata"]["labels"][REVISION] = revision.into();
    let spec = &mut pod["spec"];
    spec["hostname"] = name.into();
    spec["subdomain"] = set.spec.service_name.clone().into();
    let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    for template in &set.spec.volume_claim_templates {
        let volume_name = &template["metadata"]["name"];
        volumes.retain(|volume| volume["name"] != *volume_name);
        let claim = json!({"claimName": claim_name(set, template, ordinal)});
        volumes.push(json!({"name": volume_name, "persistentVolumeClaim": claim}));
    }
    if !volumes.is_empty() {
        spec["volumes"] = volumes.into();
    }
    pod
}

/// Returns the name of the claim of a number.
pub fn claim_name(set: &StatefulSet, template: &Value, ordinal: i32) -> String {
    let template = template["metadata"]["name"].as_str().unwrap_or_default();
    format!("{template}-{}", set.pod_name(ordinal))
}

/// Makes the claims of a number.
pub fn claims(set: &StatefulSet, ordinal: i32) -> Vec<Value> {
    let retention = set.spec.persistent_volume_claim_retention_policy.as_ref();
    let goes_with_set = retention.is_some_and(|retention| retention.when_deleted == "Delete");
    let make = |template: &Value| {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), claim_name(set, template, ordinal).into());
        metadata.insert("namespace".to_owned(), set.metadata.namespace.clone().into());
        let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        for requirement in &set.spec.selector.requirements {
            if let (apimachinery::labels::Operator::Equals, [value]) =
                (requirement.operator, &*requirement.values)
            {
                labels.insert(requirement.key.clone(), value.clone().into());
            }
        }
        metadata.insert("labels".to_owned(), labels.into());
        if let Some(annotations) = template["metadata"].get("annotations") {
            metadata.insert("annotations".to_owned(), annotations.clone());
        }
        if goes_with_set {
            let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": set.metadata.name,
                "uid": set.metadata.uid});
            metadata.insert("ownerReferences".to_owned(), json!([owner]));
        }
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]})
    };
    set.spec.volume_claim_templates.iter().map(make).collect()
}
