//! Etcd goes away and comes back.

use serde_json::json;

use crate::cluster::{Cluster, MAPS, map};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_neither_misses_nor_repeats_across_an_etcd_restart() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let mut events = client.watch(&format!("{MAPS}?watch=1&labelSelector=run")).await;
    let make = |number: usize| {
        let mut object = map(&format!("m{number:02}"), "1");
        object["metadata"]["labels"] = json!({"run": "yes"});
        object
    };
    for number in 0..5 {
        client.post(MAPS, &make(number)).await.ok();
    }
    cluster.etcd.lock().kill().unwrap();
    let ready = client.get("/readyz/etcd").await;
    assert_eq!(ready.code, 500);
    let writer = tokio::spawn({
        let client = client.clone();
        // Sent while etcd is away: it waits and is done once.
        async move { client.post(MAPS, &make(5)).await.ok() }
    });
    cluster.etcd.lock().start_again().unwrap();
    writer.await.unwrap();
    for number in 6..10 {
        client.post(MAPS, &make(number)).await.ok();
    }
    let (mut last, mut seen) = (0, Vec::new());
    while seen.len() < 10 {
        let event = events.next().await.unwrap();
        assert_eq!(event["type"], "ADDED");
        let version: u64 = event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(version > last, "a watch never goes back");
        last = version;
        seen.push(event["object"]["metadata"]["name"].as_str().unwrap().to_owned());
    }
    let expected: Vec<String> = (0..10).map(|number| format!("m{number:02}")).collect();
    assert_eq!(seen, expected);
}
