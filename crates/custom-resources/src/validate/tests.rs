use serde_json::json;

use super::*;

fn node() -> Node {
    Node::read(&json!({"type": "object", "required": ["spec"], "properties": {
    "spec": {"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2},
        "mode": {"type": "string", "enum": ["on", "off"]},
        "port": {"x-kubernetes-int-or-string": true},
        "list": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {
                "k": {"type": "string"}, "v": {"type": "integer"}}}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "maybe": {"type": "string", "nullable": true},
    }}}}))
}

fn errors(object: Value, old: Option<&Value>) -> Vec<String> {
    validate(&node(), &object, old).iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
}

#[test]
fn values_are_refused_in_upstreams_words() {
    let check = |spec: Value, expected: &[&str]| {
        assert_eq!(errors(json!({"spec": spec.clone()}), None), expected, "{spec}");
    };
    check(json!({"size": 3, "name": "abc", "mode": "on", "port": "x", "maybe": null}), &[]);
    check(json!({}), &["spec.size: Required value"]);
    check(
        json!({"size": "3"}),
        &[r#"spec.size: Invalid value: "string": spec.size in body must be of type integer: "string""#],
    );
    check(
        json!({"size": 0}),
        &["spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"],
    );
    check(
        json!({"size": 11}),
        &["spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"],
    );
    check(
        json!({"size": 1, "name": "A1"}),
        &[r#"spec.name: Invalid value: "A1": spec.name in body should match '^[a-z]+$'"#],
    );
    check(json!({"size": 1, "name": "abcdef"}), &["spec.name: Too long: may not be more than 5 bytes"]);
    check(
        json!({"size": 1, "mode": "dim"}),
        &[r#"spec.mode: Unsupported value: "dim": supported values: "on", "off""#],
    );
    check(
        json!({"size": 1, "port": true}),
        &[
            r#"spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean""#,
        ],
    );
    check(
        json!({"size": 1, "list": [{"k": "a"}, {"k": "a"}]}),
        &[r#"spec.list[1]: Duplicate value: {"k":"a"}"#],
    );
    check(
        json!({"size": 1, "list": [{"k": "a"}, {"k": "b"}, {"k": "c"}]}),
        &["spec.list: Too many: 3: must have at most 2 items"],
    );
    check(json!({"size": 1, "set": ["x", "x"]}), &[r#"spec.set[1]: Duplicate value: "x""#]);
    let one = errors(json!({"spec": {"size": 1, "one": {"a": "1", "b": "2"}}}), None);
    assert_eq!(
        one,
        [
            r#"<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]
    );
    assert_eq!(errors(json!({}), None), ["spec: Required value"]);
}

#[test]
fn what_was_so_before_may_stay() {
    let old = json!({"spec": {"size": 99, "name": "OLD", "list": [{"k": "a", "v": "not a number"}]}});
    assert_eq!(errors(old.clone(), Some(&old)), [""; 0]);
    let mut new = old.clone();
    new["spec"]["mode"] = "on".into();
    new["spec"]["list"] = json!([{"k": "b", "v": 1}, {"k": "a", "v": "not a number"}]);
    assert_eq!(errors(new.clone(), Some(&old)), [""; 0]);
    new["spec"]["size"] = 98.into();
    assert_eq!(errors(new, Some(&old)).len(), 1);
}
