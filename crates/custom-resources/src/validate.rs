//! Values against a schema, in the words of upstream's validator, whose messages people look up.

mod formats;
mod lists;
mod numbers;

use std::fmt;

use apimachinery::FieldError;
use apimachinery::status::FieldErrorKind;
use serde_json::{Map, Value};

use crate::expressions;
use crate::node::{Additional, Checks, Node};
pub(crate) use lists::Before;

/// Validates an object. What is as it was in `old` is let be, so that a definition can become stricter without its
/// objects becoming unwritable (KEP-4008).
pub fn validate(node: &Node, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    Walk { errors: &mut errors }.value(node, object, old, &Path::Root);
    let twice = |object: &Value| {
        let mut found = Vec::new();
        lists::faults(node, object, &Path::Root, &mut found);
        found
    };
    let found = twice(object);
    // An object that had anything twice may go on having it, wherever that was.
    if !found.is_empty() && old.is_none_or(|old| twice(old).is_empty()) {
        errors.extend(found);
    }
    errors
}

/// Validates an object and runs the rules in CEL; these only where they find what they may expect. What is wrong with it
/// `besides` is told before what they find.
pub fn validate_with_rules(
    node: &Node,
    object: &Value,
    old: Option<&Value>,
    besides: Vec<FieldError>,
) -> Vec<FieldError> {
    use FieldErrorKind::{Required, TooLong, TooMany, TypeInvalid};
    let mut errors = validate(node, object, old);
    errors.extend(besides);
    if !node.has_expressions {
        return errors;
    }
    if errors.iter().any(|error| matches!(error.kind, Required | TooLong | TooMany(_) | TypeInvalid(_))) {
        let words = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        errors.push(FieldError::invalid("<nil>", Value::Null, words));
        return errors;
    }
    errors.extend(expressions::check(node, object, old));
    errors
}

/// Where a value is. Upstream writes keys of maps as fields, except where it speaks of rules in CEL.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => out.write_str(name),
            Path::Field(parent, name) => write!(out, "{parent}.{name}"),
            Path::Key(parent, name) => write!(out, "{parent}[{name}]"),
            Path::Index(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

struct Walk<'e> {
    errors: &'e mut Vec<FieldError>,
}

impl Walk<'_> {
    fn value(&mut self, node: &Node, value: &Value, old: Option<&Value>, at: &Path<'_>) {
        if old == Some(value) {
            return;
        }
        if value.is_null() && node.nullable {
            return;
        }
        if !self.is_of_type(node, value, at) {
            return;
        }
        if let Some(checks) = &node.checks {
            self.checks(checks, value, at);
        }
        match value {
            Value::Object(fields) => self.fields(node, fields, old, at),
            Value::Array(items) => {
                if let Some(child) = &node.items {
                    let before = lists::Before::new(node, old);
                    for (index, item) in items.iter().enumerate() {
                        let old = before.of(item);
                        self.value(child, item, old, &Path::Index(at, index));
                    }
                }
            }
            _ => {}
        }
    }

    fn is_of_type(&mut self, node: &Node, value: &Value, at: &Path<'_>) -> bool {
        let wanted = match node.kind {
            _ if node.int_or_string => {
                let integral = crate::node::Kind::Integer.takes(value);
                if integral || value.is_string() {
                    return true;
                }
                "integer,string"
            }
            Some(kind) if kind.takes(value) => return true,
            Some(kind) => kind.name(),
            None => return true,
        };
        let found = found(value);
        let message = format!("{at} in body must be of type {wanted}: \"{found}\"");
        self.errors.push(FieldError::type_invalid(at.to_string(), found, message));
        false
    }

    fn fields(&mut self, node: &Node, fields: &Map<String, Value>, old: Option<&Value>, at: &Path<'_>) {
        if node.embedded {
            self.embedded(fields, at);
        }
        let others = match &node.additional {
            Additional::Of(child) => Some(&**child),
            _ => None,
        };
        for (name, field) in fields {
            if let Some(child) = node.properties.get(name.as_str()).or(others) {
                let old = old.and_then(|old| old.get(name));
                self.value(child, field, old, &Path::Field(at, name));
            }
        }
    }

    /// An object inside an object has a kind, a version and metadata of the right form.
    fn embedded(&mut self, fields: &Map<String, Value>, at: &Path<'_>) {
        for name in ["apiVersion", "kind"] {
            let path = Path::Field(at, name).to_string();
            match fields.get(name) {
                Some(Value::String(text)) if !text.is_empty() => {}
                Some(Value::String(_)) | None => {
                    self.errors.push(FieldError::required(path, "must not be empty"));
                }
                Some(other) => {
                    self.errors.push(FieldError::invalid(path, other.clone(), "must be a string"));
                }
            }
        }
        if let Some(metadata) = fields.get("metadata")
            && !metadata.is_object()
        {
            let path = Path::Field(at, "metadata").to_string();
            self.errors.push(FieldError::invalid(path, metadata.clone(), "must be an object"));
        }
    }

    fn checks(&mut self, checks: &Checks, value: &Value, at: &Path<'_>) {
        if let Some(values) = &checks.values
            && !values.iter().any(|allowed| same(allowed, value))
        {
            let allowed: Vec<String> = values.iter().map(numbers::text).collect();
            let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
            self.errors.push(FieldError::not_supported(at.to_string(), value.clone(), &allowed));
        }
        match value {
            Value::String(string) => self.string(checks, string, at),
            Value::Number(number) => {
                for fault in numbers::faults(checks, number.as_f64().unwrap_or_default()) {
                    self.invalid(at, value, &fault);
                }
            }
            Value::Array(items) => {
                let count = items.len() as u64;
                if let Some(max) = checks.items.max.filter(|max| count > *max) {
                    self.errors.push(FieldError::too_many(at.to_string(), items.len(), max as usize));
                }
                if let Some(min) = checks.items.min.filter(|min| count < *min) {
                    self.invalid(at, value, &format!("should have at least {min} items"));
                }
            }
            Value::Object(fields) => {
                let count = fields.len() as u64;
                if let Some(max) = checks.properties.max.filter(|max| count > *max) {
                    self.errors.push(FieldError::too_many(at.to_string(), fields.len(), max as usize));
                }
                if let Some(min) = checks.properties.min.filter(|min| count < *min) {
                    self.invalid(at, value, &format!("should have at least {min} properties"));
                }
                for name in checks.required.iter().filter(|name| !fields.contains_key(&***name)) {
                    self.errors.push(FieldError::required(Path::Field(at, name).to_string(), ""));
                }
            }
            Value::Bool(_) | Value::Null => {}
        }
        self.logic(checks, value, at);
    }

    fn string(&mut self, checks: &Checks, string: &str, at: &Path<'_>) {
        let value = Value::from(string);
        let length = string.chars().count() as u64;
        if let Some(max) = checks.length.max.filter(|max| length > *max) {
            self.errors.push(FieldError::too_long(at.to_string(), max as usize));
        }
        if let Some(min) = checks.length.min.filter(|min| length < *min) {
            self.invalid(at, &value, &format!("should be at least {min} chars long"));
        }
        if let Some((pattern, text)) = &checks.pattern
            && !pattern.is_match(string)
        {
            self.invalid(at, &value, &format!("should match '{text}'"));
        }
        if !formats::takes(&checks.format, string) {
            let format = &checks.format;
            self.invalid(at, &value, &format!("must be of type {format}: {string:?}"));
        }
    }

    fn invalid(&mut self, at: &Path<'_>, value: &Value, why: &str) {
        self.errors.push(FieldError::invalid(at.to_string(), value.clone(), format!("{at} in body {why}")));
    }

    /// `allOf` and its like. Nothing is ratcheted inside: whether one holds depends on the whole value.
    fn logic(&mut self, checks: &Checks, value: &Value, at: &Path<'_>) {
        let failures = |node: &Node| {
            let mut errors = Vec::new();
            Walk { errors: &mut errors }.value(node, value, None, at);
            errors
        };
        let mut say = |words: String| self.errors.push(FieldError::invalid("<nil>", "", words));
        if !checks.any_of.is_empty() {
            let tried: Vec<Vec<FieldError>> = checks.any_of.iter().map(failures).collect();
            if tried.iter().all(|errors| !errors.is_empty()) {
                say(format!("\"{at}\" must validate at least one schema (anyOf)"));
                let closest = tried.into_iter().min_by_key(Vec::len).unwrap_or_default();
                self.errors.extend(closest);
            }
        }
        let mut say = |words: String| self.errors.push(FieldError::invalid("<nil>", "", words));
        if !checks.one_of.is_empty() {
            let tried: Vec<Vec<FieldError>> = checks.one_of.iter().map(failures).collect();
            let holding = tried.iter().filter(|errors| errors.is_empty()).count();
            if holding != 1 {
                let found = match holding {
                    0 => "Found none valid".to_owned(),
                    holding => format!("Found {holding} valid alternatives"),
                };
                say(format!("\"{at}\" must validate one and only one schema (oneOf). {found}"));
                if holding == 0 {
                    let closest = tried.into_iter().min_by_key(Vec::len).unwrap_or_default();
                    self.errors.extend(closest);
                }
            }
        }
        if !checks.all_of.is_empty() {
            let failed: Vec<FieldError> = checks.all_of.iter().flat_map(failures).collect();
            if !failed.is_empty() {
                let words = format!("\"{at}\" must validate all the schemas (allOf)");
                self.errors.push(FieldError::invalid("<nil>", "", words));
                self.errors.extend(failed);
            }
        }
        if let Some(not) = &checks.not
            && failures(not).is_empty()
        {
            let words = format!("\"{at}\" must not validate the schema (not)");
            self.errors.push(FieldError::invalid("<nil>", "", words));
        }
    }
}

/// The word for what a value is.
fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether two values are the same, whichever way their numbers are written.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests;
