//! Between the version that is served and the one that is stored.
//!
//! Of the few built-in resources with two versions, handlers work on the stored one. Objects of custom resources are in
//! the version of the request from where they are read ([`from_storage`], [`present`]) to where they are written
//! ([`into_storage`]).

mod autoscaler;
mod event;

use std::sync::Arc;

use apimachinery::{ObjectExt as _, Status};
use serde_json::Value;
use storage::Object;

use crate::registry::{Custom, Entry};

/// Converts a built-in object of the stored version to the served one.
pub fn to_served(entry: &Entry, object: &mut Value) {
    if entry.stored_as.is_none() || entry.custom().is_some() {
        return;
    }
    match &*entry.row.kind {
        "Event" => event::to_new(object),
        "HorizontalPodAutoscaler" => autoscaler::to_v1(object),
        _ => {}
    }
    object["apiVersion"] = entry.api_version.as_str().into();
}

/// Converts a built-in object of the served version to the stored one.
pub fn to_stored(entry: &Entry, object: &mut Value) {
    let Some(stored) = entry.stored_as.as_ref().filter(|_| entry.custom().is_none()) else { return };
    match &*entry.row.kind {
        "Event" => event::to_core(object),
        "HorizontalPodAutoscaler" => autoscaler::to_v2(object),
        _ => {}
    }
    object["apiVersion"] = stored.as_str().into();
}

/// Brings an object of a custom resource from the version in which it is stored into that of the request.
pub fn from_storage(entry: &Entry, object: &mut Value) -> Result<(), Status> {
    match entry.custom() {
        Some(custom) if object.api_version() != entry.api_version => {
            between(custom, object, &entry.api_version)
        }
        _ => Ok(()),
    }
}

/// Brings an object of a custom resource from the version of the request into the one that is stored.
pub fn into_storage(entry: &Entry, object: &mut Value) -> Result<(), Status> {
    let (Some(custom), Some(stored)) = (entry.custom(), &entry.stored_as) else { return Ok(()) };
    match &custom.conversion {
        Some(conversion) => conversion.convert_here(object, stored),
        None => {
            object["apiVersion"] = stored.as_str().into();
            Ok(())
        }
    }
}

/// Brings an object from the form that handlers of one entry work on into another version that is served.
pub fn into_version(from: &Entry, to: &Entry, object: &mut Value) -> Result<(), Status> {
    if to.custom().is_some() {
        return from_storage(to, object);
    }
    to_stored(from, object);
    to_served(to, object);
    Ok(())
}

/// Into the version of this entry.
fn between(custom: &Custom, object: &mut Value, wanted: &str) -> Result<(), Status> {
    match &custom.conversion {
        Some(conversion) => {
            conversion.convert_here(object, wanted)?;
            custom.rules.prune(object);
        }
        // Versions differ in what they know of an object.
        None => {
            object["apiVersion"] = wanted.into();
            custom.rules.prune(object);
            custom.rules.complete(object);
        }
    }
    Ok(())
}

/// Whether an object has to be converted by a webhook to be served. Its version stands first in its bytes, since keys
/// are sorted; where it does not, converting finds out.
pub fn is_foreign(entry: &Entry, object: &Object) -> bool {
    const OPENING: &[u8] = b"{\"apiVersion\":\"";
    entry.conversion().is_some()
        && object
            .as_bytes()
            .strip_prefix(OPENING)
            .and_then(|rest| rest.strip_prefix(entry.api_version.as_bytes()))
            .is_none_or(|rest| !rest.starts_with(b"\""))
}

/// An object in the version of the request, by a webhook where only that knows how.
pub fn present(entry: &Entry, object: &Arc<Object>) -> Result<Arc<Object>, Status> {
    if !is_foreign(entry, object) {
        return Ok(object.clone());
    }
    let mut value = object.value().map_err(Status::internal)?;
    from_storage(entry, &mut value)?;
    in_form(entry, object, &value)
}

/// As [`present`], for many objects in one call.
pub async fn present_all(entry: &Entry, mut objects: Vec<Arc<Object>>) -> Result<Vec<Arc<Object>>, Status> {
    let places: Vec<usize> = (0..objects.len()).filter(|at| is_foreign(entry, &objects[*at])).collect();
    let Some((custom, conversion)) = entry.custom().zip(entry.conversion()).filter(|_| !places.is_empty())
    else {
        return Ok(objects);
    };
    let values: Result<Vec<Value>, _> = places.iter().map(|at| objects[*at].value()).collect();
    let mut values = values.map_err(Status::internal)?;
    conversion.convert(&mut values, &entry.api_version).await?;
    for (at, mut value) in places.into_iter().zip(values) {
        custom.rules.prune(&mut value);
        objects[at] = in_form(entry, &objects[at], &value)?;
    }
    Ok(objects)
}

fn in_form(entry: &Entry, object: &Object, value: &Value) -> Result<Arc<Object>, Status> {
    let json = serde_json::to_vec(value).map_err(Status::internal)?;
    entry.cache().in_form(object, &json).map_err(Status::internal)
}
