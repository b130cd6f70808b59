//! What the table tests of the kinds share.

use apimachinery::status::FieldError;
use serde_json::Value;

use crate::strategy::Strategy;

/// The errors one to a line, as a client reads them.
pub(crate) fn listed(errors: Vec<FieldError>) -> String {
    errors.iter().map(FieldError::to_string).collect::<Vec<_>>().join("\n")
}

/// The errors of a new object after defaulting.
pub(crate) fn created(strategy: &dyn Strategy, mut object: Value) -> String {
    strategy.default(&mut object);
    strategy.prepare_for_create(&mut object);
    listed(strategy.validate(&object))
}

/// The errors of an update after defaulting both sides.
pub(crate) fn updated(strategy: &dyn Strategy, mut new: Value, mut old: Value) -> String {
    strategy.default(&mut old);
    strategy.default(&mut new);
    strategy.prepare_for_update(&mut new, &old);
    listed(strategy.validate_update(&new, &old))
}

/// The object after defaulting.
pub(crate) fn defaulted(strategy: &dyn Strategy, mut object: Value) -> Value {
    strategy.default(&mut object);
    object
}
