//! What may change in a pod: by its owner, by its kubelet, and by a resize.

use serde_json::{Value, json};
use strategy::testing::{defaulted, found, updated};

use super::refusals::pod;
use crate::{Pod, Strategy};

/// What is told of each change of a pod whose old and new form are given, all that differ at once.
fn check(rows: &[(String, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(told, expected)| told != expected)
        .map(|(told, expected)| format!("told: {told}\n not: {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is told of a status written over another, for a pod with the given spec.
fn status(spec: Value, old: Value, new: Value) -> String {
    let mut before = defaulted(&Pod, pod(spec));
    Pod.prepare_for_create(&mut before);
    for (key, value) in old.as_object().unwrap() {
        before["status"][key] = value.clone();
    }
    let mut after = before.clone();
    for (key, value) in new.as_object().unwrap() {
        after["status"][key] = value.clone();
    }
    Pod.prepare_status_update(&mut after, &before);
    found(|errors| Pod.validate_status_update(&after, &before, errors))
}

#[test]
fn conditions_and_nodes_of_a_status() {
    let bound = || json!({"nodeName": "n"});
    check(&[
        (
            status(
                json!({}),
                json!({}),
                json!({"conditions": [{"type": "Ready"}, {"type": "a/b", "observedGeneration": 1}], "observedGeneration": 1}),
            ),
            "",
        ),
        (
            status(
                json!({}),
                json!({}),
                json!({"conditions": [{"type": "-", "observedGeneration": -1}], "observedGeneration": -1}),
            ),
            "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer\n\
             status.conditions[0].Type: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
             status.observedGeneration: Invalid value: -1: must be a non-negative integer",
        ),
        (status(json!({}), json!({}), json!({"nominatedNodeName": "n"})), ""),
        (
            status(json!({}), json!({}), json!({"nominatedNodeName": "N"})),
            "status.nominatedNodeName: Invalid value: \"N\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        (
            status(bound(), json!({}), json!({"nominatedNodeName": "n"})),
            "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node",
        ),
        (status(bound(), json!({"nominatedNodeName": "n"}), json!({"nominatedNodeName": "n"})), ""),
        (status(bound(), json!({"nominatedNodeName": "n"}), json!({"nominatedNodeName": ""})), ""),
        (status(json!({}), json!({"qosClass": ""}), json!({"qosClass": ""})), ""),
    ]);
}

#[test]
fn containers_that_ended_start_again_only_by_a_rule() {
    let ended =
        |list: &str, code: i64| json!({list: [{"name": "c", "state": {"terminated": {"exitCode": code}}}]});
    let running = |list: &str| json!({list: [{"name": "c", "state": {"running": {}}}]});
    let revived = |spec: Value, list: &str, code: i64| status(spec, ended(list, code), running(list));
    let of = |policy: &str, fields: Value| {
        let mut container = json!({"name": "c", "image": "i"});
        for (key, value) in fields.as_object().unwrap() {
            container[key] = value.clone();
        }
        json!({"restartPolicy": policy, "containers": [container]})
    };
    let rule = |action: &str, operator: &str| json!({"restartPolicy": "Never", "restartPolicyRules": [{"action": action, "exitCodes": {"operator": operator, "values": [3, 4]}}]});
    let refused =
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state";
    const OF: &str = "containerStatuses";
    check(&[
        (revived(of("Always", json!({})), OF, 0), ""),
        (revived(of("OnFailure", json!({})), OF, 1), ""),
        (revived(of("OnFailure", json!({})), OF, 0), refused),
        (revived(of("Never", json!({})), OF, 1), refused),
        (revived(of("Never", json!({"restartPolicy": "Always"})), OF, 0), ""),
        (revived(of("Never", json!({"restartPolicy": "OnFailure"})), OF, 1), ""),
        (revived(of("Never", json!({"restartPolicy": "OnFailure"})), OF, 0), refused),
        (revived(of("Always", json!({"restartPolicy": "Never"})), OF, 1), refused),
        (revived(of("Always", rule("Restart", "In")), OF, 3), ""),
        (revived(of("Always", rule("Restart", "In")), OF, 5), refused),
        (revived(of("Always", rule("Restart", "NotIn")), OF, 5), ""),
        (revived(of("Always", rule("Restart", "NotIn")), OF, 4), refused),
        (revived(of("Never", rule("RestartAllContainers", "In")), OF, 5), ""),
        (status(of("Never", json!({})), running(OF), running(OF)), ""),
        (
            status(
                of("Always", json!({})),
                json!({OF: [{"name": "x", "state": {"terminated": {"exitCode": 0}}}]}),
                json!({OF: [{"name": "x"}]}),
            ),
            refused,
        ),
        (
            status(
                json!({"restartPolicy": "Always"}),
                json!({"ephemeralContainerStatuses": [{"name": "d", "state": {"terminated": {"exitCode": 0}}}]}),
                json!({"ephemeralContainerStatuses": [{"name": "d"}]}),
            ),
            "status.ephemeralContainerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
        ),
        (
            status(
                json!({"restartPolicy": "Never", "initContainers": [{"name": "s", "image": "i", "restartPolicy": "Always"}, {"name": "i", "image": "i"}]}),
                json!({"initContainerStatuses": [{"name": "s", "state": {"terminated": {"exitCode": 0}}}, {"name": "i", "state": {"terminated": {"exitCode": 0}}}]}),
                json!({"initContainerStatuses": [{"name": "s"}, {"name": "i"}]}),
            ),
            "status.initContainerStatuses[1].state: Forbidden: may not be transitioned to non-terminated state",
        ),
    ]);
}

#[test]
fn claims_and_users_of_a_status() {
    let claims = || json!({"resourceClaims": [{"name": "a", "resourceClaimTemplateName": "t"}]});
    let user = |os: Value, user: Value| {
        let spec = if os.is_null() { json!({}) } else { json!({"os": {"name": os}}) };
        status(spec, json!({}), json!({"containerStatuses": [{"name": "c", "user": user}]}))
    };
    check(&[
        (
            status(
                claims(),
                json!({}),
                json!({"resourceClaimStatuses": [{"name": "a", "resourceClaimName": "b"}]}),
            ),
            "",
        ),
        (
            status(
                claims(),
                json!({}),
                json!({"resourceClaimStatuses": [{"name": "a", "resourceClaimName": "A"}, {"name": "a"}]}),
            ),
            "status.resourceClaimStatuses[0].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
             status.resourceClaimStatuses[1].name: Duplicate value: \"a\"",
        ),
        (user(Value::Null, json!({"linux": {"uid": 0, "gid": 2147483647, "supplementalGroups": [1]}})), ""),
        (
            user(json!("linux"), json!({"linux": {"uid": -1, "gid": -1, "supplementalGroups": [1, -1]}})),
            "status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
             status.containerStatuses[0].user.linux.gid: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
             status.containerStatuses[0].user.linux.supplementalGroups[1]: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            user(json!("windows"), json!({"linux": {"uid": 1, "gid": 1}})),
            "status.containerStatuses[0].user.linux: Forbidden: cannot be set for a windows pod",
        ),
    ]);
}

#[test]
fn pods_that_wait_at_a_gate_are_told_more_narrowly_where_to_go() {
    let node = |terms: Value| json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
    let expression = |key: &str| json!({"key": key, "operator": "Exists"});
    let gated = |fields: Value| {
        let mut spec = json!({"schedulingGates": [{"name": "a/b"}]});
        for (key, value) in fields.as_object().unwrap() {
            spec[key] = value.clone();
        }
        pod(spec)
    };
    let change = |old: Value, new: Value| updated(&Pod, gated(new), gated(old));
    let affinity = |terms: Value| json!({"affinity": node(terms)});
    let one = || affinity(json!([{"matchExpressions": [expression("a")]}]));
    let terms = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let grown = format!(
        "{terms}[0]: Invalid value: {{\"matchExpressions\":[{{\"key\":\"b\",\"operator\":\"Exists\"}}]}}: only additions are allowed (no mutations or deletions)"
    );
    let length = format!(
        "{terms}: Invalid value: [{{\"matchExpressions\":[{{\"key\":\"a\",\"operator\":\"Exists\"}}]}},{{\"matchExpressions\":[{{\"key\":\"b\",\"operator\":\"Exists\"}}]}}]: no additions/deletions to non-empty NodeSelectorTerms list are allowed"
    );
    check(&[
        (change(json!({"nodeSelector": {"a": "b"}}), json!({"nodeSelector": {"a": "b", "c": "d"}})), ""),
        (
            change(json!({"nodeSelector": {"a": "b"}}), json!({"nodeSelector": {"a": "c"}})),
            "spec.nodeSelector: Invalid value: {\"a\":\"c\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ),
        (change(json!({}), one()), ""),
        (change(one(), affinity(json!([{"matchExpressions": [expression("a"), expression("b")]}]))), ""),
        (change(one(), affinity(json!([{"matchExpressions": [expression("b")]}]))), &grown),
        (
            change(
                one(),
                affinity(
                    json!([{"matchExpressions": [expression("a")]}, {"matchExpressions": [expression("b")]}]),
                ),
            ),
            &length,
        ),
    ]);
}

#[test]
fn negative_periods_of_grace_become_one() {
    let with = |grace: i64| pod(json!({ "terminationGracePeriodSeconds": grace }));
    assert_eq!(updated(&Pod, with(1), with(-1)), "");
    assert!(
        updated(&Pod, with(2), with(-1))
            .starts_with("spec: Forbidden: pod updates may not change fields other than")
    );
    assert!(
        updated(&Pod, with(1), with(2))
            .starts_with("spec: Forbidden: pod updates may not change fields other than")
    );
}

/// What is told of a resize from one spec to another.
fn resized(old: Value, new: Value) -> String {
    let strategy = Pod.subresource("resize").unwrap();
    let mut old = defaulted(&Pod, pod(old));
    Pod.prepare_for_create(&mut old);
    let mut new = defaulted(&Pod, pod(new));
    strategy.prepare_for_update(&mut new, &old);
    found(|errors| strategy.validate_update(&new, &old, errors))
}

#[test]
fn what_a_resize_may_not_change() {
    let spec =
        |resources: Value| json!({"containers": [{"name": "c", "image": "i", "resources": resources}]});
    let two = |names: [&str; 2]| {
        let list: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "image": "i", "resources": {"requests": {"cpu": "1"}}}))
            .collect();
        json!({ "containers": list })
    };
    let pod_level = |own: Value| json!({"resources": own, "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]});
    let init = |policy: Value, amount: &str, resize: &str| {
        json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [{"name": "i", "image": "i", "restartPolicy": policy, "resources": {"requests": {"cpu": amount, "ephemeral-storage": "1"}},
                "resizePolicy": [{"resourceName": "cpu", "restartPolicy": resize}]}]})
    };
    let mut others = init(Value::Null, "1", "NotRequired");
    others["initContainers"][0]["resources"]["requests"]["ephemeral-storage"] = json!("2");
    let mut windows = spec(json!({}));
    windows["os"] = json!({"name": "windows"});
    check(&[
        (resized(spec(json!({"requests": {"cpu": "1"}})), spec(json!({"requests": {"cpu": "2"}}))), ""),
        (resized(windows.clone(), windows), ": Forbidden: windows pods cannot be resized"),
        (
            resized(
                spec(json!({"requests": {"cpu": "1", "memory": "1"}})),
                spec(json!({"requests": {"cpu": "1"}})),
            ),
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
        ),
        (
            resized(
                spec(json!({"requests": {"cpu": "1"}})),
                spec(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1"}})),
            ),
            "",
        ),
        (
            resized(
                spec(json!({"requests": {"cpu": "1"}})),
                spec(json!({"requests": {"cpu": "1", "ephemeral-storage": "1"}})),
            ),
            "spec: Forbidden: only cpu and memory resources are mutable",
        ),
        (
            resized(two(["a", "b"]), two(["b", "a"])),
            "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize\n\
             spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize",
        ),
        (
            resized(two(["a", "b"]), spec(json!({"requests": {"cpu": "1"}}))),
            "spec.containers: Forbidden: containers may not be added or removed on resize",
        ),
        (
            resized(
                pod_level(json!({"requests": {"cpu": "1"}})),
                pod_level(json!({"requests": {"cpu": "2"}})),
            ),
            "",
        ),
        (
            resized(
                pod_level(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}})),
                pod_level(json!({"requests": {"cpu": "1"}})),
            ),
            "spec.resources.limits: Forbidden: pod-level resource limits cannot be removed",
        ),
        (
            resized(pod_level(json!({"requests": {"cpu": "1"}})), pod_level(Value::Null)),
            "spec.resources: Forbidden: pod-level resources cannot be removed",
        ),
        (resized(init(Value::Null, "1", "NotRequired"), init(Value::Null, "2", "NotRequired")), ""),
        (
            resized(
                init(json!("Always"), "1", "RestartContainer"),
                init(json!("Always"), "2", "RestartContainer"),
            ),
            "",
        ),
        (
            resized(init(Value::Null, "1", "NotRequired"), others),
            "spec.initContainers[0]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable",
        ),
    ]);
}

#[test]
fn pods_are_not_scheduled_in_groups() {
    let group = || pod(json!({"schedulingGroup": {"podGroupName": "g"}}));
    let mut new = defaulted(&Pod, group());
    Pod.prepare_for_create(&mut new);
    assert!(new["spec"].get("schedulingGroup").is_none());
    let old = defaulted(&Pod, group());
    let mut kept = old.clone();
    Pod.prepare_for_update(&mut kept, &old);
    assert_eq!(kept["spec"]["schedulingGroup"]["podGroupName"], "g");
    let mut dropped = old;
    Pod.prepare_for_update(&mut dropped, &new);
    assert!(dropped["spec"].get("schedulingGroup").is_none());
}

#[test]
fn a_status_leaves_what_a_mirror_is() {
    let mut old = defaulted(&Pod, pod(json!({"nodeName": "n"})));
    old["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    let mut new = old.clone();
    new["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": "x"});
    Pod.prepare_status_update(&mut new, &old);
    let told = found(|errors| Pod.validate_status_update(&new, &old, errors));
    assert_eq!(
        told,
        "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation\n\
         metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"x\": must be a 32bit integer"
    );
}
