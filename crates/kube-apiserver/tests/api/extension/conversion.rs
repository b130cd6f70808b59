//! Versions that a webhook converts: reads, writes, lists and watches in all of them.

use serde_json::{Value, json};
use testkit::eventually;

use super::DEFINITIONS;
use crate::cluster::{Client, Cluster};
use crate::hook_server::HookServer;

const V1: &str = "/apis/stable.example.com/v1/namespaces/default/services";
const V2: &str = "/apis/stable.example.com/v2/namespaces/default/services";

/// v1 has `hostPort`, v2 has `host` and `port`.
fn convert(path: &str, request: &Value) -> Value {
    let desired = request["desiredAPIVersion"].as_str().unwrap();
    let convert = |object: &Value| {
        let mut object = object.clone();
        assert_ne!(object["apiVersion"], desired, "what is in the version already is not sent");
        object["apiVersion"] = desired.into();
        // Not the webhook's to change.
        object["metadata"]["generation"] = 99.into();
        if desired.ends_with("v2") {
            let (host, port) = object["hostPort"].as_str().unwrap_or_default().split_once(':').unwrap();
            let (host, port) = (host.to_owned(), port.to_owned());
            object.as_object_mut().unwrap().remove("hostPort");
            object["host"] = host.into();
            object["port"] = port.into();
        } else {
            let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
            object["hostPort"] = format!("{}:{}", text("host"), text("port")).into();
            for field in ["host", "port"] {
                object.as_object_mut().unwrap().remove(field);
            }
        }
        object
    };
    match path {
        "/convert" => {
            let objects: Vec<Value> = request["objects"].as_array().unwrap().iter().map(convert).collect();
            json!({"result": {"status": "Success"}, "convertedObjects": objects})
        }
        _ => json!({"result": {"status": "Failed", "message": "no time for that"}}),
    }
}

fn definition(hooks: &HookServer, path: &str, stored: &str) -> Value {
    let text = json!({"type": "string"});
    let version = |name: &str, properties: Value| {
        json!({"name": name, "served": true, "storage": name == stored,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}})
    };
    let config = hooks.hook("x", path, &json!({}))["clientConfig"].clone();
    json!({"metadata": {"name": "services.stable.example.com"}, "spec": {
        "group": "stable.example.com", "scope": "Namespaced", "names": {"plural": "services", "kind": "Service"},
        "conversion": {"strategy": "Webhook",
            "webhook": {"clientConfig": config, "conversionReviewVersions": ["v1", "v1beta1"]}},
        "versions": [version("v1", json!({"hostPort": text})), version("v2", json!({"host": text, "port": text}))]}})
}

async fn define(client: &Client, definition: &Value) {
    client.post(DEFINITIONS, definition).await.ok();
    eventually(|| async {
        let code = client.get(V2).await.code;
        if code == 200 { Ok(()) } else { Err(code) }
    })
    .await;
}

fn in_v1(name: &str) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "Service", "metadata": {"name": name}, "hostPort": "a:80"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_can_be_read_and_written() {
    let hooks = HookServer::start(convert).await;
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    define(&client, &definition(&hooks, "/convert", "v1")).await;
    let mut watch = client.watch(&format!("{V2}?watch=true")).await;

    client.post(V1, &in_v1("one")).await.ok();
    let read = client.get(&format!("{V2}/one")).await.ok();
    assert_eq!((&read["host"], &read["port"], &read["hostPort"]), (&json!("a"), &json!("80"), &Value::Null));
    assert_eq!(
        (&read["apiVersion"], &read["metadata"]["generation"]),
        (&json!("stable.example.com/v2"), &json!(1))
    );
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["host"]), (&json!("ADDED"), &json!("a")));

    let written = json!({"apiVersion": "stable.example.com/v2", "kind": "Service", "metadata": {"name": "two"},
        "host": "b", "port": "443"});
    let made = client.post(V2, &written).await.ok();
    assert_eq!(made["host"], "b");
    assert_eq!(client.get(&format!("{V1}/two")).await.ok()["hostPort"], "b:443");
    assert_eq!(watch.next().await.unwrap()["object"]["port"], "443");

    let patched = client.patch(&format!("{V2}/two"), "merge-patch", &json!({"port": "8443"})).await.ok();
    assert_eq!((&patched["host"], &patched["port"]), (&json!("b"), &json!("8443")));
    assert_eq!(client.get(&format!("{V1}/two")).await.ok()["hostPort"], "b:8443");
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["port"]), (&json!("MODIFIED"), &json!("8443")));

    // What is in the version of the request already costs nothing.
    hooks.asked();
    let list = client.get(V1).await.ok();
    assert_eq!(list["items"][1]["hostPort"], "b:8443");
    assert_eq!(hooks.asked().len(), 0);
    // A list is one call.
    let list = client.get(V2).await.ok();
    assert_eq!((&list["items"][0]["host"], &list["items"][1]["port"]), (&json!("a"), &json!("8443")));
    assert_eq!(hooks.asked().len(), 1);

    // From now on v2 is stored; what was stored before is not.
    let path = format!("{DEFINITIONS}/services.stable.example.com");
    let mut changed = client.get(&path).await.ok();
    for version in changed["spec"]["versions"].as_array_mut().unwrap() {
        version["storage"] = (version["name"] == "v2").into();
    }
    let changed = client.put(&path, &changed).await.ok();
    assert_eq!(changed["status"]["storedVersions"], json!(["v1", "v2"]));
    eventually(|| async {
        let mut third = in_v1("three");
        third["hostPort"] = "c:1".into();
        let code = client.post(V1, &third).await.code;
        let kept = client.get(&format!("{V1}/three")).await;
        client.delete(&format!("{V1}/three")).await;
        hooks.asked();
        client.get(V2).await.ok();
        let asked = hooks.asked();
        // The two old ones alone are converted once the definition is known.
        let sent = asked.first().map_or(0, |(_, request)| request["objects"].as_array().unwrap().len());
        if (code, kept.code, sent) == (201, 200, 2) { Ok(()) } else { Err((code, kept.code, sent)) }
    })
    .await;
    let third = json!({"apiVersion": "stable.example.com/v2", "kind": "Service", "metadata": {"name": "three"},
        "host": "c", "port": "1"});
    client.post(V2, &third).await.ok();
    hooks.asked();
    for (path, field, expected) in [(V1, "hostPort", "c:1"), (V2, "port", "1")] {
        let list = client.get(path).await.ok();
        let items: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item[field]).collect();
        assert_eq!((items.len(), items[1]), (3, &json!(expected)), "{list}");
    }
    assert_eq!(hooks.asked().len(), 2);
    // A change brings an old object into the stored version.
    client
        .patch(&format!("{V1}/one"), "merge-patch", &json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .ok();
    hooks.asked();
    assert_eq!(client.get(&format!("{V2}/one")).await.ok()["metadata"]["labels"]["a"], "b");
    assert_eq!(hooks.asked().len(), 0);
    client.delete(&format!("{V1}/one")).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_fails_is_named() {
    let hooks = HookServer::start(convert).await;
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    define(&client, &definition(&hooks, "/never", "v1")).await;
    let mut watch = client.watch(&format!("{V2}?watch=true")).await;
    client.post(V1, &in_v1("one")).await.ok();
    const FAILED: &str =
        "conversion webhook for stable.example.com/v1, Kind=Service failed: no time for that";
    for path in [format!("{V2}/one"), V2.to_owned()] {
        assert_eq!(client.get(&path).await.refusal(), (500, FAILED.to_owned()), "{path}");
    }
    assert_eq!(client.get(&format!("{V1}/one")).await.code, 200);
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["message"]), (&json!("ERROR"), &json!(FAILED)));
    let mut refused = definition(&hooks, "/convert", "v1");
    refused["metadata"]["name"] = "others.stable.example.com".into();
    refused["spec"]["names"] = json!({"plural": "others", "kind": "Other"});
    refused["spec"]["conversion"]["webhook"] =
        json!({"clientConfig": {}, "conversionReviewVersions": ["v9"]});
    let refused = client.post(DEFINITIONS, &refused).await.refusal();
    assert!(
        refused.1.contains(
            "spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required"
        ),
        "{}",
        refused.1
    );
    assert!(refused.1.contains("must include at least one of v1, v1beta1"), "{}", refused.1);
}
