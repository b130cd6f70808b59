//! Merging by the built-in schema: three-way patches, and strategic merge patches applied to a copy.

use serde_json::{Map, Value, json};

/// The field that identifies items of a list that is merged item by item, as the API's schema declares it.
fn merge_key(kind: &str, path: &[&str], field: &str) -> Option<&'static str> {
    let parent = path.last().copied().unwrap_or("");
    Some(match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "schedulingGates"
        | "resourceClaims"
        | "secrets"
        | "webhooks"
        | "matchConditions" => "name",
        "variables" if parent == "spec" && kind.ends_with("AdmissionPolicy") => "name",
        "ports" if matches!(parent, "containers" | "initContainers" | "ephemeralContainers") => {
            "containerPort"
        }
        "ports" if path == ["spec"] && kind == "Service" => "port",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "hostAliases" | "podIPs" | "hostIPs" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "conditions" if parent == "status" => "type",
        "addresses" if kind == "Node" && parent == "status" => "type",
        "ownerReferences" if parent == "metadata" => "uid",
        "reservedFor" if parent == "status" => "uid",
        _ => return None,
    })
}

/// Lists of plain values that are merged as sets.
fn is_set(path: &[&str], field: &str) -> bool {
    field == "finalizers" && path == ["metadata"]
}

/// Objects of which the server must forget the fields that the patch does not name.
fn retains_keys(kind: &str, path: &[&str], field: &str) -> bool {
    matches!(field, "volumes" | "resourceClaims")
        || (kind == "Deployment" && path == ["spec"] && field == "strategy")
}

/// The strategic merge patch that brings what changed from `original` to `modified` into `current`.
pub fn three_way(original: &Value, modified: &Value, current: &Value) -> Value {
    let kind = modified["kind"].as_str().unwrap_or("");
    let empty = Map::new();
    let map = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let patch =
        diff(kind, &mut Vec::new(), &map(original), modified.as_object().unwrap_or(&empty), &map(current));
    Value::Object(patch)
}

/// Whether a patch changes nothing.
pub fn is_empty(patch: &Value) -> bool {
    patch.as_object().is_some_and(Map::is_empty)
}

fn diff<'a>(
    kind: &str,
    path: &mut Vec<&'a str>,
    original: &Map<String, Value>,
    modified: &'a Map<String, Value>,
    current: &Map<String, Value>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (field, new) in modified {
        let old = original.get(field).unwrap_or(&Value::Null);
        let Some(now) = current.get(field) else {
            if !new.is_null() {
                patch.insert(field.clone(), new.clone());
            }
            continue;
        };
        match (new, now) {
            (Value::Object(new_fields), Value::Object(now_fields)) => {
                let empty = Map::new();
                let retains = retains_keys(kind, path, field);
                path.push(field);
                let mut inner = diff(kind, path, old.as_object().unwrap_or(&empty), new_fields, now_fields);
                path.pop();
                if !inner.is_empty() {
                    if retains {
                        inner.insert("$retainKeys".into(), new_fields.keys().cloned().collect());
                    }
                    patch.insert(field.clone(), inner.into());
                }
            }
            (Value::Array(new_items), Value::Array(now_items)) => {
                let old_items = old.as_array().map(Vec::as_slice).unwrap_or_default();
                if let Some(key) = merge_key(kind, path, field) {
                    let retains = retains_keys(kind, path, field);
                    path.push(field);
                    let items = diff_list(kind, path, key, retains, old_items, new_items, now_items);
                    path.pop();
                    if !items.is_empty() {
                        let order = new_items.iter().map(|item| json!({key: item[key]})).collect::<Vec<_>>();
                        patch.insert(format!("$setElementOrder/{field}"), order.into());
                        patch.insert(field.clone(), items.into());
                    }
                } else if is_set(path, field) {
                    let added: Vec<Value> =
                        new_items.iter().filter(|item| !now_items.contains(item)).cloned().collect();
                    let removed: Vec<Value> = old_items
                        .iter()
                        .filter(|item| !new_items.contains(item) && now_items.contains(item))
                        .cloned()
                        .collect();
                    if !added.is_empty() {
                        patch.insert(field.clone(), added.into());
                    }
                    if !removed.is_empty() {
                        patch.insert(format!("$deleteFromPrimitiveList/{field}"), removed.into());
                    }
                } else if new != now {
                    patch.insert(field.clone(), new.clone());
                }
            }
            _ if new != now => {
                patch.insert(field.clone(), new.clone());
            }
            _ => {}
        }
    }
    for field in
        original.keys().filter(|field| !modified.contains_key(*field) && current.contains_key(*field))
    {
        patch.insert(field.clone(), Value::Null);
    }
    patch
}

fn diff_list<'a>(
    kind: &str,
    path: &mut Vec<&'a str>,
    key: &str,
    retains: bool,
    original: &[Value],
    modified: &'a [Value],
    current: &[Value],
) -> Vec<Value> {
    let empty = Map::new();
    let find = |items: &[Value], id: &Value| {
        items.iter().find(|item| item[key] == *id).and_then(Value::as_object).cloned()
    };
    let mut items = Vec::new();
    for item in modified {
        let Some(fields) = item.as_object() else { continue };
        let id = &item[key];
        let Some(now) = find(current, id) else {
            items.push(item.clone());
            continue;
        };
        let old = find(original, id).unwrap_or(empty.clone());
        let mut inner = diff(kind, path, &old, fields, &now);
        if !inner.is_empty() {
            if retains {
                inner.insert("$retainKeys".into(), fields.keys().cloned().collect());
            }
            inner.insert(key.to_string(), id.clone());
            items.push(inner.into());
        }
    }
    for item in original {
        let id = &item[key];
        if !modified.iter().any(|new| new[key] == *id) && current.iter().any(|now| now[key] == *id) {
            items.push(json!({key: id, "$patch": "delete"}));
        }
    }
    items
}

/// The JSON merge patch that brings what changed from `original` to `modified` into `current`.
pub fn three_way_json(original: &Value, modified: &Value, current: &Value) -> Value {
    let (Some(new), Some(now)) = (modified.as_object(), current.as_object()) else { return modified.clone() };
    let mut patch = Map::new();
    for (field, value) in new {
        match now.get(field) {
            Some(known) if known == value => {}
            Some(known) if known.is_object() && value.is_object() => {
                let inner = three_way_json(&original[field.as_str()], value, known);
                if !is_empty(&inner) {
                    patch.insert(field.clone(), inner);
                }
            }
            _ => {
                patch.insert(field.clone(), value.clone());
            }
        }
    }
    for field in original.as_object().into_iter().flat_map(|old| old.keys()) {
        if !new.contains_key(field) && now.contains_key(field) {
            patch.insert(field.clone(), Value::Null);
        }
    }
    Value::Object(patch)
}

/// A field that both the file and the server have changed since the last apply.
pub fn conflict(original: &Value, modified: &Value, current: &Value) -> Option<String> {
    let (old, new, now) = (original.as_object()?, modified.as_object()?, current.as_object()?);
    new.iter().find_map(|(field, value)| {
        let (was, is) = (old.get(field)?, now.get(field)?);
        match value.is_object() {
            true => conflict(was, value, is).map(|inner| format!("{field}.{inner}")),
            false => (was != value && was != is && value != is && !value.is_array()).then(|| field.clone()),
        }
    })
}

/// Applies a strategic merge patch to a copy.
pub fn apply(object: &Value, patch: &Value) -> Value {
    let kind = object["kind"].as_str().unwrap_or("").to_string();
    let mut object = object.clone();
    merge_into(&kind, &mut Vec::new(), &mut object, patch);
    object
}

fn merge_into<'a>(kind: &str, path: &mut Vec<&'a str>, object: &mut Value, patch: &'a Value) {
    let Some(changes) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if changes.get("$patch").is_some_and(|directive| directive == "replace") {
        *object = Value::Object(
            changes
                .iter()
                .filter(|(field, _)| *field != "$patch")
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        );
        return;
    }
    if !object.is_object() {
        *object = json!({});
    }
    for (field, change) in changes {
        if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(items) = object[list].as_array_mut() {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if field == "$retainKeys" {
            let kept = change.as_array().cloned().unwrap_or_default();
            if let Some(fields) = object.as_object_mut() {
                fields.retain(|name, _| kept.iter().any(|kept| kept == name));
            }
            continue;
        }
        if field.starts_with('$') {
            continue;
        }
        let key = merge_key(kind, path, field);
        match change {
            Value::Null => {
                if let Some(fields) = object.as_object_mut() {
                    fields.remove(field);
                }
            }
            Value::Object(_) => {
                path.push(field);
                merge_into(kind, path, &mut object[field.as_str()], change);
                path.pop();
            }
            Value::Array(items) if key.is_some() => {
                let mut list = object.get(field).cloned().unwrap_or_default();
                path.push(field);
                merge_list(kind, path, key.unwrap_or("name"), &mut list, items);
                path.pop();
                if !list.is_null() {
                    object[field.as_str()] = list;
                }
            }
            Value::Array(items) if is_set(path, field) && object[field.as_str()].is_array() => {
                if let Some(known) = object[field.as_str()].as_array_mut() {
                    for item in items {
                        if !known.contains(item) {
                            known.push(item.clone());
                        }
                    }
                }
            }
            other => object[field.as_str()] = other.clone(),
        }
    }
}

fn merge_list<'a>(kind: &str, path: &mut Vec<&'a str>, key: &str, list: &mut Value, changes: &'a [Value]) {
    if !list.is_array() {
        // Nothing to delete from: the list stays as absent as it was.
        if changes.iter().all(|change| change["$patch"] == "delete") {
            return;
        }
        *list = json!([]);
    }
    let Some(items) = list.as_array_mut() else { return };
    for change in changes {
        let at = items.iter().position(|item| item[key] == change[key]);
        match (change["$patch"].as_str(), at) {
            (Some("delete"), Some(at)) => {
                items.remove(at);
            }
            (Some("delete"), None) => {}
            (_, Some(at)) => merge_into(kind, path, &mut items[at], change),
            (_, None) => {
                let mut item = json!({});
                merge_into(kind, path, &mut item, change);
                items.push(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(containers: Value) -> Value {
        json!({"kind": "Deployment", "spec": {"replicas": 2, "template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn three_way_changes_only_what_the_file_changed() {
        let original = deployment(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
        let modified = deployment(json!([{"name": "a", "image": "2"}]));
        let current = json!({"kind": "Deployment", "spec": {"replicas": 2, "paused": false, "template": {"spec": {"dnsPolicy": "x",
            "containers": [{"name": "a", "image": "1", "pull": "Always"}, {"name": "b", "image": "1"}, {"name": "injected"}]}}}});
        let patch = three_way(&original, &modified, &current);
        assert_eq!(
            patch["spec"]["template"]["spec"]["containers"],
            json!([{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}])
        );
        let result = apply(&current, &patch);
        assert_eq!(
            result["spec"]["template"]["spec"]["containers"],
            json!([{"name": "a", "image": "2", "pull": "Always"}, {"name": "injected"}])
        );
        assert!(is_empty(&three_way(&modified, &modified, &result)));
    }

    #[test]
    fn fields_that_leave_the_file_are_removed_and_others_stay() {
        let original = json!({"kind": "ConfigMap", "data": {"a": "1", "b": "2"}});
        let modified = json!({"kind": "ConfigMap", "data": {"a": "1"}});
        let current = json!({"kind": "ConfigMap", "data": {"a": "1", "b": "2", "c": "3"}});
        assert_eq!(three_way(&original, &modified, &current), json!({"data": {"b": null}}));
        assert_eq!(three_way_json(&original, &modified, &current), json!({"data": {"b": null}}));
    }

    #[test]
    fn a_strategy_keeps_only_the_keys_of_the_file() {
        let original = json!({"kind": "Deployment", "spec": {}});
        let modified = json!({"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}});
        let current = json!({"kind": "Deployment", "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = three_way(&original, &modified, &current);
        assert_eq!(patch["spec"]["strategy"]["$retainKeys"], json!(["type"]));
        assert_eq!(apply(&current, &patch)["spec"]["strategy"], json!({"type": "Recreate"}));
    }

    #[test]
    fn service_ports_merge_by_port_and_policy_ports_do_not() {
        assert_eq!(merge_key("Service", &["spec"], "ports"), Some("port"));
        assert_eq!(merge_key("NetworkPolicy", &["spec", "ingress"], "ports"), None);
        assert_eq!(merge_key("Pod", &["spec", "containers"], "ports"), Some("containerPort"));
    }
}
