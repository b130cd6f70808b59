//! The functions that expressions may call, by what they are called on.

mod collections;
mod formats;
mod network;
mod numbers;
mod quantities;
mod strings;
mod times;
pub mod url;

use std::rc::Rc;

use crate::ast::Expr;
use crate::eval::{Budget, Error};
use crate::value::Value;

type Outcome<'v> = Result<Value<'v>, Error>;

/// Types that are named by a word.
const TYPES: [&str; 9] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];
/// What function names begin with that have a dot.
const SPACES: [&str; 7] = ["base64", "cidr", "format", "ip", "math", "optional", "sets"];

/// Functions by name, and the least and greatest number of their arguments.
const FUNCTIONS: [(&str, usize, usize); 36] = [
    ("!", 1, 1),
    ("negate", 1, 1),
    ("+", 2, 2),
    ("-", 2, 2),
    ("*", 2, 2),
    ("/", 2, 2),
    ("%", 2, 2),
    ("==", 2, 2),
    ("!=", 2, 2),
    ("<", 2, 2),
    ("<=", 2, 2),
    (">", 2, 2),
    (">=", 2, 2),
    ("in", 2, 2),
    ("bool", 1, 1),
    ("bytes", 1, 1),
    ("cidr", 1, 1),
    ("double", 1, 1),
    ("duration", 1, 1),
    ("dyn", 1, 1),
    ("int", 1, 1),
    ("ip", 1, 1),
    ("isCIDR", 1, 1),
    ("isIP", 1, 1),
    ("isQuantity", 1, 1),
    ("isURL", 1, 1),
    ("matches", 2, 2),
    ("quantity", 1, 1),
    ("size", 1, 1),
    ("string", 1, 1),
    ("timestamp", 1, 1),
    ("type", 1, 1),
    ("uint", 1, 1),
    ("url", 1, 1),
    ("min", 1, 1),
    ("max", 1, 1),
];

/// Functions that are called on something.
const METHODS: [(&str, usize, usize); 72] = [
    ("add", 1, 1),
    ("asApproximateFloat", 0, 0),
    ("asInteger", 0, 0),
    ("charAt", 1, 1),
    ("compareTo", 1, 1),
    ("contains", 1, 2),
    ("containsCIDR", 1, 1),
    ("containsIP", 1, 1),
    ("decode", 1, 1),
    ("dns1035Label", 0, 0),
    ("dns1035LabelPrefix", 0, 0),
    ("dns1123Label", 0, 0),
    ("dns1123LabelPrefix", 0, 0),
    ("dns1123Subdomain", 0, 0),
    ("dns1123SubdomainPrefix", 0, 0),
    ("encode", 1, 1),
    ("endsWith", 1, 1),
    ("equivalent", 2, 2),
    ("family", 0, 0),
    ("find", 1, 1),
    ("findAll", 1, 2),
    ("format", 1, 1),
    ("getDate", 0, 1),
    ("getDayOfMonth", 0, 1),
    ("getDayOfWeek", 0, 1),
    ("getDayOfYear", 0, 1),
    ("getEscapedPath", 0, 0),
    ("getFullYear", 0, 1),
    ("getHost", 0, 0),
    ("getHostname", 0, 0),
    ("getHours", 0, 1),
    ("getMilliseconds", 0, 1),
    ("getMinutes", 0, 1),
    ("getMonth", 0, 1),
    ("getPort", 0, 0),
    ("getQuery", 0, 0),
    ("getScheme", 0, 0),
    ("getSeconds", 0, 1),
    ("greatest", 1, usize::MAX),
    ("hasValue", 0, 0),
    ("indexOf", 1, 2),
    ("intersects", 2, 2),
    ("ip", 0, 0),
    ("isCanonical", 1, 1),
    ("isGlobalUnicast", 0, 0),
    ("isGreaterThan", 1, 1),
    ("isInteger", 0, 0),
    ("isLessThan", 1, 1),
    ("isLinkLocalMulticast", 0, 0),
    ("isLinkLocalUnicast", 0, 0),
    ("isLoopback", 0, 0),
    ("isSorted", 0, 0),
    ("isUnspecified", 0, 0),
    ("join", 0, 1),
    ("lastIndexOf", 1, 2),
    ("least", 1, usize::MAX),
    ("lowerAscii", 0, 0),
    ("masked", 0, 0),
    ("matches", 1, 1),
    ("max", 0, 0),
    ("min", 0, 0),
    ("named", 1, 1),
    ("none", 0, 0),
    ("of", 1, 1),
    ("ofNonZeroValue", 1, 1),
    ("or", 1, 1),
    ("orValue", 1, 1),
    ("prefixLength", 0, 0),
    ("replace", 2, 3),
    ("reverse", 0, 0),
    ("sign", 0, 0),
    ("size", 0, 0),
];

/// More functions that are called on something.
const MORE_METHODS: [(&str, usize, usize); 14] = [
    ("byte", 0, 0),
    ("date", 0, 0),
    ("datetime", 0, 0),
    ("labelValue", 0, 0),
    ("qualifiedName", 0, 0),
    ("split", 1, 2),
    ("startsWith", 1, 1),
    ("sub", 1, 1),
    ("substring", 1, 2),
    ("sum", 0, 0),
    ("trim", 0, 0),
    ("upperAscii", 0, 0),
    ("validate", 1, 1),
    ("value", 0, 0),
];

/// Whether a function of this name takes so many arguments.
pub fn is_known(name: &str, on: bool, count: usize) -> bool {
    let takes = |(own, least, most): &(&str, usize, usize)| *own == name && (*least..=*most).contains(&count);
    match on {
        false => FUNCTIONS.iter().any(takes),
        true => {
            METHODS.iter().chain(&MORE_METHODS).any(takes) || (name == "uri" || name == "uuid") && count == 0
        }
    }
}

/// Whether a name stands for something everywhere.
pub fn is_name(name: &str) -> bool {
    TYPES.contains(&name) || is_space(name) || name == "google"
}

/// Whether a name begins those of functions.
pub fn is_space(name: &str) -> bool {
    SPACES.contains(&name)
}

/// What a name stands for everywhere.
pub fn name<'v>(name: &str) -> Option<Value<'v>> {
    TYPES.iter().find(|own| **own == name).map(|own| Value::Type(own))
}

/// What a name with dots stands for.
pub fn dotted<'v>(expr: &Expr) -> Option<Value<'v>> {
    let Expr::Field { of, field, .. } = expr else { return None };
    let Expr::Field { of, field: middle, .. } = &**of else { return None };
    let Expr::Name(first) = &**of else { return None };
    match (&**first, &**middle, &**field) {
        ("google", "protobuf", "Timestamp") => Some(Value::Type("google.protobuf.Timestamp")),
        ("google", "protobuf", "Duration") => Some(Value::Type("google.protobuf.Duration")),
        _ => None,
    }
}

/// The error of a function that does not take what it was given.
fn no_overload() -> Error {
    Error::fault("no such overload")
}

/// A value in a message.
pub fn shown(value: &Value<'_>) -> String {
    match value {
        Value::String(text) => text.to_string(),
        value => strings::of(value).unwrap_or_else(|| value.type_name().to_owned()),
    }
}

/// Calls a function that is called on nothing.
pub fn function<'v>(name: &str, arguments: &[Value<'v>], budget: &Budget) -> Outcome<'v> {
    match (name, arguments) {
        ("!", [Value::Bool(flag)]) => Ok(Value::Bool(!flag)),
        ("==" | "!=", [left, right]) => {
            budget.spend_on(left.size().min(right.size()))?;
            Ok(Value::Bool(left.same(right) == (name == "==")))
        }
        ("<" | "<=" | ">" | ">=", [left, right]) => {
            budget.spend_on(left.size().min(right.size()))?;
            let order = left.order(right).ok_or_else(no_overload)?;
            Ok(Value::Bool(match name {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        ("in", [item, Value::List(list)]) => {
            budget.spend(list.len() as u64)?;
            Ok(Value::Bool(list.iter().any(|own| own.same(item))))
        }
        ("in", [key, Value::Map(map)]) => Ok(Value::Bool(map.get(key).is_some())),
        ("+", [Value::List(left), Value::List(right)]) => {
            budget.spend((left.len() + right.len()) as u64)?;
            Ok(Value::list(left.iter().chain(right.iter()).collect()))
        }
        ("+", [Value::String(left), Value::String(right)]) => {
            budget.spend_on(left.len() + right.len())?;
            Ok(Value::text(format!("{left}{right}")))
        }
        ("+", [Value::Bytes(left), Value::Bytes(right)]) => {
            budget.spend_on(left.len() + right.len())?;
            Ok(Value::Bytes([&**left, &**right].concat().into()))
        }
        ("+" | "-" | "*" | "/" | "%" | "negate", values) => {
            times::operator(name, values).unwrap_or_else(|| numbers::operator(name, values))
        }
        ("type", [value]) => Ok(Value::Type(value.type_name())),
        ("dyn", [value]) => Ok(value.clone()),
        ("size" | "min" | "max", [value]) => method(value, name, &[], budget),
        ("matches", [value, pattern]) => method(value, name, std::slice::from_ref(pattern), budget),
        ("bool" | "bytes" | "double" | "duration" | "int" | "string" | "timestamp" | "uint", [value]) => {
            budget.spend_on(value.size())?;
            numbers::convert(name, value)
        }
        ("quantity" | "isQuantity", [Value::String(text)]) => quantities::read(name, text),
        ("url" | "isURL", [Value::String(text)]) => url::read(name, text),
        ("ip" | "isIP" | "cidr" | "isCIDR", [Value::String(text)]) => network::read(name, text),
        _ => Err(no_overload()),
    }
}

/// Calls a function whose name has a dot.
pub fn of_space<'v>(space: &str, name: &str, arguments: &[Value<'v>], budget: &Budget) -> Outcome<'v> {
    match (space, name, arguments) {
        ("optional", "none", []) => Ok(Value::Optional(None)),
        ("optional", "of", [value]) => Ok(Value::Optional(Some(Rc::new(value.clone())))),
        ("optional", "ofNonZeroValue", [value]) => {
            let is_zero = match value {
                Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) => true,
                Value::Double(number) => *number == 0.0,
                Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => value.size() == 0,
                _ => false,
            };
            Ok(Value::Optional((!is_zero).then(|| Rc::new(value.clone()))))
        }
        ("ip", "isCanonical", [Value::String(text)]) => network::is_canonical(text),
        ("math", "greatest" | "least", values) => collections::extreme(name == "greatest", values),
        ("sets", _, [Value::List(left), Value::List(right)]) => collections::sets(name, left, right, budget),
        ("base64", "encode" | "decode", [value]) => strings::base64(name, value),
        ("format", _, _) => formats::named(name, arguments),
        _ => Err(no_overload()),
    }
}

/// Calls a function on a value.
pub fn method<'v>(on: &Value<'v>, name: &str, arguments: &[Value<'v>], budget: &Budget) -> Outcome<'v> {
    match (on, name, arguments) {
        (Value::Optional(value), "hasValue", []) => Ok(Value::Bool(value.is_some())),
        (Value::Optional(value), "value", []) => match value {
            Some(value) => Ok((**value).clone()),
            None => Err(Error::fault("optional.none() dereference")),
        },
        (Value::String(text), ..) => strings::method(text, name, arguments, budget),
        (Value::Bytes(bytes), "size", []) => Ok(Value::Int(bytes.len() as i64)),
        (Value::List(list), ..) => collections::method(list, name, arguments, budget),
        (Value::Map(map), "size", []) => Ok(Value::Int(map.len() as i64)),
        (Value::Timestamp(time), ..) => times::of_time(*time, name, arguments),
        (Value::Duration(nanos), _, []) => times::of_duration(*nanos, name),
        (Value::Quantity(quantity), ..) => quantities::method(quantity, name, arguments),
        (Value::Url(url), _, []) => url::method(url, name),
        (Value::Ip(address), _, []) => network::of_address(*address, name),
        (Value::Cidr(network), ..) => network::of_network(network, name, arguments),
        (Value::Format(format), "validate", [Value::String(text)]) => Ok(formats::validate(format, text)),
        _ => Err(no_overload()),
    }
}
