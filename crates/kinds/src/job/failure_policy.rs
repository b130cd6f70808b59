//! Validation of what the failure of a pod means to its job.

use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const MOST_RULES: usize = 20;
const MOST_CONDITIONS: usize = 20;
const MOST_EXIT_CODES: usize = 255;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];

/// Validates `podFailurePolicy` of a job.
pub(super) fn validate(spec: &Value, path: &Path, errors: &mut Errors) {
    let rules_path = path.child("rules");
    let rules = spec["podFailurePolicy"].items("rules");
    if rules.len() > MOST_RULES {
        errors.too_many(&rules_path, rules.len(), MOST_RULES);
    }
    for (index, rule) in rules.iter().enumerate() {
        validate_rule(spec, rule, &rules_path.index(index), errors);
    }
}

fn validate_rule(spec: &Value, rule: &Value, path: &Path, errors: &mut Errors) {
    let action = rule.text("action");
    if action == "FailIndex" && !spec.has("backoffLimitPerIndex") {
        let why = "requires the backoffLimitPerIndex to be set";
        errors.invalid(&path.child("action"), action, why);
    }
    validate_choice(action, &ACTIONS, &path.child("action"), errors);
    let (codes, conditions) = (&rule["onExitCodes"], rule.items("onPodConditions"));
    if !codes.is_null() {
        validate_exit_codes(spec, codes, &path.child("onExitCodes"), errors);
    }
    validate_conditions(conditions, &path.child("onPodConditions"), errors);
    match (!codes.is_null(), !conditions.is_empty()) {
        (true, true) => {
            errors.invalid_unshown(path, "specifying both OnExitCodes and OnPodConditions is not supported");
        }
        (false, false) => {
            errors.invalid_unshown(path, "specifying one of OnExitCodes and OnPodConditions is required");
        }
        _ => {}
    }
}

/// Validates that one of these was chosen.
fn validate_choice(choice: &str, known: &[&str], path: &Path, errors: &mut Errors) {
    if choice.is_empty() {
        let quoted: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
        errors.required(path, format!("valid values: [{}]", quoted.join(" ")));
    } else if !known.contains(&choice) {
        errors.unsupported(path, choice, known);
    }
}

fn validate_conditions(conditions: &[Value], path: &Path, errors: &mut Errors) {
    if conditions.len() > MOST_CONDITIONS {
        errors.too_many(path, conditions.len(), MOST_CONDITIONS);
    }
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let kind = condition.text("type");
        errors.invalid_each(&path.child("type"), &Value::from(kind), names::qualified_name_errors(kind));
        validate_choice(condition.text("status"), &STATUSES, &path.child("status"), errors);
    }
}

fn validate_exit_codes(spec: &Value, codes: &Value, path: &Path, errors: &mut Errors) {
    let values = codes.items("values");
    let operator = codes.text("operator");
    validate_choice(operator, &OPERATORS, &path.child("operator"), errors);
    let pod = &spec["template"]["spec"];
    let mut known = pod.items("containers").iter().chain(pod.items("initContainers"));
    let name = codes.text("containerName");
    if codes.has("containerName") && !known.any(|container| container.text("name") == name) {
        errors.invalid(
            &path.child("containerName"),
            name,
            "must be one of the container or initContainer names in the pod template",
        );
    }
    let values_path = path.child("values");
    if values.is_empty() {
        errors.invalid(&values_path, Value::Array(Vec::new()), "at least one value is required");
    } else if values.len() > MOST_EXIT_CODES {
        errors.too_many(&values_path, values.len(), MOST_EXIT_CODES);
    }
    for (index, value) in values.iter().enumerate() {
        let path = values_path.index(index);
        if operator == "In" && value == 0 {
            errors.invalid(&path, 0, "must not be 0 for the In operator");
        }
        if values[..index].contains(value) {
            errors.duplicate(&path, value.clone());
        }
    }
    if values.windows(2).any(|pair| pair[0].as_i64() > pair[1].as_i64()) {
        errors.invalid(&values_path, codes["values"].clone(), "must be ordered");
    }
}
