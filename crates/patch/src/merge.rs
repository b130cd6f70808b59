//! JSON merge patch (RFC 7386), applied and made.

use serde_json::{Map, Value};

/// Applies a merge patch.
pub fn merge_patch(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(map) = object else { return };
    for (key, value) in patch {
        match value {
            Value::Null => {
                map.remove(key);
            }
            Value::Object(_) => merge_patch(map.entry(key).or_insert(Value::Null), value),
            _ => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Makes the merge patch that turns `original` into `modified`.
pub fn create_merge_patch(original: &Value, modified: &Value) -> Value {
    match (original, modified) {
        (Value::Object(original), Value::Object(modified)) => Value::Object(diff(original, modified)),
        _ => modified.clone(),
    }
}

fn diff(original: &Map<String, Value>, modified: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in modified {
        match (original.get(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let inner = diff(old, new);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Some(old), new) if old == new => {}
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in original.keys().filter(|key| !modified.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// Makes the merge patch that brings `current` to `modified`, and deletes only what `original` (the last
/// applied configuration) had and `modified` has no more.
pub fn create_three_way_merge_patch(original: &Value, modified: &Value, current: &Value) -> Value {
    let additions = keep(create_merge_patch(current, modified), false);
    let mut patch = keep(create_merge_patch(original, modified), true).unwrap_or(Value::Object(Map::new()));
    if let Some(additions) = additions {
        overlay(&mut patch, additions);
    }
    patch
}

/// Keeps only the deletions of a patch, or only the rest; `None` where nothing is left.
fn keep(patch: Value, deletions: bool) -> Option<Value> {
    match patch {
        Value::Null => deletions.then_some(Value::Null),
        Value::Object(map) => {
            // An empty object that was added is an addition.
            if map.is_empty() {
                return (!deletions).then_some(Value::Object(map));
            }
            let kept: Map<String, Value> =
                map.into_iter().filter_map(|(key, value)| Some((key, keep(value, deletions)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => (!deletions).then_some(other),
    }
}

/// Lays one patch over another; nulls stay what they are.
fn overlay(patch: &mut Value, over: Value) {
    match (patch, over) {
        (Value::Object(map), Value::Object(over)) => {
            for (key, value) in over {
                match map.get_mut(&key) {
                    Some(slot) => overlay(slot, value),
                    None => {
                        map.insert(key, value);
                    }
                }
            }
        }
        (slot, over) => *slot = over,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn applies_as_the_rfc_says() {
        for (object, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [1, 2]}), json!([3]), json!([3])),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!("x"), json!({"a": 1}), json!({"a": 1})),
        ] {
            let mut patched = object.clone();
            merge_patch(&mut patched, &patch);
            assert_eq!(patched, expected, "{object} {patch}");
        }
    }

    #[test]
    fn makes_the_smallest_patch() {
        let original = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        let modified = json!({"a": 1, "b": {"c": 4}, "e": [1, 2], "f": {}});
        let patch = create_merge_patch(&original, &modified);
        assert_eq!(patch, json!({"b": {"c": 4, "d": null}, "e": [1, 2], "f": {}}));
        let mut patched = original;
        merge_patch(&mut patched, &patch);
        assert_eq!(patched, modified);
    }

    #[test]
    fn deletes_only_what_was_applied_before() {
        let original = json!({"a": 1, "gone": {"x": 1}, "spec": {"mine": 1, "kept": 2}});
        let modified = json!({"a": 1, "spec": {"kept": 2, "new": {"y": 1}}});
        let current = json!({"a": 5, "gone": {"x": 1}, "spec": {"mine": 1, "kept": 2, "theirs": 3}});
        assert_eq!(
            create_three_way_merge_patch(&original, &modified, &current),
            json!({"a": 1, "gone": null, "spec": {"mine": null, "new": {"y": 1}}})
        );
        assert_eq!(create_three_way_merge_patch(&modified, &modified, &modified), json!({}));
    }
}
