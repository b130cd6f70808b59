//! Leases.

use serde_json::Value;

use crate::workload::{SPEC, validate_counts};
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::names::qualified_name_errors;
use strategy::read::Read;

/// The rules of Leases.
pub struct Lease;

/// The way of choosing who leads that needs no name of somebody else's.
pub(crate) const OLDEST: &str = "OldestEmulationVersion";

impl Strategy for Lease {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        if let Some(seconds) = spec.int("leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
            errors.invalid(&SPEC.child("leaseDurationSeconds"), seconds, "must be greater than 0");
        }
        validate_counts(spec, &["leaseTransitions"], &SPEC, errors);
        if spec.has("strategy") {
            validate_strategy(spec.text("strategy"), &SPEC.child("strategy"), errors);
        }
        if !spec.text("preferredHolder").is_empty() && spec.text("strategy").is_empty() {
            errors
                .forbidden(&SPEC.child("preferredHolder"), "may only be specified if `strategy` is defined");
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// Validates how it is chosen who leads.
pub(crate) fn validate_strategy(strategy: &str, path: &Path, errors: &mut Errors) {
    // Upstream says the word twice.
    let path = path.child("strategy");
    if strategy.contains('/') {
        errors.invalid_each(&path, &Value::from(strategy), qualified_name_errors(strategy));
    } else if strategy != OLDEST {
        errors.unsupported(&path, strategy, &[OLDEST]);
    }
}
