//! Reading of decoded objects without panics: what is missing or of another type reads as empty.

use serde_json::{Map, Value};

/// Short accessors for one field of a JSON object.
pub trait Read {
    /// The text of field `key`, empty when there is none.
    fn text(&self, key: &str) -> &str;
    /// The items of list `key`, none when there is no list.
    fn items(&self, key: &str) -> &[Value];
    /// The whole number in field `key`.
    fn int(&self, key: &str) -> Option<i64>;
    /// The truth value in field `key`.
    fn flag(&self, key: &str) -> Option<bool>;
    /// The entries of map `key`.
    fn entries(&self, key: &str) -> Entries<'_>;
    /// Whether field `key` is there and not null.
    fn has(&self, key: &str) -> bool;
}

/// Entries of a map, in key order.
pub(crate) type Entries<'a> = std::iter::Flatten<std::option::IntoIter<&'a Map<String, Value>>>;

impl Read for Value {
    fn text(&self, key: &str) -> &str {
        self[key].as_str().unwrap_or_default()
    }

    fn items(&self, key: &str) -> &[Value] {
        self[key].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn int(&self, key: &str) -> Option<i64> {
        self[key].as_i64()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self[key].as_bool()
    }

    fn entries(&self, key: &str) -> Entries<'_> {
        self[key].as_object().into_iter().flatten()
    }

    fn has(&self, key: &str) -> bool {
        !self[key].is_null()
    }
}

/// Whether two values mean the same: an empty string, list or map and `false` equal a missing field.
///
/// This is upstream's semantic equality as far as it can be had without types. `0` and a missing number
/// differ, because most numbers that may be left out are pointers there.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => same_maps(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => a == b || (is_empty(a) && is_empty(b)),
    }
}

fn same_maps(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.iter().all(|(key, value)| match b.get(key) {
        Some(other) => same(value, other),
        None => is_empty(value),
    }) && b.iter().all(|(key, value)| a.contains_key(key) || is_empty(value))
}

/// Whether a value says no more than a missing field would.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// The value at a path of field names, null when something on the way is missing.
pub fn at<'a>(object: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(object, |value, key| &value[*key])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_and_missing_are_the_same() {
        assert!(same(&json!({"a": [], "b": 1}), &json!({"b": 1, "c": {"d": ""}})));
        assert!(!same(&json!({"a": 0}), &json!({})));
        assert!(!same(&json!([1]), &json!([1, 2])));
    }
}
