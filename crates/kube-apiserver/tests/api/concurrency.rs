//! Many writers at once.

use serde_json::json;

use crate::cluster::{Cluster, MAPS, map};

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_with_optimistic_locks_lose_nothing() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("counter", "0")).await.ok();
    let mut writers = Vec::new();
    for _ in 0..16 {
        let client = cluster.admin().await;
        writers.push(tokio::spawn(async move {
            let path = format!("{MAPS}/counter");
            let mut done = 0;
            while done < 10 {
                let mut object = client.get(&path).await.ok();
                let value: u64 = object["data"]["key"].as_str().unwrap().parse().unwrap();
                object["data"]["key"] = (value + 1).to_string().into();
                match client.put(&path, &object).await {
                    answer if answer.code == 200 => done += 1,
                    answer => assert_eq!(answer.code, 409),
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(client.get(&format!("{MAPS}/counter")).await.ok()["data"]["key"], "160");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_without_a_version_all_count() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("many", "0")).await.ok();
    let mut writers = Vec::new();
    for number in 0..16 {
        let client = client.clone();
        writers.push(tokio::spawn(async move {
            let patch = json!({"data": {format!("k{number}"): "1"}});
            client.patch(&format!("{MAPS}/many"), "merge-patch", &patch).await.ok();
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let object = client.get(&format!("{MAPS}/many")).await.ok();
    assert_eq!(object["data"].as_object().unwrap().len(), 17);
}

/// Makes a quota that counts as if the controller had seen it.
async fn quota(client: &crate::cluster::Client, name: &str, hard: serde_json::Value) {
    let mut quota =
        client.post(QUOTAS, &json!({"metadata": {"name": name}, "spec": {"hard": hard}})).await.ok();
    let used: serde_json::Map<_, _> =
        hard.as_object().unwrap().keys().map(|name| (name.clone(), "0".into())).collect();
    quota["status"] = json!({"hard": hard, "used": used});
    client.put(&format!("{QUOTAS}/{name}/status"), &quota).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_quota_is_overshot_by_writers_at_two_servers() {
    let mut cluster = Cluster::start().await;
    let other = cluster.another("10.0.0.6").await;
    let admin = cluster.admin().await;
    quota(&admin, "maps", json!({"count/configmaps": "25"})).await;
    quota(&admin, "both", json!({"configmaps": "40", "secrets": "5"})).await;
    let mut clients = Vec::new();
    for number in 0..8 {
        let address = if number % 2 == 0 { cluster.address } else { other };
        clients.push(cluster.client_of(address, "admin", &["system:masters"]).await);
    }
    // The other server charges only what it knows of.
    testkit::eventually(|| async {
        let seen = clients[1].get(&format!("{QUOTAS}/both?resourceVersion=0")).await.json();
        if seen["status"]["hard"]["secrets"] == "5" { Ok(()) } else { Err(seen) }
    })
    .await;
    let mut writers = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        writers.push(tokio::spawn(async move {
            let (mut made, mut refused) = ([0, 0], 0);
            for object in 0..8 {
                for (kind, path) in [MAPS, "/api/v1/namespaces/default/secrets"].into_iter().enumerate() {
                    let answer = client
                        .post(path, &json!({"metadata": {"name": format!("o{number}-{object}")}}))
                        .await;
                    match answer.code {
                        201 => made[kind] += 1,
                        403 => refused += 1,
                        // Too many others charged the same quota meanwhile.
                        code => assert_eq!(code, 409, "{:?}", answer.body),
                    }
                }
            }
            (made, refused)
        }));
    }
    let (mut made, mut refused) = ([0, 0], 0);
    for writer in writers {
        let (own, own_refused) = writer.await.unwrap();
        made = [made[0] + own[0], made[1] + own[1]];
        refused += own_refused;
    }
    assert!(refused > 0);
    for (path, made, most) in [(MAPS, made[0], 25), ("/api/v1/namespaces/default/secrets", made[1], 5)] {
        let there = admin.get(path).await.ok()["items"].as_array().unwrap().len();
        assert_eq!(there, made, "what was answered is there: {path}");
        assert!(there <= most, "{there} of {most}: {path}");
    }
    let used = admin.get(&format!("{QUOTAS}/maps")).await.ok()["status"]["used"].clone();
    assert_eq!(used["count/configmaps"], "25", "all of it could be had");
}
