//! Pods, in all their phases.

use serde_json::{Value, json};

use super::{NOW, check, meta};

fn pod(spec: Value, status: Value) -> Value {
    json!({"metadata": meta("web"), "spec": spec, "status": status})
}

fn check_pod(spec: Value, status: Value, expected: &str) {
    let object = pod(spec, status);
    check("", "Pod", object, &format!("web | {expected}"));
}

fn one() -> Value {
    json!({"containers": [{"name": "a"}]})
}

#[test]
fn a_running_pod() {
    check_pod(
        json!({"containers": [{"name": "a"}], "nodeName": "w1"}),
        json!({
            "phase": "Running",
            "podIPs": [{"ip": "172.16.1.5"}],
            "containerStatuses": [{"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}}],
        }),
        "1/1 | Running | 0 | 60m | 172.16.1.5 | w1 | <none> | <none>",
    );
}

#[test]
fn a_pod_that_waits() {
    check_pod(
        one(),
        json!({"phase": "Pending"}),
        "0/1 | Pending | 0 | 60m | <none> | <none> | <none> | <none>",
    );
    check_pod(
        one(),
        json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"},
        ]}),
        "0/1 | SchedulingGated | 0 | 60m | <none> | <none> | <none> | <none>",
    );
    check_pod(
        one(),
        json!({"phase": "Pending", "containerStatuses": [
            {"name": "a", "restartCount": 0, "state": {"waiting": {"reason": "ErrImageNeverPull"}}},
        ]}),
        "0/1 | ErrImageNeverPull | 0 | 60m | <none> | <none> | <none> | <none>",
    );
}

#[test]
fn a_pod_that_crashes() {
    check_pod(
        one(),
        json!({"phase": "Running", "containerStatuses": [{
            "name": "a",
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T23:55:00Z"}},
        }]}),
        "0/1 | CrashLoopBackOff | 3 (5m ago) | 60m | <none> | <none> | <none> | <none>",
    );
    for (terminated, reason) in [
        (json!({"exitCode": 137, "reason": "OOMKilled"}), "OOMKilled"),
        (json!({"exitCode": 2}), "ExitCode:2"),
        (json!({"exitCode": 0, "signal": 9}), "Signal:9"),
        (json!({"exitCode": 1, "reason": "Error"}), "Error"),
    ] {
        check_pod(
            one(),
            json!({"phase": "Failed", "containerStatuses": [
                {"name": "a", "restartCount": 0, "state": {"terminated": terminated}},
            ]}),
            &format!("0/1 | {reason} | 0 | 60m | <none> | <none> | <none> | <none>"),
        );
    }
}

#[test]
fn a_pod_that_initialises() {
    let spec = || json!({"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]});
    for (statuses, reason, restarts) in [
        (json!([{"name": "i", "restartCount": 0, "state": {"running": {}}}]), "Init:0/2", "0"),
        (
            json!([
                {"name": "i", "restartCount": 1, "state": {"terminated": {"exitCode": 0}}},
                {"name": "j", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}},
            ]),
            "Init:1/2",
            "1",
        ),
        (
            json!([{"name": "i", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]),
            "Init:CrashLoopBackOff",
            "4",
        ),
        (
            json!([{"name": "i", "restartCount": 0, "state": {"terminated": {"exitCode": 3}}}]),
            "Init:ExitCode:3",
            "0",
        ),
        (
            json!([{"name": "i", "restartCount": 0, "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]),
            "Init:Error",
            "0",
        ),
    ] {
        check_pod(
            spec(),
            json!({"phase": "Pending", "initContainerStatuses": statuses}),
            &format!("0/1 | {reason} | {restarts} | 60m | <none> | <none> | <none> | <none>"),
        );
    }
}

#[test]
fn a_pod_with_a_sidecar() {
    check_pod(
        json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "a"}]}),
        json!({
            "phase": "Running",
            "conditions": [{"type": "Initialized", "status": "True"}],
            "initContainerStatuses": [
                {"name": "s", "restartCount": 2, "started": true, "ready": true, "state": {"running": {}}},
            ],
            "containerStatuses": [{"name": "a", "ready": true, "restartCount": 1, "state": {"running": {}}}],
        }),
        "2/2 | Running | 3 | 60m | <none> | <none> | <none> | <none>",
    );
}

#[test]
fn a_pod_that_ends() {
    let completed = json!({"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    check_pod(
        one(),
        json!({"phase": "Succeeded", "containerStatuses": [completed]}),
        "0/1 | Completed | 0 | 60m | <none> | <none> | <none> | <none>",
    );
    let two = || json!({"containers": [{"name": "a"}, {"name": "b"}]});
    let running = json!({"name": "b", "ready": true, "restartCount": 0, "state": {"running": {}}});
    check_pod(
        two(),
        json!({"phase": "Running", "containerStatuses": [completed, running]}),
        "1/2 | NotReady | 0 | 60m | <none> | <none> | <none> | <none>",
    );
    check_pod(
        two(),
        json!({
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [completed, running],
        }),
        "1/2 | Running | 0 | 60m | <none> | <none> | <none> | <none>",
    );
    check_pod(
        one(),
        json!({"phase": "Failed", "reason": "Evicted"}),
        "0/1 | Evicted | 0 | 60m | <none> | <none> | <none> | <none>",
    );
}

#[test]
fn a_pod_that_is_deleted() {
    for (status, reason) in [
        (json!({"phase": "Running"}), "Terminating"),
        (json!({"phase": "Succeeded"}), "Succeeded"),
        (json!({"phase": "Running", "reason": "NodeLost"}), "Unknown"),
    ] {
        let mut object = pod(one(), status);
        object["metadata"]["deletionTimestamp"] = NOW.into();
        check(
            "",
            "Pod",
            object,
            &format!("web | 0/1 | {reason} | 0 | 60m | <none> | <none> | <none> | <none>"),
        );
    }
}

#[test]
fn a_pod_with_readiness_gates() {
    check_pod(
        json!({"containers": [{"name": "a"}], "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]}),
        json!({"phase": "Running", "conditions": [{"type": "x", "status": "True"}], "nominatedNodeName": "w2"}),
        "0/1 | Running | 0 | 60m | <none> | <none> | w2 | 1/2",
    );
}
