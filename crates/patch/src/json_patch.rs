//! RFC 6902, with upstream's limits and wording.

use apimachinery::go::misfit;
use serde_json::Value;

use crate::PatchError;

/// Upstream takes no more operations in one patch.
pub const MOST_OPERATIONS: usize = 10_000;

/// What all copy operations of one patch may add together, upstream's limit of a request body.
const MOST_COPIED: usize = 3 * 1024 * 1024;

/// Applies the operations in order; after an error the object is half changed and must be thrown away.
pub fn json_patch(object: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Malformed(misfit(patch, "jsonpatch.Patch")));
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut copied = 0;
    operations.iter().try_for_each(|operation| apply(object, operation, &mut copied))
}

fn apply(object: &mut Value, operation: &Value, copied: &mut usize) -> Result<(), PatchError> {
    let kind = operation["op"].as_str().unwrap_or_default();
    let path = pointer(operation, "path")?;
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    match kind {
        "add" => add(object, path, value()),
        "remove" => remove(object, path, "remove").map(|_| ()),
        "replace" => {
            let slot = find(object, path).ok_or_else(|| missing("replace", path))?;
            *slot = value();
            Ok(())
        }
        "move" => {
            let from = pointer(operation, "from")?;
            let moved = remove(object, from, "move")?;
            add(object, path, moved)
        }
        "copy" => {
            let from = pointer(operation, "from")?;
            let copy = find(object, from).ok_or_else(|| missing("copy", from))?.clone();
            *copied += serde_json::to_vec(&copy).map_or(0, |bytes| bytes.len());
            if *copied > MOST_COPIED {
                return Err(PatchError::Unprocessable(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MOST_COPIED}"
                )));
            }
            add(object, path, copy)
        }
        "test" => match find(object, path) {
            Some(found) if *found == value() => Ok(()),
            None if operation.get("value").is_none_or(Value::is_null) => Ok(()),
            _ => Err(PatchError::Unprocessable(format!("testing value {path} failed: test failed"))),
        },
        _ => Err(PatchError::Unprocessable(format!("Unexpected kind: {kind}"))),
    }
}

fn pointer<'o>(operation: &'o Value, field: &str) -> Result<&'o str, PatchError> {
    operation[field]
        .as_str()
        .ok_or_else(|| PatchError::Unprocessable(format!("operation missing {field} field: missing value")))
}

fn missing(operation: &str, path: &str) -> PatchError {
    PatchError::Unprocessable(format!(
        "{operation} operation does not apply: doc is missing path: \"{path}\": missing value"
    ))
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Splits a pointer into the pointer of the parent and the last token.
fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, unescape(last)))
}

/// Reads an index; a negative one counts from the end, as upstream's library allows.
fn index(token: &str, length: usize) -> Option<usize> {
    match token.strip_prefix('-') {
        Some(back) => length.checked_sub(back.parse::<usize>().ok().filter(|back| *back > 0)?),
        None => token.parse().ok(),
    }
}

fn find<'v>(object: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    if path.is_empty() {
        return Some(object);
    }
    path.strip_prefix('/')?.split('/').try_fold(object, |value, token| match value {
        Value::Object(map) => map.get_mut(&unescape(token)),
        Value::Array(items) => {
            let at = index(token, items.len())?;
            items.get_mut(at)
        }
        _ => None,
    })
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), PatchError> {
    if path.is_empty() {
        *object = value;
        return Ok(());
    }
    let (parent, last) = split(path).ok_or_else(|| missing("add", path))?;
    match find(object, parent) {
        Some(Value::Object(map)) => {
            map.insert(last, value);
            Ok(())
        }
        Some(Value::Array(items)) if last == "-" => {
            items.push(value);
            Ok(())
        }
        Some(Value::Array(items)) => match index(&last, items.len() + 1).filter(|at| *at <= items.len()) {
            Some(at) => {
                items.insert(at, value);
                Ok(())
            }
            None => Err(PatchError::Unprocessable(format!(
                "error in add for path: '{path}': Unable to access invalid index: {last}: invalid index referenced"
            ))),
        },
        _ => Err(missing("add", path)),
    }
}

fn remove(object: &mut Value, path: &str, operation: &str) -> Result<Value, PatchError> {
    let (parent, last) = split(path).ok_or_else(|| missing(operation, path))?;
    match find(object, parent) {
        Some(Value::Object(map)) => map.remove(&last).ok_or_else(|| {
            PatchError::Unprocessable(format!(
                "error in {operation} for path: '{path}': Unable to remove nonexistent key: {last}: missing value"
            ))
        }),
        Some(Value::Array(items)) => match index(&last, items.len()).filter(|at| *at < items.len()) {
            Some(at) => Ok(items.remove(at)),
            None => Err(PatchError::Unprocessable(format!(
                "error in {operation} for path: '{path}': Unable to access invalid index: {last}: invalid index referenced"
            ))),
        },
        _ => Err(missing(operation, path)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(object: Value, patch: Value, expected: Result<Value, &str>) {
        let mut patched = object;
        let result = json_patch(&mut patched, &patch).map(|()| patched);
        assert_eq!(result.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{patch}");
    }

    #[test]
    fn applies_each_operation() {
        let object = || json!({"a": {"b": [1, 2]}, "x/y": 1});
        for (patch, expected) in [
            (json!({"op": "add", "path": "/a/c", "value": 3}), json!({"a": {"b": [1, 2], "c": 3}, "x/y": 1})),
            (json!({"op": "add", "path": "/a/b/-", "value": 3}), json!({"a": {"b": [1, 2, 3]}, "x/y": 1})),
            (json!({"op": "add", "path": "/a/b/0", "value": 0}), json!({"a": {"b": [0, 1, 2]}, "x/y": 1})),
            (json!({"op": "remove", "path": "/x~1y"}), json!({"a": {"b": [1, 2]}})),
            (json!({"op": "replace", "path": "/a/b/1", "value": 9}), json!({"a": {"b": [1, 9]}, "x/y": 1})),
            (json!({"op": "move", "from": "/a/b", "path": "/d"}), json!({"a": {}, "d": [1, 2], "x/y": 1})),
            (
                json!({"op": "copy", "from": "/x~1y", "path": "/a/b/0"}),
                json!({"a": {"b": [1, 1, 2]}, "x/y": 1}),
            ),
            (json!({"op": "test", "path": "/a/b/0", "value": 1}), object()),
            (json!({"op": "test", "path": "/a/b/-1", "value": 2}), object()),
            (json!({"op": "test", "path": "/none", "value": null}), object()),
            (json!({"op": "test", "path": "/none"}), object()),
            (json!({"op": "replace", "path": "/a/b/-2", "value": 9}), json!({"a": {"b": [9, 2]}, "x/y": 1})),
            (json!({"op": "add", "path": "", "value": {"all": "new"}}), json!({"all": "new"})),
        ] {
            check(object(), json!([patch]), Ok(expected));
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for (patch, expected) in [
            (json!([{"op": "test", "path": "/a", "value": 2}]), "testing value /a failed: test failed"),
            (
                json!([{"op": "remove", "path": "/b"}]),
                "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value",
            ),
            (
                json!([{"op": "replace", "path": "/b/c", "value": 1}]),
                "replace operation does not apply: doc is missing path: \"/b/c\": missing value",
            ),
            (json!([{"op": "jump", "path": "/a"}]), "Unexpected kind: jump"),
            (json!([{"op": "test", "path": "/b", "value": 0}]), "testing value /b failed: test failed"),
            (
                json!([{"op": "replace", "path": "/l/-0", "value": 1}]),
                "replace operation does not apply: doc is missing path: \"/l/-0\": missing value",
            ),
            (json!({}), "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        ] {
            check(json!({"a": 1, "l": [1]}), patch, Err(expected));
        }
    }

    #[test]
    fn bounds_what_copies_may_add() {
        let mut object = json!({"a": ["0123456789".repeat(1000)]});
        let doubling = Value::from(vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 40]);
        let error = json_patch(&mut object, &doubling).unwrap_err();
        assert!(error.to_string().starts_with("Unable to complete the copy"), "{error}");
    }
}
