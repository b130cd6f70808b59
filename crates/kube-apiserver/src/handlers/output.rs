//! Objects in the form that the client asked for: bytes as they are, another version, metadata alone.

use std::borrow::Cow;
use std::sync::Arc;

use apimachinery::{Status, json};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use storage::Object;

use super::table;
use crate::convert;
pub use crate::convert::{to_served, to_stored};
use crate::http::negotiate::{MetaVersion, Negotiated};
use crate::http::{Format, Query, Response, Shape, response};
use crate::protobuf;
use crate::registry::Entry;

/// An object's JSON in the version that is served: the cached bytes where that is the stored one.
pub fn served(entry: &Entry, object: &Object) -> Bytes {
    // Those that a webhook converts are converted by now.
    if entry.stored_as.is_none() || entry.conversion().is_some() {
        return object.bytes();
    }
    match object.value() {
        Ok(mut value) => {
            to_served(entry, &mut value);
            if convert::from_storage(entry, &mut value).is_err() {
                return object.bytes();
            }
            Bytes::from(json::to_vec(&value))
        }
        Err(_) => object.bytes(),
    }
}

/// An object as a tree in the version that is served.
pub fn served_value(entry: &Entry, object: &Object) -> Result<Value, Status> {
    let mut value = object.value().map_err(Status::internal)?;
    to_served(entry, &mut value);
    convert::from_storage(entry, &mut value)?;
    Ok(value)
}

/// An object's metadata as a `PartialObjectMetadata`.
pub fn metadata_only(bytes: &[u8], version: MetaVersion) -> Option<Vec<u8>> {
    let metadata = metadata_of(bytes)?;
    let head = opening(METADATA, version);
    Some([head.as_bytes(), &metadata, b"}"].concat())
}

/// The kind of an object of metadata alone.
pub const METADATA: &str = "PartialObjectMetadata";

fn opening(kind: &str, version: MetaVersion) -> String {
    format!(r#"{{"kind":"{kind}","apiVersion":"{}","metadata":"#, version.api_version())
}

fn metadata_of(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    #[derive(serde::Deserialize)]
    struct Partial<'a> {
        #[serde(borrow)]
        metadata: &'a serde_json::value::RawValue,
    }
    let partial: Partial<'_> = serde_json::from_slice(bytes).ok()?;
    Some(Cow::Borrowed(partial.metadata.get().as_bytes()))
}

/// Answers with one stored object.
pub fn object(
    code: StatusCode,
    entry: &Entry,
    object: &Arc<Object>,
    form: &Negotiated,
    query: &Query<'_>,
) -> Result<Response, Status> {
    let object = &convert::present(entry, object)?;
    match form.shape {
        Shape::Object if form.format == Format::Protobuf && entry.stored_as.is_none() => {
            let kept = match object.encoded() {
                Some(kept) => kept,
                None => protobuf::Kind::find(&entry.api_version, &entry.row.kind)?.stored(object)?,
            };
            let body = kept.frame.slice(kept.body.clone());
            Ok(response::whole(code, body, form))
        }
        Shape::Object => Ok(response::json(code, served(entry, object), form)),
        Shape::Metadata(version) => {
            let bytes = metadata_only(object.as_bytes(), version)
                .ok_or_else(|| Status::internal("unreadable object"))?;
            Ok(response::json(code, bytes.into(), form))
        }
        Shape::MetadataList(_) => Err(not_a_list(entry)),
        Shape::Table(version) => {
            let value = object.value().map_err(Status::internal)?;
            let table = table::of_object(entry, &value, version, query)?;
            Ok(response::value(code, &table, form))
        }
    }
}

/// Answers with an object that is a tree (not stored: dry runs, subresources' own kinds).
pub fn tree(
    code: StatusCode,
    entry: &Entry,
    value: &Value,
    form: &Negotiated,
    query: &Query<'_>,
) -> Result<Response, Status> {
    match form.shape {
        Shape::Object => Ok(response::value(code, value, form)),
        Shape::Metadata(version) => {
            let bytes = json::to_vec(value);
            let bytes =
                metadata_only(&bytes, version).ok_or_else(|| Status::internal("unreadable object"))?;
            Ok(response::json(code, bytes.into(), form))
        }
        Shape::MetadataList(_) => Err(not_a_list(entry)),
        Shape::Table(version) => {
            Ok(response::value(code, &table::of_object(entry, value, version, query)?, form))
        }
    }
}

fn not_a_list(entry: &Entry) -> Status {
    let kind = go_type(entry, &entry.row.kind);
    let text =
        format!("you requested PartialObjectMetadataList, but the requested object is not a list ({kind})");
    Status::new(406, "NotAcceptable", text)
}

/// The refusal of a list as one object's metadata.
pub fn is_a_list(entry: &Entry) -> Status {
    let kind = go_type(entry, &entry.row.list_kind);
    let text = format!("you requested PartialObjectMetadata, but the requested object is a list ({kind})");
    Status::new(406, "NotAcceptable", text)
}

/// How upstream's messages name the type of an object.
fn go_type(entry: &Entry, kind: &str) -> String {
    if entry.custom().is_some() {
        let list = if kind == entry.row.list_kind { "List" } else { "" };
        return format!("*unstructured.Unstructured{list}");
    }
    let package = match entry.row.group.split('.').next() {
        None | Some("") => "core",
        Some(first) => first,
    };
    format!("*{package}.{kind}")
}
