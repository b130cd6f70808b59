//! Kubernetes' protobuf encoding of built-in kinds, by one transcoder and a table.
//!
//! A body begins with the magic `k8s\0`, followed by a `runtime.Unknown` that names apiVersion and kind and holds
//! the object's own message. The table (`messages.txt`) has a line for each message: its name, then each field's
//! number, JSON name and type.

mod reader;
mod scalar;
mod table;

use serde_json::{Map, Value};

use reader::{Reader, Wire};
use table::{Message, Type};

/// What every body begins with.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// The media type of these bodies.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Objects may not lie deeper in each other than this: schemas of custom resources nest, attacks nest more.
const DEPTH: usize = 64;

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The body does not begin as all of them do.
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    Magic,
    /// The text ends too early or holds what no message holds.
    #[error("proto: {0}")]
    Malformed(&'static str),
    /// There is no message for this kind.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// The apiVersion in the body.
        api_version: String,
        /// The kind in the body.
        kind: String,
    },
}

/// Reads a body into the tree that its JSON form would have.
pub fn decode(body: &[u8]) -> Result<Value, WireError> {
    let rest = body.strip_prefix(MAGIC).ok_or(WireError::Magic)?;
    let unknown =
        message(table::message("runtime.Unknown").ok_or(WireError::Malformed("no table"))?, rest, DEPTH)?;
    let text = |key| unknown["typeMeta"][key].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let name = message_name(&api_version, &kind);
    let Some(found) = name.as_deref().and_then(table::message) else {
        return Err(WireError::UnknownKind { api_version, kind });
    };
    let raw = raw_of(rest)?;
    let mut object = message(found, raw, DEPTH)?;
    if let Some(object) = object.as_object_mut() {
        object.insert("apiVersion".to_owned(), api_version.into());
        object.insert("kind".to_owned(), kind.into());
    }
    Ok(object)
}

/// The bytes of the object inside the envelope.
fn raw_of(unknown: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new(unknown);
    let mut raw: &[u8] = &[];
    while let Some((number, wire)) = reader.field()? {
        if let (2, Wire::Bytes(bytes)) = (number, wire) {
            raw = bytes;
        }
    }
    Ok(raw)
}

/// The name of a kind's message in the table. Options travel under the group they are options for.
fn message_name(api_version: &str, kind: &str) -> Option<String> {
    if kind.is_empty() {
        return None;
    }
    if matches!(
        kind,
        "DeleteOptions"
            | "CreateOptions"
            | "UpdateOptions"
            | "PatchOptions"
            | "ListOptions"
            | "GetOptions"
            | "Status"
    ) {
        return Some(format!("meta.v1.{kind}"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let package = match group {
        "" => "core",
        "internal.apiserver.k8s.io" => "apiserverinternal",
        group => group.split('.').next().unwrap_or_default(),
    };
    Some(format!("{package}.{version}.{kind}"))
}

fn message(message: &Message, bytes: &[u8], depth: usize) -> Result<Value, WireError> {
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
                if let Some(inner) = table::message(inner) {
                    fill(object, inner, bytes, depth - 1)?;
                }
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
        (Type::Message(name), Wire::Bytes(bytes)) => match table::message(name) {
            Some(found) => Some(message(found, bytes, depth - 1)?),
            None => None,
        },
        (Type::Schema(kind), Wire::Bytes(bytes)) => schema(*kind, bytes, depth)?,
        (ty, wire) => scalar::value(ty, wire)?,
    })
}

/// A JSON schema, or what may stand in its place.
fn schema(kind: table::SchemaOr, bytes: &[u8], depth: usize) -> Result<Option<Value>, WireError> {
    use table::SchemaOr;
    let props = table::message("apiextensions.v1.JSONSchemaProps").ok_or(WireError::Malformed("no table"))?;
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

#[cfg(test)]
mod tests;
