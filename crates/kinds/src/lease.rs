//! Leases.

use serde_json::Value;

use crate::workload::{SPEC, validate_counts};
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// The rules of Leases.
pub struct Lease;

impl Strategy for Lease {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        if let Some(seconds) = spec.int("leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
            errors.invalid(&SPEC.child("leaseDurationSeconds"), seconds, "must be greater than 0");
        }
        validate_counts(spec, &["leaseTransitions"], &SPEC, errors);
        if spec.has("strategy") {
            let strategy = spec.text("strategy");
            let path = SPEC.child("strategy");
            if strategy.is_empty() {
                errors.required(&path, "");
            } else if strategy != "OldestEmulationVersion" && !strategy.contains('/') {
                errors.unsupported(&path, strategy, &["OldestEmulationVersion"]);
            }
        } else if !spec.text("preferredHolder").is_empty() {
            errors.forbidden(
                &Path::root("spec.preferredHolder"),
                "may only be specified if `strategy` is defined",
            );
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}
