//! ReplicaSets.

use std::borrow::Cow;

use serde_json::Value;

use crate::workload::{SPEC, validate_available, validate_counts, validate_status_counts};
use pod_strategy::template;
use strategy::field::Errors;
use strategy::{Keeps, Strategy, field_text};
use strategy::{selectors, write};

/// The rules of ReplicaSets.
pub struct ReplicaSet;

/// Counts in the status of what replicates pods, in the order in which they are judged.
pub(crate) const COUNTS: [&str; 6] = [
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "terminatingReplicas",
    "observedGeneration",
];

impl Strategy for ReplicaSet {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::missing(spec, "replicas", 1);
        template::default(spec);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], None, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], Some(&old["spec"]), errors);
        errors.immutable(&SPEC.child("selector"), &new["spec"]["selector"], &old["spec"]["selector"]);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_status_counts(&new["status"], &COUNTS, &COUNTS[1..4], errors);
        validate_available(&new["status"], "readyReplicas", errors);
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        replicas_field(object, name)
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        template::create_warnings(object)
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        template::update_warnings(new, old)
    }
}

fn validate_spec(spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    validate_counts(spec, &["replicas", "minReadySeconds"], &SPEC, errors);
    selectors::validate_workload(spec, &SPEC, "deployment", errors);
    selectors::validate_template_match(spec, &SPEC, errors);
    let stored = old.map(|old| &old["template"]);
    template::validate_always(&spec["template"], stored, &SPEC, "ReplicaSet", errors);
}

/// `status.replicas`, zero while nobody has counted.
pub(crate) fn replicas_field<'a>(object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
    (name == "status.replicas").then(|| match field_text(object, name) {
        text if text.is_empty() => Cow::Borrowed("0"),
        text => text,
    })
}

#[cfg(test)]
mod tests;
