//! Unknown fields are dropped, and named.

use serde_json::{Map, Value};

use crate::node::{Additional, Node};

/// Upstream names at most so many.
const MOST: usize = 100;

/// What an embedded object has without being declared.
const OF_OBJECTS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what no schema declares from an object and returns where that was (`spec.foo`), sorted.
pub fn prune(node: &Node, object: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    if let Value::Object(fields) = object {
        fields_of(node, fields, true, &Path::Root, &mut dropped);
    }
    dropped.sort();
    dropped
}

enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => out.write_str(name),
            Path::Field(parent, name) => write!(out, "{parent}.{name}"),
            Path::Index(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

fn value(node: &Node, value: &mut Value, at: &Path<'_>, dropped: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields_of(node, fields, node.embedded, at, dropped),
        Value::Array(items) => {
            let Some(inner) = &node.items else {
                // Without a schema of their items, lists of objects hold empty ones.
                if !node.preserve {
                    items.iter_mut().for_each(|item| self::value(&Node::default(), item, at, dropped));
                }
                return;
            };
            for (index, item) in items.iter_mut().enumerate() {
                self::value(inner, item, &Path::Index(at, index), dropped);
            }
        }
        _ => {}
    }
}

fn fields_of(
    node: &Node,
    fields: &mut Map<String, Value>,
    is_object: bool,
    at: &Path<'_>,
    dropped: &mut Vec<String>,
) {
    fields.retain(|name, field| {
        if is_object && OF_OBJECTS.contains(&name.as_str()) {
            return true;
        }
        let here = Path::Field(at, name);
        match (node.child(name), &node.additional) {
            (Some(child), _) => {
                value(child, field, &here, dropped);
                true
            }
            (None, Additional::Anything) => true,
            (None, _) if node.preserve => true,
            (None, _) => {
                if dropped.len() < MOST {
                    dropped.push(here.to_string());
                }
                false
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_declared_goes() {
        let node = Node::read(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "known": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"strict": {"type": "object"}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "any": {"type": "object", "additionalProperties": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}},
            "object": {"type": "object", "x-kubernetes-embedded-resource": true},
        }}}}));
        let mut object = json!({"apiVersion": "a/v1", "kind": "A", "metadata": {"x": 1}, "other": 1, "spec": {
            "known": "k", "unknown": {},
            "free": {"anything": {"at": "all"}, "strict": {"x": 1}},
            "map": {"k": {"a": "1", "c": "2"}},
            "any": {"k": {"x": 1}},
            "list": [{"b": "1"}, {"b": "2", "d": "3"}],
            "object": {"kind": "B", "metadata": {}, "spec": {}},
        }});
        let dropped = prune(&node, &mut object);
        assert_eq!(
            dropped,
            [
                "other",
                "spec.free.strict.x",
                "spec.list[1].d",
                "spec.map.k.c",
                "spec.object.spec",
                "spec.unknown"
            ]
        );
        assert_eq!(
            object["spec"],
            json!({"known": "k", "free": {"anything": {"at": "all"}, "strict": {}}, "map": {"k": {"a": "1"}},
                "any": {"k": {"x": 1}}, "list": [{"b": "1"}, {"b": "2"}], "object": {"kind": "B", "metadata": {}}})
        );
        assert_eq!(object["metadata"], json!({"x": 1}));
    }
}
