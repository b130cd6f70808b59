//! Validation of what steers where a pod runs: affinity, spreading, tolerations, gates.

use serde_json::Value;

use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::selectors;

/// Validates all three affinities of a pod.
pub(crate) fn validate_affinity(affinity: &Value, path: &Path, errors: &mut Errors) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let node = &affinity["nodeAffinity"];
    if node.is_object() {
        let path = path.child("nodeAffinity");
        if node.has(REQUIRED) {
            selectors::validate_node_selector(&node[REQUIRED], &path.child(REQUIRED), errors);
        }
        for (index, term) in node.items(PREFERRED).iter().enumerate() {
            let list_path = path.child(PREFERRED);
            let path = list_path.index(index);
            validate_weight(term, &path, errors);
            selectors::validate_node_selector_term(&term["preference"], &path.child("preference"), errors);
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pod = &affinity[kind];
        let path = path.child(kind);
        for (index, term) in pod.items(REQUIRED).iter().enumerate() {
            validate_pod_term(term, &path.child(REQUIRED).index(index), errors);
        }
        for (index, term) in pod.items(PREFERRED).iter().enumerate() {
            let list_path = path.child(PREFERRED);
            let path = list_path.index(index);
            validate_weight(term, &path, errors);
            validate_pod_term(&term["podAffinityTerm"], &path.child("podAffinityTerm"), errors);
        }
    }
}

fn validate_weight(term: &Value, path: &Path, errors: &mut Errors) {
    let weight = term.int("weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

fn validate_pod_term(term: &Value, path: &Path, errors: &mut Errors) {
    selectors::validate(&term["labelSelector"], &path.child("labelSelector"), errors);
    selectors::validate(&term["namespaceSelector"], &path.child("namespaceSelector"), errors);
    for name in term.items("namespaces") {
        let found = names::errors(NameRule::Label, name.as_str().unwrap_or_default());
        errors.invalid_each(&path.child("namespace"), name, found);
    }
    validate_label_keys(term, path, errors);
    let key = term.text("topologyKey");
    if !key.is_empty() {
        let found = names::qualified_name_errors(key);
        errors.invalid_each(&path.child("topologyKey"), &Value::from(key), found);
    }
    validate_topology_key(term, path, errors);
}

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
    let selector = &term["labelSelector"];
    for (index, label) in term.items("matchLabelKeys").iter().enumerate() {
        let label = label.as_str().unwrap_or_default();
        // One requirement of the key comes from the key itself, see `match_label_keys`.
        let required =
            selector.items("matchExpressions").iter().filter(|other| other.text("key") == label).count()
                + usize::from(selector["matchLabels"].get(label).is_some());
        if required > 1 {
            errors.invalid(&path.index(index), label, "exists in both matchLabelKeys and labelSelector");
        }
    }
    let unwanted = term.items("mismatchLabelKeys");
    for (index, label) in term.items("matchLabelKeys").iter().enumerate() {
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
pub(crate) fn validate_spread(constraints: &[Value], path: &Path, errors: &mut Errors) {
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
        if constraints[..index].iter().any(|other| same(&other)) {
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
        selectors::validate(&constraint["labelSelector"], &item_path.child("labelSelector"), errors);
        let keys_path = item_path.child("matchLabelKeys");
        if constraint["labelSelector"].is_null() && !constraint.items("matchLabelKeys").is_empty() {
            errors.forbidden(&keys_path, "must not be specified when labelSelector is not set");
        }
        for (index, label) in constraint.items("matchLabelKeys").iter().enumerate() {
            let label = label.as_str().unwrap_or_default();
            let found = names::qualified_name_errors(label);
            errors.invalid_each(&keys_path.index(index), &Value::from(label), found);
            if constraint["labelSelector"]["matchLabels"].get(label).is_some() {
                let why = "exists in both matchLabelKeys and labelSelector";
                errors.invalid(&keys_path.index(index), label, why);
            }
        }
    }
}

/// Validates tolerations of taints.
pub fn validate_tolerations(tolerations: &[Value], path: &Path, errors: &mut Errors) {
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
