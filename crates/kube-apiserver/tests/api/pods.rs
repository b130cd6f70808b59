//! Pods: bound, watched by their node, deleted gracefully, evicted within budgets, charged to quotas.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Client, Cluster};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

async fn bind(client: &Client, name: &str, node: &str) -> crate::cluster::Answer {
    let binding = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}});
    client.post(&format!("{PODS}/{name}/binding"), &binding).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_sees_the_pods_that_are_bound_to_it() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let mut on_w1 = client.watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dw1").await;
    let mut unbound = client.watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D").await;
    client.post(PODS, &pod("a")).await.ok();
    client.post(PODS, &pod("b")).await.ok();
    assert_eq!(bind(&client, "a", "w1").await.code, 201);
    assert_eq!(bind(&client, "b", "w2").await.code, 201);
    let event = on_w1.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["spec"]["nodeName"]), (&json!("ADDED"), &json!("w1")));
    for expected in [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")] {
        let (kind, name) = unbound.name().await;
        assert_eq!((kind.as_str(), name.as_str()), expected);
    }
    let (code, message) = bind(&client, "a", "w2").await.refusal();
    assert_eq!(
        (code, message.as_str()),
        (
            409,
            "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"w1\""
        )
    );
    let of_w2 = client.get("/api/v1/pods?fieldSelector=spec.nodeName=w2").await.ok();
    assert_eq!(of_w2["items"].as_array().unwrap().len(), 1);

    // A bound pod is given its time; its kubelet ends it.
    let dying = client.delete(&format!("{PODS}/a")).await.ok();
    assert_eq!(dying["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(on_w1.name().await, ("MODIFIED".into(), "a".into()));
    client.delete(&format!("{PODS}/a?gracePeriodSeconds=0")).await.ok();
    // Whoever watches hears that the time is over before the pod is gone.
    let last = on_w1.next().await.unwrap();
    assert_eq!(
        (&last["type"], &last["object"]["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("MODIFIED"), &json!(0))
    );
    let gone = on_w1.next().await.unwrap();
    assert_eq!(
        (&gone["type"], &gone["object"]["metadata"]["deletionTimestamp"]),
        (&json!("DELETED"), &last["object"]["metadata"]["deletionTimestamp"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_answers_with_what_went_or_with_a_status() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    client.post(PODS, &pod("a")).await.ok();
    let gone = client.delete(&format!("{PODS}/a?gracePeriodSeconds=0")).await.ok();
    assert_eq!((&gone["kind"], &gone["metadata"]["name"]), (&json!("Pod"), &json!("a")));
    let maps = "/api/v1/namespaces/default/configmaps";
    let made = client.post(maps, &json!({"metadata": {"name": "m"}})).await.ok();
    let gone = client.delete(&format!("{maps}/m")).await.ok();
    assert_eq!(
        (&gone["kind"], &gone["details"]),
        (&json!("Status"), &json!({"name": "m", "kind": "configmaps", "uid": made["metadata"]["uid"]}))
    );
    let held = json!({"metadata": {"name": "m", "finalizers": ["a.example/b"]}});
    client.post(maps, &held).await.ok();
    let answer = client.delete(&format!("{maps}/m?orphanDependents=false")).await;
    assert_eq!(answer.code, 202);
    let marked = answer.ok();
    assert_eq!(
        (&marked["kind"], &marked["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("ConfigMap"), &json!(0))
    );
    let uid = marked["metadata"]["uid"].as_str().unwrap();
    let other = json!({"preconditions": {"uid": "other"}}).to_string();
    let headers = [("content-type", "application/json")];
    let refused = client.ask(Method::DELETE, &format!("{maps}/m"), &headers, other).await.refusal();
    let why = format!(
        "Operation cannot be fulfilled on ConfigMap \"m\": the UID in the precondition (other) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
    );
    assert_eq!(refused, (409, why));

    // A job's pods stay when nobody says what is to become of them.
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    client.post(jobs, &job).await.ok();
    let answer = client.delete(&format!("{jobs}/j")).await;
    assert_eq!(
        answer.headers["warning"],
        "299 - \"child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning\""
    );
    assert_eq!(answer.ok()["metadata"]["finalizers"], json!(["orphan"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_resized_within_its_class() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let mut wanted = pod("a");
    wanted["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1", "memory": "1Gi"}});
    client.post(PODS, &wanted).await.ok();
    let path = format!("{PODS}/a/resize");
    let by = |requests: Value, image: &str| json!({"spec": {"containers": [{"name": "c", "image": image, "resources": {"requests": requests}}]}});
    let resized = client.patch(&path, "strategic-merge-patch", &by(json!({"cpu": "2"}), "other")).await.ok();
    let container = &resized["spec"]["containers"][0];
    assert_eq!(container["resources"]["requests"], json!({"cpu": "2", "memory": "1Gi"}));
    // What is not of a resize stays as it was.
    assert_eq!((&container["image"], &resized["metadata"]["generation"]), (&json!("i"), &json!(2)));
    for (requests, why) in [
        (
            json!({"memory": null}),
            "Pod \"a\" is invalid: spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
        ),
        (
            json!({"cpu": null, "memory": null}),
            "Pod \"a\" is invalid: [spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing, spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed]",
        ),
        (
            json!({"ephemeral-storage": "1Gi"}),
            "Pod \"a\" is invalid: spec: Forbidden: only cpu and memory resources are mutable",
        ),
    ] {
        let refused = client.patch(&path, "strategic-merge-patch", &by(requests, "i")).await.refusal();
        assert_eq!(refused, (422, why.to_owned()));
    }
    // Where the pod runs, its kubelet must know how.
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "c", "state": {"running": {}},
        "image": "i", "imageID": "i", "ready": true, "restartCount": 0}]}});
    client.patch(&format!("{PODS}/a/status"), "merge-patch", &status).await.ok();
    let refused = client.patch(&path, "strategic-merge-patch", &by(json!({"cpu": "1"}), "i")).await.refusal();
    assert!(
        refused.1.ends_with("spec: Forbidden: Pod running on node without support for resize"),
        "{}",
        refused.1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evictions_ask_the_budget() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    client.post(budgets, &budget).await.ok();
    for name in ["a", "b"] {
        client.post(PODS, &pod(name)).await.ok();
        bind(&client, name, "w1").await.ok();
        let status =
            json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        client.patch(&format!("{PODS}/{name}/status"), "merge-patch", &status).await.ok();
    }
    let status = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}});
    client.patch(&format!("{budgets}/b/status"), "merge-patch", &status).await.ok();
    let evict = |name: &'static str| {
        let client = client.clone();
        async move {
            let eviction = json!({"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": name}});
            client.post(&format!("{PODS}/{name}/eviction"), &eviction).await
        }
    };
    assert_eq!(evict("a").await.code, 201);
    let (code, message) = evict("b").await.refusal();
    assert_eq!(
        (code, message.as_str()),
        (429, "Cannot evict pod as it would violate the pod's disruption budget.")
    );
    assert!(client.get(&format!("{PODS}/a")).await.ok()["metadata"]["deletionTimestamp"].is_string());
    assert!(client.get(&format!("{PODS}/b")).await.ok()["metadata"].get("deletionTimestamp").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_charged_once_however_many_ask() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    client.post(quotas, &json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "3"}}})).await.ok();
    let status = json!({"status": {"hard": {"pods": "3"}, "used": {"pods": "0"}}});
    client.patch(&format!("{quotas}/q/status"), "merge-patch", &status).await.ok();
    let mut writers = Vec::new();
    for number in 0..8 {
        let client = client.clone();
        writers.push(tokio::spawn(async move { client.post(PODS, &pod(&format!("p{number}"))).await }));
    }
    let mut made = 0;
    for writer in writers {
        match writer.await.unwrap() {
            answer if answer.code == 201 => made += 1,
            answer => {
                let (code, message) = answer.refusal();
                assert_eq!(code, 403);
                assert!(
                    message.contains("exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"),
                    "{message}"
                );
            }
        }
    }
    assert_eq!(made, 3);
    assert_eq!(client.get(&format!("{quotas}/q")).await.ok()["status"]["used"]["pods"], "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bindings_and_evictions_insist_on_the_pod_they_mean() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let made = client.post(PODS, &pod("a")).await.ok();
    let binding = |fields: Value| {
        let mut binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "w1"}});
        for (key, value) in fields.as_object().unwrap() {
            binding[key] = value.clone();
        }
        binding
    };
    let path = format!("{PODS}/a/binding");
    for (sent, code, told) in [
        (
            binding(json!({"metadata": {"name": "b"}})),
            400,
            "name in URL does not match name in Binding object",
        ),
        (
            binding(json!({"target": {"kind": "Pod", "name": "w1"}})),
            422,
            "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
        ),
        (binding(json!({"target": {"kind": "Node"}})), 422, "target.name: Required value"),
        (
            binding(json!({"metadata": {"name": "a", "uid": "other"}})),
            409,
            "Precondition failed: UID in precondition: other, UID in object meta: ",
        ),
        (
            binding(json!({"metadata": {"name": "a", "resourceVersion": "1"}})),
            409,
            "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: ",
        ),
    ] {
        let (found, message) = client.post(&path, &sent).await.refusal();
        assert_eq!(found, code, "{sent}: {message}");
        assert!(message.contains(told), "{message}");
    }
    assert_eq!(client.post(&format!("{path}?dryRun=All"), &binding(json!({}))).await.code, 201);
    assert_eq!(client.get(&format!("{PODS}/a")).await.ok(), made);
    // The older path of the same.
    assert_eq!(client.post("/api/v1/namespaces/default/bindings", &binding(json!({}))).await.code, 201);
    let bound = client.get(&format!("{PODS}/a")).await.ok();
    assert_eq!(bound["spec"]["nodeName"], "w1");

    let eviction = |fields: Value| {
        let mut eviction = json!({"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "a"}});
        for (key, value) in fields.as_object().unwrap() {
            eviction[key] = value.clone();
        }
        eviction
    };
    let path = format!("{PODS}/a/eviction");
    for (sent, code, told) in [
        (
            eviction(json!({"metadata": {"name": "b"}})),
            400,
            "name in URL does not match name in Eviction object",
        ),
        (
            eviction(json!({"deleteOptions": {"preconditions": {"uid": "other"}}})),
            409,
            "the UID in the precondition (other) does not match",
        ),
        (
            eviction(json!({"deleteOptions": {"preconditions": {"resourceVersion": "1"}}})),
            409,
            "the ResourceVersion in the precondition (1) does not match",
        ),
    ] {
        let (found, message) = client.post(&path, &sent).await.refusal();
        assert_eq!(found, code, "{sent}: {message}");
        assert!(message.contains(told), "{message}");
    }
    assert_eq!(client.post(&path, &eviction(json!({"deleteOptions": {"dryRun": ["All"]}}))).await.code, 201);
    assert_eq!(client.get(&format!("{PODS}/a")).await.ok(), bound, "nothing of that touched it");
    // A pod that no budget covers goes; why is said on it.
    assert_eq!(
        client.post(&path, &eviction(json!({"deleteOptions": {"gracePeriodSeconds": 5}}))).await.code,
        201
    );
    let going = client.get(&format!("{PODS}/a")).await.ok();
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 5);
    let conditions = going["status"]["conditions"].as_array().unwrap();
    let why = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&why["status"], &why["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));
}
