//! Kubernetes' protobuf encoding of built-in kinds, by one transcoder and a table.
//!
//! A body begins with the magic `k8s\0`, followed by a `runtime.Unknown` that names apiVersion and kind and holds
//! the object's own message. The table (`messages.txt`) has a line for each message: its name, then each field's
//! number, JSON name and type.

mod decode;
mod encode;
mod json;
mod reader;
mod scalar;
mod table;

use serde_json::Value;

use json::Json;
use reader::{Reader, Wire};
use table::Message;

/// What every body begins with.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// The media type of these bodies.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Objects may not lie deeper in each other than this: schemas of custom resources nest, attacks nest more.
const DEPTH: usize = 64;

/// Why a body cannot be read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The body does not begin as all of them do.
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    Magic,
    /// The text ends too early or holds what no message holds.
    #[error("proto: {0}")]
    Malformed(&'static str),
    /// The JSON to write is not that of its kind.
    #[error("json: {0}")]
    Json(&'static str),
    /// There is no message for this kind.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// The apiVersion in the body.
        api_version: String,
        /// The kind in the body.
        kind: String,
    },
}

/// A kind that has a message.
#[derive(Debug, Clone, Copy)]
pub struct Kind(&'static Message);

impl Kind {
    /// Finds a kind's message.
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        table::message(&message_name(api_version, kind)?).map(Self)
    }

    /// Appends the message of an object's JSON, without an envelope.
    pub fn encode(self, json: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        encode::message(self.0, json, out)
    }
}

/// Writes an object's JSON as a whole body; the kind is read from it.
pub fn encode(json: &[u8]) -> Result<Vec<u8>, WireError> {
    let (api_version, kind) = kind_of(json)?;
    let Some(found) = Kind::find(&api_version, &kind) else {
        return Err(WireError::UnknownKind { api_version, kind });
    };
    encode_as(found, &api_version, &kind, json)
}

/// Writes an object's JSON as a whole body of a kind that is known.
pub fn encode_as(found: Kind, api_version: &str, kind: &str, json: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut raw = Vec::with_capacity(json.len() / 2 + 64);
    found.encode(json, &mut raw)?;
    Ok([&opening(api_version, kind, raw.len()), raw.as_slice(), CLOSING].concat())
}

/// What stands in a body before the object's own message of this length.
pub fn opening(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut type_meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
    encode::bytes(&mut type_meta, 1, api_version.as_bytes());
    encode::bytes(&mut type_meta, 2, kind.as_bytes());
    let mut head = MAGIC.to_vec();
    encode::bytes(&mut head, 1, &type_meta);
    // The field `raw`.
    head.push(2 << 3 | 2);
    encode::varint(&mut head, length as u64);
    head
}

/// What stands in a body behind the object's own message: that it is neither encoded further nor of another type.
pub const CLOSING: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// What stands before each object in a list's message.
pub fn item_opening(length: usize, out: &mut Vec<u8>) {
    // The field `items`, which has one number in all lists.
    out.push(2 << 3 | 2);
    encode::varint(out, length as u64);
}

/// How much [`item_opening`] appends.
pub fn item_opening_length(length: usize) -> usize {
    1 + encode::varint_length(length as u64)
}

/// One frame of a watch: its length, then an event around a whole body, which comes in parts.
pub fn watch_frame(event: &str, body: &[&[u8]]) -> Vec<u8> {
    let size: usize = body.iter().map(|part| part.len()).sum();
    // The event's object is a RawExtension, whose one field is the body.
    let inner = 1 + encode::varint_length(size as u64) + size;
    let length = 2 + event.len() + 1 + encode::varint_length(inner as u64) + inner;
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    encode::bytes(&mut frame, 1, event.as_bytes());
    frame.push(2 << 3 | 2);
    encode::varint(&mut frame, inner as u64);
    frame.push(1 << 3 | 2);
    encode::varint(&mut frame, size as u64);
    body.iter().for_each(|part| frame.extend_from_slice(part));
    frame
}

/// The `apiVersion` and `kind` of an object's JSON.
fn kind_of(json: &[u8]) -> Result<(String, String), WireError> {
    let (mut api_version, mut kind) = (None, None);
    let mut json = Json::new(json);
    let mut more = json.open(b'{', b'}')?;
    while more && (api_version.is_none() || kind.is_none()) {
        let slot = match json.key()?.raw {
            b"apiVersion" => &mut api_version,
            b"kind" => &mut kind,
            _ => {
                json.skip()?;
                more = json.more(b'}')?;
                continue;
            }
        };
        let text = json.string()?.read()?.into_owned();
        *slot = Some(String::from_utf8(text).map_err(|_| WireError::Json("invalid UTF-8"))?);
        more = json.more(b'}')?;
    }
    Ok((api_version.unwrap_or_default(), kind.unwrap_or_default()))
}

/// Reads a body into the tree that its JSON form would have.
pub fn decode(body: &[u8]) -> Result<Value, WireError> {
    decode_within(body, DEPTH)
}

fn decode_within(body: &[u8], depth: usize) -> Result<Value, WireError> {
    let rest = body.strip_prefix(MAGIC).ok_or(WireError::Magic)?;
    let Envelope { api_version, kind, raw } = envelope(rest)?;
    let Some(found) = Kind::find(&api_version, &kind) else {
        return Err(WireError::UnknownKind { api_version, kind });
    };
    let mut object = decode::message(found.0, raw, depth)?;
    if let Some(object) = object.as_object_mut() {
        object.insert("apiVersion".to_owned(), api_version.into());
        object.insert("kind".to_owned(), kind.into());
    }
    Ok(object)
}

struct Envelope<'a> {
    api_version: String,
    kind: String,
    raw: &'a [u8],
}

fn envelope(unknown: &[u8]) -> Result<Envelope<'_>, WireError> {
    let mut found = Envelope { api_version: String::new(), kind: String::new(), raw: &[] };
    let mut reader = Reader::new(unknown);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => {
                let mut reader = Reader::new(bytes);
                while let Some((number, wire)) = reader.field()? {
                    match (number, wire) {
                        (1, Wire::Bytes(bytes)) => found.api_version = scalar::text(bytes)?,
                        (2, Wire::Bytes(bytes)) => found.kind = scalar::text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => found.raw = bytes,
            _ => {}
        }
    }
    Ok(found)
}

/// The message of JSON schemas, which some fields hold in other forms too.
fn schema_props() -> Result<&'static Message, WireError> {
    table::message("apiextensions.v1.JSONSchemaProps").ok_or(WireError::Malformed("no table"))
}

/// The groups that have messages, by the word that the table has for each.
const PACKAGES: &[(&str, &str)] = &[
    ("", "core"),
    ("admissionregistration.k8s.io", "admissionregistration"),
    ("apidiscovery.k8s.io", "apidiscovery"),
    ("apiextensions.k8s.io", "apiextensions"),
    ("apiregistration.k8s.io", "apiregistration"),
    ("apps", "apps"),
    ("authentication.k8s.io", "authentication"),
    ("authorization.k8s.io", "authorization"),
    ("autoscaling", "autoscaling"),
    ("batch", "batch"),
    ("certificates.k8s.io", "certificates"),
    ("coordination.k8s.io", "coordination"),
    ("discovery.k8s.io", "discovery"),
    ("events.k8s.io", "events"),
    ("flowcontrol.apiserver.k8s.io", "flowcontrol"),
    ("internal.apiserver.k8s.io", "apiserverinternal"),
    ("meta.k8s.io", "meta"),
    ("networking.k8s.io", "networking"),
    ("node.k8s.io", "node"),
    ("policy", "policy"),
    ("rbac.authorization.k8s.io", "rbac"),
    ("resource.k8s.io", "resource"),
    ("scheduling.k8s.io", "scheduling"),
    ("storage.k8s.io", "storage"),
    ("storagemigration.k8s.io", "storagemigration"),
];

/// The name of a kind's message in the table. What is about requests travels under any group.
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
            | "APIVersions"
            | "APIGroup"
            | "APIGroupList"
            | "APIResourceList"
    ) {
        return Some(format!("meta.v1.{kind}"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (_, package) = PACKAGES.iter().find(|(known, _)| *known == group)?;
    // The metadata of objects is the same in both versions.
    let version = if *package == "meta" { "v1" } else { version };
    Some(format!("{package}.{version}.{kind}"))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
