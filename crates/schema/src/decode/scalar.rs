//! Scalars with a form of their own, and the names that Go gives to types in messages.

use apimachinery::Quantity;
use apimachinery::go::{kind_of, misfit};
use serde_json::{Map, Value};

use super::{DecodeError, Misfit, Path, base64, time};
use crate::types::{Field, Kind};

/// Says what a field's Go type is called.
fn go_type(kind: Kind<'_>, field: Field<'_>) -> String {
    match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Int32 => "int32".to_owned(),
        Kind::Int64 => "int64".to_owned(),
        Kind::Double => "float64".to_owned(),
        Kind::String => field.go_string().to_owned(),
        Kind::Bytes => "[]uint8".to_owned(),
        Kind::Time => "v1.Time".to_owned(),
        Kind::MicroTime => "v1.MicroTime".to_owned(),
        Kind::Quantity => "resource.Quantity".to_owned(),
        Kind::IntOrString => "intstr.IntOrString".to_owned(),
        Kind::RawExtension => "runtime.RawExtension".to_owned(),
        Kind::FieldsV1 => "v1.FieldsV1".to_owned(),
        Kind::Json => "v1.JSON".to_owned(),
        Kind::SchemaOrBool(ty) | Kind::SchemaOrArray(ty) | Kind::SchemaOrStrings(ty) | Kind::Object(ty) => {
            ty.go_name().to_owned()
        }
        Kind::Array(inner) => format!("[]{}", go_type(inner.kind(), field)),
        Kind::Map(inner) => match inner.kind() {
            Kind::Quantity => "v1.ResourceList".to_owned(),
            kind => format!("map[string]{}", go_type(kind, field)),
        },
    }
}

/// Gives what Go stores for a null in a list or a map.
pub(super) fn zero(kind: Kind<'_>) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::IntOrString => Value::from(0),
        Kind::String | Kind::Bytes => Value::String(String::new()),
        Kind::Quantity => Value::String("0".to_owned()),
        Kind::Array(_) => Value::Array(Vec::new()),
        Kind::Map(_) | Kind::Object(_) => Value::Object(Map::new()),
        Kind::SchemaOrArray(_) | Kind::SchemaOrStrings(_) => Value::Array(Vec::new()),
        Kind::SchemaOrBool(_) => Value::Bool(false),
        Kind::Time | Kind::MicroTime | Kind::RawExtension | Kind::FieldsV1 | Kind::Json => Value::Null,
    }
}

/// Says whether a value is what `omitempty` leaves out.
pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Brings a scalar into canonical form, or says why it is none.
pub(super) fn normalise(
    kind: Kind<'_>,
    field: Field<'_>,
    value: &mut Value,
    at: &Path<'_>,
) -> Result<(), DecodeError> {
    match (kind, &mut *value) {
        (Kind::Quantity, Value::String(text)) => {
            let canonical = quantity(text)?;
            if let Some(canonical) = canonical {
                *text = canonical;
            }
            Ok(())
        }
        (Kind::Quantity, Value::Number(number)) => {
            let text = number.to_string();
            let canonical = quantity(&text)?.unwrap_or(text);
            *value = Value::String(canonical);
            Ok(())
        }
        (Kind::Quantity, _) => quantity("{").map(|_| ()),
        (Kind::Time, Value::String(text)) => time::seconds(text).map_err(DecodeError::of),
        (Kind::MicroTime, Value::String(text)) => time::micros(text).map_err(DecodeError::of),
        // The list and map elements that a null stands for.
        (Kind::Time | Kind::MicroTime, Value::Null) => Ok(()),
        (Kind::Time | Kind::MicroTime, other) => {
            Err(at.mismatch(kind_of(other), "string", misfit(other, "string")))
        }
        (Kind::Bytes, Value::String(text)) => base64::normalise(text).map_err(|why| {
            DecodeError::Type(Misfit {
                converting: format!("error decoding from json: {why}"),
                decoding: why,
            })
        }),
        (Kind::IntOrString, Value::String(_)) => Ok(()),
        (Kind::IntOrString | Kind::Int32, Value::Number(number))
            if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) =>
        {
            Ok(())
        }
        (_, other) => Err(unfit(kind, field, other, at)),
    }
}

/// Says that a value is of another type than its field.
fn unfit(kind: Kind<'_>, field: Field<'_>, value: &Value, at: &Path<'_>) -> DecodeError {
    let wanted = match kind {
        Kind::IntOrString => "int32".to_owned(),
        _ => go_type(kind, field),
    };
    // Of a number that is of a kind of its own, Go says which.
    let found = match (kind, value) {
        (Kind::IntOrString | Kind::Int32 | Kind::Int64, Value::Number(number)) => format!("number {number}"),
        _ => kind_of(value).to_owned(),
    };
    let tree = match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    };
    let converting = match (kind, tree) {
        (Kind::Array(_) | Kind::Bytes, _) => format!("cannot restore slice from {tree}"),
        (Kind::Map(_), _) => format!("cannot restore map from {tree}"),
        (Kind::Object(_), _) => format!("cannot restore struct from: {tree}"),
        (Kind::String, "int64") | (Kind::Int32 | Kind::Int64, "int64" | "float64") => {
            format!("cannot convert {tree} to {wanted}")
        }
        // A type with a name of its own is a string too.
        (Kind::String, _) => "unrecognized type: string".to_owned(),
        (Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Double, _) => format!("unrecognized type: {wanted}"),
        _ => misfit(value, &wanted),
    };
    at.mismatch(&found, &wanted, converting)
}

/// Canonicalises a quantity; `None` where the text is canonical already.
fn quantity(text: &str) -> Result<Option<String>, DecodeError> {
    if is_canonical(text) {
        return Ok(None);
    }
    let quantity: Quantity = text
        .trim()
        .parse()
        .map_err(|error: apimachinery::quantity::ParseError| DecodeError::of(error.to_string()))?;
    let canonical = quantity.to_string();
    Ok((canonical != text).then_some(canonical))
}

/// Recognises the common canonical forms without arithmetic: up to three digits, no leading zero, and a suffix
/// after which no larger suffix would fit.
fn is_canonical(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let first = text.as_bytes().first();
    match &text[digits..] {
        "" | "m" | "k" | "M" | "G" => (1..=3).contains(&digits) && (first != Some(&b'0') || text == "0"),
        "Ki" | "Mi" | "Gi" => (1..=3).contains(&digits) && first != Some(&b'0'),
        _ => false,
    }
}
