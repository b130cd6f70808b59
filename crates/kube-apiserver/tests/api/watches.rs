//! Watches: what they begin with, what they see, how they end.

use serde_json::json;

use crate::cluster::{Cluster, MAPS, map};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_sees_every_change_after_its_version() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let list = client.get(MAPS).await.ok();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let created = client.post(MAPS, &map("a", "1")).await.ok();
    let mut events = client.watch(&format!("{MAPS}?watch=1&resourceVersion={version}")).await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]), (&json!("ADDED"), &created));
    let patched =
        client.patch(&format!("{MAPS}/a"), "merge-patch", &json!({"data": {"key": "2"}})).await.ok();
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]), (&json!("MODIFIED"), &patched));
    client.delete(&format!("{MAPS}/a")).await.ok();
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["data"]["key"]), (&json!("DELETED"), &json!("2")));
    assert_ne!(event["object"]["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selectors_turn_changes_into_comings_and_goings() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "1")).await.ok();
    let mut events = client.watch(&format!("{MAPS}?watch=1&labelSelector=on=yes")).await;
    let path = format!("{MAPS}/a");
    client.patch(&path, "merge-patch", &json!({"metadata": {"labels": {"on": "yes"}}})).await.ok();
    assert_eq!(events.name().await, ("ADDED".into(), "a".into()));
    client.patch(&path, "merge-patch", &json!({"data": {"key": "2"}})).await.ok();
    assert_eq!(events.name().await, ("MODIFIED".into(), "a".into()));
    client
        .patch(&path, "merge-patch", &json!({"metadata": {"labels": {"on": "no"}}, "data": {"key": "3"}}))
        .await
        .ok();
    let gone = events.next().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["data"]["key"]), (&json!("DELETED"), &json!("2")));
    client.delete(&path).await.ok();
    client
        .post(MAPS, &{
            let mut object = map("b", "1");
            object["metadata"]["labels"] = json!({"on": "yes"});
            object
        })
        .await
        .ok();
    assert_eq!(events.name().await, ("ADDED".into(), "b".into()));
    let mut one = client.watch(&format!("{MAPS}?watch=1&fieldSelector=metadata.name=b")).await;
    assert_eq!(one.name().await, ("ADDED".into(), "b".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streaming_list_ends_with_a_bookmark() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "1")).await.ok();
    client.post(MAPS, &map("b", "1")).await.ok();
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events =
        client.watch(&format!("{MAPS}?{query}&fieldSelector=metadata.name!=kube-root-ca.crt")).await;
    assert_eq!(events.name().await.1, "a");
    assert_eq!(events.name().await.1, "b");
    let mark = events.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["kind"], "ConfigMap");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let version = mark["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    let created = client.post(MAPS, &map("c", "1")).await.ok();
    assert!(
        created["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap()
            > version.parse().unwrap()
    );
    assert_eq!(events.name().await, ("ADDED".into(), "c".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_from_before_the_window_is_told_so() {
    let mut cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "1")).await.ok();
    // A server that was there from the beginning knows everything since; one that came later does not.
    let mut events = client.watch("/api/v1/namespaces?watch=1&resourceVersion=1").await;
    assert_eq!(events.next().await.unwrap()["type"], "ADDED");
    let address = cluster.another("10.0.0.6").await;
    let later = cluster.client_of(address, "admin", &["system:masters"]).await;
    let mut events = later.watch(&format!("{MAPS}?watch=1&resourceVersion=1")).await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(event["object"]["reason"], "Expired");
    assert!(event["object"]["message"].as_str().unwrap().starts_with("too old resource version: 1 ("));
    assert!(events.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_lasts_as_long_as_asked_and_leaves_nothing() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let cache = cluster.server.store.cache("configmaps").unwrap();
    let mut events = client.watch(&format!("{MAPS}?watch=1&labelSelector=none&timeoutSeconds=1")).await;
    assert_eq!(cache.watch_count(), 1);
    assert!(events.next().await.is_none());
    testkit::eventually(|| async {
        if cache.watch_count() == 0 { Ok(()) } else { Err(cache.watch_count()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_its_watches() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let mut events = client.watch(&format!("{MAPS}?watch=1&resourceVersion=0&labelSelector=none")).await;
    cluster.stop();
    assert!(events.next().await.is_none());
    assert!(!cluster.server.health.is_ready());
}
