//! Patches of every kind, and the scale.

use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, map};

fn deployment() -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "a", "image": "one"}, {"name": "b", "image": "two"}]},
            },
        },
    })
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_kinds_of_patches() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "1")).await.ok();
    let path = format!("{MAPS}/a");
    let merged = client.patch(&path, "merge-patch", &json!({"data": {"key": null, "other": "2"}})).await.ok();
    assert_eq!(merged["data"], json!({"other": "2"}));
    let patched = client
        .patch(&path, "json-patch", &json!([{"op": "replace", "path": "/data/other", "value": "3"}]))
        .await
        .ok();
    assert_eq!(patched["data"]["other"], "3");
    let refused = client
        .patch(&path, "json-patch", &json!([{"op": "test", "path": "/data/other", "value": "x"}]))
        .await;
    assert_eq!(refused.refusal().0, 422);
    assert_eq!(client.patch(&path, "merge-patch", &json!([])).await.refusal().0, 400);
    let other = client.ask(http::Method::PATCH, &path, &[("content-type", "application/json")], "{}").await;
    assert_eq!(other.refusal().0, 415);
    let same = client.patch(&path, "merge-patch", &json!({"data": {"other": "3"}})).await.ok();
    assert_eq!(same["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"]);
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"other": "4"}});
    assert_eq!(client.patch(&path, "merge-patch", &stale).await.refusal().0, 409);
    assert_eq!(client.patch(&format!("{MAPS}/none"), "merge-patch", &json!({})).await.refusal().0, 404);

    client.post(DEPLOYMENTS, &deployment()).await.ok();
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "three"}]}}}});
    let patched = client.patch(&format!("{DEPLOYMENTS}/web"), "strategic-merge-patch", &patch).await.ok();
    let images: Vec<&Value> = patched["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| &container["image"])
        .collect();
    assert!(images.contains(&&json!("one")) && images.contains(&&json!("three")), "{images:?}");
    assert_eq!(patched["metadata"]["generation"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scale_and_status_touch_only_their_part() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(DEPLOYMENTS, &deployment()).await.ok();
    let path = format!("{DEPLOYMENTS}/web");
    let mut scale = client.get(&format!("{path}/scale")).await.ok();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    assert_eq!(scale["status"]["selector"], "app=web");
    scale["spec"]["replicas"] = 4.into();
    client.put(&format!("{path}/scale"), &scale).await.ok();
    assert_eq!(client.get(&path).await.ok()["spec"]["replicas"], 4);
    assert_eq!(client.put(&format!("{path}/scale"), &scale).await.refusal().0, 409);
    client.patch(&format!("{path}/scale"), "merge-patch", &json!({"spec": {"replicas": 2}})).await.ok();

    let mut status = client.get(&path).await.ok();
    status["status"] = json!({"replicas": 2, "observedGeneration": 3});
    status["spec"]["replicas"] = 9.into();
    let updated = client.put(&format!("{path}/status"), &status).await.ok();
    assert_eq!((&updated["spec"]["replicas"], &updated["status"]["replicas"]), (&json!(2), &json!(2)));
    let mut whole = client.get(&path).await.ok();
    whole["status"]["replicas"] = 7.into();
    let updated = client.put(&path, &whole).await.ok();
    assert_eq!(updated["status"]["replicas"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scales_are_refused_in_upstreams_words() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let uid = client.post(DEPLOYMENTS, &deployment()).await.ok()["metadata"]["uid"].clone();
    let path = format!("{DEPLOYMENTS}/web/scale");
    let patched = |patch: Value| {
        let (client, path) = (&client, path.as_str());
        async move { client.patch(path, "merge-patch", &patch).await.refusal() }
    };
    assert_eq!(
        patched(json!({"metadata": {"uid": "other"}})).await,
        (
            409,
            format!(
                "Operation cannot be fulfilled on deployments/scale.apps \"web\": Precondition failed: UID in precondition: other, UID in object meta: {}",
                uid.as_str().unwrap()
            )
        )
    );
    let (code, why) = patched(json!({"metadata": {"labels": {"a": "-"}}, "spec": {"replicas": -1}})).await;
    assert_eq!(code, 422);
    let begins =
        "Scale.autoscaling \"web\" is invalid: [metadata.labels: Invalid value: \"-\": a valid label must be";
    assert!(why.starts_with(begins), "{why}");
    assert!(
        why.ends_with(", spec.replicas: Invalid value: -1: must be greater than or equal to 0]"),
        "{why}"
    );

    let gone = |why: &str| (404, why.to_owned());
    let path = format!("{DEPLOYMENTS}/none/scale");
    assert_eq!(client.get(&path).await.refusal(), gone("deployments.apps \"none\" not found"));
    let more = json!({"spec": {"replicas": 2}});
    let patched = client.patch(&path, "merge-patch", &more).await.refusal();
    assert_eq!(patched, gone("deployments/scale.apps \"none\" not found"));
    let path = "/api/v1/namespaces/default/replicationcontrollers/none/scale";
    assert_eq!(
        client.get(path).await.refusal(),
        gone("replicationcontrollers/scale.autoscaling \"none\" not found")
    );
    let patched = client.patch(path, "merge-patch", &more).await.refusal();
    assert_eq!(patched, gone("replicationcontrollers/scale \"none\" not found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_that_cannot_be_read_are_refused_as_upstream_does() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(MAPS, &map("a", "v")).await.ok();
    client.post(DEPLOYMENTS, &deployment()).await.ok();
    let (path, web) = (format!("{MAPS}/a"), format!("{DEPLOYMENTS}/web"));
    let invalid =
        |value: &str, why: &str| format!(" \"\" is invalid: patch: Invalid value: {value:?}: {why}");
    let undecodable = |why: &str| format!("error decoding patch: json: cannot unmarshal {why}");
    for (path, kind, patch, expected) in [
        (
            &web,
            "strategic-merge-patch",
            json!({"spec": {"replicas": "x", "paused": true}}),
            invalid("map[spec:map[paused:true replicas:x]]", "unrecognized type: int32"),
        ),
        (
            &path,
            "strategic-merge-patch",
            json!({"data": {"k": 1}}),
            invalid("map[data:map[k:1]]", "cannot convert int64 to string"),
        ),
        (
            &path,
            "strategic-merge-patch",
            json!({"data": []}),
            invalid("map[data:[]]", "cannot restore map from slice"),
        ),
        (
            &path,
            "strategic-merge-patch",
            json!([]),
            "json: cannot unmarshal array into Go value of type map[string]interface {}".to_owned(),
        ),
        (&path, "merge-patch", json!([]), undecodable("array into Go value of type map[string]interface {}")),
        (&path, "json-patch", json!({}), undecodable("object into Go value of type []handlers.jsonPatchOp")),
        (
            &path,
            "json-patch",
            json!([{"op": 1}]),
            undecodable("number into Go struct field jsonPatchOp.op of type string"),
        ),
    ] {
        let (code, message) = client.patch(path, kind, &patch).await.refusal();
        assert_eq!(message, expected);
        assert_eq!(code, if message.contains("is invalid") { 422 } else { 400 }, "{message}");
    }
    // What a merge patch or a JSON patch makes is shown as text.
    for (kind, patch) in [
        ("merge-patch", json!({"data": {"key": 1}})),
        ("json-patch", json!([{"op": "replace", "path": "/data/key", "value": 1}])),
    ] {
        let (code, message) = client.patch(&path, kind, &patch).await.refusal();
        assert_eq!(code, 422);
        assert!(message.starts_with(" \"\" is invalid: patch: Invalid value: \"{"), "{message}");
        let why = "}\": json: cannot unmarshal number into Go struct field ConfigMap.data of type string";
        assert!(message.ends_with(why), "{message}");
        assert!(message.contains(r#"\"data\":{\"key\":1}"#), "{message}");
    }
    let misspelt = json!([{"op": "replace", "path": "/data/key", "value": "w", "form": "/"}]);
    let warned = client.patch(&path, "json-patch", &misspelt).await;
    assert_eq!(warned.headers["warning"], "299 - \"json patch unknown field \\\"[0].form\\\"\"");
    let (code, message) =
        client.patch(&format!("{path}?fieldValidation=Strict"), "json-patch", &misspelt).await.refusal();
    assert_eq!(code, 422);
    assert!(message.ends_with("strict decoding error: json patch unknown field \"[0].form\""), "{message}");
}
