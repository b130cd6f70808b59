//! Limits of numbers, and the values that are allowed as messages show them.

use apimachinery::go::float;
use serde_json::Value;

use crate::node::Checks;

/// What is wrong with a number.
pub fn faults(checks: &Checks, number: f64) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(limit) = checks.minimum {
        if limit.exclusive && number <= limit.at {
            faults.push(format!("should be greater than {}", float(limit.at)));
        } else if number < limit.at {
            faults.push(format!("should be greater than or equal to {}", float(limit.at)));
        }
    }
    if let Some(limit) = checks.maximum {
        if limit.exclusive && number >= limit.at {
            faults.push(format!("should be less than {}", float(limit.at)));
        } else if number > limit.at {
            faults.push(format!("should be less than or equal to {}", float(limit.at)));
        }
    }
    if let Some(factor) = checks.multiple_of.filter(|factor| *factor > 0.0)
        && (number / factor).fract() != 0.0
    {
        faults.push(format!("should be a multiple of {}", float(factor)));
    }
    faults
}

/// A value as a list of allowed ones shows it: numbers as Go's `%v` writes them, what is made of others as JSON.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}
