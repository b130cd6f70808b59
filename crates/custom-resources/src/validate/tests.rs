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

/// The errors of a value under a schema of its own, at the field `f`.
/// What an object had twice, it may have twice in another place too; what had nothing twice gets nothing twice.
#[test]
fn what_was_twice_may_be_twice() {
    let with = |set: Value, list: Value| json!({"spec": {"size": 3, "set": set, "list": list}});
    let sound = with(json!(["a", "b"]), json!([{"k": "a"}]));
    let twice = with(json!(["a", "a"]), json!([{"k": "a"}]));
    let told = "spec.set[1]: Duplicate value: \"a\"";
    assert_eq!(errors(twice.clone(), None), [told]);
    assert_eq!(errors(twice.clone(), Some(&sound)), [told]);
    assert_eq!(errors(with(json!(["a", "a", "b"]), json!([{"k": "a"}])), Some(&twice)), [""; 0]);
    assert_eq!(errors(with(json!(["a", "b"]), json!([{"k": "a"}, {"k": "a"}])), Some(&twice)), [""; 0]);
    assert_eq!(
        errors(with(json!(["a", "b"]), json!([{"k": "a"}, {"k": "a"}])), Some(&sound)),
        ["spec.list[1]: Duplicate value: {\"k\":\"a\"}"]
    );
}

fn of(schema: Value, value: Value) -> Vec<String> {
    let node = Node::read(&json!({"type": "object", "properties": {"f": schema}}));
    let found = validate(&node, &json!({ "f": value }), None);
    found.iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
}

#[test]
fn limits_hold_at_their_edges() {
    let number = |schema: Value, good: &[Value], bad: &[(Value, &str)]| {
        for value in good {
            assert_eq!(of(schema.clone(), value.clone()), [""; 0], "{schema} {value}");
        }
        for (value, told) in bad {
            let expected = format!("f: Invalid value: {value}: f in body should {told}");
            assert_eq!(of(schema.clone(), value.clone()), [expected], "{schema} {value}");
        }
    };
    number(
        json!({"type": "integer", "minimum": 1, "maximum": 3}),
        &[json!(1), json!(3)],
        &[(json!(0), "be greater than or equal to 1"), (json!(4), "be less than or equal to 3")],
    );
    number(
        json!({"type": "number", "minimum": 1, "exclusiveMinimum": true, "maximum": 3, "exclusiveMaximum": true}),
        &[json!(1.5), json!(2)],
        &[(json!(1), "be greater than 1"), (json!(3), "be less than 3")],
    );
    number(
        json!({"type": "integer", "multipleOf": 5}),
        &[json!(0), json!(10)],
        &[(json!(7), "be a multiple of 5")],
    );
    number(
        json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2}),
        &[json!(["a"]), json!(["a", "b"])],
        &[(json!([]), "have at least 1 items")],
    );
    number(
        json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 2}),
        &[json!({"a": ""}), json!({"a": "", "b": ""})],
        &[(json!({}), "have at least 1 properties")],
    );
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1});
    assert_eq!(of(map, json!({"a": "", "b": ""})), ["f: Too many: 2: must have at most 1 item"]);
    number(
        json!({"type": "string", "minLength": 2, "maxLength": 3}),
        &[json!("ab"), json!("äöü")],
        &[(json!("a"), "be at least 2 chars long")],
    );
    assert_eq!(
        of(json!({"type": "string", "format": "ipv4"}), json!("x")),
        [r#"f: Invalid value: "x": f in body must be of type ipv4: "x""#]
    );
    assert_eq!(of(json!({"type": "integer"}), json!(2.0)), [""; 0]);
    assert_eq!(of(json!({"type": "integer"}), json!(2.5)).len(), 1);
    assert_eq!(of(json!({"type": "number", "enum": [1]}), json!(1.0)), [""; 0], "one number, written twice");
}

#[test]
fn schemas_are_joined() {
    let text = |fields: Value| {
        let mut schema = json!({"type": "string"});
        for (key, value) in fields.as_object().unwrap() {
            schema[key] = value.clone();
        }
        schema
    };
    let (a, b) = (json!({"pattern": "a"}), json!({"pattern": "b"}));
    let (any, all) = (text(json!({"anyOf": [a, b]})), text(json!({"allOf": [a, b]})));
    let (one, not) = (text(json!({"oneOf": [a, b]})), text(json!({"not": a})));
    let failed = |words: &str| format!(r#"<nil>: Invalid value: "": "f" must {words}"#);
    let should = |text: &str, pattern: &str| {
        format!("f: Invalid value: \"{text}\": f in body should match '{pattern}'")
    };
    assert_eq!(of(any.clone(), json!("xb")), [""; 0]);
    assert_eq!(of(any, json!("x")), [failed("validate at least one schema (anyOf)"), should("x", "a")]);
    assert_eq!(of(all.clone(), json!("ab")), [""; 0]);
    assert_eq!(of(all, json!("a")), [failed("validate all the schemas (allOf)"), should("a", "b")]);
    assert_eq!(of(one.clone(), json!("a")), [""; 0]);
    assert_eq!(
        of(one, json!("x")),
        [failed("validate one and only one schema (oneOf). Found none valid"), should("x", "a")]
    );
    assert_eq!(of(not.clone(), json!("b")), [""; 0]);
    assert_eq!(of(not, json!("a")), [failed("not validate the schema (not)")]);
}

#[test]
fn objects_inside_objects_are_objects() {
    let schema = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(
        of(schema.clone(), json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})),
        [""; 0]
    );
    assert_eq!(
        of(schema.clone(), json!({"apiVersion": ""})),
        ["f.apiVersion: Required value: must not be empty", "f.kind: Required value: must not be empty"]
    );
    assert_eq!(
        of(schema, json!({"apiVersion": "v1", "kind": 3, "metadata": "x"})),
        [
            "f.kind: Invalid value: 3: must be a string",
            r#"f.metadata: Invalid value: "x": must be an object"#
        ]
    );
}
