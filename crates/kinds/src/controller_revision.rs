//! ControllerRevisions.

use apimachinery::status::FieldError;
use serde_json::Value;

use crate::field::{Errors, Path};
use crate::read::Read;
use crate::strategy::Strategy;
use crate::workload::validate_counts;

/// The rules of ControllerRevisions: their data is written once.
pub struct ControllerRevision;

impl Strategy for ControllerRevision {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        if !object.has("data") {
            errors.required(&Path::root("data"), "data is mandatory");
        }
        if object.int("revision").unwrap_or(0) < 0 {
            validate_counts(object, &["revision"], &Path::root(""), &mut errors);
        }
        errors.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        errors.extend(self.validate(new));
        errors.immutable(&Path::root("data"), &new["data"], &old["data"]);
        errors.into_vec()
    }
}
