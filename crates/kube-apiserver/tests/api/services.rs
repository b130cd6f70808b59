//! Services: addresses and ports; the Service `kubernetes` and what else a cluster starts with.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn service(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": spec})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_and_ports_are_given_out_once() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let plain = client.post(SERVICES, &service("a", json!({"ports": [{"port": 80}]}))).await.ok();
    let address = plain["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(address.starts_with("10.96.0."), "{address}");
    assert_eq!(plain["spec"]["clusterIPs"], json!([address]));
    assert_eq!(
        (&plain["spec"]["ipFamilies"], &plain["spec"]["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    let recorded = client.get(&format!("/apis/networking.k8s.io/v1/ipaddresses/{address}")).await.ok();
    assert_eq!(recorded["spec"]["parentRef"]["name"], "a");

    let taken =
        client.post(SERVICES, &service("b", json!({"clusterIP": address, "ports": [{"port": 80}]}))).await;
    let (code, message) = taken.refusal();
    assert_eq!(code, 422);
    assert!(
        message.contains(&format!("failed to allocate IP {address}: provided IP is already allocated")),
        "{message}"
    );
    let node_port = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
    client.post(SERVICES, &service("c", node_port.clone())).await.ok();
    let (_, message) = client.post(SERVICES, &service("d", node_port)).await.refusal();
    assert!(
        message.contains("spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"),
        "{message}"
    );
    let (_, message) = client
        .post(SERVICES, &service("d", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]})))
        .await
        .refusal();
    assert!(
        message.contains("provided port is not in the valid range. The range of valid ports is 30000-32767"),
        "{message}"
    );

    // A change of type takes and gives back.
    let typed = client
        .patch(&format!("{SERVICES}/a"), "merge-patch", &json!({"spec": {"type": "NodePort"}}))
        .await
        .ok();
    assert!(typed["spec"]["ports"][0]["nodePort"].as_u64().unwrap() >= 30000);
    assert_eq!(typed["spec"]["clusterIP"], address.as_str());
    let back = client
        .patch(&format!("{SERVICES}/a"), "merge-patch", &json!({"spec": {"type": "ClusterIP"}}))
        .await
        .ok();
    assert_eq!(back["spec"]["ports"][0].get("nodePort"), None);

    client.delete(&format!("{SERVICES}/a")).await.ok();
    assert_eq!(client.get(&format!("/apis/networking.k8s.io/v1/ipaddresses/{address}")).await.code, 404);
    client.post(SERVICES, &service("e", json!({"clusterIP": address, "ports": [{"port": 80}]}))).await.ok();
    let headless =
        client.post(SERVICES, &service("f", json!({"clusterIP": "None", "selector": {"a": "b"}}))).await.ok();
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
}

/// Six addresses, then another range: the condition that its controller sets is set here by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_range_is_given_from_when_it_is_ready_and_the_first_is_full() {
    let cluster = Cluster::start_with(&["--service-cluster-ip-range", "10.97.0.0/29"]).await;
    let client = cluster.admin().await;
    let make = |name: String, spec: Value| {
        let client = client.clone();
        async move { client.post(SERVICES, &service(&name, spec)).await }
    };
    // Six addresses, one of which the Service kubernetes has.
    for number in 0..5 {
        make(format!("s{number}"), json!({"ports": [{"port": 80}]})).await.ok();
    }
    let (code, message) = make("full".into(), json!({"ports": [{"port": 80}]})).await.refusal();
    assert_eq!((code, message.contains("range is full")), (500, true), "{message}");
    let ranges = "/apis/networking.k8s.io/v1/servicecidrs";
    let range = json!({"metadata": {"name": "more"}, "spec": {"cidrs": ["10.98.0.0/24"]}});
    let mut range = client.post(ranges, &range).await.ok();
    let asked = json!({"clusterIP": "10.98.0.9", "ports": [{"port": 80}]});
    let (code, message) = make("asks".into(), asked.clone()).await.refusal();
    assert_eq!((code, message.contains("not in the valid range")), (422, true), "{message}");
    range["status"] = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "", "message": "ready",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    client.put(&format!("{ranges}/more/status"), &range).await.ok();
    assert_eq!(make("asks".into(), asked).await.ok()["spec"]["clusterIP"], "10.98.0.9");
    let given = make("given".into(), json!({"ports": [{"port": 80}]})).await.ok();
    assert!(given["spec"]["clusterIP"].as_str().unwrap().starts_with("10.98.0."), "{given}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_services_never_share_an_address() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let mut writers = Vec::new();
    for number in 0..60 {
        let client = client.clone();
        writers.push(tokio::spawn(async move {
            let spec = json!({"type": "NodePort", "ports": [{"port": 80}]});
            let made = client.post(SERVICES, &service(&format!("s{number}"), spec)).await.ok();
            (made["spec"]["clusterIP"].to_string(), made["spec"]["ports"][0]["nodePort"].to_string())
        }));
    }
    let (mut addresses, mut ports) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for writer in writers {
        let (address, port) = writer.await.unwrap();
        assert!(addresses.insert(address) && ports.insert(port));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_starts_with_its_own_service_namespaces_roles_and_classes() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let own = client.get(&format!("{SERVICES}/kubernetes")).await.ok();
    assert_eq!(own["spec"]["clusterIP"], "10.96.0.1");
    testkit::eventually(|| async {
        let answer = client.get("/api/v1/namespaces/default/endpoints/kubernetes").await;
        if answer.code == 200 { Ok(answer.json()) } else { Err(answer.code) }
    })
    .await;
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";
    testkit::eventually(|| async {
        let slice = client.get(slices).await.json();
        if slice["endpoints"][0]["addresses"] == json!(["10.0.0.5"]) { Ok(()) } else { Err(slice) }
    })
    .await;
    for path in [
        "/api/v1/namespaces/kube-node-lease",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:node-proxier",
        "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
        "/apis/networking.k8s.io/v1/servicecidrs/kubernetes",
        "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
    ] {
        assert_eq!(client.get(path).await.code, 200, "{path}");
    }
}
