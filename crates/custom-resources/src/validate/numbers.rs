//! Limits of numbers, and numbers as Go prints them.

use serde_json::Value;

use crate::node::Checks;

/// What is wrong with a number.
pub fn faults(checks: &Checks, number: f64) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(limit) = checks.minimum {
        if limit.exclusive && number <= limit.at {
            faults.push(format!("should be greater than {}", go(limit.at)));
        } else if number < limit.at {
            faults.push(format!("should be greater than or equal to {}", go(limit.at)));
        }
    }
    if let Some(limit) = checks.maximum {
        if limit.exclusive && number >= limit.at {
            faults.push(format!("should be less than {}", go(limit.at)));
        } else if number > limit.at {
            faults.push(format!("should be less than or equal to {}", go(limit.at)));
        }
    }
    if let Some(factor) = checks.multiple_of.filter(|factor| *factor > 0.0)
        && (number / factor).fract() != 0.0
    {
        faults.push(format!("should be a multiple of {}", go(factor)));
    }
    faults
}

/// A value as Go's `%v` writes it.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => go(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// A number as Go's `%v` writes a float64: the shortest digits, with an exponent from a million on and below 0.0001.
fn go(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_look_as_go_prints_them() {
        for (number, text) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (65535.0, "65535"),
            (-3.25, "-3.25"),
            (1e6, "1e+06"),
            (123456789.0, "1.23456789e+08"),
        ] {
            assert_eq!(super::go(number), text);
        }
    }
}
