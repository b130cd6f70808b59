//! Definitions of custom resources, and objects under them.

use custom_resources::{Definition, Rules};
use schema::FieldValidation;
use serde_json::{Value, json};
use strategy::Strategy as _;

use super::objects;

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["text"], "properties": {
            "text": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 10, "default": "a"},
            "any": {"x-kubernetes-int-or-string": true},
            "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "maxItems": 5,
                "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "n": {"type": "integer", "nullable": true}}}},
            "map": {"type": "object", "additionalProperties": {"type": "number", "multipleOf": 0.5, "minimum": 1}},
            "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            "date": {"type": "string", "format": "date-time"},
        }, "x-kubernetes-validations": [{"rule": "self.text != 'b' || oldSelf.text == 'a'", "messageExpression": "'no ' + self.text"}],
        "oneOf": [{"required": ["any"]}, {"not": {"required": ["any"]}}]},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }})
}

pub fn definitions() -> Vec<Vec<u8>> {
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.example.com"}, "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList", "shortNames": ["bx"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema()},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
                "additionalPrinterColumns": [{"name": "T", "type": "string", "jsonPath": ".spec.text"}],
                "selectableFields": [{"jsonPath": ".spec.text"}]}]}});
    vec![definition.to_string().into_bytes()]
}

pub fn definition(input: &[u8]) -> bool {
    let Ok(parsed) = schema::parse(input) else { return false };
    let row = schema::catalogue().all().find(|row| row.kind == "CustomResourceDefinition");
    let Some(row) = row else { return false };
    let Ok((decoded, _)) = parsed.decode(row.ty(), FieldValidation::Ignore) else { return false };
    let _ = custom_resources::faults(&decoded["spec"], None);
    let read = Definition::read(&decoded);
    objects::judge(&row.group, &row.kind, decoded);
    let Ok(definition) = read else { return false };
    for version in &definition.versions {
        drop(custom_resources::published(&definition, version));
        let rules = Rules::of(version, false);
        drop(custom_resources::tables(rules.node(), "com.example.v1.Box"));
        judge(&rules, &json!({"spec": {"text": "b", "list": [{"k": "a"}, {"k": "a"}], "map": {"x": 0.3}}}));
    }
    true
}

fn judge(rules: &Rules, object: &Value) {
    let mut made = object.clone();
    rules.complete(&mut made);
    rules.prune(&mut made);
    rules.prepare_for_create(&mut made);
    let mut errors = strategy::field::Errors::new();
    rules.validate(&made, &mut errors);
    let mut changed = object.clone();
    rules.prepare_for_update(&mut changed, &made);
    rules.validate_update(&changed, &made, &mut errors);
}

pub fn objects() -> Vec<Vec<u8>> {
    [
        json!({"apiVersion": "example.com/v1", "kind": "Box", "metadata": {"name": "a"}, "spec": {"text": "b", "any": "5%",
            "list": [{"k": "x", "n": null}, {"k": "x"}], "map": {"a": 1.5}, "date": "2026-01-01T00:00:00Z",
            "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "x": 1}}}, "status": {"x": [1]}}),
        json!({"spec": {"any": 1, "map": {"a": 0}, "unknown": 1}, "metadata": null}),
    ]
    .iter()
    .map(|object| object.to_string().into_bytes())
    .collect()
}

/// An object under a definition that uses all that a definition may say.
pub fn object(input: &[u8]) -> bool {
    let Ok(object) = serde_json::from_slice::<Value>(input) else { return false };
    let spec = json!({"spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "boxes", "kind": "Box"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema()}}]}});
    let Ok(definition) = Definition::read(&spec) else { return false };
    definition.versions.iter().for_each(|version| judge(&Rules::of(version, false), &object));
    object.is_object()
}
