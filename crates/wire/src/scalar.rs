//! Values that are one word in JSON: numbers, texts, times, quantities.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use crate::WireError;
use crate::reader::{Reader, Wire};
use crate::table::Type;

/// A text.
pub(crate) fn text(bytes: &[u8]) -> Result<String, WireError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| WireError::Malformed("invalid UTF-8"))
}

/// What a map's value is when the wire leaves it out.
pub(crate) fn zero(ty: &Type) -> Option<Value> {
    match ty {
        Type::Text | Type::Bytes => Some("".into()),
        Type::Int | Type::Uint => Some(0.into()),
        Type::Bool => Some(false.into()),
        Type::Double => Some(0.0.into()),
        Type::Quantity => Some("0".into()),
        Type::Message(_) => Some(Value::Object(Default::default())),
        Type::Texts => Some(Value::Array(Vec::new())),
        _ => None,
    }
}

/// A value; `None` for what JSON leaves out.
pub(crate) fn value(ty: &Type, wire: Wire<'_>) -> Result<Option<Value>, WireError> {
    Ok(match (ty, wire) {
        (Type::Text, Wire::Bytes(bytes)) => Some(text(bytes)?.into()),
        (Type::Bytes, Wire::Bytes(bytes)) => Some(STANDARD.encode(bytes).into()),
        // Negative numbers are written as 64 bits of two's complement, also where the field has 32.
        (Type::Int, Wire::Varint(number)) => Some((number as i64).into()),
        (Type::Uint, Wire::Varint(number)) => Some(number.into()),
        (Type::Bool, Wire::Varint(number)) => Some((number != 0).into()),
        (Type::Double, Wire::Fixed64(bits)) => Number::from_f64(f64::from_bits(bits)).map(Value::Number),
        (Type::Time, Wire::Bytes(bytes)) => time(bytes, false)?,
        (Type::MicroTime, Wire::Bytes(bytes)) => time(bytes, true)?,
        (Type::Duration, Wire::Bytes(bytes)) => duration(bytes)?,
        (Type::Quantity, Wire::Bytes(bytes)) => {
            let text = inner_text(bytes, 1)?;
            Some(if text.is_empty() { "0".into() } else { text.into() })
        }
        (Type::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Type::Texts, Wire::Bytes(bytes)) => {
            let mut reader = Reader::new(bytes);
            let mut items = Vec::new();
            while let Some((number, wire)) = reader.field()? {
                if let (1, Wire::Bytes(bytes)) = (number, wire) {
                    items.push(Value::from(text(bytes)?));
                }
            }
            Some(items.into())
        }
        _ => return Err(WireError::Malformed("wrong wireType for the field")),
    })
}

fn inner_text(bytes: &[u8], wanted: u32) -> Result<String, WireError> {
    let mut reader = Reader::new(bytes);
    let mut found = String::new();
    while let Some((number, wire)) = reader.field()? {
        if let Wire::Bytes(bytes) = wire
            && number == wanted
        {
            found = text(bytes)?;
        }
    }
    Ok(found)
}

/// Seconds and nanoseconds; an empty message is the time that is not set.
fn time(bytes: &[u8], micro: bool) -> Result<Option<Value>, WireError> {
    let mut reader = Reader::new(bytes);
    let (mut seconds, mut nanos) = (None, 0);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Varint(number)) => seconds = Some(number as i64),
            (2, Wire::Varint(number)) => nanos = number as i32,
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Ok(None) };
    // Go's zero time.
    if seconds == -62_135_596_800 {
        return Ok(None);
    }
    let text = match micro {
        true => apimachinery::time::of_seconds_micro(seconds, nanos),
        false => apimachinery::time::of_seconds(seconds, nanos),
    };
    Ok(Some(text.ok_or(WireError::Malformed("time out of range"))?.into()))
}

fn duration(bytes: &[u8]) -> Result<Option<Value>, WireError> {
    let mut reader = Reader::new(bytes);
    let mut nanos = 0;
    while let Some((number, wire)) = reader.field()? {
        if let (1, Wire::Varint(number)) = (number, wire) {
            nanos = number as i64;
        }
    }
    Ok(Some(apimachinery::time::format_go_duration(nanos).into()))
}

fn int_or_string(bytes: &[u8]) -> Result<Option<Value>, WireError> {
    let mut reader = Reader::new(bytes);
    let (mut is_text, mut number, mut word) = (false, 0, String::new());
    while let Some((field, wire)) = reader.field()? {
        match (field, wire) {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => number = value as i64,
            (3, Wire::Bytes(bytes)) => word = text(bytes)?,
            _ => {}
        }
    }
    Ok(Some(if is_text { word.into() } else { number.into() }))
}
