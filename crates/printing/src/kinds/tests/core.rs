//! Nodes, services, events, and the small kinds of the core group.

use serde_json::{Value, json};

use super::{check, meta};

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
