//! Validation of label selectors and of the requirements that affinity shares with them.

use apimachinery::status::FieldErrorKind;
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

/// Takes back what is wrong with values that selectors ask for, where what is stored asks for them already: once, no
/// selector was judged by its values.
pub fn forgive_stored(errors: &mut Errors, old: &Value) {
    errors.retain(|error| {
        let FieldErrorKind::Invalid(value) = &error.kind else { return true };
        !(is_of_value(&error.field) && asks_for(old, value))
    });
}

/// Whether a path ends as in `spec.selector.matchExpressions[0].values[1]`.
fn is_of_value(path: &str) -> bool {
    path.rsplit_once("].values[")
        .and_then(|(path, _)| path.rsplit_once(".matchExpressions["))
        .is_some_and(|(_, index)| index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether any selector of an object asks for the value.
fn asks_for(object: &Value, value: &Value) -> bool {
    match object {
        Value::Array(items) => items.iter().any(|item| asks_for(item, value)),
        Value::Object(fields) => {
            let mut asked = object.items("matchExpressions").iter();
            asked.any(|requirement| requirement.items("values").contains(value))
                || fields.values().any(|field| asks_for(field, value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::found;
    use serde_json::json;

    const PATH: Path<'static> = Path::root("s");

    #[test]
    fn requirements_have_the_values_their_operators_take() {
        let label = |key: &str, operator: &str, values: &[&str]| {
            let selector =
                json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
            found(|errors| validate(&selector, &PATH, errors)).replace("s.matchExpressions[0].", "")
        };
        for (operator, values) in
            [("In", &["a", "b"][..]), ("NotIn", &["a"]), ("Exists", &[]), ("DoesNotExist", &[])]
        {
            assert_eq!(label("k", operator, values), "", "{operator}");
        }
        let needed = "values: Required value: must be specified when `operator` is 'In' or 'NotIn'";
        let refused = "values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
        for (operator, values, expected) in [
            ("In", &[][..], needed),
            ("NotIn", &[], needed),
            ("Exists", &["a"], refused),
            ("DoesNotExist", &["a"], refused),
            ("Gt", &["1"], "operator: Invalid value: \"Gt\": not a valid selector operator"),
            ("", &[], "operator: Invalid value: \"\": not a valid selector operator"),
        ] {
            assert_eq!(label("k", operator, values), expected, "{operator}");
        }
        assert!(label("-", "Exists", &[]).starts_with("key: Invalid value: \"-\""));
        assert!(label("k", "In", &["a", "-"]).starts_with("values[1]: Invalid value: \"-\""));
        let labels = json!({"matchLabels": {"-": "-"}});
        assert_eq!(
            found(|errors| validate(&labels, &PATH, errors))
                .matches("s.matchLabels: Invalid value: \"-\"")
                .count(),
            2
        );
    }

    #[test]
    fn node_selectors_ask_for_labels_numbers_and_names() {
        let check = |terms: Value| {
            found(|errors| validate_node_selector(&json!({ "nodeSelectorTerms": terms }), &PATH, errors))
        };
        let label = |operator: &str, values: &[&str]| {
            check(json!([{"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}]))
                .replace("s.nodeSelectorTerms[0].matchExpressions[0].", "")
        };
        assert_eq!(
            check(json!([])),
            "s.nodeSelectorTerms: Required value: must have at least one node selector term"
        );
        assert_eq!(check(json!([{}])), "");
        assert_eq!((label("Gt", &["1"]), label("Lt", &["1"])), (String::new(), String::new()));
        assert_eq!(
            label("Gt", &["1", "2"]),
            "values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"
        );
        assert_ne!(label("In", &[]), "");
        let name = |key: &str, operator: &str, values: &[&str]| {
            check(json!([{"matchFields": [{"key": key, "operator": operator, "values": values}]}]))
                .replace("s.nodeSelectorTerms[0].matchFields[0].", "")
        };
        assert_eq!(name("metadata.name", "In", &["w1"]), "");
        assert_eq!(name("metadata.name", "NotIn", &["w1"]), "");
        let one = "values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
        assert_eq!(name("metadata.name", "In", &["w1", "w2"]), one);
        assert_eq!(name("metadata.name", "NotIn", &[]), one);
        assert_eq!(
            name("spec.x", "Exists", &[]),
            "operator: Invalid value: \"Exists\": not a valid selector operator\n\
             key: Invalid value: \"spec.x\": not a valid field selector key"
        );
        assert!(name("metadata.name", "In", &["W_"]).starts_with("values[0]: Invalid value: \"W_\""));
    }

    #[test]
    fn values_that_are_stored_are_forgiven() {
        let asking = |value: &str| json!({"spec": {"peers": [{"from": {"matchExpressions": [{"key": "a", "operator": "In", "values": [value]}]}}]}});
        let check = |new: Value, old: &Value| {
            found(|errors| {
                validate(&new["spec"]["peers"][0]["from"], &PATH, errors);
                forgive_stored(errors, old);
            })
        };
        let stored = asking("-");
        assert_eq!(check(stored.clone(), &stored), "");
        assert!(
            check(asking("_"), &stored).starts_with("s.matchExpressions[0].values[0]: Invalid value: \"_\"")
        );
        assert_ne!(check(stored.clone(), &Value::Null), "");
        assert_ne!(check(stored, &json!({"spec": {"values": ["-"]}})), "");
        let labelled =
            json!({"matchLabels": {"a": "-"}, "matchExpressions": [{"key": "-", "operator": "Exists"}]});
        let told = found(|errors| {
            validate(&labelled, &PATH, errors);
            forgive_stored(errors, &json!({ "s": labelled }));
        });
        assert_eq!(told.lines().count(), 2, "{told}");
    }

    #[test]
    fn workloads_select_their_own_pods() {
        let selector = |selector: Value| {
            let spec = json!({"selector": selector, "template": {"metadata": {"labels": {"a": "b"}}}});
            found(|errors| {
                validate_workload(&spec, &PATH, "deployment", errors);
                validate_template_match(&spec, &PATH, errors);
            })
        };
        assert_eq!(selector(json!({"matchLabels": {"a": "b"}})), "");
        assert_eq!(selector(json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]})), "");
        assert_eq!(selector(Value::Null), "s.selector: Required value");
        assert_eq!(
            selector(json!({})),
            "s.selector: Invalid value: {}: empty selector is invalid for deployment"
        );
        let other = "s.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`";
        assert_eq!(selector(json!({"matchLabels": {"a": "c"}})), other);
        assert_eq!(selector(json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]})), other);
        assert!(
            selector(json!({"matchExpressions": [{"key": "a", "operator": "Some"}]}))
                .ends_with("invalid label selector")
        );
    }
}
