//! Arithmetic, which fails where it would overflow, and conversions between types.

use apimachinery::go::parse_bool;
use apimachinery::time;

use super::{Error, Outcome, no_overload, strings};
use crate::value::Value;

fn overflow(kind: &str) -> Error {
    Error::fault(format!("{kind} overflow"))
}

/// An operator on whole numbers; nothing where the result is none of their type.
macro_rules! checked {
    ($sign:expr, $left:expr, $right:expr) => {
        match $sign {
            "+" => $left.checked_add($right),
            "-" => $left.checked_sub($right),
            "*" => $left.checked_mul($right),
            "/" | "%" if $right == 0 => return Err(by_zero($sign)),
            "/" => $left.checked_div($right),
            _ => $left.checked_rem($right),
        }
    };
}

/// `+` and its like on numbers.
pub fn operator<'v>(sign: &str, values: &[Value<'v>]) -> Outcome<'v> {
    match values {
        [Value::Int(number)] => number.checked_neg().map(Value::Int).ok_or_else(|| overflow("integer")),
        [Value::Double(number)] => Ok(Value::Double(-number)),
        [Value::Int(left), Value::Int(right)] => {
            checked!(sign, *left, *right).map(Value::Int).ok_or_else(|| overflow("integer"))
        }
        [Value::Uint(left), Value::Uint(right)] => {
            checked!(sign, *left, *right).map(Value::Uint).ok_or_else(|| overflow("unsigned integer"))
        }
        [Value::Double(left), Value::Double(right)] => match sign {
            "+" => Ok(Value::Double(left + right)),
            "-" => Ok(Value::Double(left - right)),
            "*" => Ok(Value::Double(left * right)),
            "/" => Ok(Value::Double(left / right)),
            _ => Err(no_overload()),
        },
        _ => Err(no_overload()),
    }
}

fn by_zero(sign: &str) -> Error {
    Error::fault(if sign == "/" { "division by zero" } else { "modulus by zero" })
}

/// Calls the function that is named as a type.
pub fn convert<'v>(to: &str, value: &Value<'v>) -> Outcome<'v> {
    let refused = || Error::fault(format!("type conversion error from '{}' to '{to}'", value.type_name()));
    let range = || Error::fault("range error converting a number");
    match (to, value) {
        ("bool", Value::Bool(_))
        | ("bytes", Value::Bytes(_))
        | ("double", Value::Double(_))
        | ("duration", Value::Duration(_))
        | ("int", Value::Int(_))
        | ("string", Value::String(_))
        | ("timestamp", Value::Timestamp(_))
        | ("uint", Value::Uint(_)) => Ok(value.clone()),
        ("bool", Value::String(text)) => parse_bool(text).map(Value::Bool).ok_or_else(refused),
        ("bytes", Value::String(text)) => Ok(Value::Bytes(text.as_bytes().into())),
        ("double", Value::Int(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Uint(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::String(text)) => text.parse().map(Value::Double).map_err(|_| refused()),
        ("int", Value::Uint(number)) => i64::try_from(*number).map(Value::Int).map_err(|_| range()),
        // The limits themselves are not numbers of the type on both sides.
        ("int", Value::Double(number)) if number.abs() < 9_223_372_036_854_775_808.0 => {
            Ok(Value::Int(*number as i64))
        }
        ("int", Value::Double(_)) => Err(range()),
        ("int", Value::String(text)) => text.parse().map(Value::Int).map_err(|_| refused()),
        ("int", Value::Timestamp(time)) => Ok(Value::Int(time.as_second())),
        ("int", Value::Duration(nanos)) => Ok(Value::Int(*nanos)),
        ("uint", Value::Int(number)) => u64::try_from(*number).map(Value::Uint).map_err(|_| range()),
        ("uint", Value::Double(number)) if (0.0..18_446_744_073_709_551_616.0).contains(number) => {
            Ok(Value::Uint(*number as u64))
        }
        ("uint", Value::Double(_)) => Err(range()),
        ("uint", Value::String(text)) => text.parse().map(Value::Uint).map_err(|_| refused()),
        ("duration", Value::String(text)) => {
            time::parse_go_duration(text).map(Value::Duration).ok_or_else(refused)
        }
        ("timestamp", Value::String(text)) => time::parse(text).map(Value::Timestamp).ok_or_else(refused),
        ("timestamp", Value::Int(seconds)) => {
            jiff::Timestamp::from_second(*seconds).map(Value::Timestamp).map_err(|_| range())
        }
        ("string", value) => strings::of(value).map(Value::text).ok_or_else(refused),
        _ => Err(no_overload()),
    }
}
