//! Encodings: protobuf and YAML in answers and requests, and what is refused.

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::Method;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use crate::cluster::{Answer, Client, Cluster, MAPS, map};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const METADATA: &str = "application/vnd.kubernetes.protobuf;g=meta.k8s.io;v=v1;as=PartialObjectMetadata";

/// The tree of an answer in protobuf.
fn read(answer: &Answer) -> Value {
    assert_eq!(answer.headers["content-type"], PROTOBUF, "{:?}", answer.body);
    wire::decode(&answer.body).unwrap()
}

fn pod(name: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "serviceAccountName": "default",
            "containers": [{
                "name": "c", "image": "web",
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
            }],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
    })
}

const PODS: &str = "/api/v1/namespaces/default/pods";

async fn wait_for_namespace(client: &Client) {
    testkit::eventually(|| async {
        match client.get("/api/v1/namespaces/default").await.code {
            200 => Ok(()),
            code => Err(code),
        }
    })
    .await;
}

/// What JSON says and protobuf cannot: nothing and emptiness are one.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, without_empty(value)))
            .filter(|(_, value)| !value.is_null() && *value != json!([]))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_empty).collect(),
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_the_same_in_json_and_in_protobuf() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    wait_for_namespace(&client).await;
    // Written in protobuf, answered in protobuf.
    let body = wire::encode(pod("a").to_string().as_bytes()).unwrap();
    let headers = [("content-type", PROTOBUF), ("accept", PROTOBUF)];
    let created = client.ask(Method::POST, PODS, &headers, body).await;
    assert_eq!(created.code, 201, "{:?}", created.body);
    let created = read(&created);
    assert_eq!(created["spec"]["containers"][0]["livenessProbe"]["httpGet"]["port"], "http");
    for path in [
        &format!("{PODS}/a"),
        "/api/v1/namespaces/default",
        "/apis/apiregistration.k8s.io/v1/apiservices/v1.",
    ] {
        let plain = client.get(path).await;
        if plain.code == 404 {
            continue;
        }
        let binary = client.get_as(path, "application/vnd.kubernetes.protobuf, */*").await;
        assert!(binary.body.len() < plain.body.len());
        assert_eq!(read(&binary), without_empty(plain.ok()), "{path}");
    }
    // Lists, whole and in pages.
    client.post(PODS, &pod("b")).await.ok();
    let plain = client.get(PODS).await.ok();
    let list = read(&client.get_as(PODS, PROTOBUF).await);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("PodList"), &json!("v1")));
    assert!(list["metadata"]["resourceVersion"].is_string());
    for (binary, plain) in list["items"].as_array().unwrap().iter().zip(plain["items"].as_array().unwrap()) {
        assert_eq!(binary["spec"], without_empty(plain["spec"].clone()));
        assert_eq!(binary["metadata"], without_empty(plain["metadata"].clone()));
    }
    let again = read(&client.get_as(PODS, PROTOBUF).await);
    assert_eq!(again["items"], list["items"]);
    let page = read(&client.get_as(&format!("{PODS}?limit=1"), PROTOBUF).await);
    assert_eq!(page["metadata"]["remainingItemCount"], 1);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    // The answer to a deletion, with its options in protobuf.
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
    let options = wire::encode(options.to_string().as_bytes()).unwrap();
    let deleted = client.ask(Method::DELETE, &format!("{PODS}/a"), &headers, options).await;
    assert_eq!(deleted.code, 200);
    assert!(["Pod", "Status"].contains(&read(&deleted)["kind"].as_str().unwrap()));
    let gone = client.get_as(&format!("{PODS}/a"), PROTOBUF).await;
    assert_eq!(gone.code, 404);
    let status = read(&gone);
    assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("NotFound")));
    assert_eq!(status["message"], "pods \"a\" not found");
}

/// A list over HTTP/1.1.
async fn list_over_http1(cluster: &Cluster) -> Value {
    let stream = cluster.connection("admin", &["system:masters"], "http/1.1").await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(MAPS).header("host", "localhost");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), length);
    serde_json::from_slice(&body).unwrap()
}

/// A list over HTTP/2 to a client that takes a little at a time.
async fn list_sip_by_sip(cluster: &Cluster) -> Value {
    let stream = cluster.connection("admin", &["system:masters"], "h2").await;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(777)
        .initial_connection_window_size(70_000)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("https://localhost{MAPS}")).body(Empty::<Bytes>::new()).unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_list_is_the_same_however_it_is_sent() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    for (number, length) in [1, 20_000, 0, 70_000, 3, 16_384, 300].into_iter().cycle().take(70).enumerate() {
        let value: String = ["é", "\"", "\n", "plain "].into_iter().cycle().take(length).collect();
        client.post(MAPS, &map(&format!("m{number:03}"), &value)).await.ok();
    }
    let plain = client.get(MAPS).await.ok();
    assert!(plain["items"].as_array().unwrap().len() >= 70);
    let packed = client.ask(Method::GET, MAPS, &[("accept-encoding", "gzip")], "").await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let unpacked: Value = serde_json::from_reader(GzDecoder::new(&*packed.body)).unwrap();
    assert!(unpacked["items"] == plain["items"]);
    assert!(list_over_http1(&cluster).await["items"] == plain["items"]);
    assert!(list_sip_by_sip(&cluster).await["items"] == plain["items"]);
    let told = |list: &Value| -> Vec<Value> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| without_empty(json!([item["metadata"], item["data"]]))).collect()
    };
    // Made at the first time, kept at the second.
    for _ in 0..2 {
        assert!(told(&read(&client.get_as(MAPS, PROTOBUF).await)) == told(&plain));
    }
}

/// Events of a watch in protobuf.
struct Frames {
    body: Incoming,
    held: Vec<u8>,
}

impl Frames {
    async fn open(client: &Client, path: &str, accept: &str) -> Self {
        let response = client.send(Method::GET, path, &[("accept", accept)], Default::default()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
        Self { body: response.into_body(), held: Vec::new() }
    }

    /// Type and object of the next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((length, rest)) = self.held.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if rest.len() >= length {
                    let frame: Vec<u8> = self.held.drain(..4 + length).skip(4).collect();
                    // Field 1 is the type, field 2 a message whose field 1 is a whole body.
                    let name = frame[2..2 + frame[1] as usize].to_vec();
                    let body = frame.windows(4).position(|bytes| bytes == wire::MAGIC).unwrap();
                    let object = wire::decode(&frame[body..]).unwrap();
                    return Some((String::from_utf8(name).unwrap(), object));
                }
            }
            let frame = tokio::time::timeout(std::time::Duration::from_secs(20), self.body.frame()).await;
            let frame = frame.expect("an event within 20 s")?.unwrap();
            self.held.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
    }

    async fn name(&mut self) -> (String, String) {
        let (event, object) = self.next().await.expect("an event");
        (event, object["metadata"]["name"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_speaks_protobuf() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "1")).await.ok();
    let streaming = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let path = format!("{MAPS}?watch=1&{streaming}&fieldSelector=metadata.name!=kube-root-ca.crt");
    let mut events = Frames::open(&client, &path, "application/vnd.kubernetes.protobuf;stream=watch").await;
    let mut metadata = Frames::open(&client, &path, METADATA).await;
    let (event, object) = events.next().await.unwrap();
    assert_eq!((event.as_str(), &object["data"]["key"]), ("ADDED", &json!("1")));
    let (event, mark) = events.next().await.unwrap();
    assert_eq!((event.as_str(), &mark["kind"]), ("BOOKMARK", &json!("ConfigMap")));
    assert_eq!(mark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    client.patch(&format!("{MAPS}/a"), "merge-patch", &json!({"data": {"key": "2"}})).await.ok();
    let (event, object) = events.next().await.unwrap();
    assert_eq!((event.as_str(), &object["data"]["key"]), ("MODIFIED", &json!("2")));
    client.delete(&format!("{MAPS}/a")).await.ok();
    assert_eq!(events.name().await, ("DELETED".into(), "a".into()));

    let (event, object) = metadata.next().await.unwrap();
    assert_eq!((event.as_str(), &object["kind"]), ("ADDED", &json!("PartialObjectMetadata")));
    assert_eq!(object.get("data"), None);
    assert_eq!(metadata.next().await.unwrap().0, "BOOKMARK");
    assert_eq!(metadata.name().await, ("MODIFIED".into(), "a".into()));
    assert_eq!(metadata.name().await, ("DELETED".into(), "a".into()));
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custom_resources_have_metadata_alone_in_protobuf() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    client.post(definitions, &definition()).await.ok();
    let path = "/apis/example.com/v1/namespaces/default/widgets";
    testkit::eventually(|| async {
        match client.get(path).await.code {
            200 => Ok(()),
            code => Err(code),
        }
    })
    .await;
    client
        .post(path, &json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}))
        .await
        .ok();
    let refused = client.get_as(path, PROTOBUF).await.refusal();
    assert_eq!(
        refused,
        (406, "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf".into())
    );
    let both = client.get_as(path, "application/vnd.kubernetes.protobuf,application/json").await;
    assert_eq!(both.ok()["kind"], "WidgetList");
    let accept = METADATA.replace("PartialObjectMetadata", "PartialObjectMetadataList");
    let list = read(&client.get_as(path, &accept).await);
    assert_eq!(
        (&list["kind"], &list["items"][0]["metadata"]["name"]),
        (&json!("PartialObjectMetadataList"), &json!("w"))
    );
    // The definition itself is a built-in kind, schema and all.
    let plain = client.get(&format!("{definitions}/widgets.example.com")).await.ok();
    let binary = read(&client.get_as(&format!("{definitions}/widgets.example.com"), PROTOBUF).await);
    assert_eq!(binary["spec"], without_empty(plain["spec"].clone()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_that_cannot_be_are_refused_as_upstream_refuses_them() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "1")).await.ok();
    let one = format!("{MAPS}/a");
    let form = |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1");
    for (path, accept, expected) in [
        (
            MAPS,
            form("PartialObjectMetadata"),
            "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
        ),
        (
            &one,
            form("PartialObjectMetadataList"),
            "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
        ),
        (
            &one,
            format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1"),
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ),
        (
            &format!("{MAPS}?watch=1"),
            "application/yaml".to_owned(),
            "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
        ),
    ] {
        assert_eq!(
            client.get_as(path, &accept).await.refusal(),
            (406, expected.to_owned()),
            "{path} {accept}"
        );
    }
    // A backend which does not implement metadata.
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}});
    let headers = [("content-type", "application/json"), ("accept", &form("Table"))];
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let refused = client.ask(Method::POST, path, &headers, review.to_string()).await;
    assert_eq!(refused.refusal().0, 406);
    let body = client.ask(Method::POST, MAPS, &[("content-type", "text/plain")], "a").await.refusal();
    assert_eq!(
        body,
        (415, "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf".into())
    );
    let yaml = client.get_as(&one, "application/yaml").await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(String::from_utf8_lossy(&yaml.body).contains("kind: ConfigMap"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discovery_speaks_protobuf() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let groups = read(&client.get_as("/apis", PROTOBUF).await);
    assert_eq!(groups["kind"], "APIGroupList");
    let resources = read(&client.get_as("/apis/apps/v1", PROTOBUF).await);
    let plain = client.get("/apis/apps/v1").await.ok();
    assert_eq!(
        resources["resources"].as_array().unwrap().len(),
        plain["resources"].as_array().unwrap().len()
    );
    let accept = format!("{PROTOBUF};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let aggregated = client.get_as("/apis", &accept).await;
    assert_eq!(aggregated.headers["content-type"], accept);
    let document = wire::decode(&aggregated.body).unwrap();
    assert!(document["items"].as_array().unwrap().iter().any(|group| group["metadata"]["name"] == "apps"));
    assert_eq!(client.get_as("/version", PROTOBUF).await.ok()["major"], "1");
    // A document whose hash the client names may be kept for ever.
    let index = client.get("/openapi/v3").await.ok();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let kept = client.get(url).await;
    assert_eq!(kept.headers["cache-control"], "public, immutable");
    assert!(kept.headers["expires"].to_str().unwrap().ends_with(" GMT"));
    let moved = client.get("/openapi/v3/apis/apps/v1?hash=OLD").await;
    assert_eq!((moved.code, &moved.headers["location"]), (301, &url.parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_paths_watch_one_object() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "1")).await.ok();
    client.post(MAPS, &map("b", "1")).await.ok();
    let path = "/api/v1/watch/namespaces/default/configmaps/b";
    let mut events = client.watch(&format!("{path}?timeoutSeconds=1")).await;
    assert_eq!(events.name().await, ("ADDED".into(), "b".into()));
    assert_eq!(events.next().await, None);
    let refused = client.get(&format!("{path}?fieldSelector=metadata.name=a")).await.refusal();
    assert_eq!(refused, (400, "fieldSelector metadata.name doesn't match requested name".into()));
    let refused = client.get(&format!("{MAPS}?watch=1&timeoutSeconds=x")).await.refusal();
    assert_eq!(refused, (400, "strconv.ParseInt: parsing \"x\": invalid syntax".into()));
    // The last bookmark comes before the end.
    let mut events = client
        .watch(&format!("{MAPS}?watch=1&allowWatchBookmarks=true&labelSelector=none&timeoutSeconds=3"))
        .await;
    assert_eq!(events.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(events.next().await, None);
}
