//! Between the version that is served and the one that is stored, for the few resources with two.

mod autoscaler;
mod event;

use serde_json::Value;

use crate::registry::Entry;

/// Converts a stored object to the served version.
pub fn to_served(entry: &Entry, object: &mut Value) {
    if entry.stored_as.is_none() {
        return;
    }
    match &*entry.row.kind {
        "Event" => event::to_new(object),
        "HorizontalPodAutoscaler" => autoscaler::to_v1(object),
        _ => custom(entry, object),
    }
    object["apiVersion"] = entry.api_version.as_str().into();
}

/// Versions of a custom resource differ in what they know of an object.
fn custom(entry: &Entry, object: &mut Value) {
    if let Some(custom) = entry.custom() {
        custom.rules.prune(object);
        entry.strategy.default(object);
    }
}

/// Converts an object of the served version to the stored one.
pub fn to_stored(entry: &Entry, object: &mut Value) {
    let Some(stored) = &entry.stored_as else { return };
    match &*entry.row.kind {
        "Event" => event::to_core(object),
        "HorizontalPodAutoscaler" => autoscaler::to_v2(object),
        _ => {}
    }
    object["apiVersion"] = stored.as_str().into();
}
