//! ReplicationControllers.

use std::borrow::Cow;

use serde_json::Value;

use crate::replica_set::{PARTS, replicas_field};
use crate::workload::{SPEC, validate_counts, validate_status_counts};
use pod_strategy::template;
use strategy::field::Errors;
use strategy::metadata::validate_labels;
use strategy::read::{Read, is_empty};
use strategy::write;
use strategy::{Dependents, Keeps, Strategy};

/// The rules of ReplicationControllers.
pub struct ReplicationController;

impl Strategy for ReplicationController {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn dependents(&self) -> Dependents {
        Dependents::Stay
    }

    fn default(&self, object: &mut Value) {
        let labels = object["spec"]["template"]["metadata"]["labels"].clone();
        let spec = write::ensure(object, "spec");
        write::missing(spec, "replicas", 1);
        template::default(spec);
        if !is_empty(&labels) {
            if is_empty(&spec["selector"]) {
                write::set(spec, "selector", labels.clone());
            }
            let metadata = write::ensure(object, "metadata");
            if is_empty(&metadata["labels"]) {
                write::set(metadata, "labels", labels);
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_counts(spec, &["minReadySeconds"], &SPEC, errors);
        let selector_path = SPEC.child("selector");
        if is_empty(&spec["selector"]) {
            errors.required(&selector_path, "");
        }
        validate_labels(&spec["selector"], &selector_path, errors);
        validate_counts(spec, &["replicas"], &SPEC, errors);
        if spec["template"].is_null() {
            errors.required(&SPEC.child("template"), "");
            return;
        }
        let labels = &spec["template"]["metadata"]["labels"];
        let matches = spec.entries("selector").all(|(key, value)| labels.get(key) == Some(value));
        if !matches {
            errors.invalid(
                &SPEC.child("template").child("metadata").child("labels"),
                labels.clone(),
                "`selector` does not match template `labels`",
            );
        }
        template::validate_always(&spec["template"], &SPEC, "ReplicationController", errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_status_counts(&new["status"], &PARTS, errors);
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, defaulted};

    #[test]
    fn selector_and_labels_come_from_the_template() {
        let object = json!({"metadata": {"name": "web"}, "spec": {"template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        let full = defaulted(&ReplicationController, object.clone());
        assert_eq!(full["spec"]["selector"], json!({"app": "web"}));
        assert_eq!(full["metadata"]["labels"], json!({"app": "web"}));
        assert_eq!(created(&ReplicationController, object), "");
        assert_eq!(
            created(&ReplicationController, json!({"spec": {"selector": {"a": "b"}}})),
            "spec.template: Required value"
        );
    }
}
