//! Endpoints and endpoint slices follow the pods behind a service.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Cluster;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=web";

fn ready(slice: &Value) -> Vec<(String, bool)> {
    let endpoints = slice["endpoints"].as_array().cloned().unwrap_or_default();
    let tell = |endpoint: &Value| {
        let address = endpoint["addresses"][0].as_str().unwrap_or_default().to_owned();
        (address, endpoint["conditions"]["ready"] == true)
    };
    endpoints.iter().map(tell).collect()
}

#[tokio::test]
async fn endpoints_follow_the_pods() {
    let cluster = Cluster::start(&[]).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    cluster.create("/api/v1/namespaces/default/services", service).await;
    cluster.count(SLICES, 1, |slice| ready(slice).is_empty()).await;
    let mut pods = Vec::new();
    for (name, address) in [("one", "172.16.0.1"), ("two", "172.16.0.2")] {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "one"}]}});
        let pod = cluster.create("/api/v1/namespaces/default/pods", pod).await;
        cluster.report(&pod, "Running", address).await;
        pods.push(pod);
    }
    let both = |slice: &Value| ready(slice).iter().filter(|(_, ready)| *ready).count() == 2;
    let slice = cluster.count(SLICES, 1, both).await.remove(0);
    assert_eq!(slice["ports"][0]["port"], 8080);
    let endpoints = "/api/v1/namespaces/default/endpoints/web";
    let addresses = |object: &Value| object["subsets"][0]["addresses"].as_array().map(Vec::len);
    cluster.eventually(endpoints, |object| addresses(object) == Some(2)).await;

    cluster.report(&pods[1], "Failed", "172.16.0.2").await;
    cluster.count(SLICES, 1, |slice| ready(slice) == [("172.16.0.1".to_owned(), true)]).await;
    cluster.eventually(endpoints, |object| addresses(object) == Some(1)).await;
    cluster
        .delete_with("/api/v1/namespaces/default/services/web", json!({"propagationPolicy": "Background"}))
        .await;
    cluster.count(SLICES, 0, |_| true).await;
    cluster.gone(endpoints).await;
}

#[tokio::test]
async fn a_range_goes_when_its_last_address_has() {
    let cluster = Cluster::start(&[]).await;
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"},
        "spec": {"cidrs": ["10.98.0.0/24"]}});
    let path = "/apis/networking.k8s.io/v1/servicecidrs/more";
    cluster.create("/apis/networking.k8s.io/v1/servicecidrs", range).await;
    let says = |range: &Value, status: &str| range["status"]["conditions"][0]["status"] == status;
    let ready = cluster.eventually(path, |range| says(range, "True")).await;
    assert_eq!(ready["metadata"]["finalizers"], json!(["networking.k8s.io/service-cidr-finalizer"]));
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"clusterIP": "10.98.0.9", "ports": [{"port": 80}]}});
    cluster.create("/api/v1/namespaces/default/services", service).await;
    cluster.remove(path).await;
    let held = cluster.eventually(path, |range| says(range, "False")).await;
    assert_eq!(held["status"]["conditions"][0]["reason"], "Terminating");
    // Nothing is given from it any more.
    let late = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "late"},
        "spec": {"clusterIP": "10.98.0.10", "ports": [{"port": 80}]}});
    let refused = cluster.try_create("/api/v1/namespaces/default/services", late).await.unwrap_err();
    assert!(refused.contains("not in the valid range"), "{refused}");
    cluster.remove("/api/v1/namespaces/default/services/web").await;
    // It is kept for ten seconds at least.
    testkit::eventually_within(Duration::from_secs(60), || async {
        cluster.get(path).await.err().ok_or("the range is still there")
    })
    .await;
}
