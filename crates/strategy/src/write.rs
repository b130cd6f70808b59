//! Setting of fields: defaults where nothing was given, and what preparation replaces.

use serde_json::{Map, Value};

/// The fields of an object; a value that is no object becomes an empty one first.
pub fn fields(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("made an object above"),
    }
}

/// Sets `key` when it is missing or null (a Go pointer, slice or map that is nil).
pub fn missing(object: &mut Value, key: &str, value: impl Into<Value>) {
    let fields = fields(object);
    if fields.get(key).is_none_or(Value::is_null) {
        fields.insert(key.to_owned(), value.into());
    }
}

/// Sets `key` when it is missing or has the zero value of its Go type (`""`, `0`, `false`).
pub fn zero(object: &mut Value, key: &str, value: impl Into<Value>) {
    let fields = fields(object);
    let unset = match fields.get(key) {
        None | Some(Value::Null) | Some(Value::Bool(false)) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(_) => false,
    };
    if unset {
        fields.insert(key.to_owned(), value.into());
    }
}

/// Sets `key`, whatever was there.
pub fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    fields(object).insert(key.to_owned(), value.into());
}

/// Removes `key`.
pub fn remove(object: &mut Value, key: &str) {
    if let Value::Object(fields) = object {
        fields.remove(key);
    }
}

/// Copies `key` from another object; where that has none, it is removed.
pub fn copy(object: &mut Value, key: &str, from: &Value) {
    match from.get(key) {
        Some(value) if !value.is_null() => set(object, key, value.clone()),
        _ => remove(object, key),
    }
}

/// The object below `key`, when there is one.
pub fn object<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    value.get_mut(key).filter(|value| value.is_object())
}

/// The items of the list below `key`.
pub fn items<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The object below `key`, made when it is missing.
pub fn ensure<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    let child = fields(value).entry(key).or_insert(Value::Null);
    fields(child);
    child
}
