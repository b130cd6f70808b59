//! Webhooks that change and judge what is written.

use serde_json::{Value, json};

use crate::cluster::{Client, Cluster, MAPS, map};
use crate::hook_server::{HookServer, patch};

const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

async fn configure(admin: &Client, path: &str, name: &str, hooks: Vec<Value>) {
    let kind =
        if path == MUTATING { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" };
    let configuration = json!({"kind": kind, "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": name}, "webhooks": hooks});
    admin.post(path, &configuration).await.ok();
}

/// Waits until a webhook is asked about a map, as a client does that has just configured it.
async fn in_force(admin: &Client, hooks: &HookServer) {
    testkit::eventually(|| async {
        admin.post(&format!("{MAPS}?dryRun=All"), &map("probe", "")).await;
        if hooks.asked().is_empty() { Err("not asked") } else { Ok(()) }
    })
    .await;
    hooks.asked();
}

fn paths(hooks: &HookServer) -> Vec<String> {
    hooks.asked().into_iter().map(|(path, _)| path).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_changed_and_judged() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let hooks = HookServer::start(|path, request| match path {
        "/add" if request["object"].is_object() => {
            patch(&json!([{"op": "add", "path": "/data/added", "value": "yes"}]))
        }
        "/judge"
            if request["object"]["data"]["key"] == "bad" || request["oldObject"]["data"]["key"] == "kept" =>
        {
            json!({"allowed": false, "status": {"code": 403, "reason": "Forbidden", "message": "so bad"},
                "warnings": ["think again"]})
        }
        _ => json!({"allowed": true}),
    })
    .await;
    configure(&admin, VALIDATING, "judge", vec![hooks.hook("judge.example.com", "/judge", &json!({}))]).await;
    configure(&admin, MUTATING, "add", vec![hooks.hook("add.example.com", "/add", &json!({}))]).await;
    testkit::eventually(|| async {
        let probe = admin.post(&format!("{MAPS}?dryRun=All"), &map("probe", "")).await.ok();
        if probe["data"]["added"] == "yes" { Ok(()) } else { Err(probe) }
    })
    .await;
    in_force(&admin, &hooks).await;

    let made = admin.post(&format!("{MAPS}?fieldManager=me"), &map("one", "good")).await.ok();
    assert_eq!(made["data"], json!({"key": "good", "added": "yes"}));
    let asked = hooks.asked();
    assert_eq!(asked.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["/add", "/judge"]);
    let request = &asked[1].1;
    for (key, expected) in [
        ("kind", json!({"group": "", "version": "v1", "kind": "ConfigMap"})),
        ("resource", json!({"group": "", "version": "v1", "resource": "configmaps"})),
        ("requestKind", json!({"group": "", "version": "v1", "kind": "ConfigMap"})),
        ("name", json!("one")),
        ("namespace", json!("default")),
        ("operation", json!("CREATE")),
        ("dryRun", json!(false)),
        ("oldObject", Value::Null),
        ("options", json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"})),
    ] {
        assert_eq!(request[key], expected, "{key}");
    }
    assert_eq!(request["userInfo"]["username"], "admin");
    assert_eq!(request["object"]["data"], json!({"key": "good", "added": "yes"}));

    let refused = admin.post(MAPS, &map("two", "bad")).await;
    assert_eq!(refused.headers["warning"], "299 - \"think again\"");
    let words = "admission webhook \"judge.example.com\" denied the request: so bad";
    assert_eq!(refused.refusal(), (403, words.to_owned()));
    assert_eq!(admin.get(&format!("{MAPS}/two")).await.code, 404);

    // An update and a patch, each with the object as it was.
    hooks.asked();
    let path = format!("{MAPS}/one");
    assert_eq!(admin.put(&path, &map("one", "bad")).await.refusal().0, 403);
    let patched =
        admin.patch(&path, "merge-patch", &json!({"data": {"added": null, "key": "kept"}})).await.ok();
    assert_eq!(patched["data"], json!({"key": "kept", "added": "yes"}));
    let asked = hooks.asked();
    assert_eq!(asked.last().unwrap().1["oldObject"]["data"]["key"], "good");
    assert_eq!(asked.last().unwrap().1["options"]["kind"], "UpdateOptions");
    // What is kept may neither change nor go, also not with all others.
    assert_eq!(admin.delete(&path).await.refusal(), (403, words.to_owned()));
    let asked = hooks.asked();
    assert_eq!((&asked[0].1["operation"], &asked[0].1["object"]), (&json!("DELETE"), &Value::Null));
    assert_eq!(admin.delete(MAPS).await.code, 403);
    assert_eq!(admin.get(&path).await.code, 200);

    // Configurations themselves are nobody's to judge.
    hooks.asked();
    admin.delete(&format!("{MUTATING}/add")).await.ok();
    admin.delete(&format!("{VALIDATING}/judge")).await.ok();
    assert!(hooks.asked().is_empty());
    testkit::eventually(|| async {
        if admin.delete(&path).await.code == 200 { Ok(()) } else { Err("refused") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_fail_refuse_or_pass() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let hooks = HookServer::start(|_, _| json!({"allowed": true})).await;
    let named = |name: &str, path: &str, more: Value| {
        let mut all = json!({"objectSelector": {"matchLabels": {"hook": name}}});
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        hooks.hook(&format!("{name}.example.com"), path, &all)
    };
    let dead = json!({"clientConfig": {"url": "https://127.0.0.1:1/x"}});
    let mut open = dead.clone();
    open["failurePolicy"] = "Ignore".into();
    let configured = vec![
        named("slow", "/slow", json!({"timeoutSeconds": 1})),
        named("dead", "/", dead),
        named("open", "/", open),
        named("effects", "/", json!({"sideEffects": "NoneOnDryRun"})),
        named(
            "condition",
            "/",
            json!({"matchConditions": [
            {"name": "system", "expression": "request.userInfo.username != 'admin'"}]}),
        ),
        hooks.hook("all.example.com", "/all", &json!({})),
    ];
    configure(&admin, VALIDATING, "all", configured).await;
    in_force(&admin, &hooks).await;
    let create = async |name: &str| {
        let mut object = map(name, "x");
        object["metadata"]["labels"] = json!({"hook": name});
        admin.post(MAPS, &object).await
    };
    let (code, message) = create("slow").await.refusal();
    assert_eq!(code, 500);
    let failed = "Internal error occurred: failed calling webhook \"slow.example.com\": failed to call webhook: Post \"https://127.0.0.1:";
    assert!(message.starts_with(failed), "{message}");
    assert!(message.ends_with("/slow?timeout=1s\": context deadline exceeded"), "{message}");
    let (_, message) = create("dead").await.refusal();
    assert!(message.contains("dial tcp 127.0.0.1:1: connect: connection refused"), "{message}");
    create("open").await.ok();
    hooks.asked();
    create("condition").await.ok();
    assert_eq!(paths(&hooks), ["/all"], "the condition does not hold for this user");
    create("effects").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_asked_in_order_and_again_when_others_change_the_object() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let hooks = HookServer::start(|path, request| {
        let has = request["object"]["data"].get("late").is_some();
        match path {
            "/late" if !has => patch(&json!([{"op": "add", "path": "/data/late", "value": "1"}])),
            "/first" if has => patch(&json!([{"op": "add", "path": "/data/seen", "value": "1"}])),
            _ => json!({"allowed": true}),
        }
    })
    .await;
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    configure(&admin, MUTATING, "b", vec![hooks.hook("late.example.com", "/late", &json!({}))]).await;
    let first = vec![
        hooks.hook("first.example.com", "/first", &again),
        hooks.hook("once.example.com", "/once", &json!({})),
    ];
    configure(&admin, MUTATING, "a", first).await;
    testkit::eventually(|| async {
        let probe = admin.post(&format!("{MAPS}?dryRun=All"), &map("probe", "")).await.ok();
        if probe["data"]["seen"] == "1" { Ok(()) } else { Err(probe) }
    })
    .await;
    hooks.asked();
    admin.post(MAPS, &map("one", "x")).await.ok();
    assert_eq!(paths(&hooks), ["/first", "/once", "/late", "/first"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subresources_are_told_as_what_they_are() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let hooks = HookServer::start(|path, request| match path {
        "/scale" if request["object"]["spec"]["replicas"] == 3 => {
            patch(&json!([{"op": "replace", "path": "/spec/replicas", "value": 4}]))
        }
        "/connect" => json!({"allowed": false, "status": {"message": "attaching to pod 'p' is not allowed"}}),
        _ => json!({"allowed": true}),
    })
    .await;
    let rule = |group: &str, resource: &str, operation: &str| json!({"rules": [{"operations": [operation], "apiGroups": [group], "apiVersions": ["*"], "resources": [resource]}]});
    let mutating = vec![
        hooks.hook("scale.example.com", "/scale", &rule("apps", "deployments/scale", "UPDATE")),
        hooks.hook("maps.example.com", "/maps", &json!({})),
    ];
    configure(&admin, MUTATING, "m", mutating).await;
    let validating = vec![
        hooks.hook("evict.example.com", "/evict", &rule("*", "pods/eviction", "CREATE")),
        hooks.hook("connect.example.com", "/connect", &rule("", "pods/attach", "CONNECT")),
    ];
    configure(&admin, VALIDATING, "v", validating).await;
    in_force(&admin, &hooks).await;

    let deployment = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    admin.post(path, &deployment).await.ok();
    let scale = json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "web"}, "spec": {"replicas": 3}});
    let scaled = admin.put(&format!("{path}/web/scale"), &scale).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 4);
    let asked = hooks.asked();
    let request = &asked[0].1;
    assert_eq!(request["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!(request["subResource"], "scale");
    assert_eq!(request["object"]["kind"], "Scale");

    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pods = "/api/v1/namespaces/default/pods";
    admin.post(pods, &pod).await.ok();
    testkit::eventually(|| async {
        let (code, message) = admin.post(&format!("{pods}/p/attach"), &json!({})).await.refusal();
        let words = "admission webhook \"connect.example.com\" denied the request: attaching to pod 'p' is not allowed";
        if (code, message.as_str()) == (400, words) { Ok(()) } else { Err(message) }
    })
    .await;
    hooks.asked();
    let eviction = json!({"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}});
    assert_eq!(admin.post(&format!("{pods}/p/eviction"), &eviction).await.code, 201);
    let asked = hooks.asked();
    assert_eq!(asked[0].1["kind"], json!({"group": "policy", "version": "v1", "kind": "Eviction"}));
}
