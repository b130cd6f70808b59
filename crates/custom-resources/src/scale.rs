//! What a definition says of an object's scale, judged in the object itself.

use apimachinery::FieldError;
use apimachinery::go::printed;
use serde_json::Value;

use crate::definition::Scale;

impl Scale {
    /// The fields of a simple JSON path.
    pub fn fields(path: &str) -> Vec<&str> {
        path.split('.').filter(|field| !field.is_empty()).collect()
    }

    /// What is wrong with how many are wanted.
    pub(crate) fn spec_faults(&self, object: &Value) -> Vec<FieldError> {
        count(object, &self.spec_replicas_path).into_iter().collect()
    }

    /// What is wrong with how many there are, and with which they are.
    pub(crate) fn status_faults(&self, object: &Value) -> Vec<FieldError> {
        let mut faults: Vec<FieldError> = count(object, &self.status_replicas_path).into_iter().collect();
        if let Some(path) = &self.label_selector_path {
            match find(object, path) {
                Ok(None | Some(Value::String(_))) => {}
                Ok(Some(other)) => {
                    faults.push(FieldError::invalid(path, "", mistyped(path, other, "string")))
                }
                Err(why) => faults.push(FieldError::invalid(path, "", why)),
            }
        }
        faults
    }
}

fn count(object: &Value, path: &str) -> Option<FieldError> {
    let value = match find(object, path) {
        Ok(value) => value?,
        Err(why) => return Some(FieldError::invalid(path, 0, why)),
    };
    match value.as_i64() {
        None => Some(FieldError::invalid(path, 0, mistyped(path, value, "int64"))),
        Some(count) if count < 0 => {
            Some(FieldError::invalid(path, count, "should be a non-negative integer"))
        }
        Some(count) if count > i64::from(i32::MAX) => {
            Some(FieldError::invalid(path, count, format!("should be less than or equal to {}", i32::MAX)))
        }
        Some(_) => None,
    }
}

/// The value at a path, or why there can be none.
fn find<'a>(object: &'a Value, path: &str) -> Result<Option<&'a Value>, String> {
    let fields = Scale::fields(path);
    let mut value = object;
    for (index, field) in fields.iter().enumerate() {
        match value {
            Value::Null => return Ok(None),
            Value::Object(fields) => match fields.get(*field) {
                Some(found) => value = found,
                None => return Ok(None),
            },
            other => return Err(mistyped(&fields[..=index].join("."), other, "map[string]interface{}")),
        }
    }
    Ok(Some(value))
}

/// Upstream's words for a value of another type than a path should hold.
fn mistyped(path: &str, value: &Value, expected: &str) -> String {
    let path = path.strip_prefix('.').unwrap_or(path);
    let found = match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    let value = printed(value);
    format!(".{path} accessor error: {value} is of the type {found}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_and_selectors_are_judged_where_they_are() {
        let scale = Scale {
            spec_replicas_path: ".spec.replicas".into(),
            status_replicas_path: ".status.there.replicas".into(),
            label_selector_path: Some(".status.selector".into()),
        };
        let most = i64::from(i32::MAX);
        let cases = [
            (json!({}), ""),
            (json!({"spec": {"replicas": 3}, "status": {"there": {"replicas": 0}, "selector": "a=b"}}), ""),
            (json!({"spec": {"replicas": most}}), ""),
            (json!({"spec": null, "status": {"there": null}}), ""),
            (
                json!({"spec": {"replicas": -1}}),
                ".spec.replicas: Invalid value: -1: should be a non-negative integer",
            ),
            (
                json!({"spec": {"replicas": most + 1}}),
                ".spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647",
            ),
            (
                json!({"spec": {"replicas": "3"}}),
                ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: 3 is of the type string, expected int64",
            ),
            (
                json!({"spec": {"replicas": 1.5}}),
                ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: 1.5 is of the type float64, expected int64",
            ),
            (
                json!({"spec": {"replicas": null}}),
                ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: <nil> is of the type <nil>, expected int64",
            ),
            (
                json!({"spec": true}),
                ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: true is of the type bool, expected map[string]interface{}",
            ),
            (
                json!({"status": {"there": {"replicas": -4}, "selector": 7}}),
                ".status.there.replicas: Invalid value: -4: should be a non-negative integer\n\
                 .status.selector: Invalid value: \"\": .status.selector accessor error: 7 is of the type int64, expected string",
            ),
            (
                json!({"status": {"there": 1}}),
                ".status.there.replicas: Invalid value: 0: .status.there.replicas accessor error: 1 is of the type int64, expected map[string]interface{}",
            ),
        ];
        for (object, expected) in cases {
            let faults = [scale.spec_faults(&object), scale.status_faults(&object)].concat();
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(told.join("\n"), expected, "{object}");
        }
    }
}
