//! Claims find volumes, stay while they are in use, and leave their volumes released.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";

async fn volume(cluster: &Cluster, name: &str, size: &str, policy: &str) {
    let spec = json!({"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": policy, "hostPath": {"path": "/srv"}});
    let object =
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec});
    cluster.create(VOLUMES, object).await;
}

async fn claim(cluster: &Cluster, name: &str, size: &str) -> Value {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "",
        "resources": {"requests": {"storage": size}}});
    let object = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec});
    cluster.create(CLAIMS, object).await
}

fn phase(phase: &'static str) -> impl Fn(&Value) -> bool {
    move |object| object["status"]["phase"] == phase
}

#[tokio::test]
async fn a_claim_binds_the_smallest_volume_and_leaves_it_released() {
    let cluster = Cluster::start(&[]).await;
    volume(&cluster, "large", "10Gi", "Retain").await;
    volume(&cluster, "small", "1Gi", "Retain").await;
    for name in ["large", "small"] {
        cluster.eventually(&format!("{VOLUMES}/{name}"), phase("Available")).await;
    }
    claim(&cluster, "data", "500Mi").await;
    let data = format!("{CLAIMS}/data");
    let bound = cluster.eventually(&data, phase("Bound")).await;
    assert_eq!(bound["spec"]["volumeName"], "small");
    assert_eq!(bound["status"]["capacity"]["storage"], "1Gi");
    let small = cluster.eventually(&format!("{VOLUMES}/small"), phase("Bound")).await;
    assert_eq!(small["spec"]["claimRef"]["uid"], bound["metadata"]["uid"]);

    // One that nothing fits waits, until something does.
    claim(&cluster, "huge", "50Gi").await;
    let huge = format!("{CLAIMS}/huge");
    cluster.eventually(&huge, phase("Pending")).await;
    volume(&cluster, "vast", "100Gi", "Delete").await;
    cluster.eventually(&huge, phase("Bound")).await;

    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"}, "spec": {
        "nodeName": "w1", "containers": [{"name": "main", "image": "one"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}});
    let pods = "/api/v1/namespaces/default/pods";
    cluster.create(pods, pod).await;
    cluster.delete_with(&data, json!({"propagationPolicy": "Background"})).await;
    let going = cluster.eventually(&data, |claim| claim["metadata"]["deletionTimestamp"].is_string()).await;
    assert_eq!(going["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    cluster.remove(&format!("{pods}/reader")).await;
    cluster.gone(&data).await;
    cluster.eventually(&format!("{VOLUMES}/small"), phase("Released")).await;

    // Nobody here can delete its data: it says so.
    cluster.delete_with(&huge, json!({"propagationPolicy": "Background"})).await;
    let vast = cluster.eventually(&format!("{VOLUMES}/vast"), phase("Failed")).await;
    assert!(vast["status"]["message"].as_str().unwrap().contains("no deletable volume plugin matched"));
    cluster.delete_with(&format!("{VOLUMES}/vast"), json!({"propagationPolicy": "Background"})).await;
    cluster.gone(&format!("{VOLUMES}/vast")).await;
}

#[tokio::test]
async fn a_claim_is_made_for_a_pod_and_scheduled_anew_when_its_node_is_gone() {
    let cluster = Cluster::start(&[]).await;
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "later"},
        "provisioner": "example.com/made", "volumeBindingMode": "WaitForFirstConsumer"});
    cluster.create("/apis/storage.k8s.io/v1/storageclasses", class).await;
    let template = json!({"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "later",
        "resources": {"requests": {"storage": "1Gi"}}}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
        "containers": [{"name": "main", "image": "one"}],
        "volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]}});
    let pod = cluster.create("/api/v1/namespaces/default/pods", pod).await;
    let path = format!("{CLAIMS}/web-scratch");
    let made = cluster.eventually(&path, phase("Pending")).await;
    assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], pod["metadata"]["uid"]);

    let chosen = json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "nowhere"}}});
    cluster.patch(&path, chosen).await;
    let anew = cluster
        .eventually(&path, |claim| {
            claim["metadata"]["annotations"].get("volume.kubernetes.io/selected-node").is_none()
        })
        .await;
    assert_eq!(anew["metadata"]["annotations"].get("volume.kubernetes.io/storage-provisioner"), None);
}

const NODES: &str = "/api/v1/nodes";
const ATTACHMENTS: &str = "/apis/storage.k8s.io/v1/volumeattachments";
/// What the node is told of the volume.
const UNIQUE: &str = "kubernetes.io/csi/d.io^h1";

async fn node(cluster: &Cluster, name: &str) {
    let annotations = json!({"volumes.kubernetes.io/controller-managed-attach-detach": "true"});
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": annotations}});
    cluster.create(NODES, node).await;
    let ready = json!([{"type": "Ready", "status": "True"}]);
    cluster.patch(&format!("{NODES}/{name}/status"), json!({"status": {"conditions": ready}})).await;
}

async fn user(cluster: &Cluster, name: &str, node: &str) -> String {
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "nodeName": node, "containers": [{"name": "main", "image": "one"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}});
    cluster.create(pods, pod).await;
    format!("{pods}/{name}")
}

async fn in_use(cluster: &Cluster, node: &str, volumes: Value) {
    cluster.patch(&format!("{NODES}/{node}/status"), json!({"status": {"volumesInUse": volumes}})).await;
}

#[tokio::test]
async fn a_volume_is_attached_where_its_pod_is_and_leaves_a_node_that_has_let_go() {
    let cluster = Cluster::start(&[]).await;
    node(&cluster, "w1").await;
    node(&cluster, "w2").await;
    let spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "csi": {"driver": "d.io", "volumeHandle": "h1"}});
    let pv =
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec});
    cluster.create(VOLUMES, pv).await;
    claim(&cluster, "data", "1Gi").await;
    cluster.eventually(&format!("{CLAIMS}/data"), phase("Bound")).await;

    let first = user(&cluster, "first", "w1").await;
    let name = |node| format!("{ATTACHMENTS}/{}", podrules::csi::attachment_name("h1", "d.io", node));
    let (on_w1, on_w2) = (name("w1"), name("w2"));
    let made = cluster.eventually(&on_w1, |_| true).await;
    assert_eq!(
        made["spec"],
        json!({"attacher": "d.io", "nodeName": "w1", "source": {"persistentVolumeName": "pv"}})
    );
    // The test is the driver's attacher, and the kubelets.
    cluster.patch(&format!("{on_w1}/status"), json!({"status": {"attached": true}})).await;
    let told =
        |node: &Value| node["status"]["volumesAttached"] == json!([{"name": UNIQUE, "devicePath": ""}]);
    cluster.eventually(&format!("{NODES}/w1"), told).await;
    in_use(&cluster, "w1", json!([UNIQUE])).await;

    // A second node must wait for it.
    let second = user(&cluster, "second", "w2").await;
    let events = "/api/v1/namespaces/default/events";
    let refused = "Multi-Attach error for volume \"pv\" Volume is already used by pod(s) first";
    cluster.count(events, 1, |event| event["message"] == refused).await;
    cluster.remove(&first).await;
    // The kubelet has not let go yet: nothing changes until it does.
    in_use(&cluster, "w2", json!(["other"])).await;
    assert!(cluster.get(&on_w1).await.is_ok());
    in_use(&cluster, "w1", Value::Null).await;
    cluster.gone(&on_w1).await;
    cluster.eventually(&format!("{NODES}/w1"), |node| node["status"].get("volumesAttached").is_none()).await;
    cluster.eventually(&on_w2, |_| true).await;
    cluster.patch(&format!("{on_w2}/status"), json!({"status": {"attached": true}})).await;
    cluster.eventually(&format!("{NODES}/w2"), told).await;

    // A node that is out of service is not waited for.
    in_use(&cluster, "w2", json!([UNIQUE])).await;
    cluster.remove(&second).await;
    let taint = json!([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]);
    cluster.patch(&format!("{NODES}/w2"), json!({"spec": {"taints": taint}})).await;
    cluster.gone(&on_w2).await;
}
