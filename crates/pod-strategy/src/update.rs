//! What may change in a pod after its creation.

use serde_json::Value;

use crate::annotations;
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;

const SPEC: Path<'static> = Path::root("spec");

const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Validates an update of a pod itself, after its new form was validated.
pub fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    annotations::validate_update(new, old, errors);
    let (new, old) = (&new["spec"], &old["spec"]);
    for list in ["containers", "initContainers"] {
        if new.items(list).len() != old.items(list).len() {
            errors.forbidden(&SPEC.child(list), "pod updates may not add or remove containers");
            return;
        }
    }
    if !validate_deadline(new, old, errors) {
        return;
    }
    validate_tolerations(new, old, errors);
    validate_gates(new, old, errors);
    if same(new, old) {
        return;
    }
    let mut allowed = new.clone();
    for list in ["containers", "initContainers"] {
        for (container, before) in write::items(&mut allowed, list).zip(old.items(list)) {
            write::copy(container, "image", before);
        }
    }
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        write::copy(&mut allowed, key, old);
    }
    if old.int("terminationGracePeriodSeconds").is_some_and(|grace| grace < 0)
        && new.int("terminationGracePeriodSeconds") == Some(1)
    {
        write::copy(&mut allowed, "terminationGracePeriodSeconds", old);
    }
    // A pod that waits at a gate may still be told more narrowly where to go.
    if !old.items("schedulingGates").is_empty() {
        validate_gated_node_selector(new, old, errors);
        write::copy(&mut allowed, "nodeSelector", old);
        if old["affinity"]["nodeAffinity"] != allowed["affinity"]["nodeAffinity"] {
            validate_gated_affinity(new, old, errors);
            write::copy(write::ensure(&mut allowed, "affinity"), "nodeAffinity", &old["affinity"]);
        }
    }
    if !same(&allowed, old) {
        errors.forbidden(
            &SPEC,
            format!(
                "pod updates may not change fields other than {UPDATABLE}\n{}",
                difference(&allowed, old)
            ),
        );
    }
}

fn validate_deadline(new: &Value, old: &Value, errors: &mut Errors) -> bool {
    let path = SPEC.child("activeDeadlineSeconds");
    match (new.int("activeDeadlineSeconds"), old.int("activeDeadlineSeconds")) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            errors.invalid(&path, new, "must be between 0 and 2147483647, inclusive");
            return false;
        }
        (Some(new), Some(old)) if old < new => {
            errors.invalid(&path, new, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => {
            errors.invalid(&path, Value::Null, "must not update from a positive integer to nil value");
        }
        _ => {}
    }
    true
}

fn validate_tolerations(new: &Value, old: &Value, errors: &mut Errors) {
    // Seconds may be shortened or lengthened by the node lifecycle's clients; the rest must stay.
    let alike = |a: &Value, b: &Value| {
        ["key", "operator", "value", "effect"].iter().all(|key| a.text(key) == b.text(key))
    };
    let kept = |before: &Value| new.items("tolerations").iter().any(|after| alike(before, after));
    if !old.items("tolerations").iter().all(kept) {
        errors.forbidden(
            &SPEC.child("tolerations"),
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
}

fn validate_gates(new: &Value, old: &Value, errors: &mut Errors) {
    let before = old.items("schedulingGates");
    for (index, gate) in new.items("schedulingGates").iter().enumerate() {
        if !before.contains(gate) {
            errors.forbidden(
                &SPEC.child("schedulingGates").index(index).child("name"),
                format!("only deletion is allowed, but found new scheduling gate '{}'", gate.text("name")),
            );
        }
    }
}

fn validate_gated_node_selector(new: &Value, old: &Value, errors: &mut Errors) {
    let kept = old.entries("nodeSelector").all(|(key, value)| new["nodeSelector"].get(key) == Some(value));
    if !kept {
        errors.invalid(
            &SPEC.child("nodeSelector"),
            new["nodeSelector"].clone(),
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        );
    }
}

fn validate_gated_affinity(new: &Value, old: &Value, errors: &mut Errors) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let before = old["affinity"]["nodeAffinity"][REQUIRED].items("nodeSelectorTerms");
    let after = new["affinity"]["nodeAffinity"][REQUIRED].items("nodeSelectorTerms");
    if before.is_empty() {
        return;
    }
    let path = Path::root(
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
    );
    if before.len() != after.len() {
        errors.invalid(
            &path,
            Value::Array(after.to_vec()),
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        );
        return;
    }
    for (index, (before, after)) in before.iter().zip(after).enumerate() {
        let grown = ["matchExpressions", "matchFields"].iter().all(|list| {
            let (before, after) = (before.items(list), after.items(list));
            after.len() >= before.len() && before.iter().zip(after).all(|(before, after)| same(before, after))
        });
        if !grown || (same(before, &Value::Null) && !same(after, before)) {
            errors.invalid(
                &path.index(index),
                after.clone(),
                "only additions are allowed (no mutations or deletions)",
            );
        }
    }
}

/// Lists the paths at which two values differ, the old value with `-` and the new one with `+`.
pub(crate) fn difference(new: &Value, old: &Value) -> String {
    let mut lines = Vec::new();
    collect("", new, old, &mut lines);
    lines.join("\n")
}

fn collect(path: &str, new: &Value, old: &Value, lines: &mut Vec<String>) {
    if same(new, old) {
        return;
    }
    match (new, old) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                collect(&format!("{path}.{key}"), &new[key.as_str()], &old[key.as_str()], lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (new, old)) in a.iter().zip(b).enumerate() {
                collect(&format!("{path}[{index}]"), new, old, lines);
            }
        }
        _ => {
            if !old.is_null() {
                lines.push(format!("- {path}: {old}"));
            }
            if !new.is_null() {
                lines.push(format!("+ {path}: {new}"));
            }
        }
    }
}
