//! Objects in the form that the client asked for: bytes as they are, another version, metadata alone.

use std::borrow::Cow;
use std::sync::Arc;

use apimachinery::Status;
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use storage::Object;

use super::table;
pub use crate::convert::{to_served, to_stored};
use crate::http::negotiate::Negotiated;
use crate::http::{Query, Response, Shape, response};
use crate::registry::Entry;

/// An object's JSON in the version that is served: the cached bytes where that is the stored one.
pub fn served(entry: &Entry, object: &Object) -> Bytes {
    if entry.stored_as.is_none() {
        return object.bytes();
    }
    match object.value() {
        Ok(mut value) => {
            to_served(entry, &mut value);
            Bytes::from(serde_json::to_vec(&value).unwrap_or_default())
        }
        Err(_) => object.bytes(),
    }
}

/// An object as a tree in the version that is served.
pub fn served_value(entry: &Entry, object: &Object) -> Result<Value, Status> {
    let mut value = object.value().map_err(Status::internal)?;
    to_served(entry, &mut value);
    Ok(value)
}

/// An object's metadata as a `PartialObjectMetadata`.
pub fn metadata_only(bytes: &[u8]) -> Option<Vec<u8>> {
    let metadata = metadata_of(bytes)?;
    const OPEN: &[u8] = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;
    Some([OPEN, &metadata, b"}"].concat())
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
    match form.shape {
        Shape::Object => Ok(response::json(code, served(entry, object), form)),
        Shape::Metadata => {
            let bytes =
                metadata_only(object.as_bytes()).ok_or_else(|| Status::internal("unreadable object"))?;
            Ok(response::json(code, bytes.into(), form))
        }
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
        Shape::Metadata => {
            let bytes = serde_json::to_vec(value).map_err(Status::internal)?;
            let bytes = metadata_only(&bytes).ok_or_else(|| Status::internal("unreadable object"))?;
            Ok(response::json(code, bytes.into(), form))
        }
        Shape::Table(version) => {
            Ok(response::value(code, &table::of_object(entry, value, version, query)?, form))
        }
    }
}
