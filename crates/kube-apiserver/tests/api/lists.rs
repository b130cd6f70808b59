//! Lists: selectors, pages, versions, tables, metadata alone.

use serde_json::{Value, json};

use crate::cluster::{Client, Cluster, MAPS, map};

fn names(list: &Value) -> Vec<String> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .filter(|name| name != "kube-root-ca.crt")
        .collect()
}

async fn make(client: &Client, count: usize) {
    for number in 0..count {
        let mut object = map(&format!("m{number:03}"), "1");
        object["metadata"]["labels"] = json!({"even": (number % 2 == 0).to_string()});
        client.post(MAPS, &object).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_of_one_moment() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    make(&client, 25).await;
    let first = client.get(&format!("{MAPS}?limit=10")).await.ok();
    assert_eq!(names(&first).len(), 10);
    assert_eq!(first["metadata"]["remainingItemCount"], 15);
    // What happens between the pages is not in them.
    client.delete(&format!("{MAPS}/m015")).await.ok();
    client.post(MAPS, &map("m0155", "1")).await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = client.get(&format!("{MAPS}?limit=10&continue={token}")).await.ok();
    assert!(names(&second).contains(&"m015".into()) && !names(&second).contains(&"m0155".into()));
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"]["remainingItemCount"], 5);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = client.get(&format!("{MAPS}?limit=10&continue={token}")).await.ok();
    assert_eq!(third["metadata"].get("continue"), None);
    assert_eq!([names(&first), names(&second), names(&third)].concat().len(), 25);

    // An exact version is what was there then, also after etcd alone knows it.
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let then = client.get(&format!("{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact")).await.ok();
    assert!(names(&then).contains(&"m015".into()) && names(&then).len() == 25);
    assert_eq!(then["metadata"]["resourceVersion"], version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selectors_select() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    make(&client, 6).await;
    let select = |query: &str| {
        let (client, path) = (client.clone(), format!("{MAPS}?{query}"));
        async move { names(&client.get(&path).await.ok()) }
    };
    assert_eq!(select("labelSelector=even=true").await, ["m000", "m002", "m004"]);
    assert_eq!(select("labelSelector=even%20in%20(false)&limit=2").await, ["m001", "m003"]);
    assert_eq!(select("fieldSelector=metadata.name=m003").await, ["m003"]);
    assert_eq!(
        select("fieldSelector=metadata.name=m003&labelSelector=even=true").await,
        Vec::<String>::new()
    );
    assert_eq!(select("labelSelector=even&fieldSelector=metadata.name!=m003").await.len(), 5);
    let (code, message) = client.get(&format!("{MAPS}?fieldSelector=data.key=1")).await.refusal();
    assert_eq!(
        (code, message.as_str()),
        (400, "\"data.key\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    );
    let (code, message) = client.get("/api/v1/pods?fieldSelector=spec.foo=1").await.refusal();
    assert_eq!((code, message.as_str()), (400, "field label not supported: spec.foo"));
    assert_eq!(client.get(&format!("{MAPS}?labelSelector=a%20b%20c")).await.refusal().0, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_metadata_are_made_on_request() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    make(&client, 2).await;
    let table = client
        .get_as(&format!("{MAPS}?labelSelector=even"), "application/json;as=Table;v=v1;g=meta.k8s.io")
        .await
        .ok();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "m000");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = client.get_as(&format!("{MAPS}?labelSelector=even"), accept).await.ok();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][1]["metadata"]["name"], "m001");
    assert_eq!(list["items"][1].get("data"), None);
}

/// What is made on request is told in every form, as what is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn component_statuses_are_told_in_every_form() {
    const STATUSES: &str = "/api/v1/componentstatuses";
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let well = serde_json::json!([{"type": "Healthy", "status": "True", "message": "ok"}]);
    let one = format!("{STATUSES}/etcd-0");
    assert_eq!(client.get(&one).await.ok()["conditions"], well);
    assert_eq!(client.get(STATUSES).await.ok()["items"][0]["conditions"], well);
    let unknown = client.get(&format!("{STATUSES}/scheduler")).await;
    assert_eq!((unknown.code, &unknown.json()["reason"]), (500, &serde_json::Value::Null));
    assert_eq!(unknown.json()["message"], "Component not found: scheduler");
    for (selector, found) in [
        ("labelSelector=a%3Db", 0),
        ("fieldSelector=metadata.name%3Detcd-0", 1),
        ("fieldSelector=metadata.name%3Detcd-1", 0),
    ] {
        let list = client.get(&format!("{STATUSES}?{selector}")).await.ok();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(found), "{selector} {list}");
    }
    let form = |kind: &str| format!("application/json;as={kind};v=v1;g=meta.k8s.io");
    for path in [STATUSES, &one] {
        let table = client.get_as(path, &form("Table")).await.ok();
        assert_eq!(table["columnDefinitions"][3]["name"], "Error");
        assert_eq!(table["rows"][0]["cells"], serde_json::json!(["etcd-0", "Healthy", "ok", ""]));
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    }
    let metadata = serde_json::json!(
        {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "etcd-0"}});
    assert_eq!(client.get_as(&one, &form("PartialObjectMetadata")).await.ok(), metadata);
    let list = client.get_as(STATUSES, &form("PartialObjectMetadataList")).await.ok();
    let expected = serde_json::json!(
        {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [metadata]});
    assert_eq!(list, expected);
    let accept = form("PartialObjectMetadataList").replace("json", "vnd.kubernetes.protobuf");
    let list = client.get_as(STATUSES, &accept).await;
    assert_eq!(wire::decode(&list.body).unwrap()["items"][0]["metadata"]["name"], "etcd-0");
    assert_eq!(client.get_as(STATUSES, &form("PartialObjectMetadata")).await.code, 406);
    assert_eq!(client.get_as(&one, &form("PartialObjectMetadataList")).await.code, 406);
    cluster.etcd.lock().kill().unwrap();
    let condition = client.get(&one).await.ok()["conditions"][0].clone();
    assert_eq!((&condition["status"], condition.get("message")), (&"False".into(), None), "{condition}");
    assert!(condition["error"].as_str().is_some_and(|error| !error.is_empty()), "{condition}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_list_is_whole_plain_and_compressed() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let value = "x".repeat(20_000);
    for number in 0..20 {
        client.post(MAPS, &map(&format!("large{number}"), &value)).await.ok();
    }
    let plain = client.get(MAPS).await;
    assert_eq!(plain.headers["content-length"], plain.body.len().to_string());
    let plain = plain.ok();
    assert_eq!(names(&plain).len(), 20);
    let gzip = client.ask(http::Method::GET, MAPS, &[("accept-encoding", "gzip")], "").await;
    assert_eq!(gzip.headers["content-encoding"], "gzip");
    assert!(gzip.body.len() < 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_of_the_future_and_the_past() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let (code, message) = client.get(&format!("{MAPS}?resourceVersion=1000000")).await.refusal();
    assert_eq!(code, 504);
    assert!(message.starts_with("Too large resource version: 1000000, current: "), "{message}");
    assert_eq!(client.get(&format!("{MAPS}?resourceVersion=x")).await.refusal().0, 422);
    assert_eq!(client.get(&format!("{MAPS}?resourceVersion=0")).await.code, 200);
    assert_eq!(client.get(&format!("{MAPS}?continue=x")).await.refusal().0, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_with_what_there_is_when_its_revision_is_compacted() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    make(&client, 12).await;
    let page = |token: &str| {
        let (client, path) = (client.clone(), format!("{MAPS}?limit=4&labelSelector=even&continue={token}"));
        async move { client.get(&path).await }
    };
    let first = page("").await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let often = std::time::Duration::from_millis(50);
    let compaction = tokio::spawn(storage::compact_every(cluster.server.store.etcd().clone(), often));
    let expired = testkit::eventually(|| async {
        let answer = page(&token).await;
        if answer.code == 410 { Ok(answer.json()) } else { Err(answer.code) }
    })
    .await;
    compaction.abort();
    assert_eq!(expired["reason"], "Expired");
    assert!(expired["message"].as_str().unwrap().starts_with("The provided continue parameter is too old"));
    let mut token = expired["metadata"]["continue"].as_str().unwrap().to_owned();
    // From here on the pages are of one moment again.
    let mut found = names(&first);
    let mut versions = Vec::new();
    while !token.is_empty() {
        let list = page(&token).await.ok();
        found.extend(names(&list));
        versions.push(list["metadata"]["resourceVersion"].clone());
        token = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(found.len(), 12);
    assert_eq!(versions.len(), 2);
    assert!(versions[0] == versions[1] && versions[0] != first["metadata"]["resourceVersion"]);
}
