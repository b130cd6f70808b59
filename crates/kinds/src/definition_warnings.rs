//! What clients are told about definitions of custom resources that are accepted all the same.

use serde_json::Value;

use strategy::read::Read;

/// Formats that mean something: those of strings that are checked, and those of numbers that say how large they are.
const FORMATS: [&str; 33] = [
    "binary",
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "date-time",
    "datetime",
    "double",
    "duration",
    "email",
    "float",
    "hexcolor",
    "hostname",
    "int-or-string",
    "int32",
    "int64",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "k8s-long-name",
    "k8s-short-name",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// Warnings on a definition.
pub(crate) fn of(definition: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    for version in definition["spec"].items("versions") {
        formats(&version["schema"]["openAPIV3Schema"], &mut unknown);
    }
    unknown.iter().map(|format| format!("unrecognized format {format:?}")).collect()
}

fn formats<'a>(schema: &'a Value, unknown: &mut Vec<&'a str>) {
    if !schema.is_object() {
        return;
    }
    let format = schema.text("format");
    if !format.is_empty() && !FORMATS.contains(&format) && !unknown.contains(&format) {
        unknown.push(format);
    }
    for map in ["properties", "patternProperties", "definitions", "dependencies"] {
        for (_, below) in schema.entries(map) {
            formats(below, unknown);
        }
    }
    for below in ["items", "additionalProperties", "additionalItems", "not"] {
        formats(&schema[below], unknown);
    }
    for list in ["allOf", "anyOf", "oneOf", "items"] {
        for below in schema.items(list) {
            formats(below, unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_formats_are_said_once() {
        let schema = json!({"properties": {
            "a": {"type": "string", "format": "colour"},
            "b": {"type": "array", "items": {"type": "string", "format": "colour"}},
            "c": {"type": "integer", "format": "int64"},
        }});
        let definition = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}});
        assert_eq!(of(&definition), ["unrecognized format \"colour\""]);
    }
}
