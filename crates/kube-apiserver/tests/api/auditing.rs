//! What the server writes down of requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, map};
use crate::hook_server::{HookServer, patch};
use crate::outside::Outside;

const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  userGroups: ["quiet"]
- level: Metadata
  resources: [{group: "", resources: ["secrets"]}]
  omitStages: [RequestReceived]
- level: RequestResponse
  resources: [{group: "", resources: ["configmaps"]}]
  omitManagedFields: true
- level: Request
  resources: [{group: authorization.k8s.io}]
  omitStages: [RequestReceived]
- level: Metadata
  nonResourceURLs: ["/api*"]
"#;

/// The events of a log about requests of a user agent's.
fn events(log: &Path, agent: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["userAgent"] == agent).collect()
}

async fn some(log: &Path, agent: &str, count: usize) -> Vec<Value> {
    testkit::eventually(|| async {
        let found = events(log, agent);
        if found.len() == count { Ok(found) } else { Err(found) }
    })
    .await
}

/// A cluster that writes down what the policy says, and where.
async fn audited() -> (Cluster, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (policy, log) = (folder.path().join("policy.yaml"), folder.path().join("logs/audit.log"));
    std::fs::write(&policy, POLICY).unwrap();
    let cluster = Cluster::start_with(&[
        &format!("--audit-policy-file={}", policy.display()),
        &format!("--audit-log-path={}", log.display()),
    ])
    .await;
    (cluster, log, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_written_down_as_the_policy_says() {
    let (cluster, log, _folder) = audited().await;
    let admin = cluster.admin().await;
    let ask = |method: http::Method, path: &str, agent: &'static str, body: String| {
        let (admin, path) = (admin.clone(), path.to_owned());
        async move {
            let headers = [
                ("user-agent", agent),
                ("content-type", "application/json"),
                ("x-forwarded-for", "203.0.113.7"),
            ];
            admin.ask(method, &path, &headers, body).await
        }
    };

    let made = ask(http::Method::POST, MAPS, "create", map("a", "1").to_string()).await;
    let audit_id = made.headers["audit-id"].to_str().unwrap().to_owned();
    let object = made.ok();
    let found = some(&log, "create", 2).await;
    assert_eq!(found[0]["stage"], "RequestReceived");
    assert!(found[0].get("requestObject").is_none() && found[0].get("responseStatus").is_none());
    let event = &found[1];
    assert_eq!((&event["kind"], &event["apiVersion"]), (&json!("Event"), &json!("audit.k8s.io/v1")));
    assert_eq!(event["auditID"], audit_id.as_str());
    assert_eq!((&event["level"], &event["stage"]), (&json!("RequestResponse"), &json!("ResponseComplete")));
    assert_eq!((&event["verb"], &event["requestURI"]), (&json!("create"), &json!(MAPS)));
    assert_eq!(event["user"]["username"], "admin");
    assert_eq!(event["user"]["groups"], json!(["system:masters", "system:authenticated"]));
    assert_eq!(event["sourceIPs"], json!(["203.0.113.7", "127.0.0.1"]));
    assert_eq!(
        event["objectRef"],
        json!({"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"})
    );
    assert_eq!(event["responseStatus"], json!({"metadata": {}, "code": 201}));
    assert_eq!(event["requestObject"]["data"], json!({"key": "1"}));
    assert_eq!(event["responseObject"]["metadata"]["uid"], object["metadata"]["uid"]);
    assert!(event["responseObject"]["metadata"].get("managedFields").is_none());
    assert_eq!(event["annotations"]["authorization.k8s.io/decision"], "allow");
    assert_eq!(event["annotations"]["authorization.k8s.io/reason"], "");
    assert!(event["requestReceivedTimestamp"].as_str().unwrap() <= event["stageTimestamp"].as_str().unwrap());

    let patch = json!({"data": {"key": "2"}}).to_string();
    let headers = [("user-agent", "patch"), ("content-type", "application/merge-patch+json")];
    admin.ask(http::Method::PATCH, &format!("{MAPS}/a"), &headers, patch).await.ok();
    let event = some(&log, "patch", 2).await.remove(1);
    assert_eq!(event["requestObject"], json!({"data": {"key": "2"}}));
    assert_eq!(event["responseObject"]["data"], json!({"key": "2"}));

    let listed = ask(http::Method::GET, MAPS, "list", String::new()).await.ok();
    let event = some(&log, "list", 2).await.remove(1);
    assert_eq!(
        event["responseObject"]["items"].as_array().unwrap().len(),
        listed["items"].as_array().unwrap().len()
    );

    // What is secret stays so.
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}).to_string();
    ask(http::Method::POST, "/api/v1/namespaces/default/secrets", "secret", secret).await.ok();
    let event = some(&log, "secret", 1).await.remove(0);
    assert_eq!((&event["level"], &event["stage"]), (&json!("Metadata"), &json!("ResponseComplete")));
    assert_eq!(event["objectRef"]["name"], "s");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"));

    // Refusals tell why; impersonation tells both; a watch is written down twice.
    let missing = ask(http::Method::GET, &format!("{MAPS}/none"), "missing", String::new()).await;
    assert_eq!(missing.code, 404);
    let event = some(&log, "missing", 2).await.remove(1);
    assert_eq!(event["responseStatus"]["reason"], "NotFound");
    assert_eq!(event["responseStatus"]["message"], "configmaps \"none\" not found");
    let headers = [("user-agent", "as"), ("impersonate-user", "jane")];
    assert_eq!(admin.ask(http::Method::GET, MAPS, &headers, "").await.code, 403);
    let event = some(&log, "as", 2).await.remove(1);
    assert_eq!(event["user"]["username"], "admin");
    assert_eq!(event["impersonatedUser"]["username"], "jane");
    assert_eq!(event["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!(event["responseStatus"]["code"], 403);
    let watch = format!("{MAPS}?watch=true&timeoutSeconds=1&resourceVersion=0");
    ask(http::Method::GET, &watch, "watch", String::new()).await;
    let stages: Vec<Value> =
        some(&log, "watch", 3).await.iter().map(|event| event["stage"].clone()).collect();
    assert_eq!(stages, ["RequestReceived", "ResponseStarted", "ResponseComplete"]);

    // Whom nobody knows, and what the policy leaves out.
    let stranger = cluster.stranger().await;
    let headers = [("user-agent", "stranger"), ("authorization", "Bearer nonsense")];
    assert_eq!(stranger.ask(http::Method::GET, MAPS, &headers, "").await.code, 401);
    let event = some(&log, "stranger", 1).await.remove(0);
    assert_eq!(event["stage"], "ResponseStarted");
    assert_eq!(event["responseStatus"]["message"], "Authentication failed, attempted: bearer");
    assert!(!event.to_string().contains("nonsense"));
    let quiet = cluster.client("q", &["quiet", "system:masters"]).await;
    quiet.ask(http::Method::GET, MAPS, &[("user-agent", "quiet")], "").await.ok();
    ask(http::Method::GET, "/version", "version", String::new()).await;
    ask(http::Method::GET, "/api", "api", String::new()).await;
    some(&log, "api", 2).await;
    assert!(events(&log, "quiet").is_empty() && events(&log, "version").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_gets_events_in_lists() {
    let received = Arc::new(Mutex::new(Vec::<Value>::new()));
    let seen = received.clone();
    let service = Outside::start(move |_, list, _| {
        assert_eq!(list["kind"], "EventList");
        seen.lock().extend(list["items"].as_array().unwrap().iter().cloned());
        Some(json!({}))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
        .unwrap();
    let kubeconfig = service.kubeconfig(folder.path());
    let cluster = Cluster::start_with(&[
        &format!("--audit-policy-file={}", policy.display()),
        &format!("--audit-webhook-config-file={kubeconfig}"),
        "--audit-webhook-batch-max-wait=100ms",
    ])
    .await;
    let admin = cluster.admin().await;
    for number in 0..50 {
        admin
            .ask(http::Method::GET, &format!("{MAPS}?n={number}"), &[("user-agent", "batch")], "")
            .await
            .ok();
    }
    testkit::eventually(|| async {
        let received = received.lock();
        let done = |event: &&Value| event["userAgent"] == "batch" && event["stage"] == "ResponseComplete";
        match received.iter().filter(done).count() {
            50 => Ok(()),
            count => Err(count),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_webhooks_did_is_written_down() {
    let (cluster, log, _folder) = audited().await;
    let admin = cluster.admin().await;
    let hooks = HookServer::start(|path, _| match path {
        "/add" => patch(&json!([{"op": "add", "path": "/data/added", "value": "yes"}])),
        _ => json!({"allowed": true, "auditAnnotations": {"seen": "yes"}}),
    })
    .await;
    let open = json!({"failurePolicy": "Ignore", "timeoutSeconds": 1});
    let hook = |name: &str, path: &str, more: &Value| hooks.hook(&format!("{name}.example.com"), path, more);
    for (kind, plural, list) in [
        (
            "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations",
            vec![
                hook("look", "/look", &json!({"reinvocationPolicy": "IfNeeded"})),
                hook("add", "/add", &json!({})),
                hook("slow", "/slow", &open),
            ],
        ),
        (
            "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations",
            vec![hook("judge", "/slow", &open)],
        ),
    ] {
        let configuration = json!({"kind": kind, "apiVersion": "admissionregistration.k8s.io/v1",
            "metadata": {"name": "all"}, "webhooks": list});
        admin.post(&format!("/apis/admissionregistration.k8s.io/v1/{plural}"), &configuration).await.ok();
    }
    // Both lists are in force when the last webhook of each has been asked.
    testkit::eventually(|| async {
        admin.post(&format!("{MAPS}?dryRun=All"), &map("probe", "")).await;
        let slow = hooks.asked().into_iter().filter(|(path, _)| path == "/slow").count();
        if slow == 2 { Ok(()) } else { Err(slow) }
    })
    .await;
    let headers = [("user-agent", "hooked"), ("content-type", "application/json")];
    admin.ask(http::Method::POST, MAPS, &headers, map("a", "1").to_string()).await.ok();
    let event = some(&log, "hooked", 2).await.remove(1);
    let noted = |key: &str| event["annotations"][key].as_str().unwrap_or_default().to_owned();
    let read = |key: &str| serde_json::from_str::<Value>(&noted(key)).unwrap_or_default();
    let key = |kind: &str, round: u8, index: u8| {
        format!("{kind}.webhook.admission.k8s.io/round_{round}_index_{index}")
    };
    let did = |name: &str, mutated: bool| json!({"configuration": "all", "webhook": format!("{name}.example.com"), "mutated": mutated});
    assert_eq!(read(&key("mutation", 0, 0)), did("look", false), "{event}");
    assert_eq!(read(&key("mutation", 0, 1)), did("add", true));
    assert_eq!(read(&key("mutation", 1, 0)), did("look", false));
    assert_eq!(
        read(&key("patch", 0, 1))["patch"],
        json!([{"op": "add", "path": "/data/added", "value": "yes"}])
    );
    assert_eq!(read(&key("patch", 0, 1))["patchType"], "JSONPatch");
    assert_eq!(noted(&key("failed-open.mutation", 0, 2)), "slow.example.com");
    assert_eq!(noted(&key("failed-open.validating", 0, 0)), "judge.example.com");
    assert_eq!(noted("look.example.com/seen"), "yes");
}
