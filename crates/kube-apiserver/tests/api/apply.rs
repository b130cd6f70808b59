//! Who owns what, and server-side apply.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Answer, Client, Cluster, MAPS, map};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const APPLY: &str = "application/apply-patch+yaml";

async fn apply(client: &Client, path: &str, query: &str, config: &Value) -> Answer {
    let path = format!("{path}?{query}");
    client.ask(Method::PATCH, &path, &[("content-type", APPLY)], config.to_string()).await
}

/// One line for each owner.
fn owners(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let line = |entry: &Value| {
        format!(
            "{} {} {} {} {}",
            text(entry, "manager"),
            text(entry, "operation"),
            text(entry, "apiVersion"),
            text(entry, "subresource"),
            entry["fieldsV1"]
        )
    };
    entries.iter().map(line).collect()
}

fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_own_what_they_write() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let agent = [("content-type", "application/json"), ("user-agent", "course/1.0 (linux)")];
    let created = client.ask(Method::POST, MAPS, &agent, map("a", "1").to_string()).await.ok();
    assert_eq!(owners(&created), [r#"course Update v1  {"f:data":{".":{},"f:key":{}}}"#]);
    assert_eq!(client.get(&format!("{MAPS}/a")).await.ok(), created);
    let path = format!("{MAPS}/a");

    // What is written as it was leaves version and owners alone, also where the owners are sent along.
    let again = client.put(&format!("{path}?fieldManager=other"), &map("a", "1")).await.ok();
    assert_eq!(again, created);
    assert_eq!(client.put(&path, &created).await.ok(), created);

    let patch = json!({"data": {"more": "2"}, "metadata": {"labels": {"x": "y"}}});
    let patched = client.patch(&format!("{path}?fieldManager=other"), "merge-patch", &patch).await.ok();
    assert_eq!(
        owners(&patched),
        [
            r#"course Update v1  {"f:data":{".":{},"f:key":{}}}"#,
            r#"other Update v1  {"f:data":{"f:more":{}},"f:metadata":{"f:labels":{".":{},"f:x":{}}}}"#,
        ]
    );
    let dry = client.put(&format!("{path}?fieldManager=third&dryRun=All"), &map("a", "9")).await.ok();
    assert_eq!(
        owners(&dry),
        [r#"course Update v1  {"f:data":{}}"#, r#"third Update v1  {"f:data":{"f:key":{}}}"#,]
    );
    assert_eq!(client.get(&path).await.ok(), patched);

    let clear = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
    let cleared = client.patch(&path, "json-patch", &clear).await.ok();
    assert!(cleared["metadata"].get("managedFields").is_none());
    // What has no owners gets none by being changed.
    let changed = client.put(&path, &map("a", "3")).await.ok();
    assert!(changed["metadata"].get("managedFields").is_none());

    let bad = client.put(&format!("{path}?fieldManager={}", "m".repeat(129)), &map("a", "1")).await.refusal();
    assert_eq!(bad.0, 422);
    assert!(
        bad.1.starts_with("UpdateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long"),
        "{}",
        bad.1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applier_creates_changes_shares_and_gives_up() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let path = format!("{DEPLOYMENTS}/web");
    let created = apply(&client, &path, "fieldManager=me", &deployment(1)).await;
    assert_eq!(created.code, 201);
    let created = created.ok();
    assert_eq!(created["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
    assert_eq!(
        owners(&created),
        [
            r#"me Apply apps/v1  {"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{}}}}}}}"#
        ]
    );
    let again = apply(&client, &path, "fieldManager=me", &deployment(1)).await;
    assert_eq!(again.code, 200);
    assert_eq!(again.ok(), created);

    // Another value of what somebody owns is a conflict, unless it is forced.
    let mine = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}});
    let refused = apply(&client, &path, "fieldManager=you", &mine).await;
    let status = refused.json();
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"me\": .spec.replicas");
    assert_eq!(
        (&status["code"], &status["reason"], &status["details"]),
        (
            &json!(409),
            &json!("Conflict"),
            &json!({"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"me\"", "field": ".spec.replicas"}]})
        )
    );
    let dry = apply(&client, &path, "fieldManager=you&force=true&dryRun=All", &mine).await.ok();
    assert_eq!((&dry["spec"]["replicas"], owners(&dry).len()), (&json!(3), 2));
    assert_eq!(client.get(&path).await.ok(), created);
    let forced = apply(&client, &path, "fieldManager=you&force=true", &mine).await.ok();
    assert_eq!((&forced["spec"]["replicas"], &forced["metadata"]["generation"]), (&json!(3), &json!(2)));
    assert_eq!(owners(&forced)[1], r#"you Apply apps/v1  {"f:spec":{"f:replicas":{}}}"#);

    // By way of the scale: what an updater changes, the applier has lost.
    let scale = json!({"spec": {"replicas": 5}});
    client.patch(&format!("{path}/scale?fieldManager=scaler"), "merge-patch", &scale).await.ok();
    let scaled = client.get(&path).await.ok();
    let lines = owners(&scaled);
    assert_eq!(
        (lines.len(), lines[1].as_str()),
        (2, r#"scaler Update apps/v1 scale {"f:spec":{"f:replicas":{}}}"#)
    );
    let refused = apply(&client, &path, "fieldManager=you", &mine).await.refusal();
    assert_eq!(
        refused.1,
        "Apply failed with 1 conflict: conflict with \"scaler\" with subresource \"scale\" using apps/v1: .spec.replicas"
    );
    let own = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 6}});
    let own = apply(&client, &format!("{path}/scale"), "fieldManager=scaler&force=true", &own).await.ok();
    assert_eq!((&own["kind"], &own["spec"]["replicas"]), (&json!("Scale"), &json!(6)));
    let lines = owners(&client.get(&path).await.ok());
    assert_eq!(lines[1], r#"scaler Apply apps/v1 scale {"f:spec":{"f:replicas":{}}}"#);

    // What nobody names any more goes back to the default.
    let mut less = deployment(1);
    less["spec"].as_object_mut().unwrap().remove("replicas");
    less["spec"]["minReadySeconds"] = 7.into();
    let applied = apply(&client, &path, "fieldManager=me", &less).await.ok();
    assert_eq!((&applied["spec"]["replicas"], &applied["spec"]["minReadySeconds"]), (&json!(6), &json!(7)));
    less["spec"].as_object_mut().unwrap().remove("minReadySeconds");
    let applied = apply(&client, &path, "fieldManager=me", &less).await.ok();
    assert!(applied["spec"].get("minReadySeconds").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_is_applied_through_its_own_path_alone() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let path = format!("{DEPLOYMENTS}/web");
    let mut config = deployment(1);
    config["status"] = json!({"replicas": 4});
    let created = apply(&client, &path, "fieldManager=me", &config).await.ok();
    assert!(created["status"].get("replicas").is_none());
    assert!(!owners(&created)[0].contains("f:status"));
    let status = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 9}, "status": {"replicas": 2, "conditions": [{"type": "Available", "status": "True"}]},
    });
    let applied = apply(&client, &format!("{path}/status"), "fieldManager=controller", &status).await.ok();
    assert_eq!((&applied["spec"]["replicas"], &applied["status"]["replicas"]), (&json!(1), &json!(2)));
    let lines = owners(&applied);
    let own = lines.iter().find(|line| line.starts_with("controller"));
    assert_eq!(
        own.unwrap(),
        r#"controller Apply apps/v1 status {"f:status":{"f:conditions":{"k:{\"type\":\"Available\"}":{".":{},"f:status":{},"f:type":{}}},"f:replicas":{}}}"#
    );
    let other =
        apply(&client, &format!("{DEPLOYMENTS}/none/status"), "fieldManager=controller", &status).await;
    assert_eq!(other.refusal().0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_applied_is_refused_in_upstreams_words() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let path = format!("{MAPS}/a");
    let good =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let with = |key: &str, value: Value| {
        let mut config = good.clone();
        config[key] = value;
        config
    };
    let cases = [
        (
            "",
            good.clone(),
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ),
        ("fieldManager=me", with("kind", "Secret".into()), 400, "invalid object type: /v1, Kind=Secret"),
        (
            "fieldManager=me",
            with("metadata", json!({"name": "b"})),
            400,
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            "fieldManager=me",
            with("metadata", json!({"name": "a", "managedFields": []})),
            400,
            "metadata.managedFields must be nil",
        ),
        (
            "fieldManager=me",
            with("dat", json!({})),
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .dat: field not declared in schema",
        ),
        (
            "fieldManager=me",
            with("metadata", json!({"name": "a", "uid": "x"})),
            409,
            "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid x, and no existing object was found",
        ),
        (
            "fieldManager=me",
            with("data", json!({"not a key": "v"})),
            422,
            "ConfigMap \"a\" is invalid: data[not a key]: Invalid value",
        ),
    ];
    for (query, config, code, start) in cases {
        let (found, message) = apply(&client, &path, query, &config).await.refusal();
        assert_eq!(found, code, "{message}");
        assert!(message.starts_with(start), "{message}");
    }
    for kind in ["apply-patch+json", "apply-patch+cbor"] {
        let content = format!("application/{kind}");
        let headers = [("content-type", content.as_str())];
        assert_eq!(
            client.ask(Method::PATCH, &format!("{path}?fieldManager=me"), &headers, "{}").await.code,
            415
        );
    }
    let forced = client.patch(&format!("{path}?force=true"), "merge-patch", &json!({})).await.refusal();
    assert!(forced.1.ends_with("force: Forbidden: may not be specified for non-apply patch"), "{}", forced.1);

    // YAML, with a field that is there twice.
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n  k: w\n";
    let send = |query: &'static str| {
        let path = format!("{path}?fieldManager=me&{query}");
        let client = client.clone();
        async move { client.ask(Method::PATCH, &path, &[("content-type", APPLY)], yaml).await }
    };
    let strict = send("fieldValidation=Strict").await.refusal();
    assert!(strict.0 == 400 && strict.1.starts_with("error strict decoding YAML: "), "{}", strict.1);
    let warned = send("fieldValidation=Warn").await;
    assert!(warned.headers.contains_key("warning"));
    assert_eq!(warned.ok()["data"]["k"], "w");
    assert!(!send("fieldValidation=Ignore").await.headers.contains_key("warning"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_in_another_version_of_a_kind_are_asked_in_theirs() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let scalers =
        |version: &str| format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers");
    let target = json!({"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"});
    let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50, "scaleTargetRef": target}});
    let path = format!("{}?fieldManager=old", scalers("v1"));
    let created = client.post(&path, &old).await.ok();
    assert_eq!(
        owners(&created),
        [
            r#"old Update autoscaling/v1  {"f:spec":{"f:maxReplicas":{},"f:minReplicas":{},"f:scaleTargetRef":{},"f:targetCPUUtilizationPercentage":{}}}"#
        ]
    );
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
    let new = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec": {"metrics": [metric]}});
    let path = format!("{}/a", scalers("v2"));
    let refused = apply(&client, &path, "fieldManager=new", &new).await.refusal();
    assert_eq!(
        refused.1,
        "Apply failed with 1 conflict: conflict with \"old\" using autoscaling/v1: .spec.targetCPUUtilizationPercentage"
    );
    let forced = apply(&client, &path, "fieldManager=new&force=true", &new).await.ok();
    assert_eq!(
        owners(&forced),
        [
            r#"new Apply autoscaling/v2  {"f:spec":{"f:metrics":{}}}"#,
            r#"old Update autoscaling/v1  {"f:spec":{"f:maxReplicas":{},"f:minReplicas":{},"f:scaleTargetRef":{}}}"#,
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_create_by_applying_takes_the_right_to_create() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let role = json!({"metadata": {"name": "patch"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]});
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    admin.post(&format!("{roles}/roles"), &role).await.ok();
    let binding = json!({
        "metadata": {"name": "patch"}, "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "Role", "name": "patch", "apiGroup": "rbac.authorization.k8s.io"},
    });
    admin.post(&format!("{roles}/rolebindings"), &binding).await.ok();
    admin.post(MAPS, &map("there", "1")).await.ok();
    let jane = cluster.client("jane", &[]).await;
    let config = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"more": "2"}});
    testkit::eventually(|| async {
        let answer = apply(&jane, &format!("{MAPS}/there"), "fieldManager=jane", &config("there")).await;
        if answer.code == 200 { Ok(()) } else { Err(answer.code) }
    })
    .await;
    let refused = apply(&jane, &format!("{MAPS}/new"), "fieldManager=jane", &config("new")).await.refusal();
    assert_eq!(refused.0, 403);
    assert!(refused.1.contains("cannot create resource \"configmaps\""), "{}", refused.1);
}
