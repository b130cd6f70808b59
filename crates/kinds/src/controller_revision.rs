//! ControllerRevisions.

use serde_json::Value;

use crate::workload::validate_counts;
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// The rules of ControllerRevisions: their data is written once.
pub struct ControllerRevision;

impl Strategy for ControllerRevision {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        if !object.has("data") {
            errors.required(&Path::root("data"), "data is mandatory");
        }
        if object.int("revision").unwrap_or(0) < 0 {
            validate_counts(object, &["revision"], &Path::root(""), errors);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        errors.immutable(&Path::root("data"), &new["data"], &old["data"]);
    }
}
