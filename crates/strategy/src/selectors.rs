//! Validation of label selectors and of the requirements that affinity shares with them.

use serde_json::Value;

use crate::NameRule;
use crate::field::{Errors, Path};
use crate::metadata::validate_labels;
use crate::names;
use crate::read::Read;

/// Validates a `LabelSelector` object; null is valid here.
pub fn validate(selector: &Value, path: &Path, errors: &mut Errors) {
    validate_labels(&selector["matchLabels"], &path.child("matchLabels"), errors);
    let expressions_path = path.child("matchExpressions");
    for (index, requirement) in selector.items("matchExpressions").iter().enumerate() {
        validate_requirement(requirement, &expressions_path.index(index), false, errors);
    }
}

/// Validates a requirement on labels; those on nodes may also compare numbers.
fn validate_requirement(requirement: &Value, path: &Path, on_nodes: bool, errors: &mut Errors) {
    let values = requirement.items("values");
    match requirement.text("operator") {
        "In" | "NotIn" => require_values(values, path, errors),
        "Exists" | "DoesNotExist" => forbid_values(values, path, errors),
        "Gt" | "Lt" if on_nodes => {
            if values.len() != 1 {
                errors.required(
                    &path.child("values"),
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                );
            }
        }
        other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
    let key = requirement.text("key");
    errors.invalid_each(&path.child("key"), &Value::from(key), names::qualified_name_errors(key));
    for (index, value) in values.iter().enumerate() {
        let found = names::label_value_errors(value.as_str().unwrap_or_default());
        errors.invalid_each(&path.child("values").index(index), value, found);
    }
}

/// Whether a label selector has neither labels nor expressions.
pub fn is_empty(selector: &Value) -> bool {
    selector.entries("matchLabels").next().is_none() && selector.items("matchExpressions").is_empty()
}

/// Validates the selector of a workload, which must be there and not be empty; `of` is the kind as the message names it.
pub fn validate_workload(spec: &Value, path: &Path, of: &str, errors: &mut Errors) {
    let selector = &spec["selector"];
    let selector_path = path.child("selector");
    if selector.is_null() {
        errors.required(&selector_path, "");
    } else {
        validate(selector, &selector_path, errors);
        if is_empty(selector) {
            errors.invalid(&selector_path, selector.clone(), format!("empty selector is invalid for {of}"));
        }
    }
}

/// Adds the error of a template whose labels its own selector does not match.
pub fn validate_template_match(spec: &Value, path: &Path, errors: &mut Errors) {
    let selector = &spec["selector"];
    if selector.is_null() || is_empty(selector) {
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    match apimachinery::labels::Selector::from_label_selector(selector) {
        Ok(selector) if selector.matches_value(labels.as_object()) => {}
        Ok(_) => errors.invalid(
            &path.child("template").child("metadata").child("labels"),
            if labels.is_null() { Value::Object(Default::default()) } else { labels.clone() },
            "`selector` does not match template `labels`",
        ),
        Err(_) => errors.invalid(&path.child("selector"), selector.clone(), "invalid label selector"),
    }
}

/// Validates the node selector of a pod's affinity or of a volume.
pub fn validate_node_selector(selector: &Value, path: &Path, errors: &mut Errors) {
    let terms_path = path.child("nodeSelectorTerms");
    let terms = selector.items("nodeSelectorTerms");
    if terms.is_empty() {
        errors.required(&terms_path, "must have at least one node selector term");
    }
    for (index, term) in terms.iter().enumerate() {
        validate_node_selector_term(term, &terms_path.index(index), errors);
    }
}

/// Validates one term of a node selector.
pub fn validate_node_selector_term(term: &Value, path: &Path, errors: &mut Errors) {
    let expressions_path = path.child("matchExpressions");
    for (index, requirement) in term.items("matchExpressions").iter().enumerate() {
        validate_requirement(requirement, &expressions_path.index(index), true, errors);
    }
    let fields_path = path.child("matchFields");
    for (index, requirement) in term.items("matchFields").iter().enumerate() {
        let path = fields_path.index(index);
        match requirement.text("operator") {
            "In" | "NotIn" if requirement.items("values").len() != 1 => errors.required(
                &path.child("values"),
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            "In" | "NotIn" => {}
            other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
        }
        let key = requirement.text("key");
        if key != "metadata.name" {
            errors.invalid(&path.child("key"), key, "not a valid field selector key");
            continue;
        }
        for (index, value) in requirement.items("values").iter().enumerate() {
            let found = names::errors(NameRule::Subdomain, value.as_str().unwrap_or_default());
            errors.invalid_each(&path.child("values").index(index), value, found);
        }
    }
}

fn require_values(values: &[Value], path: &Path, errors: &mut Errors) {
    if values.is_empty() {
        errors.required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
    }
}

fn forbid_values(values: &[Value], path: &Path, errors: &mut Errors) {
    if !values.is_empty() {
        errors.forbidden(
            &path.child("values"),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        );
    }
}
