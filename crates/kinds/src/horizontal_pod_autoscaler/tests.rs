//! What is said of autoscalers, and what is made of them.

use serde_json::{Value, json};

use super::HorizontalPodAutoscaler;
use strategy::Strategy;
use strategy::testing::{agree, created, defaulted, found, updated};

fn with(change: Value) -> Value {
    let mut spec = json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
    for (key, value) in change.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({ "spec": spec })
}

fn check<const N: usize>(cases: [(Value, &str); N]) {
    agree(cases.into_iter().map(|(change, expected)| {
        (change.to_string(), created(&HorizontalPodAutoscaler, with(change)), expected)
    }));
}

#[test]
fn what_is_left_out_is_filled_in() {
    let spec = |change: Value| defaulted(&HorizontalPodAutoscaler, with(change))["spec"].clone();
    let plain = spec(json!({}));
    assert_eq!(plain["minReplicas"], 1);
    assert_eq!(
        plain["metrics"],
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}])
    );
    assert_eq!(plain.get("behavior"), None);
    let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    assert_eq!(
        spec(json!({"behavior": {}}))["behavior"],
        json!({"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [four, all]},
            "scaleDown": {"selectPolicy": "Max", "policies": [all]}})
    );
    let given = json!({"scaleUp": {"stabilizationWindowSeconds": 5, "selectPolicy": "Min", "policies": [all], "tolerance": "1"},
        "scaleDown": {"stabilizationWindowSeconds": 6, "selectPolicy": "Disabled", "policies": [four]}});
    assert_eq!(spec(json!({"behavior": given}))["behavior"], given);
}

#[test]
fn bounds_and_targets_are_there() {
    let slashes = "a/b/c";
    check([
        (json!({}), ""),
        (json!({"minReplicas": 3}), ""),
        (
            json!({"minReplicas": 4}),
            "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
        ),
        (
            json!({"minReplicas": 0}),
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1\n\
            spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
        ),
        (
            json!({"maxReplicas": 0}),
            "spec.maxReplicas: Invalid value: 0: must be greater than 0\n\
            spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
        ),
        (
            json!({"scaleTargetRef": {}}),
            "spec.scaleTargetRef.kind: Required value\n\
            spec.scaleTargetRef.name: Required value\n\
            spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
        ),
        (
            json!({"scaleTargetRef": {"kind": "a/b", "name": "..", "apiVersion": slashes}}),
            "spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'\n\
            spec.scaleTargetRef.name: Invalid value: \"..\": may not be '..'\n\
            spec.scaleTargetRef.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
        ),
        (
            json!({"scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "v1"}}),
            "spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify API group",
        ),
        (json!({"scaleTargetRef": {"kind": "ReplicationController", "name": "web"}}), ""),
        (json!({"scaleTargetRef": {"kind": "ReplicationController", "name": "web", "apiVersion": "v1"}}), ""),
    ]);
}

#[test]
fn metrics_have_a_source_and_a_target() {
    let share = json!({"type": "Utilization", "averageUtilization": 50});
    let average = json!({"type": "AverageValue", "averageValue": "1"});
    let of = |metric: Value| json!({ "metrics": [metric] });
    let metric = |kind: &str, source: &str, own: Value| {
        let mut metric = json!({ "type": kind });
        metric[source] = own;
        of(metric)
    };
    let ingress = json!({"kind": "Ingress", "name": "i"});
    let kinds = "spec.metrics[0].type: Unsupported value: \"\": supported values: \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"";
    check([
        (metric("Resource", "resource", json!({"name": "cpu", "target": share})), ""),
        (metric("Resource", "resource", json!({"name": "cpu", "target": average})), ""),
        (
            metric(
                "ContainerResource",
                "containerResource",
                json!({"name": "cpu", "container": "c", "target": share}),
            ),
            "",
        ),
        (
            metric(
                "ContainerResource",
                "containerResource",
                json!({"name": "a.example/b", "container": "c", "target": share}),
            ),
            "",
        ),
        (metric("Pods", "pods", json!({"metric": {"name": "m"}, "target": average})), ""),
        (
            metric(
                "Object",
                "object",
                json!({"metric": {"name": "m"}, "describedObject": ingress, "target": average}),
            ),
            "",
        ),
        (metric("External", "external", json!({"metric": {"name": "m"}, "target": average})), ""),
        (
            of(json!({})),
            &format!(
                "spec.metrics[0].type: Required value: must specify a metric source type\n{kinds}\n{kinds}"
            ),
        ),
        (
            metric("Resource", "pods", json!({"metric": {"name": "m"}, "target": average})),
            "spec.metrics[0].resource: Required value: must populate information for the given metric source",
        ),
        (
            of(
                json!({"type": "Resource", "resource": {"name": "cpu", "target": share}, "pods": {}, "external": {}}),
            ),
            "spec.metrics[0].external.metric.name: Required value: must specify a metric name\n\
            spec.metrics[0].external.target.type: Required value: must specify a metric target type\n\
            spec.metrics[0].external.target.type: Invalid value: \"\": must be either Utilization, Value, or AverageValue\n\
            spec.metrics[0].external.target.averageValue: Required value: must set either a target value for metric or a per-pod target\n\
            spec.metrics[0].external: Forbidden: must populate the given metric source only\n\
            spec.metrics[0].pods: Forbidden: must populate the given metric source only",
        ),
        (
            metric(
                "Resource",
                "resource",
                json!({"target": {"type": "Utilization", "averageUtilization": 0, "averageValue": "0"}}),
            ),
            "spec.metrics[0].resource.name: Required value: must specify a resource name\n\
            spec.metrics[0].resource.target.averageValue: Invalid value: \"0\": must be positive\n\
            spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0\n\
            spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization",
        ),
        (
            metric(
                "Resource",
                "resource",
                json!({"name": "cpu", "target": {"type": "Value", "value": "-1"}}),
            ),
            "spec.metrics[0].resource.target.value: Invalid value: \"-1\": must be positive\n\
            spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
        ),
        (
            metric("ContainerResource", "containerResource", json!({"target": share})),
            "spec.metrics[0].containerResource.name: Required value: must specify a resource name\n\
            spec.metrics[0].containerResource.container: Required value: must specify a container",
        ),
        (
            metric(
                "ContainerResource",
                "containerResource",
                json!({"name": "chairs", "container": "c", "target": share}),
            ),
            "spec.metrics[0].containerResource.name: Invalid value: \"chairs\": must be a standard resource type or fully qualified\n\
            spec.metrics[0].containerResource.name: Invalid value: \"chairs\": must be a standard resource for containers",
        ),
        (
            metric(
                "ContainerResource",
                "containerResource",
                json!({"name": "requests.a/b", "container": "c", "target": share}),
            ),
            "spec.metrics[0].containerResource.name: Invalid value: \"requests.a/b\": doesn't follow extended resource name standard",
        ),
        (
            metric(
                "ContainerResource",
                "containerResource",
                json!({"name": "pods", "container": "C", "target": share}),
            ),
            "spec.metrics[0].containerResource.name: Invalid value: \"pods\": must be a standard resource for containers\n\
            spec.metrics[0].containerResource.container: Invalid value: \"C\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        (
            metric("Pods", "pods", json!({"metric": {"name": "a/b"}, "target": {"type": "Some"}})),
            "spec.metrics[0].pods.metric.name: Invalid value: \"a/b\": may not contain '/'\n\
            spec.metrics[0].pods.target.type: Invalid value: \"Some\": must be either Utilization, Value, or AverageValue\n\
            spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
        ),
        (
            metric(
                "Pods",
                "pods",
                json!({"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "0"}}),
            ),
            "spec.metrics[0].pods.target.averageValue: Invalid value: \"0\": must be positive",
        ),
        (
            metric(
                "Object",
                "object",
                json!({"metric": {"name": "m"}, "describedObject": {"apiVersion": "a/b/c"}, "target": {"type": "Value"}}),
            ),
            "spec.metrics[0].object.describedObject.kind: Required value\n\
            spec.metrics[0].object.describedObject.name: Required value\n\
            spec.metrics[0].object.describedObject.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c\n\
            spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
        ),
        (
            metric(
                "External",
                "external",
                json!({"metric": {"name": "m"}, "target": {"type": "Value", "value": "1", "averageValue": "1"}}),
            ),
            "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
        ),
    ]);
}

#[test]
fn scaling_is_in_bounds() {
    let up = |rules: Value| json!({"behavior": {"scaleUp": rules}});
    let policy = |value: i64, period: i64| json!({"type": "Pods", "value": value, "periodSeconds": period});
    check([
        (
            up(json!({"stabilizationWindowSeconds": 3600, "policies": [policy(1, 1800)], "tolerance": "0"})),
            "",
        ),
        (
            up(
                json!({"stabilizationWindowSeconds": -1, "selectPolicy": "Some", "policies": [], "tolerance": "-1m"}),
            ),
            "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero\n\
            spec.behavior.scaleUp.selectPolicy: Unsupported value: \"Some\": supported values: \"Disabled\", \"Max\", \"Min\"\n\
            spec.behavior.scaleUp.policies: Required value: must specify at least one Policy\n\
            spec.behavior.scaleUp.tolerance: Invalid value: \"-1m\": must be greater than or equal to 0",
        ),
        (
            json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601, "selectPolicy": "", "policies": [{}, policy(1, 1801)]}}}),
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600\n\
            spec.behavior.scaleDown.selectPolicy: Unsupported value: \"\": supported values: \"Disabled\", \"Max\", \"Min\"\n\
            spec.behavior.scaleDown.policies[0].type: Unsupported value: \"\": supported values: \"Percent\", \"Pods\"\n\
            spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero\n\
            spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 0: must be greater than zero\n\
            spec.behavior.scaleDown.policies[1].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
        ),
    ]);
}

#[test]
fn what_was_taken_before_may_stay() {
    let external = json!([{"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}}]);
    let none = with(json!({"minReplicas": 0, "metrics": external}));
    let check = |new: Value, old: &Value| updated(&HorizontalPodAutoscaler, new, old.clone());
    assert_eq!(check(none.clone(), &none), "");
    assert_eq!(
        check(none, &with(json!({}))),
        "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"
    );
    let bare = with(json!({"scaleTargetRef": {"kind": "Deployment", "name": "web"}}));
    assert_eq!(check(with(json!({"scaleTargetRef": {"kind": "Deployment", "name": "other"}})), &bare), "");
    assert_eq!(
        check(with(json!({"scaleTargetRef": {"kind": "StatefulSet", "name": "web"}})), &bare),
        "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group"
    );
    let object = |version: &str| {
        with(
            json!({"metrics": [{"type": "Object", "object": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"},
            "describedObject": {"kind": "K", "name": "n", "apiVersion": version}}}]}),
        )
    };
    assert_eq!(check(object("a/b/d"), &object("a/b/c")), "");
    assert!(check(object("a/b/d"), &object("a/b")).ends_with("unexpected GroupVersion string: a/b/d"));

    let status = json!({"status": {"currentReplicas": -1, "desiredReplicas": -1}});
    assert_eq!(
        found(|errors| HorizontalPodAutoscaler.validate_status_update(&status, &json!({}), errors)),
        "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0\n\
        status.desiredReplicas: Invalid value: -1: must be greater than or equal to 0"
    );
}

#[test]
fn notes_of_the_first_version_mean_nothing_here() {
    let noted =
        json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": "[]", "a": "b"}}});
    let kept = defaulted(&HorizontalPodAutoscaler, noted);
    assert_eq!(kept["metadata"], json!({"annotations": {"a": "b"}}));
}
