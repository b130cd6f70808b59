//! The service controller against a real API server, under the rights that it has in a cluster.

#![allow(clippy::unwrap_used, missing_docs)]

mod cluster;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use cluster::{Cluster, addresses, balancer};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const POOL: &str = "loadBalancer: {addresses: [192.168.1.11-192.168.1.12]}";

fn path(name: &str) -> String {
    format!("{SERVICES}/{name}")
}

fn announced_by(service: &Value) -> &str {
    service["metadata"]["annotations"]["magnetite/announced-by"].as_str().unwrap_or_default()
}

async fn node(cluster: &Cluster, name: &str, address: &str) {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True"}]}});
    cluster.create("/api/v1/nodes", node).await;
}

async fn event(cluster: &Cluster, reason: &str, text: &str) {
    cluster
        .eventually("/api/v1/namespaces/default/events", |list| {
            let said = |event: &Value| {
                event["reason"] == reason && event["message"].as_str().is_some_and(|said| said.contains(text))
            };
            list["items"].as_array().is_some_and(|events| events.iter().any(said))
        })
        .await;
}

#[tokio::test]
async fn addresses_are_given_once_and_given_back() {
    let mut cluster = Cluster::start(POOL).await;
    node(&cluster, "w1", "192.168.1.101").await;
    cluster.create(SERVICES, balancer("one", json!({}))).await;
    let one = cluster.eventually(&path("one"), |service| addresses(service) == ["192.168.1.11"]).await;
    assert_eq!(one["status"]["loadBalancer"]["ingress"][0]["ipMode"], "VIP");
    assert_eq!(one["metadata"]["finalizers"], json!(["service.kubernetes.io/load-balancer-cleanup"]));
    assert_eq!(announced_by(&one), "w1");
    event(&cluster, "EnsuredLoadBalancer", "Ensured load balancer").await;
    event(&cluster, "AddressAnnounced", "Node w1 answers for 192.168.1.11").await;

    // Given in well under a second once the controller is at work.
    let begun = Instant::now();
    cluster.create(SERVICES, balancer("two", json!({}))).await;
    cluster.eventually(&path("two"), |service| addresses(service) == ["192.168.1.12"]).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    cluster.create(SERVICES, balancer("three", json!({}))).await;
    event(
        &cluster,
        "SyncLoadBalancerFailed",
        "no address is left: all of 192.168.1.11-192.168.1.12 are in use",
    )
    .await;
    let foreign = balancer("foreign", json!({"loadBalancerClass": "example.com/other"}));
    cluster.create(SERVICES, foreign).await;

    // A successor knows what was given before, and that one waits.
    cluster.restart_manager().await;
    cluster.delete(&path("one")).await;
    cluster.gone(&path("one")).await;
    cluster.eventually(&path("three"), |service| addresses(service) == ["192.168.1.11"]).await;
    let two = cluster.eventually(&path("two"), |_| true).await;
    assert_eq!(addresses(&two), ["192.168.1.12"]);
    let foreign = cluster.eventually(&path("foreign"), |_| true).await;
    assert!(addresses(&foreign).is_empty() && foreign["metadata"]["finalizers"].is_null());

    // No load balancer any more: nothing of it stays, and the address is free.
    cluster.patch(&path("two"), json!({"spec": {"type": "ClusterIP"}})).await;
    cluster
        .eventually(&path("two"), |service| {
            addresses(service).is_empty()
                && service["metadata"]["finalizers"].is_null()
                && announced_by(service).is_empty()
        })
        .await;
    cluster.create(SERVICES, balancer("four", json!({}))).await;
    cluster.eventually(&path("four"), |service| addresses(service) == ["192.168.1.12"]).await;
}

#[tokio::test]
async fn the_pool_may_come_later_and_wishes_are_heard() {
    let cluster = Cluster::start("").await;
    cluster.create(SERVICES, balancer("early", json!({}))).await;
    event(&cluster, "SyncLoadBalancerFailed", "there is no pool of addresses").await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "load-balancer", "namespace": "kube-system"}, "data": {"addresses": "192.168.1.300"}});
    cluster.create("/api/v1/namespaces/kube-system/configmaps", map).await;
    event(&cluster, "SyncLoadBalancerFailed", "192.168.1.300").await;
    let map = "/api/v1/namespaces/kube-system/configmaps/load-balancer";
    cluster.patch(map, json!({"data": {"addresses": "192.168.1.11-192.168.1.19"}})).await;
    cluster.eventually(&path("early"), |service| addresses(service) == ["192.168.1.11"]).await;

    cluster.create(SERVICES, balancer("wish", json!({"loadBalancerIP": "192.168.1.15"}))).await;
    cluster.eventually(&path("wish"), |service| addresses(service) == ["192.168.1.15"]).await;
    let annotate =
        |address: &str| json!({"metadata": {"annotations": {"magnetite/load-balancer-ip": address}}});
    cluster.patch(&path("wish"), annotate("192.168.1.16")).await;
    cluster.eventually(&path("wish"), |service| addresses(service) == ["192.168.1.16"]).await;
    cluster.patch(&path("wish"), annotate("192.168.1.11")).await;
    event(&cluster, "SyncLoadBalancerFailed", "address 192.168.1.11 is in use by service default/early")
        .await;
    let wish = cluster.eventually(&path("wish"), |_| true).await;
    assert_eq!(addresses(&wish), ["192.168.1.16"], "what it had, it keeps");
}

/// A node's health check at an address of the loopback; it answers for as long as the task lives.
fn healthy(listener: TcpListener) -> tokio::task::AbortHandle {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 512];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    serving.abort_handle()
}

#[tokio::test]
async fn an_address_moves_when_its_node_dies_and_with_local_endpoints() {
    let first = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let second = TcpListener::bind(("127.0.0.3", port)).await.unwrap();
    let pool =
        format!("loadBalancer: {{addresses: [192.168.1.11-192.168.1.19], healthCheck: {{port: {port}}}}}");
    let cluster = Cluster::start(&pool).await;
    let (w1, _w2) = (healthy(first), healthy(second));
    node(&cluster, "w1", "127.0.0.2").await;
    node(&cluster, "w2", "127.0.0.3").await;
    cluster.create(SERVICES, balancer("web", json!({}))).await;
    cluster.eventually(&path("web"), |service| announced_by(service) == "w1").await;
    cluster.create(SERVICES, balancer("api", json!({}))).await;
    cluster.eventually(&path("api"), |service| announced_by(service) == "w2").await;

    let begun = Instant::now();
    w1.abort();
    cluster.eventually(&path("web"), |service| announced_by(service) == "w2").await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    event(&cluster, "AddressAnnounced", "Node w2 answers for 192.168.1.11; w1 cannot take traffic").await;

    let local = balancer("local", json!({"externalTrafficPolicy": "Local"}));
    cluster.create(SERVICES, local).await;
    cluster.eventually(&path("local"), |service| !addresses(service).is_empty()).await;
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let endpoints = |node: &str, ready: bool| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "local-x", "labels": {"kubernetes.io/service-name": "local"}},
            "endpoints": [{"addresses": ["172.16.1.5"], "nodeName": node, "conditions": {"ready": ready}}],
            "ports": [{"port": 80}]})
    };
    cluster.create(slices, endpoints("w2", true)).await;
    cluster.eventually(&path("local"), |service| announced_by(service) == "w2").await;
    cluster.patch(&format!("{slices}/local-x"), endpoints("w2", false)).await;
    cluster.eventually(&path("local"), |service| announced_by(service).is_empty()).await;
    event(&cluster, "AddressNotAnnounced", "none has endpoints").await;
    cluster.patch(&format!("{slices}/local-x"), endpoints("w1", true)).await;
    cluster.eventually(&path("local"), |service| announced_by(service) == "w1").await;
}
