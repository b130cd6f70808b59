//! Priorities of pods and requests, and devices.

use serde_json::json;

use super::{check, meta};

#[test]
fn scheduling_flow_control_and_devices() {
    check(
        "scheduling.k8s.io",
        "PriorityClass",
        json!({"metadata": meta("p"), "value": 1000, "preemptionPolicy": "Never"}),
        "p | 1000 | false | 60m | Never",
    );
    check("node.k8s.io", "RuntimeClass", json!({"metadata": meta("r"), "handler": "h"}), "r | h | 60m");
    check(
        "coordination.k8s.io",
        "Lease",
        json!({"metadata": meta("l"), "spec": {"holderIdentity": "x_1"}}),
        "l | x_1 | 60m",
    );
    let group = "flowcontrol.apiserver.k8s.io";
    check(
        group,
        "FlowSchema",
        json!({
            "metadata": meta("f"),
            "spec": {"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 1},
            "status": {"conditions": [{"type": "Dangling", "status": "False"}]},
        }),
        "f | exempt | 1 | <none> | 60m | False",
    );
    check(
        group,
        "PriorityLevelConfiguration",
        json!({"metadata": meta("p"), "spec": {"type": "Limited", "limited": {
            "nominalConcurrencyShares": 30, "limitResponse": {"queuing": {"queues": 64, "handSize": 6, "queueLengthLimit": 50}},
        }}}),
        "p | Limited | 30 | 64 | 6 | 50 | 60m",
    );
    let group = "resource.k8s.io";
    check(
        group,
        "ResourceClaim",
        json!({"metadata": meta("c"), "status": {"allocation": {}, "reservedFor": [{}]}}),
        "c | allocated,reserved | 60m",
    );
    check(group, "ResourceClaim", json!({"metadata": meta("c")}), "c | pending | 60m");
    check(
        group,
        "ResourceSlice",
        json!({"metadata": meta("s"), "spec": {"nodeName": "n", "driver": "d", "pool": {"name": "p"}}}),
        "s | n | d | p | 60m",
    );
}
