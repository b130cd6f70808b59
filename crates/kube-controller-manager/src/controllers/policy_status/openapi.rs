//! Schemas of an OpenAPI document, as the types of values that expressions are given.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use cel::types::{Fields, Place, Type};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::check::Kind;

/// How often one schema may name another in its place: more than any server's documents do.
const REFERENCES: usize = 8;
/// What references begin with.
const PREFIX: &str = "#/components/schemas/";

/// What counts of a document: neither paths nor descriptions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    components: Components,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Components {
    schemas: BTreeMap<String, Schema>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Schema {
    #[serde(rename = "$ref")]
    reference: String,
    all_of: Vec<Schema>,
    one_of: Vec<IgnoredAny>,
    any_of: Vec<IgnoredAny>,
    r#type: String,
    format: String,
    properties: BTreeMap<String, Schema>,
    items: Option<Box<Schema>>,
    additional_properties: Option<Additional>,
    #[serde(rename = "x-kubernetes-int-or-string")]
    int_or_string: bool,
    #[serde(rename = "x-kubernetes-group-version-kind")]
    kinds: Vec<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Additional {
    Of(Box<Schema>),
    Any(IgnoredAny),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    group: String,
    version: String,
    kind: String,
}

impl Document {
    /// The objects of a kind.
    pub fn place(&self, kind: &Kind) -> Option<Place<'_>> {
        let is_it =
            |one: &Named| one.group == kind.group && one.version == kind.version && one.kind == kind.kind;
        let schema = self.components.schemas.values().find(|schema| schema.kinds.iter().any(is_it))?;
        Some(self.of(schema))
    }

    /// Whatever is not declared is of any type: nobody is warned of what only the document leaves open.
    fn of<'d>(&'d self, schema: &'d Schema) -> Place<'d> {
        let Some(schema) = self.resolved(schema) else { return Place::of(Type::Dyn) };
        let open = schema.int_or_string || !schema.one_of.is_empty() || !schema.any_of.is_empty();
        Place::of(match (schema.r#type.as_str(), schema.format.as_str()) {
            _ if open => Type::Dyn,
            ("object", _) if !schema.properties.is_empty() => {
                Type::Object(Rc::new(Object { document: self, schema }))
            }
            ("object", _) => match &schema.additional_properties {
                Some(Additional::Of(value)) => return Place::map(self.of(value), u64::MAX),
                Some(Additional::Any(_)) | None => Type::Dyn,
            },
            ("array", _) => match &schema.items {
                Some(item) => return Place::list(self.of(item), u64::MAX),
                None => Type::list(Type::Dyn),
            },
            ("string", "byte") => Type::Bytes,
            ("string", "duration") => Type::Duration,
            ("string", "date" | "date-time" | "datetime") => Type::Timestamp,
            ("string", "int-or-string") => Type::Dyn,
            ("string", _) => Type::String,
            ("integer", _) => Type::Int,
            ("number", _) => Type::Double,
            ("boolean", _) => Type::Bool,
            _ => Type::Dyn,
        })
    }

    fn resolved<'d>(&'d self, mut schema: &'d Schema) -> Option<&'d Schema> {
        for _ in 0..REFERENCES {
            schema = match (schema.reference.strip_prefix(PREFIX), schema.all_of.as_slice()) {
                (Some(name), _) => self.components.schemas.get(name)?,
                (None, [one]) => one,
                (None, _) => return Some(schema),
            };
        }
        None
    }
}

struct Object<'d> {
    document: &'d Document,
    schema: &'d Schema,
}

impl<'d> Fields<'d> for Object<'d> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("object")
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self.schema) as usize
    }

    fn field(&self, name: &str) -> Option<Place<'d>> {
        let fits = |own: &str| cel::escape(own).as_deref() == Some(name);
        // Nearly all names are written as they are.
        let plain = self.schema.properties.get(name).filter(|_| fits(name));
        let escaped = || self.schema.properties.iter().find(|(own, _)| fits(own)).map(|(_, child)| child);
        plain.or_else(escaped).map(|child| self.document.of(child))
    }
}

#[cfg(test)]
mod tests {
    use cel::{Environment, Program};
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_become_types() {
        let document = json!({"components": {"schemas": {
            "Pod": {"type": "object", "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
                "properties": {
                    "spec": {"$ref": "#/components/schemas/Spec"},
                    "self": {"$ref": "#/components/schemas/Pod"},
                    "gone": {"$ref": "#/components/schemas/None"}}},
            "Spec": {"type": "object", "properties": {
                "names": {"type": "array", "items": {"type": "string"}},
                "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                "any": {"type": "object", "additionalProperties": true},
                "free": {"type": "object"},
                "size": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                "port": {"type": "string", "format": "int-or-string"},
                "when": {"type": "string", "format": "date-time"},
                "for": {"type": "boolean"},
                "a-b": {"type": "number"}}}}}});
        let document: Document = serde_json::from_value(document).unwrap();
        let kind = Kind { version: "v1".into(), kind: "Pod".into(), ..Kind::default() };
        let environment = Environment::new().with_place("object", document.place(&kind).unwrap());
        let ty = |text: &str| match Program::check(text, &environment) {
            Ok(checked) => checked.output.to_string(),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        for (text, expected) in [
            ("object.spec.names", "list(string)"),
            ("object.spec.counts['x']", "int"),
            ("object.spec.any.x", "dyn"),
            ("object.spec.free.x", "dyn"),
            ("object.spec.size", "dyn"),
            ("object.spec.port", "dyn"),
            ("object.spec.when", "timestamp"),
            ("object.spec.__for__", "bool"),
            ("object.spec.a__dash__b", "double"),
            ("object.self.self.spec.names", "list(string)"),
            ("object.gone.x", "dyn"),
            ("object.spec.none", "ERROR: <input>:1:12: undefined field 'none'"),
        ] {
            assert_eq!(ty(text), expected, "{text}");
        }
        let other = Kind { version: "v2".into(), ..kind };
        assert!(document.place(&other).is_none());
    }
}
