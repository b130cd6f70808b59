//! What is wrong with the schemas of a definition: they must be structural, so that objects can be pruned and defaulted.

use apimachinery::FieldError;
use serde_json::{Map, Value};

use crate::field_path::{self, Brackets};
use crate::node::{Kind, Node};
use crate::{default, prune, rules, structure, validate};

/// What is wrong with the schemas of a definition (its `spec`), which was `old` before. Versions whose schema is as it was
/// then are let be, and so is what a rule that came later finds if the old ones broke it anywhere.
pub fn faults(spec: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let versions: Vec<&Value> = spec["versions"].as_array().into_iter().flatten().collect();
    let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
    let Some(first) = versions.first().map(|version| schema(version)) else { return Vec::new() };
    let before: Vec<&Value> = old.and_then(|old| old["versions"].as_array()).into_iter().flatten().collect();
    let is_unchanged = |version: &Value| {
        let same = |old: &&&Value| old["name"] == version["name"] && old["schema"] == version["schema"];
        before.iter().any(|old| same(&old))
    };
    if versions.iter().all(|version| is_unchanged(version)) {
        return Vec::new();
    }
    let stored: Vec<&Value> = before.iter().map(|version| &version["schema"]["openAPIV3Schema"]).collect();
    let tolerated = Tolerated::of(&stored);
    // One schema for all versions is named by where it was before versions had their own, where there is one.
    if first.is_object() && versions.iter().all(|version| schema(version) == first) {
        let has_status = versions.iter().any(|version| has_status(version));
        return faults_of_version(&first, "spec.validation.openAPIV3Schema", has_status, tolerated);
    }
    let of = |(index, version): (usize, &&Value)| {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        faults_of_version(&schema(version), &path, has_status(version), tolerated)
    };
    versions.iter().enumerate().filter(|(_, version)| !is_unchanged(version)).flat_map(of).collect()
}

/// Whether the status of a version's objects is written on its own.
fn has_status(version: &Value) -> bool {
    version["subresources"]["status"].is_object()
}

/// What is wrong with a schema at a path.
fn faults_of_version(schema: &Value, path: &str, has_status: bool, tolerated: Tolerated) -> Vec<FieldError> {
    let Some(fields) = schema.as_object() else {
        return vec![FieldError::required(path, "schemas are required")];
    };
    let mut check = Check { errors: Vec::new(), tolerated };
    if has_status {
        check.root_with_status(fields, path);
    }
    if flag(fields, "nullable") {
        check.forbid(format!("{path}.nullable"), "nullable cannot be true at the root");
    }
    let is_readable = !somewhere(fields, &is_unreadable);
    let node = Node::read(schema);
    let mut is_structural = false;
    if is_readable {
        let found = structure::faults(fields, path);
        let before = check.errors.len();
        if found.is_empty() {
            check.defaults(&node, path, true);
            is_structural = check.errors.len() == before;
        }
        check.errors.extend(found);
    }
    let before = check.errors.len();
    check.node(fields, path, true, Around::default());
    if is_structural && check.errors.len() == before {
        // Rules that do not compile in a schema that is wrong would be complained about twice.
        check.errors.extend(rules::faults(fields, &node, path));
    }
    check.errors
}

/// What no schema may hold, and why not.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("id", "id is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("$ref", "$ref is not supported"),
];

/// What is said of metadata at the root, which the server knows.
const METAFIELDS: [&str; 3] = ["metadata", "kind", "apiVersion"];

/// What may stand at the root beside a status of its own, as upstream lists it.
const AT_ROOT: &str = "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations";

/// What may not.
const NOT_AT_ROOT: [&str; 22] = [
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "definitions",
    "dependencies",
    "enum",
    "id",
    "maxProperties",
    "minProperties",
    "not",
    "nullable",
    "oneOf",
    "patternProperties",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];

/// Where a schema stands, for what is asked of it beside being structural.
#[derive(Clone, Copy, Default)]
struct Around {
    /// Whether it is of the kind, the version or the metadata of an object.
    within_metadata: bool,
    /// Why there may be no default, where there may be none.
    no_default: Option<&'static str>,
}

/// Rules that came after definitions were stored that break them: those may break them further.
#[derive(Clone, Copy, Default)]
struct Tolerated {
    /// Items of sets need not be atomic.
    sets: bool,
    /// Keys of maps, and items of maps and sets, may be nullable, and keys may be missing.
    keys: bool,
    /// Types may be unknown.
    types: bool,
    /// Defaults may hold what would be pruned.
    unpruned: bool,
}

impl Tolerated {
    fn of(schemas: &[&Value]) -> Self {
        let any = |found: &dyn Fn(&Map<String, Value>) -> bool| {
            schemas.iter().filter_map(|schema| schema.as_object()).any(|schema| somewhere(schema, found))
        };
        Self {
            sets: any(&|schema| {
                let mut check = Check::default();
                check.items_of_set(schema, "");
                !check.errors.is_empty()
            }),
            keys: any(&|schema| {
                let mut check = Check::default();
                check.keys(schema, "");
                !check.errors.is_empty()
            }),
            types: any(&|schema| !kind(schema).is_empty() && Kind::parse(kind(schema)).is_none()),
            unpruned: schemas.iter().any(|schema| {
                let mut check = Check::default();
                check.defaults(&Node::read(schema), "", true);
                check.errors.iter().any(|error| error.detail == UNKNOWN_FIELDS)
            }),
        }
    }
}

const UNKNOWN_FIELDS: &str = "must not have unknown fields";

/// Whether a schema or one inside it is so.
fn somewhere(schema: &Map<String, Value>, found: &dyn Fn(&Map<String, Value>) -> bool) -> bool {
    found(schema) || inner(schema).any(|inner| somewhere(inner, found))
}

/// The schemas that stand right inside one.
fn inner(schema: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let single = ["items", "additionalProperties", "not"];
    single
        .into_iter()
        .filter_map(|name| schema.get(name)?.as_object())
        .chain(objects(schema, "properties").map(|(_, property)| property))
        .chain(["allOf", "anyOf", "oneOf"].into_iter().flat_map(|name| list(schema, name)))
}

pub(crate) fn kind(schema: &Map<String, Value>) -> &str {
    schema.get("type").and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn flag(schema: &Map<String, Value>, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool) == Some(true)
}

/// Whether a schema cannot be read as a structural one; what it lacks for that is told elsewhere.
fn is_unreadable(schema: &Map<String, Value>) -> bool {
    UNSUPPORTED.iter().any(|(name, _)| schema.contains_key(*name))
        || schema.get("items").is_some_and(Value::is_array)
        || schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false))
}

#[derive(Default)]
struct Check {
    errors: Vec<FieldError>,
    tolerated: Tolerated,
}

impl Check {
    fn forbid(&mut self, path: String, why: &str) {
        self.errors.push(FieldError::forbidden(path, why));
    }

    /// What may stand at the root where the status is written on its own, and so judged by its own part of the schema.
    fn root_with_status(&mut self, schema: &Map<String, Value>, path: &str) {
        if !matches!(kind(schema), "" | "object") {
            let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            self.errors.push(FieldError::invalid(format!("{path}.type"), kind(schema), why));
            return;
        }
        let is_said = |name: &&&str| match schema.get(**name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        };
        if NOT_AT_ROOT.iter().any(|name| is_said(&name)) {
            self.errors.push(FieldError::invalid(path, Value::Object(schema.clone()), format!(
                "only [{AT_ROOT}] fields are allowed at the root of the schema if the status subresource is enabled"
            )));
        }
    }

    /// What is asked of a schema by OpenAPI as the server has it, beside being structural.
    fn node(&mut self, schema: &Map<String, Value>, path: &str, is_root: bool, around: Around) {
        self.own(schema, path, around);
        if flag(schema, "uniqueItems") {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.forbid(format!("{path}.uniqueItems"), why);
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| !values.is_null()) {
            let here = format!("{path}.additionalProperties");
            if objects(schema, "properties").next().is_some() && *values != Value::Bool(true) {
                self.forbid(here.clone(), "additionalProperties and properties are mutual exclusive");
            } else if *values == Value::Bool(false) {
                // As upstream's documentation has it.
                self.forbid(here.clone(), "additionalProperties cannot be set to false");
            }
            if let Some(values) = values.as_object() {
                let around = match around.within_metadata {
                    true => Around {
                        no_default: Some("inside additionalProperties applying to object metadata"),
                        ..around
                    },
                    false => around,
                };
                self.node(values, &here, false, around);
            }
        }
        for (name, property) in objects(schema, "properties") {
            let mut around = around;
            if (is_root || flag(schema, "x-kubernetes-embedded-resource")) && METAFIELDS.contains(&name) {
                around.within_metadata = true;
                if is_root {
                    around.no_default = Some(match name {
                        "metadata" => "in top-level metadata",
                        "kind" => "in top-level kind",
                        _ => "in top-level apiVersion",
                    });
                }
            }
            self.node(property, &format!("{path}.properties[{name}]"), false, around);
        }
        if let Some(not) = schema.get("not").and_then(Value::as_object) {
            self.node(not, &format!("{path}.not"), false, around);
        }
        for name in ["allOf", "oneOf", "anyOf"] {
            for (index, nested) in list(schema, name).enumerate() {
                self.node(nested, &format!("{path}.{name}[{index}]"), false, around);
            }
        }
        if let Some(items) = schema.get("items").and_then(Value::as_object) {
            self.node(items, &format!("{path}.items"), false, around);
        }
        self.extensions(schema, path);
        for (index, rule) in list(schema, "x-kubernetes-validations").enumerate() {
            self.words(rule, schema, &format!("{path}.x-kubernetes-validations[{index}]"));
        }
    }

    /// What a schema may not hold at all.
    fn own(&mut self, schema: &Map<String, Value>, path: &str, around: Around) {
        let kind = kind(schema);
        let at = |name: &str| format!("{path}.{name}");
        if !self.tolerated.types && !kind.is_empty() && Kind::parse(kind).is_none() {
            let known = ["array", "boolean", "integer", "number", "object", "string"];
            self.errors.push(FieldError::not_supported(at("type"), kind, &known));
        }
        if let Some(why) = around.no_default
            && schema.get("default").is_some_and(|value| !value.is_null())
        {
            self.forbid(at("default"), &format!("must not be set {why}"));
        }
        for (name, why) in UNSUPPORTED {
            if schema.contains_key(name) {
                self.forbid(at(name), why);
            }
        }
        if kind == "null" {
            self.forbid(at("type"), "type cannot be set to null, use nullable as an alternative");
        }
        if schema.get("items").is_some_and(Value::is_array) {
            self.forbid(at("items"), "items must be a schema object and not an array");
        }
        if around.within_metadata && flag(schema, "x-kubernetes-embedded-resource") {
            let why = "must not be used inside of resource meta";
            self.forbid(at("x-kubernetes-embedded-resource"), why);
        }
    }

    /// What the extensions of a schema ask of each other.
    fn extensions(&mut self, schema: &Map<String, Value>, path: &str) {
        const KEEPS: &str = "x-kubernetes-preserve-unknown-fields";
        if schema.get(KEEPS) == Some(&Value::Bool(false)) {
            let error = FieldError::invalid(format!("{path}.{KEEPS}"), false, "must be true or undefined");
            self.errors.push(error);
        }
        if let Some(map) = schema.get("x-kubernetes-map-type").and_then(Value::as_str) {
            if kind(schema) != "object" {
                self.wrong_type(path, kind(schema), "must be object if x-kubernetes-map-type is specified");
            }
            if !matches!(map, "atomic" | "granular") {
                let field = format!("{path}.x-kubernetes-map-type");
                self.errors.push(FieldError::not_supported(field, map, &["atomic", "granular"]));
            }
        }
        self.list(schema, path);
        if !self.tolerated.keys {
            self.keys(schema, path);
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
        if let Err(why) = field_path::follow(field, schema, Brackets::Allowed) {
            let why = format!("fieldPath must be a valid path: {why}");
            self.errors.push(FieldError::invalid(at("fieldPath"), field, why));
        }
    }

    fn list(&mut self, schema: &Map<String, Value>, path: &str) {
        let keys: Vec<&str> = texts(schema, "x-kubernetes-list-map-keys").collect();
        let at = |name: &str| format!("{path}.{name}");
        let list = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
        let items = schema.get("items").filter(|items| !items.is_null());
        if list.is_some() && kind(schema) != "array" {
            self.wrong_type(path, kind(schema), "must be array if x-kubernetes-list-type is specified");
        } else if !self.tolerated.sets {
            self.items_of_set(schema, path);
        }
        if let Some(list) = list.filter(|list| !matches!(*list, "atomic" | "set" | "map")) {
            let field = at("x-kubernetes-list-type");
            self.errors.push(FieldError::not_supported(field, list, &["atomic", "set", "map"]));
        }
        if !keys.is_empty() && list != Some("map") {
            let (field, why) =
                (at("x-kubernetes-list-type"), "must be map if x-kubernetes-list-map-keys is non-empty");
            self.errors.push(match list {
                None => FieldError::required(field, why),
                Some(list) => FieldError::invalid(field, list, why),
            });
        }
        if list != Some("map") {
            return;
        }
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            self.errors.push(FieldError::required(at("x-kubernetes-list-map-keys"), why));
        }
        let items = match items {
            None => {
                let why = "must have a schema if x-kubernetes-list-type is map";
                self.errors.push(FieldError::required(at("items"), why));
                return;
            }
            Some(Value::Object(items)) => items,
            Some(other) => {
                let why = "must only have a single schema if x-kubernetes-list-type is map";
                self.errors.push(FieldError::invalid(at("items"), other.clone(), why));
                return;
            }
        };
        if kind(items) != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            self.errors.push(FieldError::invalid(at("items.type"), kind(items), why));
            return;
        }
        let shown = || schema["x-kubernetes-list-map-keys"].clone();
        for (index, key) in keys.iter().enumerate() {
            match objects(items, "properties").find(|(name, _)| name == key) {
                Some((_, property)) if matches!(kind(property), "array" | "object") => {
                    let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                    let field = at(&format!("items.properties[{key}].type"));
                    // Upstream shows the type of the item, not of the key.
                    self.errors.push(FieldError::invalid(field, "object", why));
                }
                Some(_) => {}
                None => {
                    let why = "entries must all be names of item properties";
                    self.errors.push(FieldError::invalid(at("x-kubernetes-list-map-keys"), shown(), why));
                }
            }
            if keys[..index].contains(key) {
                let why = "must not contain duplicate entries";
                self.errors.push(FieldError::invalid(at("x-kubernetes-list-map-keys"), shown(), why));
            }
        }
    }

    /// Items of a set are told apart as wholes.
    fn items_of_set(&mut self, schema: &Map<String, Value>, path: &str) {
        const WHY: &str = "must be atomic as item of a list with x-kubernetes-list-type=set";
        let word = |schema: &Map<String, Value>, name: &str| {
            schema.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        if word(schema, "x-kubernetes-list-type").as_deref() != Some("set") {
            return;
        }
        let Some(items) = schema.get("items").and_then(Value::as_object) else { return };
        let list = word(items, "x-kubernetes-list-type");
        match kind(items) {
            "array" if list.as_deref().is_some_and(|list| list != "atomic") => {
                let field = format!("{path}.items.x-kubernetes-list-type");
                self.errors.push(FieldError::invalid(field, list.unwrap_or_default(), WHY));
            }
            "object" if word(items, "x-kubernetes-map-type").as_deref() != Some("atomic") => {
                let field = format!("{path}.items.x-kubernetes-map-type");
                // Upstream shows the type as a list, which an object has none of.
                self.errors.push(FieldError::invalid(field, Value::from(list), WHY));
            }
            _ => {}
        }
    }

    /// Items by which a list is sorted out are there, and so are their keys.
    fn keys(&mut self, schema: &Map<String, Value>, path: &str) {
        let list = schema.get("x-kubernetes-list-type").and_then(Value::as_str).unwrap_or_default();
        let Some(items) = schema.get("items").and_then(Value::as_object) else { return };
        if !matches!(list, "map" | "set") {
            return;
        }
        if flag(items, "nullable") {
            let why = format!("cannot be nullable when x-kubernetes-list-type is {list}");
            self.forbid(format!("{path}.items.nullable"), &why);
        }
        if list != "map" {
            return;
        }
        for key in texts(schema, "x-kubernetes-list-map-keys") {
            let Some((_, property)) = objects(items, "properties").find(|(name, _)| *name == key) else {
                continue;
            };
            let at = |field: &str| format!("{path}.items.properties[{key}].{field}");
            let is_required = texts(items, "required").any(|required| required == key);
            if !is_required && property.get("default").is_none_or(Value::is_null) {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.errors.push(FieldError::required(at("default"), why));
            }
            if flag(property, "nullable") {
                let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                self.forbid(at("nullable"), why);
            }
        }
    }

    /// A default is a value as it may be written: nothing unknown in it, and valid. Those of the kind, the version and
    /// the metadata of the object itself are refused elsewhere.
    fn defaults(&mut self, node: &Node, path: &str, is_root: bool) {
        if let Some(value) = &node.default {
            let here = format!("{path}.default");
            let mut wrapped = Value::Object(Map::from_iter([("default".to_owned(), (**value).clone())]));
            let holder = Node {
                kind: Some(Kind::Object),
                properties: [("default".into(), Node { default: None, ..node.clone() })].into(),
                has_expressions: node.has_expressions,
                ..Node::default()
            };
            let unknown = prune::prune(&holder, &mut wrapped);
            if is_root {
                self.forbid(here, "must not be set at the root");
            } else if !unknown.is_empty() && !self.tolerated.unpruned {
                self.errors.push(FieldError::invalid(here, (**value).clone(), UNKNOWN_FIELDS));
            } else {
                default::default(&holder, &mut wrapped);
                let faults = validate::validate_with_rules(&holder, &wrapped, None, Vec::new());
                self.errors.extend(faults.into_iter().map(|mut fault| {
                    fault.field = format!("{path}.{}", fault.field);
                    fault
                }));
            }
        }
        for (name, child) in &node.properties {
            if !(is_root && METAFIELDS.contains(&&**name)) {
                self.defaults(child, &format!("{path}.properties[{name}]"), false);
            }
        }
        if let crate::node::Additional::Of(child) = &node.additional {
            self.defaults(child, &format!("{path}.additionalProperties"), false);
        }
        if let Some(child) = &node.items {
            self.defaults(child, &format!("{path}.items"), false);
        }
    }
}

pub(crate) fn list<'a>(
    schema: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

pub(crate) fn objects<'a>(
    schema: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a Map<String, Value>)> {
    let of = schema.get(name).and_then(Value::as_object).into_iter().flatten();
    of.filter_map(|(name, schema)| Some((name.as_str(), schema.as_object()?)))
}

pub(crate) fn texts<'a>(schema: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
