//! Validation of the topology that volumes of a StorageClass may be made in.

use serde_json::Value;

use pod_strategy::warnings::old_node_label;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

/// Validates `allowedTopologies`.
pub(crate) fn validate(terms: &[Value], path: &Path, errors: &mut Errors) {
    for (index, term) in terms.iter().enumerate() {
        let term_path = path.index(index);
        let list_path = term_path.child("matchLabelExpressions");
        let expressions = term.items("matchLabelExpressions");
        for (index, expression) in expressions.iter().enumerate() {
            let path = list_path.index(index);
            validate_expression(expression, &path, errors);
            let key = expression.text("key");
            if expressions[..index].iter().any(|other| other.text("key") == key) {
                errors.duplicate(&path.child("key"), key);
            }
        }
        if terms[..index].iter().any(|other| means(other) == means(term)) {
            errors.duplicate(&list_path, "");
        }
    }
}

fn validate_expression(expression: &Value, path: &Path, errors: &mut Errors) {
    let values_path = path.child("values");
    let values = expression.items("values");
    if values.is_empty() {
        errors.required(&values_path, "");
    }
    for (index, value) in values.iter().enumerate() {
        if values[..index].contains(value) {
            errors.duplicate(&values_path.index(index), value.clone());
        }
    }
    let key = expression.text("key");
    errors.invalid_each(&path.child("key"), &Value::from(key), names::qualified_name_errors(key));
}

/// A term without regard to the order of its parts.
fn means(term: &Value) -> Vec<(&str, Vec<&str>)> {
    let mut parts: Vec<_> = term
        .items("matchLabelExpressions")
        .iter()
        .map(|expression| {
            let mut values: Vec<&str> = expression.items("values").iter().filter_map(Value::as_str).collect();
            values.sort_unstable();
            (expression.text("key"), values)
        })
        .collect();
    parts.sort_unstable();
    parts
}

/// Warns of node labels that newer ones have replaced.
pub(crate) fn warnings(terms: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, term) in terms.iter().enumerate() {
        for (at, expression) in term.items("matchLabelExpressions").iter().enumerate() {
            if let Some(advice) = old_node_label(expression.text("key")) {
                found.push(format!("allowedTopologies[{index}].matchLabelExpressions[{at}].key: {advice}"));
            }
        }
    }
    found
}
