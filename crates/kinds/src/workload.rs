//! What the controllers of pods share: counts that are not negative, numbers or percentages, replica statuses.

use serde_json::{Value, json};

use pod_strategy::probes::validate_not_negative;
use strategy::field::{Errors, Path};
use strategy::read::Read;

pub(crate) const SPEC: Path<'static> = Path::root("spec");
pub(crate) const STATUS: Path<'static> = Path::root("status");

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// Validates that each of these numbers, where given, is not below zero.
pub(crate) fn validate_counts(object: &Value, keys: &[&str], path: &Path, errors: &mut Errors) {
    for key in keys {
        validate_not_negative(object, key, path, errors);
    }
}

/// Validates a number that is not negative, or a percentage.
pub(crate) fn validate_int_or_percent(value: &Value, path: &Path, errors: &mut Errors) {
    match value {
        Value::String(text) if percent(text).is_none() => errors.invalid(path, text.as_str(), PERCENT),
        Value::Number(_) if value.as_i64().unwrap_or(0) < 0 => {
            errors.invalid(path, value.clone(), "must be greater than or equal to 0");
        }
        _ => {}
    }
}

/// Validates that a percentage, where the value is one, is at most 100.
pub(crate) fn validate_at_most_all(value: &Value, path: &Path, errors: &mut Errors) {
    if value.as_str().and_then(percent).is_some_and(|percent| percent > 100) {
        errors.invalid(path, value.clone(), "must not be greater than 100%");
    }
}

fn percent(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('%')?;
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    decimal.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether a number or percentage is zero (or missing).
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            percent(text).unwrap_or_else(|| text.parse::<i64>().map_or(0, i64::unsigned_abs)) == 0
        }
        other => other.as_i64().unwrap_or(0) == 0,
    }
}

/// Validates the counts of a status, in this order: none is negative, and none of these parts greater than the whole.
pub(crate) fn validate_status_counts(status: &Value, counts: &[&str], parts: &[&str], errors: &mut Errors) {
    validate_counts(status, counts, &STATUS, errors);
    let count = |key: &str| status.int(key).unwrap_or(0);
    for part in parts.iter().filter(|part| count(part) > count("replicas")) {
        errors.invalid(&STATUS.child(part), count(part), "cannot be greater than status.replicas");
    }
}

/// Validates that no more pods are available than are ready; `ready` is what the message calls these.
pub(crate) fn validate_available(status: &Value, ready: &str, errors: &mut Errors) {
    let available = status.int("availableReplicas").unwrap_or(0);
    if available > status.int("readyReplicas").unwrap_or(0) {
        let why = format!("cannot be greater than {ready}");
        errors.invalid(&STATUS.child("availableReplicas"), available, why);
    }
}

/// Validates that collisions once counted stay counted.
pub(crate) fn validate_collisions(new: &Value, old: &Value, errors: &mut Errors) {
    let key = "collisionCount";
    let (count, before) = (new["status"].int(key), old["status"].int(key));
    if before.is_some_and(|before| count.is_none_or(|count| count < before)) {
        errors.invalid(&STATUS.child(key), count.unwrap_or(0), "cannot be decremented");
    }
}

/// An empty JSON object.
pub(crate) fn empty() -> Value {
    json!({})
}
