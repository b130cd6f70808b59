//! Strategies of the built-in kinds: defaulting, validation and what create, update and status may change.
//!
//! [`strategy`] finds the rules of a kind; [`create`] and [`update`] run them in the engine's order together
//! with the rules of [`metadata`]. Everything is a pure function over `serde_json::Value`.

pub mod field;
pub mod generic;
pub mod metadata;
pub mod names;
pub mod read;
pub mod strategy;
pub mod write;

#[cfg(test)]
mod testing;

use apimachinery::status::FieldError;
use serde_json::Value;

pub use strategy::{Grace, NameRule, Strategy};

/// The strategy of a kind, the generic one where the kind needs none of its own.
///
/// Kinds with several versions have one strategy, over the version that is stored: core/v1 for events of both
/// groups, autoscaling/v2 for HorizontalPodAutoscalers.
pub fn strategy(_group: &str, _kind: &str) -> &'static dyn Strategy {
    &generic::PLAIN
}

/// Prepares a defaulted and admitted new object and lists everything that is wrong with it.
pub fn create(strategy: &dyn Strategy, namespaced: bool, object: &mut Value) -> Vec<FieldError> {
    metadata::prepare_for_create(object);
    strategy.prepare_for_create(object);
    let mut errors = metadata::validate_create(object, namespaced, strategy.name_rule());
    errors.extend(metadata::validate_finalizer_names(object));
    errors.extend(strategy.validate(object));
    errors
}

/// Prepares a defaulted and admitted update and lists everything that is wrong with it.
///
/// The resourceVersion is the store's business: see [`missing_resource_version`].
pub fn update(strategy: &dyn Strategy, new: &mut Value, old: &Value) -> Vec<FieldError> {
    metadata::prepare_for_update(new, old);
    strategy.prepare_for_update(new, old);
    let mut errors = metadata::validate_update(new, old);
    errors.extend(metadata::validate_finalizer_names(new));
    errors.extend(strategy.validate_update(new, old));
    errors
}

/// As [`update`], for the `status` subresource.
pub fn update_status(strategy: &dyn Strategy, new: &mut Value, old: &Value) -> Vec<FieldError> {
    metadata::prepare_for_update(new, old);
    strategy.prepare_status_update(new, old);
    let mut errors = metadata::validate_update(new, old);
    errors.extend(strategy.validate_status_update(new, old));
    errors
}

/// The error of an update that names no version, for kinds without `allow_unconditional_update`.
pub fn missing_resource_version() -> FieldError {
    FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update")
}
