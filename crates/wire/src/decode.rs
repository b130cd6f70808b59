//! From a message to the tree that its JSON form would have.

use serde_json::{Map, Value};

use crate::reader::{Reader, Wire};
use crate::table::{Message, SchemaOr, Type};
use crate::{WireError, scalar};

pub(crate) fn message(message: &Message, bytes: &[u8], depth: usize) -> Result<Value, WireError> {
    let mut object = Map::new();
    fill(&mut object, message, bytes, depth)?;
    Ok(Value::Object(object))
}

fn fill(
    object: &mut Map<String, Value>,
    message: &Message,
    bytes: &[u8],
    depth: usize,
) -> Result<(), WireError> {
    if depth == 0 {
        return Err(WireError::Malformed("objects lie too deep in each other"));
    }
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.field()? {
        // Fields of newer versions are passed over, as protobuf has it.
        let Some(field) = message.field(number) else { continue };
        match (&field.ty, wire) {
            (Type::Inline(inner), Wire::Bytes(bytes)) => {
                fill(object, inner.message(), bytes, depth - 1)?;
            }
            (Type::Map(inner), Wire::Bytes(bytes)) => {
                let (key, value) = entry(inner, bytes, depth)?;
                let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                if let (Some(map), Some(value)) = (map.as_object_mut(), value) {
                    map.insert(key, value);
                }
            }
            (Type::List(inner), wire) => {
                let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                let Some(list) = list.as_array_mut() else { continue };
                match (inner.as_ref(), wire) {
                    // Numbers may come packed.
                    (Type::Int | Type::Uint | Type::Bool, Wire::Bytes(packed)) => {
                        let mut packed = Reader::new(packed);
                        while !packed.is_empty() {
                            let number = Wire::Varint(packed.varint()?);
                            list.push(value(inner, number, depth)?.unwrap_or(Value::Null));
                        }
                    }
                    (inner, wire) => list.push(value(inner, wire, depth)?.unwrap_or(Value::Null)),
                }
            }
            (ty, wire) => {
                if let Some(value) = value(ty, wire, depth)? {
                    object.insert(field.name.to_owned(), value);
                }
            }
        }
    }
    Ok(())
}

/// One pair of a map: a message with the key and the value.
fn entry(ty: &Type, bytes: &[u8], depth: usize) -> Result<(String, Option<Value>), WireError> {
    let mut reader = Reader::new(bytes);
    let (mut key, mut found) = (String::new(), None);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(text)) => key = scalar::text(text)?,
            (2, wire) => found = value(ty, wire, depth)?,
            _ => {}
        }
    }
    if found.is_none() {
        found = scalar::zero(ty);
    }
    Ok((key, found))
}

/// A value; `None` for what JSON leaves out (an unset time).
fn value(ty: &Type, wire: Wire<'_>, depth: usize) -> Result<Option<Value>, WireError> {
    Ok(match (ty, wire) {
        (Type::Message(id), Wire::Bytes(bytes)) => Some(message(id.message(), bytes, depth - 1)?),
        (Type::Schema(kind), Wire::Bytes(bytes)) => schema(*kind, bytes, depth)?,
        (Type::Raw | Type::Json, Wire::Bytes(bytes)) => json(bytes, depth)?,
        (ty, wire) => scalar::value(ty, wire)?,
    })
}

/// A JSON schema, or what may stand in its place.
fn schema(kind: SchemaOr, bytes: &[u8], depth: usize) -> Result<Option<Value>, WireError> {
    let props = crate::schema_props()?;
    let mut reader = Reader::new(bytes);
    let (mut single, mut list, mut allows) = (None, Vec::new(), None);
    while let Some((number, wire)) = reader.field()? {
        match (kind, number, wire) {
            (SchemaOr::Bool, 1, Wire::Varint(flag)) => allows = Some(Value::Bool(flag != 0)),
            (SchemaOr::Bool, 2, Wire::Bytes(bytes))
            | (SchemaOr::List | SchemaOr::Strings, 1, Wire::Bytes(bytes)) => {
                single = Some(message(props, bytes, depth - 1)?);
            }
            (SchemaOr::List, 2, Wire::Bytes(bytes)) => list.push(message(props, bytes, depth - 1)?),
            (SchemaOr::Strings, 2, Wire::Bytes(text)) => list.push(scalar::text(text)?.into()),
            _ => {}
        }
    }
    Ok(single.or(if list.is_empty() { allows } else { Some(Value::Array(list)) }))
}

/// JSON text inside the message.
fn json(bytes: &[u8], depth: usize) -> Result<Option<Value>, WireError> {
    let mut reader = Reader::new(bytes);
    let mut raw: &[u8] = &[];
    while let Some((number, wire)) = reader.field()? {
        if let (1, Wire::Bytes(bytes)) = (number, wire) {
            raw = bytes;
        }
    }
    if raw.is_empty() {
        return Ok(None);
    }
    // An object inside may be protobuf of its own.
    if raw.starts_with(crate::MAGIC) {
        return crate::decode_within(raw, depth - 1).map(Some);
    }
    serde_json::from_slice(raw).map(Some).map_err(|_| WireError::Malformed("raw JSON is malformed"))
}
