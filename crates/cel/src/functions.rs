//! The functions that expressions may call, by what they are called on.

mod collections;
mod formats;
mod maths;
mod network;
mod numbers;
mod quantities;
pub mod semver;
mod strings;
mod times;
pub mod url;

use std::rc::Rc;

use crate::ast::Expr;
pub use crate::declarations::is_space;
use crate::eval::{Budget, Error};
use crate::parser::{dotted as dotted_name, is_word};
use crate::types::Type;
use crate::value::Value;

type Outcome<'v> = Result<Value<'v>, Error>;

/// Types that are named by a word.
const TYPES: [&str; 9] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// Whether a name stands for something everywhere.
pub fn is_name(name: &str) -> bool {
    TYPES.contains(&name) || is_space(name) || name == "google"
}

/// What a name stands for everywhere.
pub fn name<'v>(name: &str) -> Option<Value<'v>> {
    TYPES.iter().find(|own| **own == name).map(|own| Value::Type(own))
}

/// What a name with dots stands for.
pub fn dotted<'t>(name: &str) -> Option<Type<'t>> {
    match name {
        "google.protobuf.Timestamp" => Some(Type::Timestamp),
        "google.protobuf.Duration" => Some(Type::Duration),
        _ => None,
    }
}

/// The value that a name with dots stands for.
pub fn value_of_dotted<'v>(of: &Expr, field: &str) -> Option<Value<'v>> {
    // Nearly no field is one of these: that is seen without looking further.
    let name = match field {
        "Timestamp" => "google.protobuf.Timestamp",
        "Duration" => "google.protobuf.Duration",
        _ => return None,
    };
    (dotted_name(of).as_deref() == Some("google.protobuf")).then_some(Value::Type(name))
}

/// The type that a name stands for everywhere.
pub fn type_of_name<'t>(name: &str) -> Option<Type<'t>> {
    Some(match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "int" => Type::Int,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "string" => Type::String,
        "uint" => Type::Uint,
        _ => return None,
    })
}

/// Whether a function takes a text at all.
pub fn takes_literal(function: &str, text: &str) -> bool {
    match function {
        "matches" => regex::Regex::new(text).is_ok(),
        "timestamp" => apimachinery::time::parse(text).is_some(),
        _ => apimachinery::time::parse_go_duration(text).is_some(),
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

/// A property's name as a name of the language (KEP-2876); none where it cannot be one.
pub fn escape(name: &str) -> Option<String> {
    if is_word(name) {
        return Some(format!("__{name}__"));
    }
    let first = name.chars().next()?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.-/$".contains(letter);
    if first.is_ascii_digit() || first == '$' || !name.chars().all(fits) || name.contains('$') {
        return None;
    }
    let escaped = name.replace("__", "__underscores__").replace('.', "__dot__");
    Some(escaped.replace('-', "__dash__").replace('/', "__slash__"))
}

/// Calls a function that is called on nothing.
pub fn function<'v>(name: &str, arguments: &[Value<'v>], budget: &Budget) -> Outcome<'v> {
    match (name, arguments) {
        ("!_", [Value::Bool(flag)]) => Ok(Value::Bool(!flag)),
        ("_==_" | "_!=_", [left, right]) => {
            budget.spend_on(left.size().min(right.size()))?;
            Ok(Value::Bool(left.same(right) == (name == "_==_")))
        }
        ("_<_" | "_<=_" | "_>_" | "_>=_", [left, right]) => {
            budget.spend_on(left.size().min(right.size()))?;
            let order = left.order(right).ok_or_else(no_overload)?;
            Ok(Value::Bool(match name {
                "_<_" => order.is_lt(),
                "_<=_" => order.is_le(),
                "_>_" => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        ("@in", [item, Value::List(list)]) => {
            budget.spend(list.len() as u64)?;
            Ok(Value::Bool(list.iter().any(|own| own.same(item))))
        }
        ("@in", [key, Value::Map(map)]) => Ok(Value::Bool(map.get(key).is_some())),
        ("_+_", [Value::List(left), Value::List(right)]) => {
            budget.spend((left.len() + right.len()) as u64)?;
            Ok(Value::list(left.iter().chain(right.iter()).collect()))
        }
        ("_+_", [Value::String(left), Value::String(right)]) => {
            budget.spend_on(left.len() + right.len())?;
            Ok(Value::text(format!("{left}{right}")))
        }
        ("_+_", [Value::Bytes(left), Value::Bytes(right)]) => {
            budget.spend_on(left.len() + right.len())?;
            Ok(Value::Bytes([&**left, &**right].concat().into()))
        }
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_" | "-_", values) => {
            let sign = if name == "-_" { "negate" } else { name.trim_matches('_') };
            times::operator(sign, values).unwrap_or_else(|| numbers::operator(sign, values))
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
        ("semver" | "isSemver", [Value::String(text), rest @ ..]) => match rest {
            [] => semver::read(name, text, false),
            [Value::Bool(lenient)] => semver::read(name, text, *lenient),
            _ => Err(no_overload()),
        },
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
        ("math", _, values) => maths::call(name, values),
        ("strings", "quote", [Value::String(text)]) => {
            budget.spend_on(text.len())?;
            Ok(Value::text(strings::quote(text)))
        }
        ("jsonpatch", "escapeKey", [Value::String(text)]) => {
            budget.spend_on(text.len())?;
            Ok(Value::text(text.replace('~', "~0").replace('/', "~1")))
        }
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
        (Value::Semver(version), ..) => semver::method(version, name, arguments),
        (Value::Host(host), ..) => host.call(name, arguments, budget),
        (Value::Format(format), "validate", [Value::String(text)]) => Ok(formats::validate(format, text)),
        _ => Err(no_overload()),
    }
}
