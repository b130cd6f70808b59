//! Many writers at once.

use serde_json::json;

use crate::cluster::{Cluster, MAPS, map};

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
