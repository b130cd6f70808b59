//! Schemas of custom resources, in the form of version 2.

use serde_json::Value;

/// What version 2 has no word for.
const ABSENT: [&str; 5] = ["allOf", "anyOf", "not", "nullable", "oneOf"];

/// Leaves out what version 2 cannot say, and refers to its definitions.
pub(super) fn v2(mut schema: Value) -> Value {
    let metadata = schema["properties"]["metadata"]["allOf"][0]["$ref"].as_str().map(|reference| {
        let name = reference.trim_start_matches("#/components/schemas/");
        serde_json::json!({"$ref": format!("#/definitions/{name}")})
    });
    if let Some(metadata) = metadata {
        schema["properties"]["metadata"] = metadata;
    }
    simplify(&mut schema);
    schema
}

fn simplify(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if fields.get("nullable") == Some(&Value::Bool(true)) {
        // A value that may be null has no one type there.
        fields.remove("type");
    }
    fields.retain(|name, _| !ABSENT.contains(&name.as_str()));
    if fields.contains_key("x-kubernetes-preserve-unknown-fields") {
        fields.remove("properties");
        fields.remove("items");
    }
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(simplify);
    }
    for name in ["additionalProperties", "items"] {
        fields.get_mut(name).into_iter().for_each(simplify);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn version_2_says_less() {
        let schema = json!({"type": "object", "properties": {
            "metadata": {"allOf": [{"$ref": "#/components/schemas/io.k8s.ObjectMeta"}]},
            "spec": {"type": "object", "oneOf": [{"required": ["a"]}], "properties": {"a": {"type": "string", "nullable": true}}},
        }});
        assert_eq!(
            v2(schema),
            json!({"type": "object", "properties": {
                "metadata": {"$ref": "#/definitions/io.k8s.ObjectMeta"},
                "spec": {"type": "object", "properties": {"a": {}}},
            }})
        );
    }
}
