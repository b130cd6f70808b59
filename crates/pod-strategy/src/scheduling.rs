//! Validation of what steers where a pod runs: affinity, spreading, tolerations, gates.

use serde_json::Value;

use crate::tolerated::{Tolerated, is_wrong};
use apimachinery::status::FieldError;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::selectors;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Validates all three affinities of a pod.
pub(crate) fn validate_affinity(affinity: &Value, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    let node = &affinity["nodeAffinity"];
    if node.is_object() {
        let path = path.child("nodeAffinity");
        if node.has(REQUIRED) {
            let mut found = Errors::new();
            selectors::validate_node_selector(&node[REQUIRED], &path.child(REQUIRED), &mut found);
            found.retain(|error| !(tolerated.node_values && is_of_label_value(error)));
            errors.extend(found.into_vec());
        }
        for (index, term) in node.items(PREFERRED).iter().enumerate() {
            let list_path = path.child(PREFERRED);
            let path = list_path.index(index);
            validate_weight(term, &path, errors);
            // Values that no label has are let through here, since no node need match.
            let mut found = Errors::new();
            let path = path.child("preference");
            selectors::validate_node_selector_term(&term["preference"], &path, &mut found);
            found.retain(|error| !is_of_label_value(error));
            errors.extend(found.into_vec());
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pod = &affinity[kind];
        let path = path.child(kind);
        for (index, term) in pod.items(REQUIRED).iter().enumerate() {
            validate_pod_term(term, tolerated, &path.child(REQUIRED).index(index), errors);
        }
        for (index, term) in pod.items(PREFERRED).iter().enumerate() {
            let list_path = path.child(PREFERRED);
            let path = list_path.index(index);
            validate_weight(term, &path, errors);
            let path = path.child("podAffinityTerm");
            validate_pod_term(&term["podAffinityTerm"], tolerated, &path, errors);
        }
    }
}

/// Whether an error is of a value in an expression on labels, not on fields.
fn is_of_label_value(error: &FieldError) -> bool {
    error.field.contains(".matchExpressions[")
        && error.field.ends_with(']')
        && error.field.contains("].values[")
}

fn validate_weight(term: &Value, path: &Path, errors: &mut Errors) {
    let weight = term.int("weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

fn validate_pod_term(term: &Value, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    let mut found = Errors::new();
    validate_pod_selectors(term, path, &mut found);
    found.retain(|error| !(tolerated.pod_values && is_of_label_value(error)));
    errors.extend(found.into_vec());
    for name in term.items("namespaces") {
        let found = names::errors(NameRule::Label, name.as_str().unwrap_or_default());
        errors.invalid_each(&path.child("namespace"), name, found);
    }
    validate_label_keys(term, path, errors);
    validate_topology_key(term, path, errors);
    let key = term.text("topologyKey");
    let found = names::qualified_name_errors(key);
    errors.invalid_each(&path.child("topologyKey"), &Value::from(key), found);
}

fn validate_pod_selectors(term: &Value, path: &Path, errors: &mut Errors) {
    for key in ["labelSelector", "namespaceSelector"] {
        selectors::validate(&term[key], &path.child(key), errors);
    }
}

/// Whether affinity selects pods by a selector that is wrong.
pub(crate) fn has_wrong_pod_selector(affinity: &Value) -> bool {
    let wrong = |term: &Value| is_wrong(|path, errors| validate_pod_selectors(term, path, errors));
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        affinity[kind].items(REQUIRED).iter().any(wrong)
            || affinity[kind].items(PREFERRED).iter().any(|term| wrong(&term["podAffinityTerm"]))
    })
}

/// Whether affinity requires a node with a value that no label has.
pub(crate) fn has_wrong_node_value(affinity: &Value) -> bool {
    let terms = affinity["nodeAffinity"][REQUIRED].items("nodeSelectorTerms");
    let mut values = terms
        .iter()
        .flat_map(|term| term.items("matchExpressions"))
        .flat_map(|requirement| requirement.items("values"));
    values.any(|value| !names::label_value_errors(value.as_str().unwrap_or_default()).is_empty())
}

/// Whether the selector of a spread constraint is wrong.
pub(crate) fn is_spread_selector_wrong(constraint: &Value) -> bool {
    is_wrong(|path, errors| selectors::validate(&constraint["labelSelector"], path, errors))
}

/// Whether the keys of labels in a spread constraint are wrong.
pub(crate) fn are_label_keys_wrong(constraint: &Value) -> bool {
    is_wrong(|path, errors| validate_label_keys(constraint, path, errors))
}

/// Validates the keys of labels whose values a term takes from the pod, or in a spread constraint from the pod too.
fn validate_label_keys(term: &Value, path: &Path, errors: &mut Errors) {
    let unselected = term["labelSelector"].is_null();
    for key in ["matchLabelKeys", "mismatchLabelKeys"] {
        let path = path.child(key);
        if unselected && !term.items(key).is_empty() {
            errors.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, label) in term.items(key).iter().enumerate() {
            let found = names::qualified_name_errors(label.as_str().unwrap_or_default());
            errors.invalid_each(&path.index(index), label, found);
        }
    }
    // One requirement of each key was made of the key itself, see `match_label_keys`; another is one too many.
    let selector = &term["labelSelector"];
    let wanted = term.items("matchLabelKeys");
    let mut seen: Vec<&str> = selector.entries("matchLabels").map(|(key, _)| key.as_str()).collect();
    for requirement in selector.items("matchExpressions") {
        let key = requirement.text("key");
        if let Some(index) = wanted.iter().rposition(|label| label == key)
            && seen.contains(&key)
        {
            errors.invalid(&path.index(index), key, "exists in both matchLabelKeys and labelSelector");
        }
        seen.push(key);
    }
    let unwanted = term.items("mismatchLabelKeys");
    for (index, label) in wanted.iter().enumerate() {
        if unwanted.contains(label) {
            errors.invalid(
                &path.child("matchLabelKeys").index(index),
                label.clone(),
                "exists in both matchLabelKeys and mismatchLabelKeys",
            );
        }
    }
}

fn validate_topology_key(term: &Value, path: &Path, errors: &mut Errors) {
    if term.text("topologyKey").is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
}

/// Validates how a pod's kind is spread over the nodes.
pub(crate) fn validate_spread(constraints: &[Value], tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    for (index, constraint) in constraints.iter().enumerate() {
        let item_path = path.index(index);
        let skew = constraint.int("maxSkew").unwrap_or(0);
        if skew <= 0 {
            errors.invalid(&item_path.child("maxSkew"), skew, "must be greater than zero");
        }
        validate_topology_key(constraint, &item_path, errors);
        let when = constraint.text("whenUnsatisfiable");
        if !matches!(when, "DoNotSchedule" | "ScheduleAnyway") {
            errors.unsupported(
                &item_path.child("whenUnsatisfiable"),
                when,
                &["DoNotSchedule", "ScheduleAnyway"],
            );
        }
        let same = |other: &&Value| {
            other.text("topologyKey") == constraint.text("topologyKey")
                && other.text("whenUnsatisfiable") == when
        };
        if constraints[index + 1..].iter().any(|other| same(&other)) {
            errors.duplicate(
                &item_path.child("{topologyKey, whenUnsatisfiable}"),
                format!("{{{}, {when}}}", constraint.text("topologyKey")),
            );
        }
        if let Some(domains) = constraint.int("minDomains") {
            if domains <= 0 {
                errors.invalid(&item_path.child("minDomains"), domains, "must be greater than zero");
            }
            if when != "DoNotSchedule" {
                errors.invalid(
                    &item_path.child("minDomains"),
                    domains,
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"),
                );
            }
        }
        for key in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if constraint.has(key) && !matches!(constraint.text(key), "Honor" | "Ignore") {
                errors.unsupported(&item_path.child(key), constraint.text(key), &["Honor", "Ignore"]);
            }
        }
        if !tolerated.spread_keys {
            validate_label_keys(constraint, &item_path, errors);
        }
        if !tolerated.spread_selectors {
            selectors::validate(&constraint["labelSelector"], &item_path.child("labelSelector"), errors);
        }
    }
}

/// Validates the group with which a pod is scheduled.
pub(crate) fn validate_group(group: &Value, path: &Path, errors: &mut Errors) {
    if !group.has("podGroupName") {
        errors.invalid(path, group.clone(), "must specify one of: `podGroupName`");
        return;
    }
    let found = names::errors(NameRule::Subdomain, group.text("podGroupName"));
    errors.invalid_each(&path.child("podGroupName"), &group["podGroupName"], found);
}

/// Validates tolerations of taints.
pub fn validate_tolerations(tolerations: &[Value], path: &Path, errors: &mut Errors) {
    validate_tolerations_as(tolerations, false, path, errors);
}

/// Validates tolerations of taints, of which those that were there before may compare numbers.
pub(crate) fn validate_tolerations_as(
    tolerations: &[Value],
    may_compare: bool,
    path: &Path,
    errors: &mut Errors,
) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator) = (toleration.text("key"), toleration.text("operator"));
        let (value, effect) = (toleration.text("value"), toleration.text("effect"));
        if !key.is_empty() {
            errors.invalid_each(&path.child("key"), &toleration["key"], names::qualified_name_errors(key));
        } else if operator != "Exists" {
            errors.invalid(
                &path.child("operator"),
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if toleration.has("tolerationSeconds") && effect != "NoExecute" {
            errors.invalid(
                &path.child("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator {
            "" | "Equal" => {
                let found = names::label_value_errors(value);
                if !found.is_empty() {
                    errors.invalid(&path.child("operator"), value, found.join(";"));
                }
            }
            "Exists" if !value.is_empty() => errors.invalid(
                &path.child("operator"),
                value,
                "value must be empty when `operator` is 'Exists'",
            ),
            "Exists" => {}
            "Lt" | "Gt" if may_compare => {
                if value.parse::<i64>().ok().is_none_or(|number| number.to_string() != value) {
                    let why = "must be a valid decimal integer in canonical form";
                    errors.invalid(&path.child("value"), value, why);
                }
            }
            "Lt" | "Gt" => {
                errors.unsupported(&path.child("operator"), operator, &["Equal", "Exists", "Lt", "Gt"]);
            }
            other => errors.unsupported(&path.child("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            validate_effect(effect, &path.child("effect"), errors);
        }
    }
}

/// Validates the effect of a taint or toleration.
pub fn validate_effect(effect: &str, path: &Path, errors: &mut Errors) {
    match effect {
        "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {}
        "" => errors.required(path, ""),
        other => errors.unsupported(path, other, &["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    }
}

/// Validates readiness gates and scheduling gates.
pub(crate) fn validate_gates(spec: &Value, path: &Path, errors: &mut Errors) {
    for (index, gate) in spec.items("readinessGates").iter().enumerate() {
        let kind = gate.text("conditionType");
        let found = names::qualified_name_errors(kind);
        let gates_path = path.child("readinessGates");
        errors.invalid_each(&gates_path.index(index).child("conditionType"), &Value::from(kind), found);
    }
    let gates = spec.items("schedulingGates");
    for (index, gate) in gates.iter().enumerate() {
        let gates_path = path.child("schedulingGates");
        let path = gates_path.index(index);
        let name = gate.text("name");
        errors.invalid_each(&path, &Value::from(name), names::qualified_name_errors(name));
        if gates[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path, name);
        }
    }
}
