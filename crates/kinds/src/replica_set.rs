//! ReplicaSets.

use std::borrow::Cow;

use apimachinery::status::FieldError;
use serde_json::Value;

use crate::field::Errors;
use crate::pod::warnings;
use crate::read::same;
use crate::strategy::{Strategy, field_text};
use crate::workload::{SPEC, name_warnings, validate_counts, validate_status_counts};
use crate::{selectors, template, write};

/// The rules of ReplicaSets.
pub struct ReplicaSet;

/// Counts in the status of what replicates pods.
pub(crate) const PARTS: [&str; 3] = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];

impl Strategy for ReplicaSet {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::missing(spec, "replicas", 1);
        template::default(spec);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let spec = &object["spec"];
        validate_counts(spec, &["replicas", "minReadySeconds"], &SPEC, &mut errors);
        selectors::validate_workload(spec, &SPEC, &mut errors);
        selectors::validate_template_match(spec, &SPEC, &mut errors);
        template::validate_always(spec, &SPEC, &mut errors);
        errors.into_vec()
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        errors.extend(self.validate(new));
        errors.immutable(&SPEC.child("selector"), &new["spec"]["selector"], &old["spec"]["selector"]);
        errors.into_vec()
    }

    fn validate_status_update(&self, new: &Value, _old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        validate_status_counts(&new["status"], &PARTS, &mut errors);
        errors.into_vec()
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        replicas_field(object, name)
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = name_warnings(object);
        found.extend(warnings::template(&object["spec"]));
        found
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        if same(&new["spec"]["template"], &old["spec"]["template"]) {
            return Vec::new();
        }
        warnings::template(&new["spec"])
    }
}

/// `status.replicas`, zero while nobody has counted.
pub(crate) fn replicas_field<'a>(object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
    (name == "status.replicas").then(|| match field_text(object, name) {
        text if text.is_empty() => Cow::Borrowed("0"),
        text => text,
    })
}
