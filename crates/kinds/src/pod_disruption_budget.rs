//! PodDisruptionBudgets.

use apimachinery::status::FieldError;
use serde_json::Value;

use crate::field::{Errors, Path};
use crate::read::Read;
use crate::selectors;
use crate::strategy::Strategy;
use crate::workload::{SPEC, STATUS, validate_at_most_all, validate_counts, validate_int_or_percent};

/// The rules of PodDisruptionBudgets.
pub struct PodDisruptionBudget;

impl Strategy for PodDisruptionBudget {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let spec = &object["spec"];
        if spec.has("minAvailable") && spec.has("maxUnavailable") {
            errors.invalid(&SPEC, spec.clone(), "minAvailable and maxUnavailable cannot be both set");
        }
        for key in ["minAvailable", "maxUnavailable"] {
            validate_int_or_percent(&spec[key], &SPEC.child(key), &mut errors);
            validate_at_most_all(&spec[key], &SPEC.child(key), &mut errors);
        }
        selectors::validate(&spec["selector"], &SPEC.child("selector"), &mut errors);
        if spec.has("unhealthyPodEvictionPolicy") {
            let policy = spec.text("unhealthyPodEvictionPolicy");
            if !matches!(policy, "AlwaysAllow" | "IfHealthyBudget") {
                let path = Path::root("spec.unhealthyPodEvictionPolicy");
                errors.unsupported(&path, policy, &["AlwaysAllow", "IfHealthyBudget"]);
            }
        }
        errors.into_vec()
    }

    fn validate_status_update(&self, new: &Value, _old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        validate_counts(&new["status"], &counts, &STATUS, &mut errors);
        errors.into_vec()
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}
