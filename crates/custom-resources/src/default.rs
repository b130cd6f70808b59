//! Declared defaults are put where nothing is.

use serde_json::Value;

use crate::node::{Additional, Node};

/// Puts the defaults of a schema where a value lacks them; says whether anything changed. A null where none is allowed
/// counts as nothing: it gives way to the default, and goes where there is none.
pub fn default(node: &Node, value: &mut Value) -> bool {
    let mut changed = false;
    match value {
        Value::Object(fields) => {
            let others = match &node.additional {
                Additional::Of(child) => Some(&**child),
                _ => None,
            };
            let child = |name: &str| node.properties.get(name).or(others);
            let before = fields.len();
            fields.retain(|name, field| {
                !field.is_null() || child(name).is_none_or(|child| child.nullable || child.default.is_some())
            });
            changed |= fields.len() != before;
            for (name, child) in &node.properties {
                if let (Some(default), false) = (&child.default, fields.contains_key(&**name)) {
                    fields.insert(name.to_string(), (**default).clone());
                    changed = true;
                }
            }
            for (name, field) in fields.iter_mut() {
                if let Some(child) = child(name) {
                    changed |= at(child, field);
                }
            }
        }
        Value::Array(items) => {
            let Some(child) = &node.items else { return false };
            for item in items {
                changed |= at(child, item);
            }
        }
        _ => {}
    }
    changed
}

fn at(node: &Node, value: &mut Value) -> bool {
    let mut changed = false;
    if let (Value::Null, false, Some(default)) = (&*value, node.nullable, &node.default) {
        *value = (**default).clone();
        changed = true;
    }
    default(node, value) || changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_put_where_nothing_is() {
        let node = Node::read(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "default": {}, "properties": {
            "size": {"type": "integer", "default": 3},
            "none": {"type": "string", "nullable": true, "default": "x"},
            "bare": {"type": "string"},
            "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"q": {"type": "boolean", "default": true}}}},
        }}}}));
        let defaulted = |mut object: Value| {
            let changed = default(&node, &mut object);
            assert_eq!((changed, default(&node, &mut object)), (true, false));
            object
        };
        assert_eq!(defaulted(json!({})), json!({"spec": {"size": 3, "none": "x"}}));
        assert_eq!(
            defaulted(
                json!({"spec": {"size": null, "none": null, "bare": null, "free": null, "list": [{}, {"p": "UDP"}], "map": {"k": {}}}})
            ),
            json!({"spec": {"size": 3, "none": null, "free": null, "list": [{"p": "TCP"}, {"p": "UDP"}], "map": {"k": {"q": true}}}})
        );
    }
}
