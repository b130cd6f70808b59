//! What is wrong with the schemas of a definition: they must be structural, so that objects can be pruned and defaulted.

use std::collections::BTreeSet;

use apimachinery::FieldError;
use serde_json::{Map, Value};

use crate::node::{Kind, Node};
use crate::{default, prune, rules, validate};

/// What is wrong with the schemas of a definition (its `spec`), which was `old` before. What is as it was then is let be.
pub fn faults(spec: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let versions: Vec<&Value> = spec["versions"].as_array().into_iter().flatten().collect();
    let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
    let Some(first) = versions.first().map(|version| schema(version)) else { return Vec::new() };
    let before: Vec<&Value> = old.and_then(|old| old["versions"].as_array()).into_iter().flatten().collect();
    let mut known = BTreeSet::new();
    before.iter().for_each(|version| rules::texts(version, &mut known));
    let is_unchanged = |version: &Value| {
        let same = |old: &&&Value| old["name"] == version["name"] && old["schema"] == version["schema"];
        before.iter().any(|old| same(&old))
    };
    // One schema for all versions is named by where it was before versions had their own, where there is one.
    if first.is_object() && versions.iter().all(|version| schema(version) == first) {
        return match versions.iter().all(|version| is_unchanged(version)) {
            true => Vec::new(),
            false => faults_of_version(&first, "spec.validation.openAPIV3Schema", &known),
        };
    }
    let of = |(index, version): (usize, &&Value)| {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        faults_of_version(&schema(version), &path, &known)
    };
    versions.iter().enumerate().filter(|(_, version)| !is_unchanged(version)).flat_map(of).collect()
}

/// What is wrong with a schema at a path.
fn faults_of_version(schema: &Value, path: &str, known: &BTreeSet<&str>) -> Vec<FieldError> {
    let Some(fields) = schema.as_object() else {
        return vec![FieldError::required(path, "schemas are required")];
    };
    let mut check = Check { errors: Vec::new() };
    match fields.get("type").and_then(Value::as_str) {
        None | Some("") => {
            check.errors.push(FieldError::required(format!("{path}.type"), "must not be empty at the root"));
        }
        Some("object") => {}
        Some(other) => {
            let error = FieldError::invalid(format!("{path}.type"), other, "must be object at the root");
            check.errors.push(error);
        }
    }
    check.node(fields, path, Place::Root);
    if check.errors.is_empty() {
        // Rules that do not compile in a schema that is wrong would be complained about twice.
        let node = Node::read(schema);
        check.defaults(&node, path, true);
        check.errors.extend(rules::faults(fields, &node, path, known));
    }
    check.errors
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Field,
    Item,
}

struct Check {
    errors: Vec<FieldError>,
}

/// What no schema may hold, and why not.
const UNSUPPORTED: [(&str, &str); 5] = [
    ("$ref", "$ref is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("additionalItems", "additionalItems is not supported"),
];

/// What may not stand inside `allOf` and its like.
const ONLY_OUTSIDE: [&str; 11] = [
    "default",
    "description",
    "nullable",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

impl Check {
    fn forbid(&mut self, path: String, why: &str) {
        self.errors.push(FieldError::forbidden(path, why));
    }

    fn node(&mut self, schema: &Map<String, Value>, path: &str, place: Place) {
        self.own(schema, path, place);
        self.logic(schema, path);
        for (name, property) in objects(schema, "properties") {
            let here = format!("{path}.properties[{name}]");
            self.node(property, &here, Place::Field);
            if place == Place::Root && name == "metadata" {
                self.metadata(property, &here);
            }
        }
        match schema.get("additionalProperties") {
            Some(Value::Object(values)) => {
                self.node(values, &format!("{path}.additionalProperties"), Place::Field);
            }
            Some(Value::Bool(false)) => self.forbid(
                format!("{path}.additionalProperties"),
                "additionalProperties cannot be set to false",
            ),
            _ => {}
        }
        match schema.get("items") {
            Some(Value::Object(items)) => self.node(items, &format!("{path}.items"), Place::Item),
            Some(Value::Array(_)) => {
                self.forbid(format!("{path}.items"), "items must be a schema object and not an array");
            }
            _ => {}
        }
    }

    fn own(&mut self, schema: &Map<String, Value>, path: &str, place: Place) {
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool) == Some(true);
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        let free = flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields");
        if kind.is_empty() && !free && place != Place::Root {
            let of = if place == Place::Item { "array items" } else { "object fields" };
            let why = format!("must not be empty for specified {of}");
            self.errors.push(FieldError::required(format!("{path}.type"), why));
        }
        if !kind.is_empty() && Kind::parse(kind).is_none() {
            let known = ["array", "boolean", "integer", "number", "object", "string"];
            self.errors.push(FieldError::not_supported(format!("{path}.type"), kind, &known));
        }
        if kind == "array" && !schema.contains_key("items") {
            self.errors.push(FieldError::required(format!("{path}.items"), "must be specified"));
        }
        for (name, why) in UNSUPPORTED {
            if schema.contains_key(name) {
                self.forbid(format!("{path}.{name}"), why);
            }
        }
        if flag("uniqueItems") {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.forbid(format!("{path}.uniqueItems"), why);
        }
        if schema.contains_key("properties") && schema.contains_key("additionalProperties") {
            let why = "additionalProperties and properties are mutual exclusive";
            self.forbid(format!("{path}.additionalProperties"), why);
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && let Err(error) = regex::Regex::new(pattern)
        {
            let why = format!("must be a valid regular expression, but isn't: {}", last_line(&error));
            self.errors.push(FieldError::invalid(format!("{path}.pattern"), pattern, why));
        }
        for (index, rule) in list(schema, "x-kubernetes-validations").enumerate() {
            self.words(rule, schema, &format!("{path}.x-kubernetes-validations[{index}]"));
        }
        self.list(schema, path, kind);
        if let Some(map) = schema.get("x-kubernetes-map-type").and_then(Value::as_str) {
            let field = format!("{path}.x-kubernetes-map-type");
            if kind != "object" {
                self.wrong_type(path, kind, "must be object if x-kubernetes-map-type is specified");
            }
            if !matches!(map, "atomic" | "granular") {
                self.errors.push(FieldError::not_supported(field, map, &["atomic", "granular"]));
            }
        }
    }

    fn wrong_type(&mut self, path: &str, kind: &str, why: &str) {
        let field = format!("{path}.type");
        self.errors.push(match kind {
            "" => FieldError::required(field, why),
            kind => FieldError::invalid(field, kind, why),
        });
    }

    /// What a rule says besides its expressions.
    fn words(&mut self, rule: &Map<String, Value>, schema: &Map<String, Value>, path: &str) {
        const REASONS: [&str; 4] =
            ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
        let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default();
        let has_lines = |text: &str| text.contains(['\n', '\r']);
        let (own, message) = (text("rule"), text("message"));
        let at = |name: &str| format!("{path}.{name}");
        if own.trim().is_empty() {
            self.errors.push(FieldError::required(at("rule"), "rule is not specified"));
        } else if !message.is_empty() && message.trim().is_empty() {
            let why = "message must be non-empty if specified";
            self.errors.push(FieldError::invalid(at("message"), message, why));
        } else if message.len() > 2048 {
            let shown: String = message.chars().take(10).chain("...".chars()).collect();
            let why = "message must have a maximum length of 2048 characters";
            self.errors.push(FieldError::invalid(at("message"), shown, why));
        } else if has_lines(message.trim()) {
            let why = "message must not contain line breaks";
            self.errors.push(FieldError::invalid(at("message"), message, why));
        } else if has_lines(own.trim()) && message.trim().is_empty() {
            let why = "message must be specified if rule contains line breaks";
            self.errors.push(FieldError::required(at("message"), why));
        }
        let expression = text("messageExpression");
        if !expression.is_empty() && expression.trim().is_empty() {
            let why = "messageExpression must be non-empty if specified";
            self.errors.push(FieldError::required(at("messageExpression"), why));
        }
        let reason = text("reason");
        if rule.contains_key("reason") && !REASONS.contains(&reason) {
            self.errors.push(FieldError::not_supported(at("reason"), reason, &REASONS));
        }
        let field = text("fieldPath");
        if field.is_empty() {
            return;
        }
        if field.trim().is_empty() {
            let why = "fieldPath must be non-empty if specified";
            self.errors.push(FieldError::invalid(at("fieldPath"), field, why));
        }
        if has_lines(field) {
            let why = "fieldPath must not contain line breaks";
            self.errors.push(FieldError::invalid(at("fieldPath"), field, why));
        }
        if let Err(why) = rules::at_path(field, schema) {
            let why = format!("fieldPath must be a valid path: {why}");
            self.errors.push(FieldError::invalid(at("fieldPath"), field, why));
        }
    }

    fn list(&mut self, schema: &Map<String, Value>, path: &str, kind: &str) {
        let keys: Vec<&str> = texts(schema, "x-kubernetes-list-map-keys").collect();
        let keys_path = format!("{path}.x-kubernetes-list-map-keys");
        let Some(list) = schema.get("x-kubernetes-list-type").and_then(Value::as_str) else {
            if !keys.is_empty() {
                self.forbid(keys_path, "must be empty if x-kubernetes-list-type is not set to 'map'");
            }
            return;
        };
        if kind != "array" {
            self.wrong_type(path, kind, "must be array if x-kubernetes-list-type is specified");
        }
        if !matches!(list, "atomic" | "set" | "map") {
            let field = format!("{path}.x-kubernetes-list-type");
            self.errors.push(FieldError::not_supported(field, list, &["atomic", "set", "map"]));
        }
        if list != "map" {
            return;
        }
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            self.errors.push(FieldError::required(keys_path, why));
            return;
        }
        let empty = Map::new();
        let items = schema.get("items").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = texts(items, "required").collect();
        for (index, key) in keys.iter().enumerate() {
            let here = format!("{keys_path}[{index}]");
            let Some((_, property)) = objects(items, "properties").find(|(name, _)| name == key) else {
                let why = "entries must all be names of item properties";
                self.errors.push(FieldError::invalid(here, *key, why));
                continue;
            };
            let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
            if matches!(kind, "array" | "object") {
                let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                let field = format!("{path}.items.properties[{key}].type");
                self.errors.push(FieldError::invalid(field, kind, why));
            }
            if !required.contains(key) && !property.contains_key("default") {
                let field = format!("{path}.items.properties[{key}].default");
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.errors.push(FieldError::required(field, why));
            }
        }
    }

    fn logic(&mut self, schema: &Map<String, Value>, path: &str) {
        for name in ["allOf", "anyOf", "oneOf"] {
            for (index, nested) in list(schema, name).enumerate() {
                self.nested(nested, &format!("{path}.{name}[{index}]"));
            }
        }
        if let Some(not) = schema.get("not").and_then(Value::as_object) {
            self.nested(not, &format!("{path}.not"));
        }
    }

    fn nested(&mut self, schema: &Map<String, Value>, path: &str) {
        let of_numbers = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        for name in ONLY_OUTSIDE {
            // The two ways in which a number or a text is one of both may name their types.
            let either = name == "type" && matches!(of_numbers, "integer" | "string");
            if schema.contains_key(name) && !either {
                self.forbid(format!("{path}.{name}"), "must be empty to be structural");
            }
        }
        if schema.contains_key("additionalProperties") {
            self.forbid(format!("{path}.additionalProperties"), "must be undefined to be structural");
        }
        self.logic(schema, path);
        for (name, property) in objects(schema, "properties") {
            self.nested(property, &format!("{path}.properties[{name}]"));
        }
        if let Some(items) = schema.get("items").and_then(Value::as_object) {
            self.nested(items, &format!("{path}.items"));
        }
    }

    /// The server knows what metadata are; a definition may only narrow the name.
    fn metadata(&mut self, schema: &Map<String, Value>, path: &str) {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            let kind = schema.get("type").cloned().unwrap_or_default();
            self.errors.push(FieldError::invalid(format!("{path}.type"), kind, "must be object"));
        }
        let allowed = ["type", "description", "properties"];
        let more = schema.keys().any(|name| !allowed.contains(&name.as_str()));
        let names = objects(schema, "properties").all(|(name, _)| matches!(name, "name" | "generateName"));
        if more || !names {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            self.forbid(path.to_owned(), why);
        }
    }

    /// A default is a value as it may be written: nothing unknown in it, and valid.
    fn defaults(&mut self, node: &Node, path: &str, is_root: bool) {
        if let Some(value) = &node.default {
            let here = format!("{path}.default");
            let mut pruned = (**value).clone();
            let mut wrapped = Value::Object(Map::from_iter([("default".to_owned(), pruned.take())]));
            let holder = Node {
                kind: Some(Kind::Object),
                properties: [("default".into(), Node { default: None, ..node.clone() })].into(),
                has_expressions: node.has_expressions,
                ..Node::default()
            };
            let unknown = prune::prune(&holder, &mut wrapped);
            if is_root {
                self.forbid(here, "must not be set at the root");
            } else if !unknown.is_empty() {
                let why = "must not have unknown fields";
                self.errors.push(FieldError::invalid(here, (**value).clone(), why));
            } else {
                default::default(&holder, &mut wrapped);
                let faults = validate::validate_with_rules(&holder, &wrapped, None);
                self.errors.extend(faults.into_iter().map(|mut fault| {
                    fault.field = format!("{path}.{}", fault.field);
                    fault
                }));
            }
        }
        for (name, child) in &node.properties {
            self.defaults(child, &format!("{path}.properties[{name}]"), false);
        }
        if let crate::node::Additional::Of(child) = &node.additional {
            self.defaults(child, &format!("{path}.additionalProperties"), false);
        }
        if let Some(child) = &node.items {
            self.defaults(child, &format!("{path}.items"), false);
        }
    }
}

fn list<'a>(schema: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn objects<'a>(
    schema: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a Map<String, Value>)> {
    let of = schema.get(name).and_then(Value::as_object).into_iter().flatten();
    of.filter_map(|(name, schema)| Some((name.as_str(), schema.as_object()?)))
}

fn texts<'a>(schema: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_that_are_not_structural_are_refused_in_upstreams_words() {
        let check = |schema: Value, expected: &[&str]| {
            let spec = json!({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema.clone()}}]});
            let found: Vec<String> = faults(&spec, None)
                .iter()
                .map(|error| format!("{}: {}", error.field, error.body()))
                .collect();
            assert_eq!(found, expected, "{schema}");
        };
        const ROOT: &str = "spec.validation.openAPIV3Schema";
        check(json!({"type": "object", "properties": {"spec": {"type": "object"}}}), &[]);
        check(
            json!(null),
            &["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
        );
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
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}}}),
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
                r#"x-kubernetes-list-map-keys[1]: Invalid value: "x": entries must all be names of item properties"#,
            ],
        );
        check(
            list("map", &[], item.clone()),
            &[
                "x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
            ],
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
            &[
                r#"x-kubernetes-list-type: Unsupported value: "heap": supported values: "atomic", "set", "map""#,
            ],
        );
        check(
            json!({"type": "array", "items": item, "x-kubernetes-list-map-keys": ["k"]}),
            &[
                "x-kubernetes-list-map-keys: Forbidden: must be empty if x-kubernetes-list-type is not set to 'map'",
            ],
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
        ] {
            check(rule, &[told]);
        }
    }
}
