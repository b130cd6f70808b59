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

/// Two servers choose from the same range without asking each other: what they give out is written down first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_never_give_the_same_node_port_twice() {
    let mut cluster = Cluster::start_with(&["--service-node-port-range", "30000-30079"]).await;
    let address = cluster.another("10.0.0.6").await;
    let clients = [cluster.admin().await, cluster.client_of(address, "admin", &["system:masters"]).await];
    let services = "/api/v1/namespaces/default/services";
    let node_port = |object: &serde_json::Value| object["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    // The same port asked for at both at once: one gets it.
    for port in 30000..30010 {
        let ask = |at: usize| {
            let client = clients[at].clone();
            let spec = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
            let service = json!({"metadata": {"name": format!("p{port}-{at}")}, "spec": spec});
            async move { client.post(services, &service).await }
        };
        let (one, other) = tokio::join!(ask(0), ask(1));
        let mut codes = [one.code, other.code];
        codes.sort_unstable();
        assert_eq!(codes, [201, 422]);
        let lost = if one.code == 422 { one } else { other };
        let (_, message) = lost.refusal();
        let why =
            format!("spec.ports[0].nodePort: Invalid value: {port}: provided port is already allocated");
        assert!(message.contains(&why), "{message}");
    }
    // Half of them as a change of a Service that is there.
    let mut writers = Vec::new();
    for number in 0..60 {
        let client = clients[number % 2].clone();
        writers.push(tokio::spawn(async move {
            let name = format!("s{number}");
            let kind = if number % 4 < 2 { "NodePort" } else { "ClusterIP" };
            let spec = json!({"type": kind, "ports": [{"port": 80}]});
            let made = client.post(services, &json!({"metadata": {"name": name}, "spec": spec})).await.ok();
            if kind == "NodePort" {
                return made;
            }
            let change = json!({"spec": {"type": "NodePort"}});
            client.patch(&format!("{services}/{name}"), "merge-patch", &change).await.ok()
        }));
    }
    let mut ports = HashSet::new();
    for writer in writers {
        assert!(ports.insert(node_port(&writer.await.unwrap())));
    }
    // Ten are left: what goes is given back, what does not fit is refused.
    clients[0].delete(&format!("{services}/s0")).await.ok();
    for number in 0..11 {
        let spec = json!({"type": "NodePort", "ports": [{"port": 80}]});
        let service = json!({"metadata": {"name": format!("late{number}")}, "spec": spec});
        clients[number % 2].post(services, &service).await.ok();
    }
    let spec = json!({"type": "NodePort", "ports": [{"port": 80}]});
    let (code, message) =
        clients[1].post(services, &json!({"metadata": {"name": "last"}, "spec": spec})).await.refusal();
    assert_eq!((code, message.contains("range is full")), (500, true), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_together_give_no_more_than_a_quota() {
    let mut cluster = Cluster::start().await;
    let address = cluster.another("10.0.0.6").await;
    let clients = [cluster.admin().await, cluster.client_of(address, "admin", &["system:masters"]).await];
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let hard = json!({"count/configmaps": "20"});
    let mut quota =
        clients[0].post(quotas, &json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await.ok();
    quota["status"] = json!({"hard": hard, "used": {"count/configmaps": "0"}});
    clients[0].put(&format!("{quotas}/q/status"), &quota).await.ok();
    let mut writers = Vec::new();
    for number in 0..60 {
        let client = clients[number % 2].clone();
        writers.push(tokio::spawn(
            async move { client.post(MAPS, &map(&format!("m{number}"), "1")).await.code },
        ));
    }
    let mut made = 0;
    for writer in writers {
        match writer.await.unwrap() {
            201 => made += 1,
            code => assert_eq!(code, 403),
        }
    }
    assert_eq!(made, 20);
    let used = clients[1].get(&format!("{quotas}/q")).await.ok()["status"]["used"].clone();
    assert_eq!(used, json!({"count/configmaps": "20"}));
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
