//! What makes pods, what scales it, and what keeps it up.

use serde_json::{Value, json};

use super::{NOW, check, meta};

fn workload(spec: Value, status: Value) -> Value {
    let mut object = json!({
        "metadata": meta("w"),
        "spec": {
            "selector": {"matchLabels": {"app": "w"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
            "template": {"spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]}},
        },
        "status": status,
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

#[test]
fn workloads() {
    let selector = "app=w,tier in (a,b)";
    check(
        "apps",
        "Deployment",
        workload(
            json!({"replicas": 3}),
            json!({"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}),
        ),
        &format!("w | 2/3 | 3 | 2 | 60m | a,b | a:1,b:2 | {selector}"),
    );
    check(
        "apps",
        "ReplicaSet",
        workload(json!({"replicas": 3}), json!({"replicas": 3, "readyReplicas": 1})),
        &format!("w | 3 | 3 | 1 | 60m | a,b | a:1,b:2 | {selector}"),
    );
    check(
        "apps",
        "StatefulSet",
        workload(json!({"replicas": 1}), json!({})),
        "w | 0/1 | 60m | a,b | a:1,b:2",
    );
    check(
        "apps",
        "DaemonSet",
        workload(
            json!({}),
            json!({"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 2, "numberAvailable": 2}),
        ),
        &format!("w | 3 | 3 | 2 | 0 | 2 | <none> | 60m | a,b | a:1,b:2 | {selector}"),
    );
    check(
        "",
        "ReplicationController",
        workload(json!({"replicas": 2, "selector": {"app": "w"}}), json!({"replicas": 1})),
        "w | 2 | 1 | 0 | 60m | a,b | a:1,b:2 | app=w",
    );
    check(
        "apps",
        "ControllerRevision",
        json!({
            "metadata": {
                "name": "r", "creationTimestamp": NOW,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true}],
            },
            "revision": 2,
        }),
        "r | daemonset.apps/d | 2 | 0s",
    );
}

#[test]
fn jobs() {
    let selector = "app=w,tier in (a,b)";
    for (spec, status, expected) in [
        (
            json!({"completions": 5}),
            json!({"succeeded": 2, "startTime": "2026-01-01T23:50:00Z"}),
            "Running | 2/5 | 10m",
        ),
        (
            json!({"completions": 1}),
            json!({
                "succeeded": 1, "startTime": "2026-01-01T23:50:00Z", "completionTime": "2026-01-01T23:50:30Z",
                "conditions": [{"type": "Complete", "status": "True"}],
            }),
            "Complete | 1/1 | 30s",
        ),
        (json!({"parallelism": 3}), json!({}), "Running | 0/1 of 3 | "),
        (json!({}), json!({"conditions": [{"type": "Suspended", "status": "True"}]}), "Suspended | 0/1 | "),
        (json!({}), json!({"conditions": [{"type": "Failed", "status": "True"}]}), "Failed | 0/1 | "),
    ] {
        check(
            "batch",
            "Job",
            workload(spec, status),
            &format!("w | {expected} | 60m | a,b | a:1,b:2 | {selector}"),
        );
    }
    check(
        "batch",
        "CronJob",
        json!({
            "metadata": meta("c"),
            "spec": {
                "schedule": "*/5 * * * *", "suspend": false,
                "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}}},
            },
            "status": {"active": [{}], "lastScheduleTime": "2026-01-01T23:57:00Z"},
        }),
        "c | */5 * * * * | <none> | False | 1 | 3m | 60m | a | a:1 | <none>",
    );
}

#[test]
fn autoscalers_and_budgets() {
    check(
        "autoscaling",
        "HorizontalPodAutoscaler",
        json!({
            "metadata": meta("h"),
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 5,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
                    {"type": "Pods", "pods": {"target": {"averageValue": "100"}}},
                    {"type": "External", "external": {"target": {"value": "5"}}},
                ],
            },
            "status": {"currentReplicas": 2, "currentMetrics": [{"type": "Resource", "resource": {"current": {"averageUtilization": 12}}}]},
        }),
        "h | Deployment/web | cpu: 12%/80%, <unknown>/100 + 1 more... | 1 | 5 | 2 | 60m",
    );
    check(
        "autoscaling",
        "HorizontalPodAutoscaler",
        json!({
            "metadata": meta("h"),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
        }),
        "h | Deployment/web | cpu: <unknown>/50% | <unset> | 5 | 0 | 60m",
    );
    check(
        "policy",
        "PodDisruptionBudget",
        json!({"metadata": meta("b"), "spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}}),
        "b | 50% | N/A | 1 | 60m",
    );
}
