//! Endpoints and endpoint slices follow the pods behind a service.

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
