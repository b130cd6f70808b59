//! Kubernetes' quantities.

use std::cmp::Ordering;

use apimachinery::Quantity;

use super::{Error, Outcome, no_overload};
use crate::value::Value;

/// `quantity` and `isQuantity`.
pub fn read<'v>(name: &str, text: &str) -> Outcome<'v> {
    let quantity = text.parse::<Quantity>();
    match (name, quantity) {
        ("isQuantity", quantity) => Ok(Value::Bool(quantity.is_ok())),
        (_, Ok(quantity)) => Ok(Value::Quantity(quantity)),
        (_, Err(error)) => Err(Error::fault(error.to_string())),
    }
}

/// Calls a function on a quantity.
pub fn method<'v>(quantity: &Quantity, name: &str, arguments: &[Value<'v>]) -> Outcome<'v> {
    let number = |order: Ordering| Value::Int(order as i64);
    let whole = |value: &Value<'v>| match value {
        Value::Quantity(other) => Some(*other),
        Value::Int(number) => Some(Quantity::from_value(*number, quantity.format())),
        _ => None,
    };
    match (name, arguments) {
        ("sign", []) => Ok(Value::Int(quantity.sign().into())),
        ("isInteger", []) => Ok(Value::Bool(quantity.is_whole())),
        ("asInteger", []) if quantity.is_whole() => Ok(Value::Int(quantity.value())),
        ("asInteger", []) => Err(Error::fault("cannot convert value to integer")),
        ("asApproximateFloat", []) => Ok(Value::Double(quantity.as_f64())),
        ("compareTo", [Value::Quantity(other)]) => Ok(number(quantity.cmp(other))),
        ("isGreaterThan", [Value::Quantity(other)]) => Ok(Value::Bool(quantity.cmp(other).is_gt())),
        ("isLessThan", [Value::Quantity(other)]) => Ok(Value::Bool(quantity.cmp(other).is_lt())),
        ("add", [other]) => Ok(Value::Quantity(*quantity + whole(other).ok_or_else(no_overload)?)),
        ("sub", [other]) => Ok(Value::Quantity(*quantity - whole(other).ok_or_else(no_overload)?)),
        _ => Err(no_overload()),
    }
}
