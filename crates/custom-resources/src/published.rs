//! The schema of a version as OpenAPI documents show it.

use serde_json::{Map, Value, json};

use crate::definition::{Definition, Version};

const API_VERSION: &str =
    "The versioned schema that this representation of an object is written in, as group/version.";
const KIND: &str = "The REST resource that this object represents, in CamelCase.";

/// Makes the schema that is published for a version: what was written, with what every object has.
pub fn published(definition: &Definition, version: &Version) -> Value {
    let mut schema = match version.schema().and_then(Value::as_object) {
        Some(schema) => schema.clone(),
        None => Map::from_iter([("type".to_owned(), "object".into())]),
    };
    complete(&mut schema);
    name_what_objects_have(&mut schema);
    if definition.preserve_unknown_fields {
        schema.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
    }
    schema.insert(
        "x-kubernetes-group-version-kind".to_owned(),
        json!([{"group": definition.group, "version": version.name, "kind": definition.names.kind}]),
    );
    let selectable: Vec<Value> = version.selectable().map(|field| json!({ "fieldPath": field })).collect();
    if !selectable.is_empty() {
        schema.insert("x-kubernetes-selectable-fields".to_owned(), selectable.into());
    }
    Value::Object(schema)
}

/// Leaves remarks out that upstream does not publish, and says of embedded resources what they have and need.
fn complete(schema: &mut Map<String, Value>) {
    for remark in ["example", "externalDocs"] {
        schema.remove(remark);
    }
    let named = schema.get_mut("properties").and_then(Value::as_object_mut);
    named.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut).for_each(complete);
    for name in ["additionalProperties", "items"] {
        schema.get_mut(name).and_then(Value::as_object_mut).into_iter().for_each(complete);
    }
    if schema.get("x-kubernetes-embedded-resource") != Some(&Value::Bool(true)) {
        return;
    }
    name_what_objects_have(schema);
    let required = schema.entry("required").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(required) = required {
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|required| required == name) {
                required.push(name.into());
            }
        }
    }
}

fn name_what_objects_have(schema: &mut Map<String, Value>) {
    let own = schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = own {
        properties.insert("apiVersion".to_owned(), json!({"type": "string", "description": API_VERSION}));
        properties.insert("kind".to_owned(), json!({"type": "string", "description": KIND}));
        let metadata = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
        properties.insert(
            "metadata".to_owned(),
            json!({"allOf": [{"$ref": metadata}], "default": {}, "description": "Standard object's metadata."}),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_resources_and_selectable_fields_are_told_of() {
        let spec = json!({"type": "object", "example": 1, "properties": {
            "example": {"type": "string", "externalDocs": {"url": "http://example.com"}},
            "made": {"type": "array", "items": {"type": "object", "required": ["kind"],
                "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}}});
        let definition = Definition::read(&json!({"metadata": {"name": "boxes.example.com"}, "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "boxes", "kind": "Box"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "selectableFields": [{"jsonPath": ".spec.example"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}}))
        .unwrap();
        let schema = published(&definition, &definition.versions[0]);
        assert_eq!(schema["x-kubernetes-selectable-fields"], json!([{"fieldPath": "spec.example"}]));
        let spec = &schema["properties"]["spec"];
        assert_eq!(
            (&spec["example"], &spec["properties"]["example"]),
            (&Value::Null, &json!({"type": "string"}))
        );
        let made = &spec["properties"]["made"]["items"];
        assert_eq!(made["required"], json!(["kind", "apiVersion"]));
        let named: Vec<&String> = made["properties"].as_object().unwrap().keys().collect();
        assert_eq!(named, ["apiVersion", "kind", "metadata"]);
    }
}
