//! Nodes get addresses, are watched over, and lose their pods when they fall silent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, lives};

async fn node(cluster: &Cluster, name: &str) {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    cluster.create("/api/v1/nodes", node).await;
    beat(cluster, name, 0).await;
}

async fn beat(cluster: &Cluster, name: &str, second: u32) {
    let time = format!("2026-01-01T00:00:{:02}Z", second % 60);
    let ready =
        json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": time});
    cluster.patch(&format!("/api/v1/nodes/{name}/status"), json!({"status": {"conditions": [ready]}})).await;
}

#[tokio::test]
async fn a_silent_node_is_marked_and_emptied_while_others_stay() {
    let cluster =
        Cluster::start(&["--node-monitor-grace-period=1500ms", "--node-startup-grace-period=1500ms"]).await;
    node(&cluster, "silent").await;
    node(&cluster, "alive").await;
    let cidr = |node: &Value| node["spec"]["podCIDR"].as_str().unwrap_or_default().to_owned();
    let first = cluster.eventually("/api/v1/nodes/silent", |node| !cidr(node).is_empty()).await;
    let second = cluster.eventually("/api/v1/nodes/alive", |node| !cidr(node).is_empty()).await;
    assert_ne!(cidr(&first), cidr(&second));

    let tolerations = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
        "tolerationSeconds": 0}]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "on-silent"},
        "spec": {"nodeName": "silent", "tolerations": tolerations, "containers": [{"name": "main", "image": "one"}]}});
    let pod = cluster.create("/api/v1/namespaces/default/pods", pod).await;
    cluster.report(&pod, "Running", "172.16.0.9").await;

    let unreachable = |node: &Value| {
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints
            .iter()
            .any(|taint| taint["key"] == "node.kubernetes.io/unreachable" && taint["effect"] == "NoExecute")
    };
    let beating = async {
        let mut heart = tokio::time::interval(Duration::from_millis(50));
        for second in 1.. {
            heart.tick().await;
            beat(&cluster, "alive", second).await;
        }
    };
    let silent = tokio::select! {
        node = cluster.eventually("/api/v1/nodes/silent", unreachable) => node,
        () = beating => unreachable!("a heart without end"),
    };
    assert_eq!(silent["status"]["conditions"][0]["reason"], "NodeStatusUnknown");
    // Two controllers see to it, each in its time: one marks the pod, the other ends it.
    let status = |pod: &Value, kind: &str| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|one| one["type"] == kind).map(|one| one["status"].clone())
    };
    let gone = |pod: &Value| !lives(pod) && status(pod, "Ready") == Some(json!("False"));
    let pod = cluster.eventually("/api/v1/namespaces/default/pods/on-silent", gone).await;
    assert_eq!(status(&pod, "DisruptionTarget"), Some(json!("True")));
    let alive = cluster.get("/api/v1/nodes/alive").await.unwrap();
    assert!(!unreachable(&alive));
    beat(&cluster, "silent", 59).await;
    cluster.eventually("/api/v1/nodes/silent", |node| !unreachable(node)).await;
}
