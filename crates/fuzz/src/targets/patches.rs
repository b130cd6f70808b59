//! Patches: a document, a zero byte, a patch.

use serde_json::{Value, json};

use super::{seeds, text};

/// The document and the patch; nothing where one is none.
fn pair(input: &[u8]) -> Option<(Value, Value)> {
    let at = input.iter().position(|byte| *byte == 0)?;
    Some((serde_json::from_slice(&input[..at]).ok()?, serde_json::from_slice(&input[at + 1..]).ok()?))
}

fn pairs(object: &Value, patches: &[Value]) -> Vec<Vec<u8>> {
    patches.iter().map(|patch| format!("{object}\0{patch}").into_bytes()).collect()
}

fn deployment() -> Value {
    json!({
        "metadata": {"name": "a", "labels": {"a": "b"}, "finalizers": ["x", "y"]},
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {"spec": {
                "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}, {"name": "d"}],
                "volumes": [{"name": "v", "emptyDir": {}}],
                "tolerations": [{"key": "k"}],
            }},
        },
    })
}

pub fn json_patches() -> Vec<Vec<u8>> {
    pairs(
        &deployment(),
        &[
            json!([{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "e"}}]),
            json!([{"op": "test", "path": "/metadata/name", "value": "a"}, {"op": "remove", "path": "/metadata/labels/a"}]),
            json!([{"op": "move", "from": "/metadata", "path": "/spec/x~1y"}, {"op": "copy", "from": "/spec", "path": "/spec/z"}]),
            json!([{"op": "replace", "path": "", "value": []}, {"op": "add", "path": "/0", "value": 1}]),
        ],
    )
}

pub fn json_patch(input: &[u8]) -> bool {
    let Some((mut object, patch)) = pair(input) else { return false };
    patch::json_patch(&mut object, &patch).is_ok()
}

pub fn merge_patches() -> Vec<Vec<u8>> {
    pairs(
        &deployment(),
        &[
            json!({"spec": {"template": null, "x": {"y": [1]}}}),
            json!([1]),
            json!({"metadata": {"labels": {"a": null}}}),
        ],
    )
}

pub fn merge_patch(input: &[u8]) -> bool {
    let Some((original, modified)) = pair(input) else { return false };
    let mut object = original.clone();
    patch::merge_patch(&mut object, &modified);
    // The difference of two documents makes the second of the first; a null cannot be written by a patch.
    if original.is_object() && object.is_object() {
        let difference = patch::create_merge_patch(&original, &object);
        let mut again = original.clone();
        patch::merge_patch(&mut again, &difference);
        if !has_null(&object) {
            assert_eq!(again, object);
        }
    }
    drop(patch::create_three_way_merge_patch(&original, &modified, &object));
    true
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}

pub fn strategic_patches() -> Vec<Vec<u8>> {
    pairs(
        &deployment(),
        &[
            json!({"spec": {"template": {"spec": {
                "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
                "containers": [{"name": "c", "$patch": "delete"}, {"name": "d", "image": "x"}],
            }}}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"], "$setElementOrder/finalizers": ["y"]}}),
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}, "$patch": "replace"}}),
            json!({"spec": {"template": {"spec": {"volumes": [{"$patch": "replace"}, {"name": "w"}], "tolerations": null}}}}),
            json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "$patch": "merge"}]}]}}}}),
        ],
    )
}

pub fn strategic_patch(input: &[u8]) -> bool {
    let Some((object, patch)) = pair(input) else { return false };
    let Some(ty) = schema::Type::named("io.k8s.api.apps.v1.Deployment") else { return false };
    let mut patched = object.clone();
    let result = patch::strategic_merge_patch(ty, &mut patched, patch.clone()).is_ok();
    drop(patch::create_two_way(ty, &object, &patch));
    drop(patch::create_three_way(ty, &object, &patch, &patched));
    result
}

pub fn managed() -> Vec<Vec<u8>> {
    seeds(&[
        r#"[{"manager":"m","operation":"Apply","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{}}}}}}]"#,
        r#"[{"manager":"m","operation":"Update","fieldsV1":{"f:a":{"v:\"x\"":{},"i:0":{}}},"subresource":"status"}]"#,
        "[]",
        r#"{"f:a":{"k:{\"b\":1,\"c\":[null]}":{}}}"#,
    ])
}

pub fn managed_fields(input: &[u8]) -> bool {
    let text = text(input);
    if let Ok(set) = managed_fields::set::Set::read(&text) {
        let mut written = String::new();
        set.write(&mut written);
        let again = managed_fields::set::Set::read(&written).expect("a set reads its own text");
        assert!(again.covers(&set) && set.covers(&again), "{written}");
        drop(set.paths());
        return true;
    }
    managed_fields::check(&text).is_ok()
}
