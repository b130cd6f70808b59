use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Include, printer, table};

const NOW: &str = "2026-01-02T00:00:00Z";

/// Prints an object as `kubectl get -o wide` would, without the name (first) where it has one.
fn check(group: &str, kind: &str, object: Value, expected: &str) {
    let printer = printer(group, kind);
    let now: Timestamp = NOW.parse().unwrap();
    let cells = printer.cells(&object, now);
    assert_eq!(cells.len(), printer.columns().len(), "{kind} has as many cells as columns");
    let shown: Vec<String> = cells
        .iter()
        .map(|cell| match cell {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    assert_eq!(shown.join(" | "), expected, "{kind}");
}

/// Metadata of an object that is an hour old.
fn meta(name: &str) -> Value {
    json!({"name": name, "creationTimestamp": "2026-01-01T23:00:00Z"})
}

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

#[test]
fn nodes() {
    check(
        "",
        "Node",
        json!({
            "metadata": {
                "name": "m", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "etcd"},
            },
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "192.168.1.10"}, {"type": "Hostname", "address": "m"}],
                "nodeInfo": {
                    "kubeletVersion": "v1.36.0", "osImage": "Debian GNU/Linux 12", "kernelVersion": "6.18",
                    "containerRuntimeVersion": "containerd://1.6.20",
                },
            },
        }),
        "m | Ready,SchedulingDisabled | control-plane,etcd | 24h | v1.36.0 | 192.168.1.10 | <none> | \
         Debian GNU/Linux 12 | 6.18 | containerd://1.6.20",
    );
    check(
        "",
        "Node",
        json!({"metadata": {"name": "w"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
        "w | NotReady | <none> | <unknown> |  | <none> | <none> | <unknown> | <unknown> | <unknown>",
    );
}

#[test]
fn services() {
    let service = |spec: Value, status: Value| json!({"metadata": meta("s"), "spec": spec, "status": status});
    for (spec, status, expected) in [
        (
            json!({"type": "ClusterIP", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 443, "protocol": "TCP"}]}),
            json!({}),
            "ClusterIP | 10.96.0.1 | <none> | 443/TCP | 60m | <none>",
        ),
        (
            json!({
                "type": "NodePort", "clusterIPs": ["10.96.0.2"], "selector": {"app": "web"},
                "ports": [{"port": 80, "nodePort": 31234, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
            }),
            json!({}),
            "NodePort | 10.96.0.2 | <none> | 80:31234/TCP,53/UDP | 60m | app=web",
        ),
        (
            json!({"type": "LoadBalancer", "clusterIPs": ["10.96.0.3"]}),
            json!({}),
            "LoadBalancer | 10.96.0.3 | <pending> | <none> | 60m | <none>",
        ),
        (
            json!({"type": "LoadBalancer", "clusterIPs": ["10.96.0.3"], "externalIPs": ["1.2.3.4"]}),
            json!({"loadBalancer": {"ingress": [{"ip": "192.168.1.11"}, {"hostname": "lb.example"}]}}),
            "LoadBalancer | 10.96.0.3 | 192.168.1.11,lb.example,1.2.3.4 | <none> | 60m | <none>",
        ),
        (
            json!({"type": "ClusterIP", "clusterIPs": ["None"]}),
            json!({}),
            "ClusterIP | None | <none> | <none> | 60m | <none>",
        ),
        (
            json!({"type": "ExternalName", "externalName": "example.com"}),
            json!({}),
            "ExternalName | <none> | example.com | <none> | 60m | <none>",
        ),
    ] {
        check("", "Service", service(spec, status), &format!("s | {expected}"));
    }
}

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
fn events() {
    check(
        "",
        "Event",
        json!({
            "metadata": meta("web.1"),
            "type": "Warning", "reason": "BackOff", "message": " back off\n", "count": 4,
            "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{a}"},
            "source": {"component": "kubelet", "host": "w1"},
            "firstTimestamp": "2026-01-01T23:00:00Z", "lastTimestamp": "2026-01-01T23:59:50Z",
        }),
        "10s | Warning | BackOff | pod/web | spec.containers{a} | kubelet, w1 | back off | 60m | 4 | web.1",
    );
    check(
        "events.k8s.io",
        "Event",
        json!({
            "metadata": meta("web.2"),
            "type": "Normal", "reason": "Scheduled", "note": "assigned", "eventTime": "2026-01-01T23:58:00.000000Z",
            "regarding": {"kind": "Pod", "name": "web"},
            "reportingController": "default-scheduler",
            "series": {"count": 7, "lastObservedTime": "2026-01-01T23:59:00.000000Z"},
        }),
        "60s | Normal | Scheduled | pod/web |  | default-scheduler | assigned | 2m | 7 | web.2",
    );
}

#[test]
fn volumes_and_claims() {
    check(
        "",
        "PersistentVolume",
        json!({
            "metadata": meta("v"),
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "slow", "volumeMode": "Filesystem",
                "claimRef": {"namespace": "default", "name": "c"},
            },
            "status": {"phase": "Bound"},
        }),
        "v | 1Gi | RWO,RWX | Retain | Bound | default/c | slow | <unset> |  | 60m | Filesystem",
    );
    check(
        "",
        "PersistentVolumeClaim",
        json!({"metadata": meta("c"), "spec": {"storageClassName": "slow"}, "status": {"phase": "Pending"}}),
        "c | Pending |  |  |  | slow | <unset> | 60m | <unset>",
    );
    check(
        "",
        "PersistentVolumeClaim",
        json!({
            "metadata": meta("c"),
            "spec": {"volumeName": "v", "volumeMode": "Filesystem"},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
        }),
        "c | Bound | v | 1Gi | RWO |  | <unset> | 60m | Filesystem",
    );
}

#[test]
fn the_small_kinds_of_the_core_group() {
    for (kind, object, expected) in [
        ("Namespace", json!({"metadata": meta("n"), "status": {"phase": "Active"}}), "n | Active | 60m"),
        (
            "Secret",
            json!({"metadata": meta("s"), "type": "Opaque", "data": {"a": "", "b": ""}}),
            "s | Opaque | 2 | 60m",
        ),
        (
            "ConfigMap",
            json!({"metadata": meta("c"), "data": {"a": ""}, "binaryData": {"b": ""}}),
            "c | 2 | 60m",
        ),
        ("ServiceAccount", json!({"metadata": meta("a")}), "a | 60m"),
        (
            "Endpoints",
            json!({"metadata": meta("e"), "subsets": [{
                "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "10.0.0.3"}, {"ip": "10.0.0.4"}],
                "ports": [{"port": 80}],
            }]}),
            "e | 10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more... | 60m",
        ),
        ("Endpoints", json!({"metadata": meta("e")}), "e | <none> | 60m"),
        (
            "ResourceQuota",
            json!({"metadata": meta("q"), "status": {
                "hard": {"limits.cpu": "2", "pods": "10", "requests.cpu": "1"}, "used": {"pods": "3"},
            }}),
            "q | pods: 3/10, requests.cpu: 0/1 | limits.cpu: 0/2 | 60m",
        ),
        (
            "ComponentStatus",
            json!({"metadata": {"name": "etcd-0"}, "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]}),
            "etcd-0 | Healthy | ok | ",
        ),
        (
            "PodTemplate",
            json!({"metadata": meta("t"), "template": {
                "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "x", "image": "y"}]},
            }}),
            "t | x | y | a=b",
        ),
        (
            "Status",
            json!({"status": "Failure", "reason": "NotFound", "message": "gone"}),
            "Failure | NotFound | gone",
        ),
        // Without columns of its own.
        ("LimitRange", json!({"metadata": meta("l")}), "l | 2026-01-01T23:00:00Z"),
    ] {
        check("", kind, object, expected);
    }
}

#[test]
fn networking_and_discovery() {
    let group = "networking.k8s.io";
    check(
        group,
        "Ingress",
        json!({
            "metadata": meta("i"),
            "spec": {
                "ingressClassName": "nginx", "tls": [{}],
                "rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}},
        }),
        "i | nginx | a,b,c + 1 more... | 1.1.1.1 | 80, 443 | 60m",
    );
    check(
        group,
        "Ingress",
        json!({"metadata": meta("i"), "spec": {"rules": [{}]}}),
        "i | <none> | * |  | 80 | 60m",
    );
    check(
        group,
        "IngressClass",
        json!({"metadata": meta("c"), "spec": {"controller": "x/y", "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}}),
        "c | x/y | K.g/n | 60m",
    );
    check(
        group,
        "NetworkPolicy",
        json!({"metadata": meta("p"), "spec": {"podSelector": {}}}),
        "p | <none> | 60m",
    );
    check(
        group,
        "IPAddress",
        json!({"metadata": meta("10.96.0.1"), "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}}}),
        "10.96.0.1 | services/default/kubernetes",
    );
    check(
        group,
        "ServiceCIDR",
        json!({"metadata": meta("k"), "spec": {"cidrs": ["10.96.0.0/12"]}}),
        "k | 10.96.0.0/12 | 60m",
    );
    check(
        "discovery.k8s.io",
        "EndpointSlice",
        json!({
            "metadata": meta("e"), "addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}, {}],
            "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
        }),
        "e | IPv4 | 80,x,* | 10.0.0.1,10.0.0.2 | 60m",
    );
    check(
        "discovery.k8s.io",
        "EndpointSlice",
        json!({"metadata": meta("e"), "addressType": "IPv4", "endpoints": []}),
        "e | IPv4 | <unset> | <unset> | 60m",
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

#[test]
fn access_and_admission() {
    check(
        "rbac.authorization.k8s.io",
        "RoleBinding",
        json!({
            "metadata": meta("b"), "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}, {"kind": "Group", "name": "h"},
                {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
            ],
        }),
        "b | Role/r | 60m | u | g, h | n/s",
    );
    check(
        "rbac.authorization.k8s.io",
        "ClusterRole",
        json!({"metadata": meta("r")}),
        "r | 2026-01-01T23:00:00Z",
    );
    check(
        "certificates.k8s.io",
        "CertificateSigningRequest",
        json!({
            "metadata": meta("c"),
            "spec": {"signerName": "kubernetes.io/kube-apiserver-client", "username": "admin", "expirationSeconds": 3600},
            "status": {"certificate": "LS0t", "conditions": [{"type": "Approved", "status": "True"}]},
        }),
        "c | 60m | kubernetes.io/kube-apiserver-client | admin | 60m | Approved,Issued",
    );
    let group = "admissionregistration.k8s.io";
    check(
        group,
        "MutatingWebhookConfiguration",
        json!({"metadata": meta("w"), "webhooks": [{}, {}]}),
        "w | 2 | 60m",
    );
    check(
        group,
        "ValidatingAdmissionPolicy",
        json!({"metadata": meta("p"), "spec": {"validations": [{}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}),
        "p | 1 | v1/ConfigMap | 60m",
    );
    check(
        group,
        "ValidatingAdmissionPolicyBinding",
        json!({"metadata": meta("b"), "spec": {"policyName": "p"}}),
        "b | p | <unset> | 60m",
    );
    check(
        "apiregistration.k8s.io",
        "APIService",
        json!({
            "metadata": meta("v1.x"), "spec": {"service": {"namespace": "n", "name": "s"}},
            "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]},
        }),
        "v1.x | n/s | False (MissingEndpoints) | 60m",
    );
}

#[test]
fn storage() {
    let group = "storage.k8s.io";
    check(
        group,
        "StorageClass",
        json!({
            "metadata": {"name": "s", "creationTimestamp": NOW, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "x", "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
        }),
        "s (default) | x | Retain | WaitForFirstConsumer | true | 0s",
    );
    check(
        group,
        "VolumeAttachment",
        json!({
            "metadata": meta("a"), "spec": {"attacher": "x", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
            "status": {"attached": true},
        }),
        "a | x | v | n | true | 60m",
    );
    check(group, "CSINode", json!({"metadata": meta("n"), "spec": {"drivers": [{}]}}), "n | 1 | 60m");
    check(
        group,
        "CSIDriver",
        json!({"metadata": meta("d"), "spec": {"attachRequired": false, "volumeLifecycleModes": ["Persistent", "Ephemeral"]}}),
        "d | false | false | false | <unset> | false | Persistent,Ephemeral | 60m",
    );
    check(
        group,
        "CSIStorageCapacity",
        json!({"metadata": meta("c"), "storageClassName": "s"}),
        "c | s | <unset>",
    );
    check(group, "VolumeAttributesClass", json!({"metadata": meta("v"), "driverName": "d"}), "v | d | 60m");
    check(
        "storagemigration.k8s.io",
        "StorageVersionMigration",
        json!({"metadata": meta("m"), "spec": {"resource": {"group": "apps", "resource": "deployments"}}}),
        "m | deployments.apps | Pending",
    );
}

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

/// Whatever an object holds, every kind prints as many cells as columns and nothing panics.
#[test]
fn odd_objects_print_too() {
    let now: Timestamp = NOW.parse().unwrap();
    let odd = json!({"metadata": [], "spec": "x", "status": {"conditions": [1, {}], "phase": 3}, "subsets": [null]});
    for printers in super::ALL {
        for printer in *printers {
            for object in [&Value::Null, &json!({}), &odd] {
                assert_eq!(printer.cells(object, now).len(), printer.columns().len(), "{printer:?}");
            }
        }
    }
}

#[test]
fn a_table_holds_definitions_rows_and_metadata_of_objects() {
    let object = json!({"metadata": {"name": "done"}, "spec": {}, "status": {"phase": "Succeeded"}});
    let table = table(
        printer("", "Pod"),
        [&object],
        json!({"resourceVersion": "7"}),
        Include::Metadata,
        NOW.parse().unwrap(),
    );
    assert_eq!(table["metadata"]["resourceVersion"], "7");
    assert_eq!(
        table["columnDefinitions"][0],
        json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0})
    );
    let row = &table["rows"][0];
    assert_eq!(row["conditions"][0]["reason"], "Succeeded");
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert!(row["object"].get("spec").is_none());
}
