//! Schemas of definitions, and what is told of those that are wrong.

use serde_json::json;

use super::*;

#[test]
fn schemas_that_are_not_structural_are_refused_in_upstreams_words() {
    let check = |schema: Value, expected: &[&str]| {
        let spec = json!({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema.clone()}}]});
        let found: Vec<String> =
            faults(&spec, None).iter().map(|error| format!("{}: {}", error.field, error.body())).collect();
        assert_eq!(found, expected, "{schema}");
    };
    const ROOT: &str = "spec.validation.openAPIV3Schema";
    check(json!({"type": "object", "properties": {"spec": {"type": "object"}}}), &[]);
    check(json!(null), &["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"]);
    check(json!({}), &[&format!("{ROOT}.type: Required value: must not be empty at the root")]);
    check(
        json!({"type": "object", "properties": {"spec": {}}}),
        &[&format!(
            "{ROOT}.properties[spec].type: Required value: must not be empty for specified object fields"
        )],
    );
    check(
        json!({"type": "object", "properties": {"l": {"type": "array"}}}),
        &[&format!("{ROOT}.properties[l].items: Required value: must be specified")],
    );
    check(
        json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}}}),
        &[&format!(
            "{ROOT}.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"
        )],
    );
    check(
        json!({"type": "object", "anyOf": [{"type": "object", "required": ["a"]}]}),
        &[&format!("{ROOT}.anyOf[0].type: Forbidden: must be empty to be structural")],
    );
    check(
        json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
        &[&format!(
            "{ROOT}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        )],
    );
    check(
        json!({"type": "object", "properties": {"n": {"type": "integer", "default": 1,
            "x-kubernetes-validations": [{"rule": "self > 1"}]}}}),
        &[&format!("{ROOT}.properties[n].default: Invalid value: \"integer\": failed rule: self > 1")],
    );
    check(
        json!({"type": "object", "properties": {"n": {"type": "integer", "default": "x"}}}),
        &[&format!(
            "{ROOT}.properties[n].default: Invalid value: \"string\": default in body must be of type integer: \"string\""
        )],
    );
}

/// What is wrong with a schema; `within` is what every path begins with, and left out.
fn told(schema: Value, within: &str) -> Vec<String> {
    let spec = json!({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]});
    let within = format!("spec.validation.openAPIV3Schema.{within}");
    let tell = |error: &FieldError| format!("{}: {}", error.field, error.body()).replace(&within, "");
    faults(&spec, None).iter().map(tell).collect()
}

#[test]
fn lists_maps_and_patterns_are_judged() {
    let check = |field: Value, expected: &[&str]| {
        let schema = json!({"type": "object", "properties": {"f": field}});
        assert_eq!(told(schema, "properties[f]."), expected, "{field}");
    };
    let list = |list: &str, keys: &[&str], item: Value| json!({"type": "array", "x-kubernetes-list-type": list, "x-kubernetes-list-map-keys": keys, "items": item});
    let item = json!({"type": "object", "required": ["k"], "properties": {"k": {"type": "string"},
        "d": {"type": "string", "default": ""}, "n": {"type": "string"}, "o": {"type": "object"}}});
    check(list("map", &["k", "d"], item.clone()), &[]);
    check(
        list("map", &["n"], item.clone()),
        &[
            "items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ],
    );
    check(
        list("map", &["k", "x"], item.clone()),
        &[
            r#"x-kubernetes-list-map-keys: Invalid value: ["k","x"]: entries must all be names of item properties"#,
        ],
    );
    check(
        list("map", &[], item.clone()),
        &["x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"],
    );
    let mut required = item.clone();
    required["required"] = json!(["k", "o"]);
    check(
        list("map", &["k", "o"], required),
        &[
            r#"items.properties[o].type: Invalid value: "object": must be a scalar type if parent array's x-kubernetes-list-type is map"#,
        ],
    );
    check(
        list("heap", &[], item.clone()),
        &[r#"x-kubernetes-list-type: Unsupported value: "heap": supported values: "atomic", "set", "map""#],
    );
    check(
        json!({"type": "array", "items": item, "x-kubernetes-list-map-keys": ["k"]}),
        &["x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"],
    );
    check(
        json!({"type": "string", "x-kubernetes-list-type": "atomic"}),
        &[r#"type: Invalid value: "string": must be array if x-kubernetes-list-type is specified"#],
    );
    check(json!({"type": "object", "x-kubernetes-map-type": "granular"}), &[]);
    check(
        json!({"type": "string", "x-kubernetes-map-type": "some"}),
        &[
            r#"type: Invalid value: "string": must be object if x-kubernetes-map-type is specified"#,
            r#"x-kubernetes-map-type: Unsupported value: "some": supported values: "atomic", "granular""#,
        ],
    );
    check(
        json!({"x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-map-type": "atomic"}),
        &["type: Required value: must be object if x-kubernetes-map-type is specified"],
    );
    check(
        json!({"type": "map"}),
        &[
            r#"type: Unsupported value: "map": supported values: "array", "boolean", "integer", "number", "object", "string""#,
        ],
    );
    check(
        json!({"type": "object", "additionalProperties": false}),
        &["additionalProperties: Forbidden: additionalProperties cannot be set to false"],
    );
    check(
        json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
        &[
            "uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ],
    );
    check(
        json!({"type": "object", "additionalProperties": {"type": "array"}}),
        &["additionalProperties.items: Required value: must be specified"],
    );
    check(
        json!({"type": "array", "items": {}}),
        &["items.type: Required value: must not be empty for specified array items"],
    );
}

#[test]
fn rules_say_what_they_mean() {
    let check = |rule: Value, expected: &[&str]| {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "x-kubernetes-validations": [rule]});
        assert_eq!(told(schema, "x-kubernetes-validations[0]."), expected, "{rule}");
    };
    let with = |field: &str, value: Value| json!({"rule": "self.n > 1", field: value});
    check(with("message", json!("m".repeat(2048))), &[]);
    check(with("messageExpression", json!("'a'")), &[]);
    check(with("reason", json!("FieldValueForbidden")), &[]);
    check(with("fieldPath", json!(".n")), &[]);
    check(json!({"rule": "self.n > 1 &&\n self.n < 3", "message": "m"}), &[]);
    for (rule, told) in [
        (json!({"rule": " "}), "rule: Required value: rule is not specified"),
        (
            with("message", json!(" ")),
            r#"message: Invalid value: " ": message must be non-empty if specified"#,
        ),
        (
            with("message", json!("m".repeat(2049))),
            r#"message: Invalid value: "mmmmmmmmmm...": message must have a maximum length of 2048 characters"#,
        ),
        (
            with("message", json!("a\nb")),
            r#"message: Invalid value: "a\nb": message must not contain line breaks"#,
        ),
        (
            json!({"rule": "self.n > 1 &&\n self.n < 3"}),
            "message: Required value: message must be specified if rule contains line breaks",
        ),
        (
            with("messageExpression", json!(" ")),
            "messageExpression: Required value: messageExpression must be non-empty if specified",
        ),
        (
            with("reason", json!("Some")),
            r#"reason: Unsupported value: "Some": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired""#,
        ),
        (
            with("fieldPath", json!(".m")),
            r#"fieldPath: Invalid value: ".m": fieldPath must be a valid path: does not refer to a valid field"#,
        ),
        (
            with("fieldPath", json!("n")),
            r#"fieldPath: Invalid value: "n": fieldPath must be a valid path: expected [ or . but got: n"#,
        ),
        (
            with("fieldPath", json!(".n[0]")),
            r#"fieldPath: Invalid value: ".n[0]": fieldPath must be a valid path: expected single quoted string but got 0"#,
        ),
    ] {
        check(rule, &[told]);
    }
    check(
        with("fieldPath", json!(" ")),
        &[
            r#"fieldPath: Invalid value: " ": fieldPath must be non-empty if specified"#,
            r#"fieldPath: Invalid value: " ": fieldPath must be a valid path: expected [ or . but got:  "#,
        ],
    );
    check(
        with("fieldPath", json!(".n\n")),
        &[
            r#"fieldPath: Invalid value: ".n\n": fieldPath must not contain line breaks"#,
            r#"fieldPath: Invalid value: ".n\n": fieldPath must be a valid path: does not refer to a valid field"#,
        ],
    );
}

/// What is wrong with a field of a schema that is otherwise well; what every path begins with is left out.
fn field(schema: Value) -> Vec<String> {
    told(json!({"type": "object", "properties": {"f": schema}}), "properties[f].")
}

fn check_field(rows: &[(Value, &[&str])]) {
    for (schema, expected) in rows {
        assert_eq!(field(schema.clone()), *expected, "{schema}");
    }
}

#[test]
fn numbers_or_texts_name_their_types_in_two_ways() {
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    let refused = |at: &str| format!("{at}.type: Forbidden: must be empty to be structural");
    check_field(&[
        (json!({"x-kubernetes-int-or-string": true, "anyOf": either}), &[]),
        (json!({"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": either}, {"minimum": 1}]}), &[]),
        (
            json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "string"}, {"type": "integer"}]}),
            &[&refused("anyOf[0]"), &refused("anyOf[1]")],
        ),
        (
            json!({"x-kubernetes-int-or-string": true, "allOf": [{"minimum": 1}, {"anyOf": either}]}),
            &[&refused("allOf[1].anyOf[0]"), &refused("allOf[1].anyOf[1]")],
        ),
        (
            json!({"x-kubernetes-int-or-string": true, "oneOf": either}),
            &[&refused("oneOf[0]"), &refused("oneOf[1]")],
        ),
        (
            json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}),
            &[
                "x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true",
            ],
        ),
    ]);
}

#[test]
fn what_only_judges_values_says_nothing_else() {
    check_field(&[
        (
            json!({"type": "object", "not": {"description": "d", "nullable": true, "default": 1, "title": "t",
                "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-list-type": "set",
                "x-kubernetes-validations": [{"rule": "true"}], "additionalProperties": true}}),
            &[
                "not.additionalProperties: Forbidden: must be undefined to be structural",
                "not.default: Forbidden: must be undefined to be structural",
                "not.description: Forbidden: must be empty to be structural",
                "not.nullable: Forbidden: must be false to be structural",
                "not.title: Forbidden: must be empty to be structural",
                "not.x-kubernetes-list-type: Forbidden: must be undefined to be structural",
                "not.x-kubernetes-preserve-unknown-fields: Forbidden: must be false to be structural",
                "not.x-kubernetes-validations: Forbidden: must be empty to be structural",
                "not.type: Required value: must be array if x-kubernetes-list-type is specified",
            ],
        ),
        (
            json!({"type": "object", "anyOf": [{"properties": {"metadata": {"minLength": 1}}}]}),
            &["anyOf[0].properties[metadata]: Forbidden: must not be specified in a nested context"],
        ),
    ]);
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}},
        "allOf": [{"properties": {"a": {"items": {"minLength": 1}}, "b": {"minimum": 1}}, "not": {"items": {"minimum": 1}}}]});
    assert_eq!(
        told(schema, ""),
        [
            "items: Required value: because it is defined in spec.validation.openAPIV3Schema.allOf[0].not.items",
            "properties[b]: Required value: because it is defined in spec.validation.openAPIV3Schema.allOf[0].properties[b]",
        ]
        .map(|line| line.replace("spec.validation.openAPIV3Schema.", ""))
    );
}

#[test]
fn objects_inside_objects_are_objects() {
    let embedded = |more: Value| {
        let mut schema = json!({"type": "object", "x-kubernetes-embedded-resource": true});
        for (key, value) in more.as_object().unwrap() {
            schema[key] = value.clone();
        }
        schema
    };
    check_field(&[
        (embedded(json!({"x-kubernetes-preserve-unknown-fields": true})), &[]),
        (embedded(json!({"properties": {"spec": {"type": "object"}}})), &[]),
        (
            embedded(json!({})),
            &[
                "properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
            ],
        ),
        (
            embedded(json!({"type": "string", "x-kubernetes-preserve-unknown-fields": true})),
            &[r#"type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true"#],
        ),
        (
            embedded(
                json!({"additionalProperties": {"type": "string"}, "x-kubernetes-preserve-unknown-fields": true}),
            ),
            &["additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is set"],
        ),
        (
            embedded(
                json!({"properties": {"kind": {"type": "integer"}, "metadata": {"type": "object", "properties":
                {"labels": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}}}}),
            ),
            &[
                r#"properties[kind].type: Invalid value: "integer": must be string"#,
                "properties[metadata].properties[labels].x-kubernetes-embedded-resource: Forbidden: must not be used inside of resource meta",
            ],
        ),
        (
            embedded(json!({"properties": {"metadata": {"type": "object", "properties": {"labels":
                {"type": "object", "additionalProperties": {"type": "string", "default": "a"}}}}}})),
            &[
                "properties[metadata].properties[labels].additionalProperties.default: Forbidden: must not be set inside additionalProperties applying to object metadata",
            ],
        ),
    ]);
}

#[test]
fn the_root_is_a_plain_object() {
    let root = |more: Value| {
        let mut schema = json!({"type": "object"});
        for (key, value) in more.as_object().unwrap() {
            schema[key] = value.clone();
        }
        told(schema, "")
    };
    assert_eq!(root(json!({"nullable": true})), ["nullable: Forbidden: nullable cannot be true at the root"]);
    assert_eq!(
        root(json!({"additionalProperties": {"type": "string"}})),
        ["additionalProperties: Forbidden: must not be used at the root"]
    );
    assert_eq!(
        root(
            json!({"properties": {"kind": {"type": "string", "default": "a"}, "metadata": {"type": "object", "default": {}}}})
        ),
        [
            "properties[kind].default: Forbidden: must not be set in top-level kind",
            "properties[metadata].default: Forbidden: must not be set in top-level metadata",
        ]
    );
    let of = |subresources: Value| {
        let spec = json!({"versions": [{"name": "v1", "subresources": subresources, "schema": {"openAPIV3Schema":
            {"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["a"]}]}}}]});
        faults(&spec, None)
            .iter()
            .map(|error| format!("{}: {}", error.field, error.detail))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(json!({"scale": {}})), [""; 0]);
    let told = of(json!({"status": {}}));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("spec.validation.openAPIV3Schema: only [Description Type Format Title Maximum"),
        "{told:?}"
    );
    assert!(told[0].ends_with(
        "XValidations] fields are allowed at the root of the schema if the status subresource is enabled"
    ));
}

#[test]
fn what_makes_a_schema_unreadable_is_told_alone() {
    check_field(&[
        (
            json!({"not": {"$ref": "a"}, "items": [{}]}),
            &[
                "items: Forbidden: items must be a schema object and not an array",
                "not.$ref: Forbidden: $ref is not supported",
            ],
        ),
        (
            json!({"x-kubernetes-preserve-unknown-fields": false}),
            &["x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
        ),
        (
            json!({"type": "null"}),
            &[
                r#"type: Unsupported value: "null": supported values: "array", "boolean", "integer", "number", "object", "string""#,
                "type: Forbidden: type cannot be set to null, use nullable as an alternative",
            ],
        ),
    ]);
}

/// Schemas that a new definition may not have, and a stored one may have in other places too.
#[test]
fn rules_that_came_late_are_not_held_against_definitions_that_broke_them() {
    let set = |item: Value| json!({"type": "array", "x-kubernetes-list-type": "set", "items": item});
    let map = |key: Value| {
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {"k": key}}})
    };
    let rows = [
        (
            set(json!({"type": "object"})),
            "items.x-kubernetes-map-type: Invalid value: \"null\": must be atomic as item of a list with x-kubernetes-list-type=set",
        ),
        (
            set(json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}})),
            "items.x-kubernetes-list-type: Invalid value: \"set\": must be atomic as item of a list with x-kubernetes-list-type=set",
        ),
        (
            set(json!({"type": "string", "nullable": true})),
            "items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set",
        ),
        (
            map(json!({"type": "string", "nullable": true})),
            "items.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": 1}}),
            "default: Invalid value: {\"b\":1}: must not have unknown fields",
        ),
    ];
    let of = |schema: Value| {
        json!({"versions": [{"name": "v1", "schema": {"openAPIV3Schema":
            {"type": "object", "properties": {"f": schema, "g": {"type": "string"}}}}}]})
    };
    for (schema, expected) in rows {
        assert_eq!(field(schema.clone()), [expected]);
        let before = of(schema);
        let mut after = before.clone();
        after["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["g"]["maxLength"] = json!(5);
        assert_eq!(faults(&after, Some(&before)), [], "{expected}");
        let sound = of(json!({"type": "string"}));
        assert_eq!(faults(&after, Some(&sound)).len(), 1, "{expected}");
    }
}

#[test]
fn a_rule_is_judged_again_when_the_bounds_of_its_values_change() {
    let of = |list: Value| {
        let rule = json!({"rule": "self.l.all(x, self.l.all(y, x == y))"});
        json!({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec":
            {"type": "object", "x-kubernetes-validations": [rule], "properties": {"l": list}}}}}}]})
    };
    let bounded = of(json!({"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 10}}));
    let unbounded = of(json!({"type": "array", "items": {"type": "string"}}));
    assert_eq!(faults(&bounded, None), []);
    assert!(faults(&unbounded, Some(&bounded))[0].detail.starts_with("estimated rule cost exceeds budget"));
    // What is stored as it is may stay.
    assert_eq!(faults(&unbounded, Some(&unbounded)), []);
}
