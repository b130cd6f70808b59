//! Declared defaults are put where nothing is.

use serde_json::Value;

use crate::node::{Additional, Node};

/// Puts the defaults of a schema where a value lacks them. A null where none is allowed counts as nothing when there is a
/// default.
pub fn default(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, child) in &node.properties {
                let Some(default) = &child.default else { continue };
                match fields.get(&**name) {
                    Some(Value::Null) if !child.nullable => {}
                    Some(_) => continue,
                    None => {}
                }
                fields.insert(name.to_string(), (**default).clone());
            }
            let others = match &node.additional {
                Additional::Of(child) => Some(child),
                _ => None,
            };
            for (name, field) in fields.iter_mut() {
                let Some(child) = node.properties.get(name.as_str()).or(others.map(|child| &**child)) else {
                    continue;
                };
                if let (Value::Null, false, Some(default)) = (&*field, child.nullable, &child.default) {
                    *field = (**default).clone();
                }
                self::default(child, field);
            }
        }
        Value::Array(items) => {
            let Some(child) = &node.items else { return };
            for item in items {
                if let (Value::Null, false, Some(default)) = (&*item, child.nullable, &child.default) {
                    *item = (**default).clone();
                }
                self::default(child, item);
            }
        }
        _ => {}
    }
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
            "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"q": {"type": "boolean", "default": true}}}},
        }}}}));
        let defaulted = |mut object: Value| {
            default(&node, &mut object);
            object
        };
        assert_eq!(defaulted(json!({})), json!({"spec": {"size": 3, "none": "x"}}));
        assert_eq!(
            defaulted(
                json!({"spec": {"size": null, "none": null, "list": [{}, {"p": "UDP"}], "map": {"k": {}}}})
            ),
            json!({"spec": {"size": 3, "none": null, "list": [{"p": "TCP"}, {"p": "UDP"}], "map": {"k": {"q": true}}}})
        );
    }
}
