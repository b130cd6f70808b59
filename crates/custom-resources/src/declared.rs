//! A structural schema as expressions see it: the types of its values, and how much of them there may be in a request.

use std::borrow::Cow;
use std::rc::Rc;

use cel::types::{Fields, Place, Record, Type};

use crate::node::{Additional, Kind, Node};

/// The largest request that the server takes, in octets: nothing in an object can be larger.
const REQUEST: u64 = 3 * 1024 * 1024;
/// `""`, as it is written.
const TEXT: u64 = 2;

/// Declares what a schema says; nothing where expressions cannot see it.
pub fn place(node: &Node, is_root: bool) -> Option<Place<'_>> {
    if node.int_or_string {
        return Some(Place::sized(Type::Dyn, REQUEST - 2));
    }
    let checks = node.checks.as_deref();
    let scalar = |ty| Some(Place::sized(ty, 0));
    match node.kind {
        _ if is_root => Some(Place::sized(object(node, true), 0)),
        Some(Kind::Array) => {
            let items = node.items.as_deref()?;
            let item = place(items, items.embedded)?;
            let most = checks.and_then(|checks| checks.items.max);
            Some(Place::list(item, most.unwrap_or_else(|| (REQUEST - 2) / (least(items) + 1))))
        }
        Some(Kind::Object) => match &node.additional {
            Additional::Of(values) => {
                let value = place(values, values.embedded)?;
                let most = checks.and_then(|checks| checks.properties.max);
                // A key, its quotes, a colon and a comma.
                Some(Place::map(value, most.unwrap_or_else(|| (REQUEST - 2) / (least(values) + 6))))
            }
            _ => Some(Place::sized(object(node, node.embedded), 0)),
        },
        Some(Kind::String) => {
            let longest = checks.and_then(|checks| checks.length.max);
            let format = checks.map_or("", |checks| &*checks.format);
            Some(match format {
                "byte" => Place::sized(Type::Bytes, longest.unwrap_or(REQUEST - 2)),
                "duration" => Place::sized(Type::Duration, 32),
                "date" => Place::sized(Type::Timestamp, 12),
                "date-time" | "datetime" => Place::sized(Type::Timestamp, 47),
                _ => {
                    let values = checks.and_then(|checks| checks.values.as_ref()).into_iter().flatten();
                    let of_values = values.map(|value| value.as_str().map_or(0, str::len) as u64).max();
                    // A character takes up to four octets.
                    let longest = longest.map(|letters| letters.saturating_mul(4)).or(of_values);
                    Place::sized(Type::String, longest.unwrap_or(REQUEST - 2))
                }
            })
        }
        Some(Kind::Boolean) => scalar(Type::Bool),
        Some(Kind::Number) => scalar(Type::Double),
        Some(Kind::Integer) => scalar(Type::Int),
        None => None,
    }
}

/// How many values of a schema fit into a request, where nothing else bounds them.
pub fn how_many(node: &Node) -> u64 {
    REQUEST / (least(node) + 1)
}

fn object(node: &Node, is_resource: bool) -> Type<'_> {
    Type::Object(Rc::new(Object { node, is_resource }))
}

/// The least octets that a value takes when it is written.
fn least(node: &Node) -> u64 {
    if node.int_or_string {
        return 1;
    }
    let format = node.checks.as_deref().map_or("", |checks| &*checks.format);
    match (node.kind, format) {
        (Some(Kind::Object), _) => {
            let required = node.checks.as_deref().map_or(&[][..], |checks| &checks.required);
            let of = |name: &str| {
                let child = node.properties.get(name).filter(|child| child.default.is_none())?;
                // Quotes, a colon and a comma.
                Some(name.len() as u64 + least(child) + 4)
            };
            2 + required.iter().filter_map(|name| of(name)).sum::<u64>()
        }
        (Some(Kind::String), "duration") => 3,
        (Some(Kind::String), "date") => 12,
        (Some(Kind::String), "date-time" | "datetime") => 21,
        (Some(Kind::String | Kind::Array), _) => TEXT,
        (Some(Kind::Boolean), _) => 4,
        (Some(Kind::Number | Kind::Integer) | None, _) => 1,
    }
}

struct Object<'n> {
    node: &'n Node,
    is_resource: bool,
}

impl<'n> Fields<'n> for Object<'n> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("object")
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self.node) as usize
    }

    fn field(&self, name: &str) -> Option<Place<'n>> {
        if self.is_resource {
            let text = || Place::sized(Type::String, REQUEST - 2);
            match name {
                "apiVersion" | "kind" => return Some(text()),
                "metadata" => {
                    let names = vec![("name", text()), ("generateName", text())];
                    return Some(Place::sized(Record::of("object.metadata", names), 0));
                }
                _ => {}
            }
        }
        let fits = |own: &str| cel::escape(own).as_deref() == Some(name);
        // Nearly all names are written as they are.
        let plain = self.node.properties.get(name).filter(|_| fits(name));
        let escaped = || self.node.properties.iter().find(|(own, _)| fits(own)).map(|(_, child)| child);
        let child = plain.or_else(escaped)?;
        place(child, child.embedded)
    }
}

#[cfg(test)]
mod tests {
    use cel::{Environment, Program};
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_have_types_and_sizes() {
        let node = Node::read(&json!({"type": "object", "properties": {"spec": {"type": "object",
            "required": ["a"], "properties": {
            "a": {"type": "string", "maxLength": 10},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "either": {"x-kubernetes-int-or-string": true},
            "any": {"x-kubernetes-preserve-unknown-fields": true},
            "my-list": {"type": "array", "maxItems": 7, "items": {"type": "string", "enum": ["ab", "abc"]}},
            "map": {"type": "object", "additionalProperties": {"type": "number"}},
            "for": {"type": "boolean"},
            "when": {"type": "string", "format": "date-time"},
            "inner": {"type": "object", "x-kubernetes-embedded-resource": true},
        }}}}));
        let place = place(&node, true).unwrap();
        let environment = Environment::new().with_place("self", place);
        let ty = |text: &str| match Program::check(text, &environment) {
            Ok(checked) => checked.output.to_string(),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        for (text, expected) in [
            ("self.metadata.name", "string"),
            ("self.metadata.labels", "ERROR: <input>:1:14: undefined field 'labels'"),
            ("self.spec.my__dash__list", "list(string)"),
            ("self.spec.__for__", "bool"),
            ("self.spec.map['x']", "double"),
            ("self.spec.either", "dyn"),
            ("self.spec.any", "ERROR: <input>:1:10: undefined field 'any'"),
            ("self.spec.free.x", "ERROR: <input>:1:15: undefined field 'x'"),
            ("self.spec.when", "timestamp"),
            ("self.spec.inner.metadata.name", "string"),
            ("self.spec == self.spec", "bool"),
        ] {
            assert_eq!(ty(text), expected, "{text}");
        }
        let most = |text: &str| Program::check(text, &environment).unwrap().cost.max;
        // Three for the names, a tenth of forty letters.
        assert_eq!(most("self.spec.a == self.spec.a"), 6 + 4);
        // The longest of the values is read for each of seven.
        assert_eq!(most("self.spec.my__dash__list.all(x, x == 'abcd')"), 3 + 1 + 7 * (2 + 1 + 2));
        let unbounded = most("self.spec.map.all(x, self.spec.map[x] > 0.0)");
        assert!(unbounded > 400_000 * 5, "{unbounded}");
    }
}
