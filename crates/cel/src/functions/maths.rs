//! `math.…`: rounding, signs, bits.

use super::{Error, Outcome, collections, no_overload};
use crate::value::Value;

/// Calls a function of numbers.
pub fn call<'v>(name: &str, values: &[Value<'v>]) -> Outcome<'v> {
    let shift = |number: i64| {
        u32::try_from(number).map_err(|_| Error::fault(format!("math.{name}() negative offset: {number}")))
    };
    Ok(match (name, values) {
        ("greatest" | "least", values) => return collections::extreme(name == "greatest", values),
        ("ceil", [Value::Double(number)]) => Value::Double(number.ceil()),
        ("floor", [Value::Double(number)]) => Value::Double(number.floor()),
        ("round", [Value::Double(number)]) => Value::Double(number.round()),
        ("trunc", [Value::Double(number)]) => Value::Double(number.trunc()),
        ("isInf", [Value::Double(number)]) => Value::Bool(number.is_infinite()),
        ("isNaN", [Value::Double(number)]) => Value::Bool(number.is_nan()),
        ("isFinite", [Value::Double(number)]) => Value::Bool(number.is_finite()),
        ("abs", [Value::Double(number)]) => Value::Double(number.abs()),
        ("abs", [Value::Int(number)]) => {
            Value::Int(number.checked_abs().ok_or_else(|| Error::fault("integer overflow"))?)
        }
        ("abs", [Value::Uint(number)]) => Value::Uint(*number),
        ("sign", [Value::Double(number)]) if *number == 0.0 => Value::Double(0.0),
        ("sign", [Value::Double(number)]) => Value::Double(number.signum()),
        ("sign", [Value::Int(number)]) => Value::Int(number.signum()),
        ("sign", [Value::Uint(number)]) => Value::Uint((*number).min(1)),
        ("sqrt", [Value::Double(number)]) => Value::Double(number.sqrt()),
        ("sqrt", [Value::Int(number)]) => Value::Double((*number as f64).sqrt()),
        ("sqrt", [Value::Uint(number)]) => Value::Double((*number as f64).sqrt()),
        ("bitAnd", [Value::Int(left), Value::Int(right)]) => Value::Int(left & right),
        ("bitOr", [Value::Int(left), Value::Int(right)]) => Value::Int(left | right),
        ("bitXor", [Value::Int(left), Value::Int(right)]) => Value::Int(left ^ right),
        ("bitNot", [Value::Int(number)]) => Value::Int(!number),
        ("bitAnd", [Value::Uint(left), Value::Uint(right)]) => Value::Uint(left & right),
        ("bitOr", [Value::Uint(left), Value::Uint(right)]) => Value::Uint(left | right),
        ("bitXor", [Value::Uint(left), Value::Uint(right)]) => Value::Uint(left ^ right),
        ("bitNot", [Value::Uint(number)]) => Value::Uint(!number),
        ("bitShiftLeft", [Value::Int(number), Value::Int(by)]) => {
            Value::Int(number.checked_shl(shift(*by)?).unwrap_or(0))
        }
        // Bits move as those of a number without a sign.
        ("bitShiftRight", [Value::Int(number), Value::Int(by)]) => {
            Value::Int((*number as u64).checked_shr(shift(*by)?).unwrap_or(0) as i64)
        }
        ("bitShiftLeft", [Value::Uint(number), Value::Int(by)]) => {
            Value::Uint(number.checked_shl(shift(*by)?).unwrap_or(0))
        }
        ("bitShiftRight", [Value::Uint(number), Value::Int(by)]) => {
            Value::Uint(number.checked_shr(shift(*by)?).unwrap_or(0))
        }
        _ => return Err(no_overload()),
    })
}
