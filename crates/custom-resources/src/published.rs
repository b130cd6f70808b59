//! The schema of a version as OpenAPI documents show it.

use serde_json::{Map, Value, json};

use crate::definition::Definition;

const API_VERSION: &str =
    "The versioned schema that this representation of an object is written in, as group/version.";
const KIND: &str = "The REST resource that this object represents, in CamelCase.";

/// Makes the schema that is published for a version: what was written, with what every object has.
pub fn published(definition: &Definition, version: &str, written: Option<&Value>) -> Value {
    let mut schema = match written.and_then(Value::as_object) {
        Some(schema) => schema.clone(),
        None => Map::from_iter([("type".to_owned(), "object".into())]),
    };
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
    if definition.preserve_unknown_fields {
        schema.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
    }
    schema.insert(
        "x-kubernetes-group-version-kind".to_owned(),
        json!([{"group": definition.group, "version": version, "kind": definition.names.kind}]),
    );
    Value::Object(schema)
}
