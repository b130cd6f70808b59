//! Whole descriptions as text.

use expect_test::expect;
use jiff::Timestamp;
use serde_json::json;

use super::{event, pod};
use formats::tabwriter;

#[test]
fn a_pod_is_described() {
    let object = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "web", "namespace": "default", "labels": {"run": "web"}},
        "spec": {
            "nodeName": "w1-k8s", "serviceAccountName": "default", "priority": 0,
            "containers": [{"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}}],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
        },
        "status": {
            "phase": "Running", "hostIP": "192.168.1.101", "podIP": "172.16.1.2", "podIPs": [{"ip": "172.16.1.2"}], "qosClass": "BestEffort",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "nginx", "containerID": "containerd://1", "imageID": "sha256:2", "ready": true, "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {}}],
        },
    });
    let mut out = String::new();
    pod::describe(&mut out, &object, Timestamp::UNIX_EPOCH);
    event::section(&mut out, Vec::new(), Timestamp::UNIX_EPOCH);
    expect![[r#"
        Name:             web
        Namespace:        default
        Priority:         0
        Service Account:  default
        Node:             w1-k8s/192.168.1.101
        Labels:           run=web
        Annotations:      <none>
        Status:           Running
        IP:               172.16.1.2
        IPs:
          IP:  172.16.1.2
        Containers:
          nginx:
            Container ID:   containerd://1
            Image:          nginx
            Image ID:       sha256:2
            Port:           80/TCP
            Host Port:      0/TCP
            State:          Waiting
              Reason:       CrashLoopBackOff
            Ready:          True
            Restart Count:  1
            Liveness:       http-get http://:80/ delay=0s timeout=1s period=10s #success=1 #failure=3
            Environment:    <none>
            Mounts:
              /tmp from tmp (rw)
        Conditions:
          Type    Status
          Ready   True 
        Volumes:
          tmp:
            Type:        EmptyDir (a temporary directory that shares a pod's lifetime)
            Medium:      
            SizeLimit:   <unset>
        QoS Class:       BestEffort
        Node-Selectors:  <none>
        Tolerations:     node.kubernetes.io/not-ready:NoExecute op=Exists for 300s
        Events:          <none>
    "#]]
    .assert_eq(&tabwriter::align(&out, tabwriter::DESCRIBE));
}

#[test]
fn repeated_events_say_how_often() {
    let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
    let one = json!({"type": "Warning", "reason": "BackOff", "message": "again\n", "count": 5, "source": {"component": "kubelet"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:09:30Z"});
    let mut out = String::new();
    event::section(&mut out, vec![one], now);
    assert!(out.contains("Warning\tBackOff\t30s (x5 over 10m)\tkubelet\tagain\n"), "{out}");
}
