//! What the table tests of the kinds share.

use apimachinery::status::FieldError;
use serde_json::Value;

use crate::Strategy;
use crate::field::Errors;

/// Errors one to a line, as a client reads them.
pub fn listed(errors: Vec<FieldError>) -> String {
    errors.iter().map(FieldError::to_string).collect::<Vec<_>>().join("\n")
}

/// The errors that a check finds.
pub fn found(check: impl FnOnce(&mut Errors)) -> String {
    let mut errors = Errors::new();
    check(&mut errors);
    listed(errors.into_vec())
}

/// The errors of a new object after defaulting.
pub fn created(strategy: &dyn Strategy, mut object: Value) -> String {
    strategy.default(&mut object);
    strategy.prepare_for_create(&mut object);
    found(|errors| strategy.validate(&object, errors))
}

/// The errors of an update after defaulting both sides.
pub fn updated(strategy: &dyn Strategy, mut new: Value, mut old: Value) -> String {
    strategy.default(&mut old);
    strategy.default(&mut new);
    strategy.prepare_for_update(&mut new, &old);
    found(|errors| strategy.validate_update(&new, &old, errors))
}

/// The object after defaulting.
pub fn defaulted(strategy: &dyn Strategy, mut object: Value) -> Value {
    strategy.default(&mut object);
    object
}

/// Compares what was told of each case with what was expected, and tells of all that differ.
pub fn agree<'a>(cases: impl IntoIterator<Item = (String, String, &'a str)>) {
    let mut wrong = String::new();
    for (case, told, expected) in cases {
        if told != expected {
            wrong.push_str(&format!("{case}\n--- expected\n{expected}\n--- found\n{told}\n\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
