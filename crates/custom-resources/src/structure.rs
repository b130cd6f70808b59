//! Whether a schema is structural: types, fields and items stand outside of what only judges values, so that objects can
//! be pruned and defaulted by it.

use apimachinery::FieldError;
use serde_json::{Map, Value};

use crate::structural::{flag, kind, list, objects};

type Schema = Map<String, Value>;

/// What keeps a schema from being structural, in the order of its words.
pub(crate) fn faults(schema: &Schema, path: &str) -> Vec<FieldError> {
    let mut check = Check { errors: Vec::new() };
    check.invariants(schema, path, Level::Root);
    check.complete(schema, Some(schema), path, path);
    check.errors.sort_by_cached_key(FieldError::to_string);
    check.errors
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

struct Check {
    errors: Vec<FieldError>,
}

/// What may not stand inside `allOf` and its like, and how it must be there.
const ONLY_OUTSIDE: [(&str, &str); 13] = [
    ("type", "empty"),
    ("additionalProperties", "undefined"),
    ("default", "undefined"),
    ("title", "empty"),
    ("description", "empty"),
    ("nullable", "false"),
    ("x-kubernetes-preserve-unknown-fields", "false"),
    ("x-kubernetes-embedded-resource", "false"),
    ("x-kubernetes-int-or-string", "false"),
    ("x-kubernetes-list-map-keys", "empty"),
    ("x-kubernetes-list-type", "undefined"),
    ("x-kubernetes-map-type", "undefined"),
    ("x-kubernetes-validations", "empty"),
];

/// Whether something is said of a field at all.
fn is_said(schema: &Schema, name: &str) -> bool {
    match schema.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => {
            name == "additionalProperties" && schema.contains_key(name)
        }
        Some(Value::String(text)) => !text.is_empty() || name == "default",
        Some(Value::Array(items)) => !items.is_empty() || name == "default",
        Some(_) => true,
    }
}

/// Whether the schemas say that a value is a number or a text, and nothing else.
fn is_either(schema: &Schema) -> bool {
    let either = serde_json::json!([{"type": "integer"}, {"type": "string"}]);
    schema.get("anyOf") == Some(&either)
}

impl Check {
    fn required(&mut self, path: String, why: impl Into<String>) {
        self.errors.push(FieldError::required(path, why.into()));
    }

    fn invalid(&mut self, path: String, value: impl Into<Value>, why: &str) {
        self.errors.push(FieldError::invalid(path, value, why));
    }

    fn forbid(&mut self, path: String, why: &str) {
        self.errors.push(FieldError::forbidden(path, why));
    }

    fn invariants(&mut self, schema: &Schema, path: &str, level: Level) {
        const OBJECT: &str = "must be object if x-kubernetes-embedded-resource is true";
        let at = |name: &str| format!("{path}.{name}");
        let kind_here = kind(schema);
        let is_embedded = flag(schema, "x-kubernetes-embedded-resource");
        let keeps = flag(schema, "x-kubernetes-preserve-unknown-fields");
        let is_either_type = flag(schema, "x-kubernetes-int-or-string");
        match schema.get("items").and_then(Value::as_object) {
            Some(items) => self.invariants(items, &at("items"), Level::Item),
            None if kind_here == "array" => self.required(at("items"), "must be specified"),
            None => {}
        }
        for (name, property) in objects(schema, "properties") {
            self.invariants(property, &at(&format!("properties[{name}]")), Level::Field);
        }
        let others = schema.get("additionalProperties").filter(|others| !others.is_null());
        if let Some(others) = others {
            if level == Level::Root {
                self.forbid(at("additionalProperties"), "must not be used at the root");
            }
            if let Some(others) = others.as_object() {
                self.invariants(others, &at("additionalProperties"), Level::Field);
            }
        }
        for (name, is_set) in
            [("x-kubernetes-preserve-unknown-fields", keeps), ("x-kubernetes-embedded-resource", is_embedded)]
        {
            if is_either_type && is_set {
                self.invalid(at(name), true, "must be false if x-kubernetes-int-or-string is true");
            }
        }
        let skips_first = list(schema, "allOf").next().is_some_and(is_either);
        self.values(schema, path, is_either(schema), skips_first);
        if is_embedded && kind_here != "object" {
            match kind_here {
                "" => self.required(at("type"), OBJECT),
                other => self.invalid(at("type"), other, OBJECT),
            }
        } else if kind_here.is_empty() && !is_either_type && !keeps {
            let why = match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            };
            self.required(at("type"), why);
        }
        if is_embedded && others.is_some() {
            let why = "must not be used if x-kubernetes-embedded-resource is set";
            self.forbid(at("additionalProperties"), why);
        }
        if level == Level::Root && !matches!(kind_here, "" | "object") {
            self.invalid(at("type"), kind_here, "must be object at the root");
        }
        if level == Level::Root || is_embedded {
            self.metadata(schema, path, level);
        }
        if is_embedded && !keeps && objects(schema, "properties").next().is_none() {
            let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            self.required(at("properties"), why);
        }
    }

    /// The server knows what kinds, versions and metadata are; a definition may only narrow the name.
    fn metadata(&mut self, schema: &Schema, path: &str, level: Level) {
        let property = |wanted: &str| objects(schema, "properties").find(|(name, _)| *name == wanted);
        for name in ["kind", "apiVersion"] {
            if let Some((_, property)) = property(name).filter(|(_, property)| kind(property) != "string") {
                self.invalid(format!("{path}.properties[{name}].type"), kind(property), "must be string");
            }
        }
        let Some((_, metadata)) = property("metadata") else { return };
        let here = format!("{path}.properties[metadata]");
        if kind(metadata) != "object" {
            self.invalid(format!("{here}.type"), kind(metadata), "must be object");
        }
        if level != Level::Root {
            return;
        }
        // A default is refused elsewhere; what only documents is not read.
        let allowed = ["type", "properties", "default", "externalDocs", "example"];
        let more = metadata.keys().any(|name| !allowed.contains(&name.as_str()) && is_said(metadata, name));
        let names = objects(metadata, "properties").all(|(name, _)| matches!(name, "name" | "generateName"));
        if more || !names {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            self.forbid(here, why);
        }
    }

    /// What only judges values.
    fn values(&mut self, schema: &Schema, path: &str, skips_any: bool, skips_first: bool) {
        if !skips_any {
            for (index, nested) in list(schema, "anyOf").enumerate() {
                self.nested(nested, &format!("{path}.anyOf[{index}]"), false);
            }
        }
        for (index, nested) in list(schema, "allOf").enumerate() {
            self.nested(nested, &format!("{path}.allOf[{index}]"), skips_first && index == 0);
        }
        for (index, nested) in list(schema, "oneOf").enumerate() {
            self.nested(nested, &format!("{path}.oneOf[{index}]"), false);
        }
        if let Some(not) = schema.get("not").and_then(Value::as_object) {
            self.nested(not, &format!("{path}.not"), false);
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && let Err(error) = regex::Regex::new(pattern)
        {
            let why = format!("must be a valid regular expression, but isn't: {}", last_line(&error));
            self.invalid(format!("{path}.pattern"), pattern, &why);
        }
    }

    fn nested(&mut self, schema: &Schema, path: &str, skips_any: bool) {
        self.values(schema, path, skips_any, false);
        if let Some(items) = schema.get("items").and_then(Value::as_object) {
            self.nested(items, &format!("{path}.items"), false);
        }
        for (name, property) in objects(schema, "properties") {
            self.nested(property, &format!("{path}.properties[{name}]"), false);
            if name == "metadata" {
                let why = "must not be specified in a nested context";
                self.forbid(format!("{path}.properties[metadata]"), why);
            }
        }
        for (name, how) in ONLY_OUTSIDE {
            if is_said(schema, name) {
                self.forbid(format!("{path}.{name}"), &format!("must be {how} to be structural"));
            }
        }
    }

    /// What is judged of a field or of items must also be told outside of that. Upstream looks at the root's alone.
    fn complete(&mut self, judged: &Schema, told: Option<&Schema>, path: &str, from: &str) {
        if let Some(not) = judged.get("not").and_then(Value::as_object) {
            self.complete_nested(not, told, path, &format!("{from}.not"));
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            for (index, nested) in list(judged, name).enumerate() {
                self.complete_nested(nested, told, path, &format!("{from}.{name}[{index}]"));
            }
        }
    }

    fn complete_nested(&mut self, judged: &Schema, told: Option<&Schema>, path: &str, from: &str) {
        let Some(schema) = told else {
            self.required(path.to_owned(), format!("because it is defined in {from}"));
            return;
        };
        self.complete(judged, told, path, from);
        if let Some(items) = judged.get("items").and_then(Value::as_object) {
            let told = schema.get("items").and_then(Value::as_object);
            self.complete_nested(items, told, &format!("{path}.items"), &format!("{from}.items"));
        }
        for (name, property) in objects(judged, "properties") {
            let told = objects(schema, "properties").find(|(other, _)| *other == name);
            let (path, from) = (format!("{path}.properties[{name}]"), format!("{from}.properties[{name}]"));
            self.complete_nested(property, told.map(|(_, property)| property), &path, &from);
        }
    }
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
