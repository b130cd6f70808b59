//! What is said of replica sets.

use serde_json::{Value, json};

use super::ReplicaSet;
use strategy::Strategy;
use strategy::testing::{agree, created, found, updated};

fn with(change: Value) -> Value {
    let mut object = json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    for (key, value) in change.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

#[test]
fn sets_select_what_they_make() {
    let ending = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "activeDeadlineSeconds": 1,
        "containers": [{"name": "c", "image": "i"}]}});
    let cases = [
        (json!({}), ""),
        (
            json!({"replicas": -1, "minReadySeconds": -1, "selector": null}),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0\n\
            spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0\n\
            spec.selector: Required value",
        ),
        (
            json!({"selector": {}}),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            json!({"selector": {"matchLabels": {"a": "c"}}}),
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
        ),
        (
            json!({ "template": ending }),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"\n\
            spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
        ),
    ];
    agree(
        cases
            .into_iter()
            .map(|(change, expected)| (change.to_string(), created(&ReplicaSet, with(change)), expected)),
    );
    let selector = json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]});
    assert_eq!(
        updated(&ReplicaSet, with(json!({"selector": selector})), with(json!({}))),
        "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}: field is immutable"
    );
}

#[test]
fn a_status_counts_what_there_is() {
    let check = |status: Value| {
        let new = json!({ "status": status });
        found(|errors| ReplicaSet.validate_status_update(&new, &json!({}), errors)).replace("status.", "")
    };
    let less = "Invalid value: -1: must be greater than or equal to 0";
    assert_eq!(
        check(
            json!({"fullyLabeledReplicas": -1, "readyReplicas": -1, "availableReplicas": -1, "terminatingReplicas": -1, "observedGeneration": -1})
        ),
        format!(
            "fullyLabeledReplicas: {less}\nreadyReplicas: {less}\navailableReplicas: {less}\nterminatingReplicas: {less}\nobservedGeneration: {less}"
        )
    );
    assert!(check(json!({"replicas": -1})).starts_with(&format!("replicas: {less}")));
    assert_eq!(
        check(
            json!({"replicas": 1, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 3, "terminatingReplicas": 9})
        ),
        "fullyLabeledReplicas: Invalid value: 2: cannot be greater than replicas\n\
        readyReplicas: Invalid value: 2: cannot be greater than replicas\n\
        availableReplicas: Invalid value: 3: cannot be greater than replicas\n\
        availableReplicas: Invalid value: 3: cannot be greater than readyReplicas"
    );
}
