//! ReplicationControllers.

use std::borrow::Cow;

use apimachinery::FieldError;
use serde_json::Value;

use crate::replica_set::{COUNTS, replicas_field};
use crate::workload::{SPEC, empty, validate_available, validate_counts, validate_status_counts};
use pod_strategy::template;
use strategy::field::Errors;
use strategy::read::{Read, is_empty, same};
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
        validate_spec(&object["spec"], None, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], Some(&old["spec"]), errors);
        validate_unconverted(new, old, errors);
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

/// Annotations tell of fields of other kinds that a ReplicationController cannot hold: what they stand for stays.
fn validate_unconverted(new: &Value, old: &Value, errors: &mut Errors) {
    for (key, value) in old["metadata"].entries("annotations") {
        let field = key.strip_prefix("non-convertible.kubernetes.io/").filter(|field| !field.contains('/'));
        let Some(field) = field else { continue };
        if !field.contains("selector") {
            let unknown = FieldError::not_found(field, value.clone());
            errors.push(FieldError { detail: "unknown non-convertible field".to_owned(), ..unknown });
        } else if !same(&new["spec"]["selector"], &old["spec"]["selector"]) {
            errors.invalid(
                &SPEC.child("selector"),
                new["spec"]["selector"].clone(),
                "cannot update non-convertible selector",
            );
        }
    }
}

fn validate_spec(spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    validate_counts(spec, &["minReadySeconds"], &SPEC, errors);
    if is_empty(&spec["selector"]) {
        errors.required(&SPEC.child("selector"), "");
    }
    validate_counts(spec, &["replicas"], &SPEC, errors);
    if spec["template"].is_null() {
        errors.required(&SPEC.child("template"), "");
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !spec.entries("selector").all(|(key, value)| labels.get(key) == Some(value)) {
        errors.invalid(
            &SPEC.child("template").child("metadata").child("labels"),
            if labels.is_null() { empty() } else { labels.clone() },
            "`selector` does not match template `labels`",
        );
    }
    let stored = old.map(|old| &old["template"]);
    template::validate_always(&spec["template"], stored, &SPEC, "ReplicationController", errors);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{agree, created, defaulted, found};

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

    #[test]
    fn what_other_kinds_said_stays() {
        let web = |selector: &str, annotations: Value| {
            json!({"metadata": {"name": "web", "annotations": annotations}, "spec": {"replicas": 1, "selector": {"a": selector},
                "template": {"metadata": {"labels": {"a": selector}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
        };
        let told = |annotations: Value, selector: &str| {
            let (old, new) = (web("b", annotations), web(selector, json!({})));
            let mut errors = Errors::new();
            validate_unconverted(&new, &old, &mut errors);
            errors.into_vec().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let cannot = r#"spec.selector: Invalid value: {"a":"c"}: cannot update non-convertible selector"#;
        let unknown = r#"spec.depth: Not found: "7": unknown non-convertible field"#;
        let cases = [
            (json!({}), "c", ""),
            (json!({"non-convertible.kubernetes.io/selector": "a in (b)"}), "b", ""),
            (json!({"non-convertible.kubernetes.io/selector": "a in (b)"}), "c", cannot),
            (json!({"example.com/selector": "x", "non-convertible.kubernetes.io": "x"}), "c", ""),
            (json!({"non-convertible.kubernetes.io/a/selector": "x"}), "c", ""),
            (json!({"non-convertible.kubernetes.io/spec.depth": "7"}), "b", unknown),
        ];
        agree(cases.into_iter().map(|(annotations, selector, expected)| {
            (format!("{annotations} {selector}"), told(annotations, selector), expected)
        }));
    }

    #[test]
    fn controllers_select_what_they_make() {
        let web = |change: Value| {
            let mut object = json!({"metadata": {"name": "web"}, "spec": {"selector": {"a": "b"}, "template": {
                "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
            for (key, value) in change.as_object().unwrap() {
                object["spec"][key] = value.clone();
            }
            object
        };
        let unlabelled = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
        let ending = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "activeDeadlineSeconds": 1,
            "containers": [{"name": "c", "image": "i"}]}});
        let cases = [
            (web(json!({})), ""),
            (
                web(json!({"minReadySeconds": -1, "replicas": -1, "selector": {"a": "c"}})),
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0\n\
                spec.replicas: Invalid value: -1: must be greater than or equal to 0\n\
                spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
            (web(json!({"selector": {}, "template": unlabelled})), "spec.selector: Required value"),
            (
                web(json!({"template": unlabelled, "selector": {"-": "b"}})),
                "spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`",
            ),
            (
                web(json!({"template": ending})),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"\n\
                spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported",
            ),
        ];
        agree(cases.into_iter().map(|(object, expected)| {
            (object.to_string(), created(&ReplicationController, object), expected)
        }));
        let status = json!({"status": {"replicas": 1, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 3}});
        assert_eq!(
            found(|errors| ReplicationController.validate_status_update(&status, &json!({}), errors)),
            "status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas\n\
            status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas\n\
            status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas\n\
            status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas"
        );
    }
}
