//! Validation of what devices share: counters that they draw on, capacity that several claims take parts of.

use std::collections::HashSet;

use apimachinery::Quantity;
use serde_json::Value;

use super::lists;
use pod_strategy::probes::validate_label;
use pod_strategy::resources::quantity;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const MAX_SETS: usize = 8;
const MAX_CONSUMED: usize = 2;
const MAX_COUNTERS: usize = 32;
const LONGEST_COUNTER: usize = 63;
const MAX_VALUES: usize = 10;
const MAX_CONDITIONS: usize = 4;

/// Validates the sets of counters of a slice.
pub(super) fn validate_sets(sets: &[Value], path: &Path, errors: &mut Errors) {
    named_counters(sets, MAX_SETS, "name", path, errors);
}

/// Validates what a device draws of such sets.
pub(super) fn validate_consumed(consumed: &[Value], path: &Path, errors: &mut Errors) {
    named_counters(consumed, MAX_CONSUMED, "counterSet", path, errors);
}

fn named_counters(sets: &[Value], most: usize, key: &str, path: &Path, errors: &mut Errors) {
    let name = |set: &Value| set.text(key).to_owned();
    lists::set(sets, most, name, path, errors, |set, path, errors| {
        let name = set.text(key);
        if name.is_empty() {
            errors.required(&path.child(key), "");
        } else {
            validate_label(name, &path.child(key), errors);
        }
        let path = path.child("counters");
        match set.entries("counters").count() {
            0 => errors.required(&path, ""),
            count if count > MAX_COUNTERS => errors.too_many(&path, count, MAX_COUNTERS),
            _ => {
                for (name, _) in set.entries("counters") {
                    validate_label(name, &path.key(&lists::shown(name, LONGEST_COUNTER)), errors);
                }
            }
        }
    });
}

/// Validates how a device's capacity may be asked for in parts.
pub(super) fn validate_request_policy(capacity: &Value, shared: bool, path: &Path, errors: &mut Errors) {
    let policy = &capacity["requestPolicy"];
    if policy.is_null() {
        return;
    }
    let path = path.child("requestPolicy");
    if !shared {
        errors.forbidden(&path, "allowMultipleAllocations must be true");
        return;
    }
    let (values, range) = (policy.items("validValues"), &policy["validRange"]);
    if !values.is_empty() && !range.is_null() {
        errors.forbidden(
            &path,
            "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time",
        );
        return;
    }
    let by = match (values.is_empty(), range.is_null()) {
        (false, _) => "validValues",
        (true, false) => "validRange",
        (true, true) => return,
    };
    let Some(default) = quantity(&policy["default"]) else {
        errors.required(&path.child("default"), format!("required when {by} is defined"));
        return;
    };
    let most = quantity(&capacity["value"]).unwrap_or(Quantity::ZERO);
    match by {
        "validValues" => valid_values(values, &default, &most, &path.child(by), errors),
        _ => valid_range(range, &default, &most, &path.child(by), errors),
    }
}

fn valid_values(values: &[Value], default: &Quantity, most: &Quantity, path: &Path, errors: &mut Errors) {
    let amount = |value: &Value| quantity(value).unwrap_or(Quantity::ZERO);
    for (index, pair) in values.windows(2).enumerate() {
        let (one, next) = (amount(&pair[0]), amount(&pair[1]));
        if one > next {
            let why = "values must be sorted in ascending order";
            errors.invalid(&path.index(index + 1), next.to_string(), why);
        }
    }
    let mut has_default = false;
    let whole = |value: &Value| amount(value).value().to_string();
    lists::set(values, MAX_VALUES, whole, path, errors, |value, path, errors| {
        let value = amount(value);
        if value > *most {
            let why = format!("option is larger than capacity value: {most}");
            errors.invalid(path, value.to_string(), why);
        }
        has_default |= value == *default;
    });
    if !has_default {
        let why = "default value is not valid according to the requestPolicy";
        errors.invalid(path, default.to_string(), why);
    }
}

fn valid_range(range: &Value, default: &Quantity, most: &Quantity, path: &Path, errors: &mut Errors) {
    let [least_path, limit_path] = ["min", "max"].map(|key| path.child(key));
    let Some(least) = quantity(&range["min"]) else {
        errors.required(&least_path, "required when validRange is defined");
        return;
    };
    let mut refuse =
        |path: &Path, value: &Quantity, why: String| errors.invalid(path, value.to_string(), why);
    if least > *most {
        refuse(&least_path, &least, format!("min is larger than capacity value: {most}"));
    }
    if *default < least {
        refuse(&least_path, default, format!("default is less than min: {least}"));
    }
    let limit = quantity(&range["max"]);
    if let Some(limit) = &limit {
        if least > *limit {
            refuse(&limit_path, &least, format!("min is larger than max: {limit}"));
        }
        if limit > most {
            refuse(&limit_path, limit, format!("max is larger than capacity value: {most}"));
        }
        if default > limit {
            refuse(&limit_path, default, format!("default is more than max: {limit}"));
        }
    }
    let Some(step) = quantity(&range["step"]) else { return };
    let path = path.child("step");
    // Nothing is a multiple of nothing; upstream's server falls over it.
    if step.value() <= 0 {
        refuse(&path, &step, "must be greater than zero".to_owned());
        return;
    }
    let first = least + step;
    if first > *most {
        refuse(&path, &step, format!("one step {first} is larger than capacity value: {most}"));
    }
    for value in std::iter::once(default).chain(&limit) {
        if (i128::from(value.value()) - i128::from(least.value())) % i128::from(step.value()) != 0 {
            let why = format!("value is not a multiple of a given step ({step}) from ({least})");
            refuse(&path, value, why);
        }
    }
}

/// Validates the conditions that a device waits for before a pod is bound, and those that end the wait.
pub(super) fn validate_conditions(device: &Value, path: &Path, errors: &mut Errors) {
    let lists = ["bindingConditions", "bindingFailureConditions"].map(|key| (key, device.items(key)));
    for (key, list) in lists {
        lists::each(list, MAX_CONDITIONS, &path.child(key), errors, |condition, path, errors| {
            let name = condition.as_str().unwrap_or_default();
            errors.invalid_each(path, condition, names::qualified_name_errors(name));
        });
    }
    let [(_, good), (_, bad)] = lists;
    for (key, list) in lists {
        let path = path.child(key);
        let mut seen = HashSet::new();
        for (index, condition) in list.iter().enumerate() {
            if !seen.insert(condition.as_str().unwrap_or_default()) {
                errors.duplicate(&path.index(index), condition.clone());
            }
            if key == "bindingFailureConditions" && good.contains(condition) {
                let why = "bindingFailureConditions must not overlap with bindingConditions";
                errors.invalid(&path.index(index), condition.clone(), why);
            }
        }
    }
    let [good_name, bad_name] = lists.map(|(key, _)| key);
    for (missing, list, other) in [(good_name, good, bad), (bad_name, bad, good)] {
        if list.is_empty() && !other.is_empty() {
            let given = if missing == good_name { bad_name } else { good_name };
            let why = format!("{missing} are required to use {given}");
            match &device[missing] {
                // As upstream prints a list that is not there.
                Value::Null => errors.invalid_unshown(&path.child(missing), format!("null: {why}")),
                list => errors.invalid(&path.child(missing), list.clone(), why),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn counters_have_names_and_amounts() {
        let check = |sets: Value| {
            found(|errors| validate_sets(sets.as_array().unwrap(), &Path::root("sharedCounters"), errors))
        };
        let memory = json!({"memory": {"value": "1Gi"}});
        assert_eq!(check(json!([{"name": "a", "counters": memory}])), "");
        assert_eq!(
            check(
                json!([{"name": "a", "counters": {}}, {"name": "a", "counters": memory}, {"counters": memory}])
            ),
            "sharedCounters[0].counters: Required value\n\
             sharedCounters[2].name: Required value\n\
             sharedCounters[1]: Duplicate value: \"a\""
        );
    }

    #[test]
    fn capacity_is_shared_as_its_policy_says() {
        let check = |policy: Value, shared: bool| {
            let capacity = json!({"value": "8Gi", "requestPolicy": policy});
            found(|errors| validate_request_policy(&capacity, shared, &Path::root("c"), errors))
        };
        assert_eq!(check(json!({"default": "1Gi", "validValues": ["1Gi", "2Gi"]}), true), "");
        assert_eq!(check(json!({"default": "2Gi", "validRange": {"min": "1Gi", "max": "4Gi"}}), true), "");
        assert_eq!(
            check(json!({"default": "1Gi"}), false),
            "c.requestPolicy: Forbidden: allowMultipleAllocations must be true"
        );
        assert_eq!(
            check(json!({"validValues": ["2Gi", "1Gi", "16Gi"]}), true),
            "c.requestPolicy.default: Required value: required when validValues is defined"
        );
        assert_eq!(
            check(json!({"default": "3Gi", "validValues": ["2Gi", "1Gi", "1Gi", "16Gi"]}), true),
            "c.requestPolicy.validValues[1]: Invalid value: \"1Gi\": values must be sorted in ascending order\n\
             c.requestPolicy.validValues[3]: Invalid value: \"16Gi\": option is larger than capacity value: 8Gi\n\
             c.requestPolicy.validValues[2]: Duplicate value: \"1073741824\"\n\
             c.requestPolicy.validValues: Invalid value: \"3Gi\": default value is not valid according to the requestPolicy"
        );
        assert_eq!(
            check(json!({"default": "1Gi", "validValues": ["1Gi"], "validRange": {"min": "1Gi"}}), true),
            "c.requestPolicy: Forbidden: exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time"
        );
        let range = |range: Value, default: &str| {
            check(json!({"default": default, "validRange": range}), true)
                .replace("c.requestPolicy.validRange.", "")
        };
        for (found, expected) in [
            (range(json!({"min": "1Gi", "step": "1Gi"}), "3Gi"), ""),
            (
                range(json!({"min": "1Gi", "max": "4Gi"}), "5Gi"),
                "max: Invalid value: \"5Gi\": default is more than max: 4Gi",
            ),
            (range(json!({}), "5Gi"), "min: Required value: required when validRange is defined"),
            (
                range(json!({"min": "16Gi", "max": "9Gi"}), "1Gi"),
                "min: Invalid value: \"16Gi\": min is larger than capacity value: 8Gi\n\
                 min: Invalid value: \"1Gi\": default is less than min: 16Gi\n\
                 max: Invalid value: \"16Gi\": min is larger than max: 9Gi\n\
                 max: Invalid value: \"9Gi\": max is larger than capacity value: 8Gi",
            ),
            (
                range(json!({"min": "1Gi", "max": "4Gi", "step": "8Gi"}), "2Gi"),
                "step: Invalid value: \"8Gi\": one step 9Gi is larger than capacity value: 8Gi\n\
                 step: Invalid value: \"2Gi\": value is not a multiple of a given step (8Gi) from (1Gi)\n\
                 step: Invalid value: \"4Gi\": value is not a multiple of a given step (8Gi) from (1Gi)",
            ),
            (
                range(json!({"min": "1Gi", "step": "0"}), "2Gi"),
                "step: Invalid value: \"0\": must be greater than zero",
            ),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_device_that_is_waited_for_says_when_the_wait_is_in_vain() {
        let check = |device: Value| found(|errors| validate_conditions(&device, &Path::root("d"), errors));
        assert_eq!(
            check(
                json!({"bindingConditions": ["a.example/up"], "bindingFailureConditions": ["a.example/broken"]})
            ),
            ""
        );
        assert_eq!(
            check(json!({"bindingConditions": ["up"]})),
            "d.bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions"
        );
        assert_eq!(
            check(json!({"bindingConditions": ["up", "up"], "bindingFailureConditions": ["up"]})),
            "d.bindingConditions[1]: Duplicate value: \"up\"\n\
             d.bindingFailureConditions[0]: Invalid value: \"up\": bindingFailureConditions must not overlap with bindingConditions"
        );
        assert_eq!(
            check(json!({"bindingConditions": [], "bindingFailureConditions": ["a b"]})).lines().last(),
            Some(
                "d.bindingConditions: Invalid value: []: bindingConditions are required to use bindingFailureConditions"
            )
        );
    }
}
