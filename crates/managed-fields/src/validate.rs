//! Whether a configuration can be applied: its fields are declared, its values of their types, its items told apart.

use std::fmt;

use apimachinery::Quantity;
use schema::{Element, Field, Kind, Merge, Type};
use serde_json::Value;

use crate::keys;
use crate::place::Place;

/// More errors than these help nobody.
const MOST_ERRORS: usize = 100;

/// Lists what is wrong, as upstream words it; brings quantities into the form in which they are stored, so that
/// `1000m` is no other value than `1`.
pub fn validate(ty: Type<'_>, object: &mut Value) -> Vec<String> {
    let mut walk = Walk { errors: Vec::new() };
    walk.fields(ty, object, &At { parent: None, step: String::new() });
    walk.errors
}

struct Walk {
    errors: Vec<String>,
}

/// Where the walk is.
struct At<'p> {
    parent: Option<&'p At<'p>>,
    step: String,
}

impl<'p> At<'p> {
    fn field(&'p self, name: &str) -> At<'p> {
        At { parent: Some(self), step: format!(".{name}") }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(out)?;
        }
        out.write_str(&self.step)
    }
}

impl Walk {
    fn refuse(&mut self, at: &At<'_>, why: impl fmt::Display) {
        if self.errors.len() < MOST_ERRORS {
            let place = at.to_string();
            self.errors.push(if place.is_empty() { why.to_string() } else { format!("{place}: {why}") });
        }
    }

    fn fields(&mut self, ty: Type<'_>, value: &mut Value, at: &At<'_>) {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => return,
            other => return self.refuse(at, format!("expected map, got {}", go(other))),
        };
        for (key, value) in fields {
            let at = at.field(key);
            match ty.field(key) {
                Some(field) => self.field(field, value, &at),
                None => self.refuse(&at, "field not declared in schema"),
            }
        }
    }

    fn field(&mut self, field: Field<'_>, value: &mut Value, at: &At<'_>) {
        self.value(field.element(), Some(field.merge()), value, at);
    }

    fn value(&mut self, element: Element<'_>, merge: Option<Merge<'_>>, value: &mut Value, at: &At<'_>) {
        if value.is_null() {
            return;
        }
        match element.kind() {
            Kind::Object(ty) => self.fields(ty, value, at),
            Kind::Map(inner) => match value {
                Value::Object(entries) => {
                    for (key, value) in entries {
                        self.value(inner, None, value, &at.field(key));
                    }
                }
                other => self.refuse(at, format!("expected map, got {}", go(other))),
            },
            Kind::Array(inner) => self.items(Place::of(element, merge), inner, value, at),
            Kind::Bool if !value.is_boolean() => {
                self.refuse(at, format!("expected boolean, got {}", go(value)))
            }
            Kind::Int32 | Kind::Int64 | Kind::Double if !value.is_number() => {
                self.refuse(at, format!("expected numeric (int or float), got {}", go_type(value)));
            }
            Kind::String | Kind::Bytes | Kind::Time | Kind::MicroTime if !value.is_string() => {
                let value = go(value);
                self.refuse(at, format!("expected string, got &value.valueUnstructured{{Value:{value}}}"));
            }
            Kind::Quantity | Kind::IntOrString if value.is_object() || value.is_array() => {
                self.refuse(at, format!("expected any scalar, got {}", go(value)));
            }
            Kind::Quantity => canonical(value),
            _ => {}
        }
    }

    fn items(&mut self, place: Place<'_>, inner: Element<'_>, value: &mut Value, at: &At<'_>) {
        let items = match value {
            Value::Array(items) => items,
            other => return self.refuse(at, format!("expected list, got {}", go(other))),
        };
        let mut seen = Vec::new();
        for (index, item) in items.iter_mut().enumerate() {
            let step = match place {
                Place::Keyed(..) | Place::Set => match keys::step(place, item) {
                    Ok(step) if seen.contains(&step) => {
                        self.refuse(at, format!("duplicate entries for key {step}"));
                        continue;
                    }
                    Ok(step) => {
                        seen.push(step.clone());
                        step.to_string()
                    }
                    Err(why) => {
                        self.refuse(at, format!("element {index}: {why}"));
                        continue;
                    }
                },
                _ => format!("[{index}]"),
            };
            self.value(inner, None, item, &At { parent: Some(at), step });
        }
    }
}

fn canonical(value: &mut Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    // What is no quantity is refused when the merged object is read.
    if let Ok(quantity) = text.trim().parse::<Quantity>() {
        *value = Value::String(quantity.to_string());
    }
}

/// A value as Go prints it in messages.
fn go(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("&{{[{}]}}", items.iter().map(go).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", go(value))).collect();
            format!("&{{map[{}]}}", fields.join(" "))
        }
        other => other.to_string(),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
