//! PodDisruptionBudgets.

use serde_json::Value;

use crate::conditions;
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
        conditions::validate(new["status"].items("conditions"), &STATUS.child("conditions"), errors);
        let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        validate_counts(&new["status"], &counts, &STATUS, errors);
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{agree, created, found};

    #[test]
    fn budgets_are_told_in_one_way() {
        let percent = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
        let text = format!("spec.maxUnavailable: Invalid value: \"x\": {percent}");
        let cases = [
            (json!({"minAvailable": "100%", "selector": {}}), ""),
            (json!({"maxUnavailable": 0, "unhealthyPodEvictionPolicy": "AlwaysAllow"}), ""),
            (json!({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}), ""),
            (
                json!({"minAvailable": -1, "maxUnavailable": "101%"}),
                "spec: Invalid value: {\"maxUnavailable\":\"101%\",\"minAvailable\":-1}: minAvailable and maxUnavailable cannot be both set\n\
                spec.minAvailable: Invalid value: -1: must be greater than or equal to 0\n\
                spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (json!({"maxUnavailable": "x"}), &text),
            (
                json!({"minAvailable": "101%", "selector": {"matchExpressions": [{"key": "a", "operator": "Some"}]}, "unhealthyPodEvictionPolicy": "Some"}),
                "spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%\n\
                spec.selector.matchExpressions[0].operator: Invalid value: \"Some\": not a valid selector operator\n\
                spec.unhealthyPodEvictionPolicy: Unsupported value: \"Some\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
        ];
        agree(cases.iter().map(|(spec, expected)| {
            (spec.to_string(), created(&PodDisruptionBudget, json!({ "spec": spec })), *expected)
        }));
    }

    #[test]
    fn a_status_is_whole() {
        let status = json!({"status": {"disruptionsAllowed": -1, "currentHealthy": -1, "desiredHealthy": -1, "expectedPods": -1,
            "conditions": [{"type": "A", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let less = "Invalid value: -1: must be greater than or equal to 0";
        assert_eq!(
            found(|errors| PodDisruptionBudget.validate_status_update(&status, &json!({}), errors)),
            format!(
                "status.conditions[0].reason: Required value: must be set\n\
                status.disruptionsAllowed: {less}\nstatus.currentHealthy: {less}\nstatus.desiredHealthy: {less}\nstatus.expectedPods: {less}"
            )
        );
    }
}
