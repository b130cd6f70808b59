//! Schemas of custom resources, in the form of version 2.

use serde_json::{Map, Value, json};

/// What version 2 has no word for, and defaults, which it tells of no kind.
const ABSENT: [&str; 6] = ["allOf", "anyOf", "default", "not", "nullable", "oneOf"];

const PRESERVES: &str = "x-kubernetes-preserve-unknown-fields";

/// Leaves out what version 2 cannot say, and refers to its definitions.
pub(super) fn v2(mut schema: Value) -> Value {
    if schema[PRESERVES] == true {
        // kubectl would refuse what a schema with properties does not name.
        let mut bare = json!({"type": "object"});
        for name in ["x-kubernetes-group-version-kind", "x-kubernetes-selectable-fields"] {
            if let Some(value) = schema.get_mut(name) {
                bare[name] = value.take();
            }
        }
        return bare;
    }
    simplify(&mut schema);
    schema
}

fn simplify(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let is_set = |fields: &Map<String, Value>, name: &str| fields.get(name) == Some(&Value::Bool(true));
    let is_of = |fields: &Map<String, Value>, ty: &str| fields.get("type").is_some_and(|is| is == ty);
    if let Some(name) = referred(fields) {
        fields.insert("$ref".to_owned(), format!("#/definitions/{name}").into());
    }
    let (nullable, preserves) = (is_set(fields, "nullable"), is_set(fields, PRESERVES));
    if nullable {
        // A value that may be null has no one type there.
        fields.remove("type");
    }
    if nullable || preserves {
        fields.remove("properties");
        fields.remove("items");
    }
    if (is_of(fields, "array") && !fields.contains_key("items")) || (preserves && is_of(fields, "object")) {
        fields.remove("type");
    }
    fields.retain(|name, _| !ABSENT.contains(&name.as_str()));
    require_less(fields, preserves && is_set(fields, "x-kubernetes-embedded-resource"));
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(simplify);
    }
    for name in ["additionalProperties", "items"] {
        fields.get_mut(name).into_iter().for_each(simplify);
    }
}

/// The definition that a schema is all of.
fn referred(fields: &Map<String, Value>) -> Option<String> {
    let reference = fields.get("allOf")?.get(0)?.get("$ref")?.as_str()?;
    Some(reference.strip_prefix("#/components/schemas/")?.to_owned())
}

/// What may be null is not required there, nor is what is not named of an embedded resource.
fn require_less(fields: &mut Map<String, Value>, unnamed: bool) {
    let may_be_null = |schema: Option<&Value>| schema.is_some_and(|schema| schema["nullable"] == true);
    let all = may_be_null(fields.get("additionalProperties"));
    let Some(Value::Array(mut required)) = fields.remove("required") else { return };
    required.retain(|name| {
        let name = name.as_str().unwrap_or_default();
        let property = fields.get("properties").and_then(|properties| properties.get(name));
        !(all || may_be_null(property) || unnamed && matches!(name, "apiVersion" | "kind"))
    });
    if !required.is_empty() {
        fields.insert("required".to_owned(), required.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, expected: Value) {
        assert_eq!(v2(schema.clone()), expected, "{schema}");
    }

    #[test]
    fn version_2_says_less() {
        check(
            json!({"type": "object", "properties": {
                "metadata": {"allOf": [{"$ref": "#/components/schemas/io.k8s.ObjectMeta"}], "default": {}, "description": "d"},
                "spec": {"type": "object", "oneOf": [{"required": ["a"]}], "properties": {
                    "a": {"type": "string", "nullable": true}, "default": {"type": "integer", "default": 7}}},
            }}),
            json!({"type": "object", "properties": {
                "metadata": {"$ref": "#/definitions/io.k8s.ObjectMeta", "description": "d"},
                "spec": {"type": "object", "properties": {"a": {}, "default": {"type": "integer"}}},
            }}),
        );
        let nothing = json!({"type": "array", "nullable": true, "items": {"type": "string"}});
        check(
            json!({"type": "object", "required": ["a", "b"], "properties": {"a": nothing, "b": {"type": "array"}}}),
            json!({"type": "object", "required": ["b"], "properties": {"a": {}, "b": {}}}),
        );
        check(
            json!({"type": "object", "required": ["a"], "additionalProperties": {"type": "string", "nullable": true}}),
            json!({"type": "object", "additionalProperties": {}}),
        );
        let made = json!({"type": "object", "required": ["kind", "apiVersion"], PRESERVES: true,
            "x-kubernetes-embedded-resource": true, "properties": {"kind": {"type": "string"}}});
        check(
            json!({"type": "object", "properties": {"made": made}}),
            json!({"type": "object", "properties": {
                "made": {PRESERVES: true, "x-kubernetes-embedded-resource": true}}}),
        );
    }

    #[test]
    fn what_preserves_unknown_fields_is_told_of_by_its_kind_alone() {
        let kinds = json!([{"group": "example.com", "version": "v1", "kind": "Box"}]);
        check(
            json!({"type": "object", "description": "A box.", PRESERVES: true, "properties": {"spec": {"type": "object"}},
                "x-kubernetes-group-version-kind": kinds}),
            json!({"type": "object", "x-kubernetes-group-version-kind": kinds}),
        );
    }
}
