//! Watches: what they begin with, what they see, how they end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Client, Cluster, MAPS, map};

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

/// What a client knows that lists and watches, and lists again when it is told that what it asks for is gone.
struct Mirror {
    client: Client,
    known: BTreeMap<String, u64>,
    lists: usize,
}

const RUN: &str = "labelSelector=run";

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

impl Mirror {
    /// Follows until an object of this name comes.
    async fn follow(&mut self, last: &str) {
        'list: loop {
            let answer = self.client.get(&format!("{MAPS}?{RUN}")).await;
            if answer.code != 200 {
                continue;
            }
            let list = answer.ok();
            self.lists += 1;
            let mut reached = version(&list);
            let items = list["items"].as_array().unwrap();
            self.known = items.iter().map(|item| (name(item), version(item))).collect();
            loop {
                if self.known.contains_key(last) {
                    return;
                }
                let path = format!("{MAPS}?watch=1&{RUN}&resourceVersion={reached}&timeoutSeconds=10");
                let mut events = self.client.watch(&path).await;
                while let Some(event) = events.next().await {
                    let object = &event["object"];
                    if event["type"] == "ERROR" {
                        assert_eq!(object["code"], 410, "{object}");
                        continue 'list;
                    }
                    assert!(version(object) > reached, "a watch never goes back nor repeats: {event}");
                    reached = version(object);
                    self.take(event["type"].as_str().unwrap(), object);
                    if self.known.contains_key(last) {
                        return;
                    }
                }
            }
        }
    }

    fn take(&mut self, event: &str, object: &Value) {
        let (name, version) = (name(object), version(object));
        let before = match event {
            "DELETED" => self.known.remove(&name),
            _ => self.known.insert(name.clone(), version),
        };
        assert_eq!(before.is_none(), event == "ADDED", "{event} {name}: something was missed");
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Writes until it is done, however often etcd goes away meanwhile.
async fn write(client: &Client, number: usize) {
    let mut object = map(&format!("m{}", number % 7), &number.to_string());
    object["metadata"]["labels"] = json!({"run": "yes"});
    let path = format!("{MAPS}/{}", name(&object));
    loop {
        let answer = match number % 5 {
            4 => client.delete(&path).await,
            _ => client.put(&path, &object).await,
        };
        match answer.code {
            200 | 201 => return,
            404 if number % 5 == 4 => return,
            404 => drop(client.post(MAPS, &object).await),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_miss_and_repeat_nothing_while_etcd_is_killed_and_compacted() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    // A thousand times as often as usual.
    let often = Duration::from_millis(300);
    let compaction = tokio::spawn(storage::compact_every(cluster.server.store.etcd().clone(), often));
    let mut mirrors = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let client = cluster.admin().await;
        mirrors.spawn(async move {
            let mut mirror = Mirror { client, known: BTreeMap::new(), lists: 0 };
            mirror.follow("the-last").await;
            mirror
        });
    }
    for number in 0..120 {
        if number % 40 == 20 {
            let mut etcd = cluster.etcd.lock();
            etcd.kill().unwrap();
            etcd.start_again().unwrap();
        }
        write(&client, number).await;
    }
    let mut last = map("the-last", "");
    last["metadata"]["labels"] = json!({"run": "yes"});
    client.post(MAPS, &last).await.ok();
    compaction.abort();
    let list = client.get(&format!("{MAPS}?{RUN}")).await.ok();
    let items = list["items"].as_array().unwrap();
    let truth: BTreeMap<String, u64> = items.iter().map(|item| (name(item), version(item))).collect();
    while let Some(mirror) = mirrors.join_next().await {
        let mirror = mirror.unwrap();
        assert_eq!(mirror.known, truth, "after {} lists", mirror.lists);
    }
}
