//! The sidecar beside a real driver, against a real API server, with no more rights than the tutorial gives it.

#![allow(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

mod cluster;

use std::fs;
use std::path::PathBuf;

use clap::Parser as _;
use serde_json::{Value, json};

use cluster::Cluster;

const DRIVER: &str = "hostpath.csi.k8s.io";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const STORAGE: &str = "/apis/storage.k8s.io/v1";
const FINALIZER: &str = "external-attacher/hostpath-csi-k8s-io";

/// A cluster with node `w1`, the driver and the sidecar on it, and a class.
async fn ground() -> Cluster {
    let cluster = Cluster::start().await;
    let labels = json!({"topology.hostpath.csi/node": "w1"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1", "labels": labels}});
    cluster.create("/api/v1/nodes", node).await;
    let drivers = json!([{"name": DRIVER, "nodeID": "w1", "topologyKeys": ["topology.hostpath.csi/node"]}]);
    let csi_node = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": "w1"},
        "spec": {"drivers": drivers}});
    cluster.create(&format!("{STORAGE}/csinodes"), csi_node).await;
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
        "provisioner": DRIVER, "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
        "parameters": {"csi.storage.k8s.io/fstype": "ext4", "pool": "a"}});
    cluster.create(&format!("{STORAGE}/storageclasses"), class).await;

    let root = cluster.directory();
    let endpoint = format!("--endpoint={}", root.join("csi.sock").display());
    let state = format!("--statedir={}", root.join("data").display());
    let flags = ["csi-hostpath-driver", "--nodeid=w1", &endpoint, &state];
    let config = csi_hostpath_driver::Flags::try_parse_from(flags).unwrap();
    let config = csi_hostpath_driver::Config::new(config).unwrap();
    csi_hostpath_driver::start(cluster.runtime(), config).unwrap();

    let rules = json!([
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["list", "watch", "create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims", "nodes"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims/status"], "verbs": ["patch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses", "csinodes"], "verbs": ["list", "watch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["volumeattachments"], "verbs": ["list", "watch", "patch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["volumeattachments/status"], "verbs": ["patch"]},
        {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]);
    let kubeconfig = cluster.user("csi-sidecar", rules).await;
    let address = format!("--csi-address={}", root.join("csi.sock").display());
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let flags = ["csi-sidecar", "--node-deployment", "--node-name=w1", &address, &kubeconfig];
    let config = csi_sidecar::Flags::try_parse_from(flags).unwrap();
    csi_sidecar::start(cluster.runtime().clone(), csi_sidecar::Config::new(config).unwrap()).await.unwrap();
    cluster
}

fn claim(name: &str, node: &str, more: Value) -> Value {
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "fast",
        "resources": {"requests": {"storage": "64Mi"}}});
    more.as_object().into_iter().flatten().for_each(|(key, value)| spec[key] = value.clone());
    let annotations = json!({"volume.kubernetes.io/storage-provisioner": DRIVER,
        "volume.kubernetes.io/selected-node": node});
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "annotations": annotations}, "spec": spec})
}

/// Does the binder's part: both say that they are each other's.
async fn bind(cluster: &Cluster, name: &str, volume: &str) {
    let path = format!("{CLAIMS}/{name}");
    cluster.patch(&path, json!({"spec": {"volumeName": volume}})).await;
    let status = json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "64Mi"}});
    cluster.patch(&format!("{path}/status"), json!({"status": status})).await;
    cluster.patch(&format!("{VOLUMES}/{volume}/status"), json!({"status": {"phase": "Bound"}})).await;
}

/// Does the attach-detach controller's part.
async fn attachment(cluster: &Cluster, name: &str, node: &str, volume: &str) -> String {
    let attachments = format!("{STORAGE}/volumeattachments");
    let wanted = json!({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": name},
        "spec": {"attacher": DRIVER, "nodeName": node, "source": {"persistentVolumeName": volume}}});
    cluster.create(&attachments, wanted).await;
    format!("{attachments}/{name}")
}

#[tokio::test]
async fn a_volume_is_made_attached_expanded_detached_and_deleted() {
    let cluster = ground().await;
    let made = cluster.create(CLAIMS, claim("data", "w1", json!({}))).await;
    let name = format!("pvc-{}", made["metadata"]["uid"].as_str().unwrap());
    let path = format!("{VOLUMES}/{name}");
    let volume = cluster.eventually(&path, |_| true).await;
    let spec = &volume["spec"];
    assert_eq!(
        spec["csi"],
        json!({"driver": DRIVER, "volumeHandle": name, "fsType": "ext4",
        "volumeAttributes": {"pool": "a"}})
    );
    assert_eq!(spec["capacity"]["storage"], "64Mi");
    assert_eq!(spec["claimRef"]["uid"], made["metadata"]["uid"]);
    let term = &spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0];
    assert_eq!(term, &json!({"key": "topology.hostpath.csi/node", "operator": "In", "values": ["w1"]}));
    cluster.hears(&format!("Successfully provisioned volume {name}")).await;
    bind(&cluster, "data", &name).await;

    let attached = attachment(&cluster, "csi-1", "w1", &name).await;
    let seen = cluster.eventually(&attached, |seen| seen["status"]["attached"] == true).await;
    assert_eq!(seen["status"]["attachmentMetadata"], json!({"attachedTo": "w1"}));
    assert_eq!(seen["metadata"]["finalizers"], json!([FINALIZER]));
    let held =
        |volume: &Value| volume["metadata"]["finalizers"].as_array().unwrap().contains(&json!(FINALIZER));
    cluster.eventually(&path, held).await;

    let larger = json!({"spec": {"resources": {"requests": {"storage": "128Mi"}}}});
    cluster.patch(&format!("{CLAIMS}/data"), larger).await;
    cluster.eventually(&path, |volume| volume["spec"]["capacity"]["storage"] == "128Mi").await;
    let pending = |claim: &Value| claim["status"]["conditions"][0]["type"] == "FileSystemResizePending";
    let waiting = cluster.eventually(&format!("{CLAIMS}/data"), pending).await;
    assert_eq!(waiting["status"]["conditions"].as_array().unwrap().len(), 1);
    assert_eq!(waiting["status"]["capacity"]["storage"], "64Mi", "the node's part is yet to come");

    // Its claim has gone: first it is detached, then its data go.
    let data: PathBuf = cluster.directory().join("data").join(&name);
    cluster.patch(&format!("{path}/status"), json!({"status": {"phase": "Released"}})).await;
    cluster.eventually(&path, |volume| volume["status"]["phase"] == "Released").await;
    assert!(data.exists() && cluster.get(&attached).await.is_ok());
    cluster.delete(&attached).await;
    cluster.gone(&attached).await;
    cluster.eventually(&path, |volume| volume["metadata"]["deletionTimestamp"].is_string()).await;
    let own = |volume: &Value| {
        let finalizers = volume["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        finalizers.iter().all(|finalizer| finalizer == "kubernetes.io/pv-protection")
    };
    match cluster.get(&path).await {
        // What is left of it is its protection, which a controller takes away.
        Ok(_) => drop(cluster.eventually(&path, own).await),
        Err(error) => assert!(error.contains("not found"), "{error}"),
    }
    assert!(!data.exists(), "the driver has removed the data");
}

#[tokio::test]
async fn what_cannot_be_is_said_where_it_is_looked_for() {
    let cluster = ground().await;
    let selector = json!({"selector": {"matchLabels": {"disk": "fast"}}});
    cluster.create(CLAIMS, claim("choosy", "w1", selector)).await;
    let failed = "failed to provision volume with StorageClass \"fast\": ";
    cluster.hears(&format!("{failed}claim Selector is not supported")).await;
    cluster.create(CLAIMS, claim("raw", "w1", json!({"volumeMode": "Block"}))).await;
    let refused = "rpc error: code = InvalidArgument desc = volumes are directories, not devices";
    cluster.hears(&format!("{failed}{refused}")).await;

    // Another node's volumes are another's matter; what is nowhere is not attached.
    cluster.create(CLAIMS, claim("elsewhere", "w2", json!({}))).await;
    let lost = attachment(&cluster, "csi-lost", "w1", "nowhere").await;
    let seen = cluster.eventually(&lost, |seen| seen["status"]["attachError"].is_object()).await;
    assert_eq!(seen["status"]["attachError"]["message"], "persistentvolume \"nowhere\" not found");
    let foreign = attachment(&cluster, "csi-foreign", "w2", "nowhere").await;

    // A volume that is there comes to be attached as soon as it is.
    let spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "csi": {"driver": DRIVER, "volumeHandle": "by-hand"}});
    let place = cluster.directory().join("data/by-hand");
    fs::create_dir_all(place.join("data")).unwrap();
    fs::write(place.join("volume.json"), r#"{"capacity": 1073741824, "node": "w1"}"#).unwrap();
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "nowhere"}, "spec": spec});
    cluster.create(VOLUMES, volume).await;
    let seen = cluster.eventually(&lost, |seen| seen["status"]["attached"] == true).await;
    assert!(seen["status"].get("attachError").is_none(), "{seen}");
    let untouched = cluster.get(&foreign).await.unwrap();
    assert!(untouched["metadata"].get("finalizers").is_none(), "{untouched}");
    let volumes = cluster.get(VOLUMES).await.unwrap();
    assert_eq!(volumes["items"].as_array().unwrap().len(), 1, "nothing was made for the other node");
}
