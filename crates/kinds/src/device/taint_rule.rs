//! DeviceTaintRules: taints that an administrator puts on devices.

use serde_json::Value;

use super::slice::{validate_effect, validate_taint_text};
use super::{SPEC, validate_driver, validate_pool};
use crate::conditions;
use pod_strategy::probes::validate_label;
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::{Keeps, Strategy};

/// The rules of DeviceTaintRules.
pub struct DeviceTaintRule;

const MAX_CONDITIONS: usize = 8;

impl Strategy for DeviceTaintRule {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate(&object["spec"], &Value::Null, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate(&new["spec"], &old["spec"], errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        let list = new["status"].items("conditions");
        let status_path = Path::root("status");
        let path = status_path.child("conditions");
        conditions::validate(list, &path, errors);
        if list.len() > MAX_CONDITIONS {
            errors.too_many(&path, list.len(), MAX_CONDITIONS);
        }
    }
}

fn validate(spec: &Value, before: &Value, errors: &mut Errors) {
    let (selector, path) = (&spec["deviceSelector"], SPEC.child("deviceSelector"));
    if selector.has("driver") {
        validate_driver(selector.text("driver"), &path.child("driver"), errors);
    }
    if selector.has("pool") {
        validate_pool(selector.text("pool"), &path.child("pool"), errors);
    }
    if selector.has("device") {
        validate_label(selector.text("device"), &path.child("device"), errors);
    }
    let (taint, path) = (&spec["taint"], SPEC.child("taint"));
    validate_taint_text(taint, &path, errors);
    // An effect that stays is not judged again.
    if before.is_null() || taint.text("effect") != before["taint"].text("effect") {
        validate_effect(taint, &path, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, found, updated};

    #[test]
    fn a_rule_taints_the_devices_that_it_selects() {
        let rule =
            |selector: Value, taint: Value| json!({"spec": {"deviceSelector": selector, "taint": taint}});
        let all = json!({"driver": "a.example", "pool": "p/q", "device": "d"});
        let taint = json!({"key": "a.example/broken", "effect": "NoExecute"});
        for (object, expected) in [
            (rule(all, taint.clone()), ""),
            (rule(json!(null), json!({"key": "a", "value": "b", "effect": "None"})), ""),
            (
                rule(json!({"driver": "", "pool": ""}), json!({"key": "a"})),
                "spec.deviceSelector.driver: Required value\n\
                 spec.deviceSelector.pool: Required value\n\
                 spec.taint.effect: Required value",
            ),
            (
                rule(json!({}), json!({"key": "a", "effect": "PreferNoSchedule"})),
                "spec.taint.effect: Unsupported value: \"PreferNoSchedule\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
            ),
        ] {
            assert_eq!(created(&DeviceTaintRule, object.clone()), expected, "{object}");
        }
        let old = rule(json!({}), json!({"key": "a", "effect": "Later"}));
        assert_eq!(updated(&DeviceTaintRule, old.clone(), old), "", "what stays is not judged again");
    }

    #[test]
    fn its_status_has_few_conditions() {
        let condition = |kind: usize| {
            json!({"type": format!("C{kind}"), "status": "True", "reason": "R",
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let told = |count: usize| {
            let status = json!({"conditions": (0..count).map(condition).collect::<Vec<_>>()});
            found(|errors| {
                DeviceTaintRule.validate_status_update(&json!({ "status": status }), &Value::Null, errors)
            })
        };
        assert_eq!(told(8), "");
        assert_eq!(told(9), "status.conditions: Too many: 9: must have at most 8 items");
    }
}
