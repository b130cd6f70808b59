//! What a kustomization changes in every object: namespace, labels, annotations, replicas, images.

use apimachinery::object::ObjectExt;
use schema::catalogue;
use serde_json::Value;

/// Gives an object the kustomization's namespace, labels, annotations, replicas and images.
pub fn transform(config: &Value, object: &mut Value) {
    let kind = object.kind().to_string();
    if let Some(namespace) = config["namespace"].as_str() {
        if kind == "Namespace" {
            object.set_at(&["metadata", "name"], namespace.into());
        } else if is_namespaced(object) {
            object.set_at(&["metadata", "namespace"], namespace.into());
        }
        for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
            if subject["kind"] == "ServiceAccount" {
                subject["namespace"] = namespace.into();
            }
        }
    }
    let template = |kind: &str| {
        matches!(
            kind,
            "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" | "Job" | "ReplicationController"
        )
    };
    let mut label = |labels: &Value, selectors: bool, templates: bool| {
        for (key, value) in labels.as_object().into_iter().flatten() {
            object.set_at(&["metadata", "labels", key], value.clone());
            if templates && template(&kind) {
                object.set_at(&["spec", "template", "metadata", "labels", key], value.clone());
            }
            if selectors && template(&kind) && kind != "Job" {
                object.set_at(&["spec", "selector", "matchLabels", key], value.clone());
            }
            if selectors && kind == "Service" && object["spec"]["selector"].is_object() {
                object["spec"]["selector"][key] = value.clone();
            }
        }
    };
    label(&config["commonLabels"], true, true);
    for entry in config.list_at(&["labels"]) {
        let selectors = entry["includeSelectors"] == true;
        label(&entry["pairs"], selectors, selectors || entry["includeTemplates"] == true);
    }
    for (key, value) in config["commonAnnotations"].as_object().into_iter().flatten() {
        object.set_at(&["metadata", "annotations", key], value.clone());
        if template(&kind) {
            object.set_at(&["spec", "template", "metadata", "annotations", key], value.clone());
        }
    }
    for entry in config.list_at(&["replicas"]) {
        if entry["name"] == object.name()
            && matches!(kind.as_str(), "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController")
        {
            object.set_at(&["spec", "replicas"], entry["count"].clone());
        }
    }
    images(object, config.list_at(&["images"]));
}

/// A kind that is not built in counts as namespaced.
fn is_namespaced(object: &Value) -> bool {
    let (group, version) = object.api_version().split_once('/').unwrap_or(("", object.api_version()));
    catalogue().by_kind(group, version, object.kind()).is_none_or(|resource| resource.namespaced)
}

fn images(value: &mut Value, changes: &[Value]) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields.iter_mut() {
                if matches!(field.as_str(), "containers" | "initContainers") {
                    for container in inner.as_array_mut().into_iter().flatten() {
                        if let Some(image) = container["image"].as_str() {
                            container["image"] = changed_image(image, changes).into();
                        }
                    }
                } else {
                    images(inner, changes);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| images(item, changes)),
        _ => {}
    }
}

fn changed_image(image: &str, changes: &[Value]) -> String {
    let (base, digest) = image.split_once('@').map_or((image, None), |(base, digest)| (base, Some(digest)));
    let (name, tag) = match base.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (base, None),
    };
    let Some(change) = changes.iter().find(|change| change["name"] == name) else { return image.to_string() };
    let new = change["newName"].as_str().unwrap_or(name);
    match (change["digest"].as_str(), change["newTag"].as_str(), digest, tag) {
        (Some(digest), ..) => format!("{new}@{digest}"),
        (None, Some(tag), ..) => format!("{new}:{tag}"),
        (None, None, Some(digest), _) => format!("{new}@{digest}"),
        (None, None, None, Some(tag)) => format!("{new}:{tag}"),
        _ => new.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_map_where_one_belongs_becomes_one() {
        let config = json!({
            "namespace": "n", "commonLabels": {"a": "b"}, "commonAnnotations": {"x": "y"},
            "labels": [{"pairs": {"c": "d"}, "includeSelectors": true}],
            "replicas": [{"name": "web", "count": 3}, {"name": "", "count": 4}],
        });
        for odd in [json!(null), json!("text"), json!(7), json!([1]), json!({})] {
            for kind in ["Deployment", "Job", "Service", "Namespace"] {
                for object in [
                    odd.clone(),
                    json!({"kind": kind, "metadata": odd, "spec": odd}),
                    json!({"kind": kind, "metadata": {"name": "web", "labels": odd, "annotations": odd},
                        "spec": {"selector": odd, "template": odd}, "subjects": [odd]}),
                ] {
                    let mut made = object.clone();
                    transform(&config, &mut made);
                    assert_eq!(made["metadata"]["labels"]["c"], "d", "{object}");
                    assert_eq!(made["metadata"]["annotations"]["x"], "y", "{object}");
                }
            }
        }
    }
}
