//! Validation of what devices share: counters that they draw on, capacity that several claims take parts of.

use apimachinery::Quantity;
use serde_json::Value;

use super::slice::validate_fact_name;
use pod_strategy::probes::validate_label;
use pod_strategy::resources::quantity;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const MAX_SETS: usize = 8;
const MAX_CONSUMED: usize = 2;
const MAX_COUNTERS: usize = 32;
const MAX_VALUES: usize = 10;
const MAX_CONDITIONS: usize = 4;

/// Validates the sets of counters of a slice.
pub(super) fn validate_sets(sets: &[Value], path: &Path, errors: &mut Errors) {
    if sets.len() > MAX_SETS {
        errors.too_many(path, sets.len(), MAX_SETS);
    }
    named_counters(sets, "name", path, errors);
}

/// Validates what a device draws of such sets.
pub(super) fn validate_consumed(consumed: &[Value], path: &Path, errors: &mut Errors) {
    if consumed.len() > MAX_CONSUMED {
        errors.too_many(path, consumed.len(), MAX_CONSUMED);
    }
    named_counters(consumed, "counterSet", path, errors);
}

fn named_counters(sets: &[Value], key: &str, path: &Path, errors: &mut Errors) {
    for (index, set) in sets.iter().enumerate() {
        let path = path.index(index);
        let name = set.text(key);
        if name.is_empty() {
            errors.required(&path.child(key), "");
        } else {
            validate_label(name, &path.child(key), errors);
            if sets[..index].iter().any(|other| other.text(key) == name) {
                errors.duplicate(&path.child(key), name);
            }
        }
        let counters_path = path.child("counters");
        match set.entries("counters").count() {
            0 => errors.required(&counters_path, ""),
            count if count > MAX_COUNTERS => errors.too_many(&counters_path, count, MAX_COUNTERS),
            _ => {}
        }
        for (name, _) in set.entries("counters") {
            validate_label(name, &counters_path.key(name), errors);
        }
    }
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
            "exactly one policy can be specified, cannot specify `validValues` and `validRange` at the same time",
        );
        return;
    }
    let default = quantity(&policy["default"]);
    let bounded = !values.is_empty() || !range.is_null();
    if default.is_none() && bounded {
        let by = if range.is_null() { "validValues" } else { "validRange" };
        errors.required(&path.child("default"), format!("required when {by} is defined"));
    }
    let Some(most) = quantity(&capacity["value"]) else { return };
    if !values.is_empty() {
        valid_values(values, default.as_ref(), &most, &path, errors);
    }
    if range.is_object() {
        valid_range(range, default.as_ref(), &most, &path, errors);
    }
}

fn valid_values(
    values: &[Value],
    default: Option<&Quantity>,
    most: &Quantity,
    path: &Path,
    errors: &mut Errors,
) {
    let list_path = path.child("validValues");
    if values.len() > MAX_VALUES {
        errors.too_many(&list_path, values.len(), MAX_VALUES);
    }
    let amounts: Vec<Quantity> = values.iter().filter_map(quantity).collect();
    for (index, amount) in amounts.iter().enumerate() {
        let path = list_path.index(index);
        if amount > most {
            errors.invalid(
                &path,
                amount.to_string(),
                format!("option is larger than capacity value: {most}"),
            );
        }
        if index > 0 && amounts[index - 1] > *amount {
            errors.invalid(&path, amount.to_string(), "values must be sorted in ascending order");
        }
        if index > 0 && amounts[index - 1] == *amount {
            errors.duplicate(&path, amount.to_string());
        }
    }
    if let Some(default) = default.filter(|default| !amounts.contains(default)) {
        errors.invalid(
            &path.child("default"),
            default.to_string(),
            "default value is not valid according to the requestPolicy",
        );
    }
}

fn valid_range(range: &Value, default: Option<&Quantity>, most: &Quantity, path: &Path, errors: &mut Errors) {
    let range_path = path.child("validRange");
    let Some(least) = quantity(&range["min"]) else {
        errors.required(&range_path.child("min"), "required when validRange is defined");
        return;
    };
    let limit = quantity(&range["max"]);
    if least > *most {
        let why = format!("min is larger than capacity value: {most}");
        errors.invalid(&range_path.child("min"), least.to_string(), why);
    }
    if let Some(limit) = &limit {
        if *limit > *most {
            let why = format!("max is larger than capacity value: {most}");
            errors.invalid(&range_path.child("max"), limit.to_string(), why);
        }
        if least > *limit {
            let why = format!("min is larger than max: {limit}");
            errors.invalid(&range_path.child("min"), least.to_string(), why);
        }
    }
    if let Some(default) = default {
        let default_path = path.child("default");
        if *default < least {
            errors.invalid(&default_path, default.to_string(), format!("default is less than min: {least}"));
        }
        if let Some(limit) = limit.filter(|limit| default > limit) {
            errors.invalid(&default_path, default.to_string(), format!("default is more than max: {limit}"));
        }
    }
}

/// Validates the conditions that a device waits for before a pod is bound, and those that end the wait.
pub(super) fn validate_conditions(device: &Value, path: &Path, errors: &mut Errors) {
    let of = |key: &str| device.items(key);
    let (good, bad) = (of("bindingConditions"), of("bindingFailureConditions"));
    for (key, list) in [("bindingConditions", good), ("bindingFailureConditions", bad)] {
        let path = path.child(key);
        if list.len() > MAX_CONDITIONS {
            errors.too_many(&path, list.len(), MAX_CONDITIONS);
        }
        for (index, condition) in list.iter().enumerate() {
            let path = path.index(index);
            let name = condition.as_str().unwrap_or_default();
            errors.invalid_each(&path, condition, names::qualified_name_errors(name));
            if list[..index].contains(condition) {
                errors.duplicate(&path, condition.clone());
            }
        }
    }
    match (good.is_empty(), bad.is_empty()) {
        (true, false) => errors.required(
            &path.child("bindingConditions"),
            "bindingConditions are required to use bindingFailureConditions",
        ),
        (false, true) => errors.required(
            &path.child("bindingFailureConditions"),
            "bindingFailureConditions are required to use bindingConditions",
        ),
        _ => {}
    }
    let failure_path = path.child("bindingFailureConditions");
    for (index, condition) in bad.iter().enumerate().filter(|(_, condition)| good.contains(condition)) {
        let why = "bindingFailureConditions must not overlap with bindingConditions";
        errors.invalid(&failure_path.index(index), condition.clone(), why);
    }
}

/// Validates how much of a device's capacity a request asks for.
pub(super) fn validate_requested(requests: &Value, path: &Path, errors: &mut Errors) {
    for (name, amount) in requests.as_object().into_iter().flatten() {
        let path = path.key(name);
        validate_fact_name(name, &path, errors);
        if quantity(amount).is_some_and(|amount| amount < Quantity::ZERO) {
            errors.invalid(&path, amount.clone(), "must be greater than or equal to 0");
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
             sharedCounters[1].name: Duplicate value: \"a\"\n\
             sharedCounters[2].name: Required value"
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
            "c.requestPolicy.default: Required value: required when validValues is defined\n\
             c.requestPolicy.validValues[1]: Invalid value: \"1Gi\": values must be sorted in ascending order\n\
             c.requestPolicy.validValues[2]: Invalid value: \"16Gi\": option is larger than capacity value: 8Gi"
        );
        assert_eq!(
            check(json!({"default": "5Gi", "validRange": {"min": "1Gi", "max": "4Gi"}}), true),
            "c.requestPolicy.default: Invalid value: \"5Gi\": default is more than max: 4Gi"
        );
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
            "d.bindingFailureConditions: Required value: bindingFailureConditions are required to use bindingConditions"
        );
        assert_eq!(
            check(json!({"bindingConditions": ["up"], "bindingFailureConditions": ["up"]})),
            "d.bindingFailureConditions[0]: Invalid value: \"up\": bindingFailureConditions must not overlap with bindingConditions"
        );
    }
}
