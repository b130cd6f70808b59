//! Pieces that cells are made of, with what is printed for their absence.

use apimachinery::labels::Selector;
use apimachinery::{ObjectExt, time};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// What is printed for a reference to nothing.
pub(crate) const NONE: &str = "<none>";
/// What is printed for a value that nobody knows.
pub(crate) const UNKNOWN: &str = "<unknown>";
/// What is printed for a choice that was not made.
pub(crate) const UNSET: &str = "<unset>";

/// The object's name.
pub(crate) fn name(object: &Value) -> Value {
    object.name().into()
}

/// How long the object has been there.
pub(crate) fn age(object: &Value, now: Timestamp) -> Value {
    since(Some(object.creation_timestamp()), now).into()
}

/// How long ago a time was.
pub(crate) fn since(then: Option<&str>, now: Timestamp) -> String {
    match then {
        Some(then) if !then.is_empty() => time::age(then, now),
        _ => UNKNOWN.to_owned(),
    }
}

/// A string field, empty where it is absent.
pub(crate) fn text<'v>(object: &'v Value, path: &[&str]) -> &'v str {
    object.str_at(path).unwrap_or_default()
}

/// A string field or a placeholder.
pub(crate) fn text_or<'v>(object: &'v Value, path: &[&str], placeholder: &'v str) -> &'v str {
    object.str_at(path).filter(|text| !text.is_empty()).unwrap_or(placeholder)
}

/// A number field, 0 where it is absent.
pub(crate) fn number(object: &Value, path: &[&str]) -> i64 {
    object.i64_at(path).unwrap_or_default()
}

/// An int-or-string field as text, or a placeholder.
pub(crate) fn int_or_string(object: &Value, path: &[&str], placeholder: &str) -> String {
    match object.at(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => placeholder.to_owned(),
    }
}

/// A quantity field as text; quantities are stored canonically.
pub(crate) fn quantity(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "0".to_owned(),
    }
}

/// `True` or `False`.
pub(crate) fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// Labels as `a=b,c=d`.
pub(crate) fn labels(map: Option<&Map<String, Value>>) -> String {
    match map {
        Some(map) if !map.is_empty() => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            pairs.join(",")
        }
        _ => NONE.to_owned(),
    }
}

/// A label selector as a person writes it.
pub(crate) fn selector(value: Option<&Value>) -> String {
    match value.map(Selector::from_label_selector) {
        None => NONE.to_owned(),
        Some(Err(_)) => "<error>".to_owned(),
        Some(Ok(selector)) => match selector.to_string() {
            text if text.is_empty() => NONE.to_owned(),
            text => text,
        },
    }
}

/// Names and images of a pod template's containers, each joined by commas.
pub(crate) fn containers(spec: Option<&Value>) -> [Value; 2] {
    let containers = spec.map(|spec| spec.list_at(&["containers"])).unwrap_or_default();
    let join = |field: &str| -> Value {
        let texts: Vec<&str> = containers.iter().map(|container| text(container, &[field])).collect();
        texts.join(",").into()
    };
    [join("name"), join("image")]
}

/// The first few texts, and how many more there are.
pub(crate) fn first_of(texts: &[String], most: usize) -> String {
    match texts.len().checked_sub(most) {
        Some(more) if more > 0 => format!("{} + {more} more...", texts[..most].join(",")),
        _ => texts.join(","),
    }
}

/// Strings of a list field.
pub(crate) fn strings<'v>(object: &'v Value, path: &[&str]) -> Vec<&'v str> {
    object.list_at(path).iter().filter_map(Value::as_str).collect()
}

/// The status of a condition, if it is there.
pub(crate) fn condition<'v>(object: &'v Value, ty: &str) -> Option<&'v Value> {
    object.list_at(&["status", "conditions"]).iter().find(|condition| text(condition, &["type"]) == ty)
}

/// Is a condition true.
pub(crate) fn is_true(object: &Value, ty: &str) -> bool {
    condition(object, ty).is_some_and(|condition| text(condition, &["status"]) == "True")
}
