//! Several servers over one etcd.

use std::collections::HashSet;

use serde_json::json;

use crate::cluster::{Cluster, MAPS, map};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_request_to_a_new_server_is_judged_by_all_roles() {
    let mut cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let binding = json!({
        "metadata": {"name": "jane"}, "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
    });
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.ok();
    admin.post(MAPS, &map("a", "1")).await.ok();
    let address = cluster.another("10.0.0.6").await;
    let jane = cluster.client_of(address, "jane", &[]).await;
    assert_eq!(jane.get(&format!("{MAPS}/a")).await.code, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_agree_at_once() {
    let mut cluster = Cluster::start().await;
    let address = cluster.another("10.0.0.6").await;
    let clients = [cluster.admin().await, cluster.client_of(address, "admin", &["system:masters"]).await];
    for number in 0..20 {
        let (writer, reader) = (&clients[number % 2], &clients[(number + 1) % 2]);
        let made = writer.post(MAPS, &map(&format!("m{number}"), "1")).await.ok();
        assert_eq!(reader.get(&format!("{MAPS}/m{number}")).await.ok(), made);
    }
    let services = "/api/v1/namespaces/default/services";
    let mut writers = Vec::new();
    for number in 0..40 {
        let client = clients[number % 2].clone();
        let service = json!({"metadata": {"name": format!("s{number}")}, "spec": {"ports": [{"port": 80}]}});
        writers.push(tokio::spawn(async move {
            client.post(services, &service).await.ok()["spec"]["clusterIP"].to_string()
        }));
    }
    let mut addresses = HashSet::new();
    for writer in writers {
        assert!(addresses.insert(writer.await.unwrap()));
    }
    let endpoints = |wanted: serde_json::Value| {
        let client = clients[0].clone();
        async move {
            testkit::eventually(|| async {
                let found = client.get("/api/v1/namespaces/default/endpoints/kubernetes").await.json();
                let found = found["subsets"][0]["addresses"].clone();
                if found == wanted { Ok(()) } else { Err(found) }
            })
            .await;
        }
    };
    endpoints(json!([{"ip": "10.0.0.5"}, {"ip": "10.0.0.6"}])).await;
    // A server that stops takes itself out.
    cluster.stop_others();
    endpoints(json!([{"ip": "10.0.0.5"}])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_goes_when_its_last_finalizer_does() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post("/api/v1/namespaces", &json!({"metadata": {"name": "n"}})).await.ok();
    let dying = client.delete("/api/v1/namespaces/n").await.ok();
    assert_eq!(dying["status"]["phase"], "Terminating");
    assert_eq!(dying["spec"]["finalizers"], json!(["kubernetes"]));
    let late = client.post("/api/v1/namespaces/n/configmaps", &map("a", "1")).await;
    let (code, message) = late.refusal();
    assert_eq!(code, 403);
    assert!(message.contains("because it is being terminated"), "{message}");
    let mut finalized = client.get("/api/v1/namespaces/n").await.ok();
    finalized["spec"]["finalizers"] = json!([]);
    client.put("/api/v1/namespaces/n/finalize", &finalized).await.ok();
    assert_eq!(client.get("/api/v1/namespaces/n").await.code, 404);
}
