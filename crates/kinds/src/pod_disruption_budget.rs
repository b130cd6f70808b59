//! PodDisruptionBudgets.

use serde_json::Value;

use crate::workload::{SPEC, STATUS, validate_at_most_all, validate_counts, validate_int_or_percent};
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::selectors;
use strategy::{Keeps, Strategy};

/// The rules of PodDisruptionBudgets.
pub struct PodDisruptionBudget;

impl Strategy for PodDisruptionBudget {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        if spec.has("minAvailable") && spec.has("maxUnavailable") {
            errors.invalid(&SPEC, spec.clone(), "minAvailable and maxUnavailable cannot be both set");
        }
        for key in ["minAvailable", "maxUnavailable"] {
            validate_int_or_percent(&spec[key], &SPEC.child(key), errors);
            validate_at_most_all(&spec[key], &SPEC.child(key), errors);
        }
        selectors::validate(&spec["selector"], &SPEC.child("selector"), errors);
        if spec.has("unhealthyPodEvictionPolicy") {
            let policy = spec.text("unhealthyPodEvictionPolicy");
            if !matches!(policy, "AlwaysAllow" | "IfHealthyBudget") {
                let path = Path::root("spec.unhealthyPodEvictionPolicy");
                errors.unsupported(&path, policy, &["AlwaysAllow", "IfHealthyBudget"]);
            }
        }
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        validate_counts(&new["status"], &counts, &STATUS, errors);
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}
