//! What the server counts, under upstream's names: each metric shows what was done before.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cluster::{Client, Cluster, MAPS, map};
use crate::hook_server::{HookServer, patch};

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

const AUDIT: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Request
  resources: [{group: '', resources: ['configmaps']}]
  omitStages: [RequestReceived]
- level: None
";

async fn metrics(client: &Client) -> String {
    String::from_utf8(client.get("/metrics").await.body.to_vec()).unwrap()
}

/// The value of one series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[track_caller]
fn check(text: &str, series: &[(&str, f64)]) {
    for (series, expected) in series {
        let name = series.split('{').next().unwrap_or_default();
        let near: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
        assert_eq!(value(text, series), Some(*expected), "{series}\n{}", near.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_objects_and_the_store_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (policy, log) = (folder.path().join("policy.yaml"), folder.path().join("audit.log"));
    std::fs::write(&policy, AUDIT).unwrap();
    let cluster = Cluster::start_with(&[
        &format!("--audit-policy-file={}", policy.display()),
        &format!("--audit-log-path={}", log.display()),
    ])
    .await;
    let admin = cluster.admin().await;
    let jane = cluster.client("jane", &[]).await;
    for name in ["one", "two"] {
        admin.post(MAPS, &map(name, "")).await.ok();
    }
    assert_eq!(jane.get(MAPS).await.refusal().0, 403);
    assert_eq!(cluster.stranger().await.get("/api").await.code, 401);
    admin.get("/api/v1/namespaces/default/endpoints").await.ok();
    admin.get(MAPS).await.ok();
    admin.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dw1").await.ok();
    let mut events = admin.watch(&format!("{MAPS}?watch=true&fieldSelector=metadata.name%3Done")).await;
    assert_eq!(events.name().await, ("ADDED".to_owned(), "one".to_owned()));

    // Someone who does not speak TLS.
    let mut plain = TcpStream::connect(cluster.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _ = plain.read_to_end(&mut Vec::new()).await;
    testkit::eventually(|| async {
        let text = metrics(&admin).await;
        value(&text, "apiserver_tls_handshake_errors_total").filter(|count| *count == 1.0).ok_or(text)
    })
    .await;

    let text = metrics(&admin).await;
    check(
        &text,
        &[
            (
                "apiserver_request_total{code=\"201\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"configmaps\",scope=\"namespace\",subresource=\"\",verb=\"POST\",version=\"v1\"}",
                2.0,
            ),
            (
                "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"configmaps\",scope=\"namespace\",subresource=\"\",verb=\"WATCH\",version=\"v1\"}",
                1.0,
            ),
            (
                "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",subresource=\"\",version=\"v1\"}",
                1.0,
            ),
            ("apiserver_audit_level_total{level=\"Request\"}", 5.0),
            ("apiserver_watch_events_total{group=\"\",resource=\"configmaps\",version=\"v1\"}", 1.0),
            ("apiserver_watch_events_sizes_count{group=\"\",resource=\"configmaps\",version=\"v1\"}", 1.0),
            (
                "apiserver_watch_events_sizes_bucket{group=\"\",le=\"1024\",resource=\"configmaps\",version=\"v1\"}",
                1.0,
            ),
            ("apiserver_cache_list_total{group=\"\",index=\"f:spec.nodeName\",resource=\"pods\"}", 1.0),
            ("apiserver_audit_error_total{plugin=\"log\"}", 0.0),
            ("kubernetes_feature_enabled{name=\"ConsistentListFromCache\",stage=\"\"}", 1.0),
            ("kubernetes_feature_enabled{name=\"APIServerTracing\",stage=\"\"}", 0.0),
            ("authentication_attempts{result=\"error\"}", 1.0),
            ("authorization_attempts_total{result=\"no-opinion\"}", 1.0),
            (
                "kubernetes_build_info{build_date=\"\",compiler=\"rustc\",git_commit=\"\",git_tree_state=\"\",git_version=\"v1.36.0\",go_version=\"\",major=\"1\",minor=\"36\",platform=\"linux/amd64\"}",
                1.0,
            ),
        ],
    );
    // The namespace default has `kube-root-ca.crt` where controllers run; here are the two.
    let objects = value(&text, "apiserver_resource_objects{group=\"\",resource=\"configmaps\"}").unwrap();
    assert_eq!(value(&text, "apiserver_storage_objects{resource=\"configmaps\"}"), Some(objects));
    assert!(objects >= 2.0);
    for (series, least) in [
        ("apiserver_watch_cache_events_received_total{group=\"\",resource=\"configmaps\"}", 2.0),
        ("apiserver_watch_cache_initializations_total{group=\"\",resource=\"configmaps\"}", 1.0),
        ("apiserver_watch_cache_events_dispatched_total{group=\"\",resource=\"configmaps\"}", 2.0),
        ("apiserver_watch_events_sizes_sum{group=\"\",resource=\"configmaps\",version=\"v1\"}", 100.0),
        ("apiserver_storage_list_total{group=\"\",resource=\"configmaps\"}", 1.0),
        ("apiserver_cache_list_total{group=\"\",index=\"\",resource=\"configmaps\"}", 1.0),
        ("apiserver_cache_list_fetched_objects_total{group=\"\",index=\"\",resource=\"configmaps\"}", 2.0),
        ("apiserver_cache_list_returned_objects_total{group=\"\",resource=\"configmaps\"}", 2.0),
        ("apiserver_init_events_total{group=\"\",resource=\"configmaps\"}", 1.0),
        ("apiserver_watch_cache_resource_version{group=\"\",resource=\"configmaps\"}", 2.0),
        ("apiserver_storage_size_bytes{storage_cluster_id=\"etcd-0\"}", 4096.0),
        ("apiserver_audit_event_total", 3.0),
        ("authentication_attempts{result=\"success\"}", 5.0),
        ("authorization_attempts_total{result=\"allowed\"}", 4.0),
        ("authenticated_user_requests{username=\"admin\"}", 4.0),
        ("authenticated_user_requests{username=\"other\"}", 1.0),
        ("etcd_request_duration_seconds_count{group=\"\",operation=\"create\",resource=\"configmaps\"}", 2.0),
        ("etcd_requests_total{group=\"\",operation=\"create\",resource=\"configmaps\"}", 2.0),
        (
            "etcd_requests_total{group=\"rbac.authorization.k8s.io\",operation=\"create\",resource=\"clusterroles\"}",
            10.0,
        ),
    ] {
        let found = value(&text, series);
        assert!(found.is_some_and(|found| found >= least), "{series}: {found:?}");
    }
    // Every metric is told once.
    let mut heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let count = heads.len();
    heads.sort_unstable();
    heads.dedup();
    assert_eq!(heads.len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admission_is_counted_by_plugin_webhook_and_policy() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let hooks = HookServer::start(|path, request| match path {
        "/add" => patch(&json!([])),
        _ if request["object"]["data"]["key"] == "bad" => {
            json!({"allowed": false, "status": {"code": 409, "message": "no"}})
        }
        _ => json!({"allowed": true}),
    })
    .await;
    let configuration = |kind: &str, hooks: Vec<Value>| {
        json!({"kind": kind, "apiVersion": "admissionregistration.k8s.io/v1",
            "metadata": {"name": "hooks"}, "webhooks": hooks})
    };
    let judges = vec![
        hooks.hook("judge.example.com", "/judge", &json!({})),
        hooks.hook(
            "gone.example.com",
            "/gone",
            &json!({"failurePolicy": "Ignore", "clientConfig": {"url": "https://127.0.0.1:1/"}}),
        ),
    ];
    let judging = configuration("ValidatingWebhookConfiguration", judges);
    admin.post(&format!("{ADMISSION}/validatingwebhookconfigurations"), &judging).await.ok();
    let changing = configuration(
        "MutatingWebhookConfiguration",
        vec![hooks.hook("add.example.com", "/add", &json!({}))],
    );
    admin.post(&format!("{ADMISSION}/mutatingwebhookconfigurations"), &changing).await.ok();
    let object = |kind: &str, spec: Value| {
        json!({"kind": kind, "apiVersion": "admissionregistration.k8s.io/v1",
            "metadata": {"name": "small"}, "spec": spec})
    };
    let rules = json!({"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
        "resources": ["configmaps"]}]});
    let spec =
        json!({"matchConstraints": rules, "validations": [{"expression": "object.data.key != 'large'"}]});
    let policy = object("ValidatingAdmissionPolicy", spec);
    admin.post(&format!("{ADMISSION}/validatingadmissionpolicies"), &policy).await.ok();
    let binding = object(
        "ValidatingAdmissionPolicyBinding",
        json!({"policyName": "small", "validationActions": ["Deny"]}),
    );
    admin.post(&format!("{ADMISSION}/validatingadmissionpolicybindings"), &binding).await.ok();
    // Until all of them are in force, nothing is counted of a map that is not written.
    testkit::eventually(|| async {
        let large = admin.post(&format!("{MAPS}?dryRun=All"), &map("probe", "large")).await.code;
        let bad = admin.post(&format!("{MAPS}?dryRun=All"), &map("probe", "bad")).await.code;
        if (large, bad) == (422, 409) { Ok(()) } else { Err((large, bad)) }
    })
    .await;

    let before = metrics(&admin).await;
    admin.post(MAPS, &map("good", "good")).await.ok();
    assert_eq!(admin.post(MAPS, &map("bad", "bad")).await.refusal().0, 409);
    assert_eq!(admin.post(MAPS, &map("large", "large")).await.refusal().0, 422);
    let after = metrics(&admin).await;
    let policy = |action: &str| {
        format!(
            "apiserver_validating_admission_policy_check_total{{enforcement_action=\"{action}\",error_type=\"no_error\",policy=\"small\",policy_binding=\"small\"}}"
        )
    };
    let plugin = |name: &str, rejected: bool, step: &str| {
        format!(
            "apiserver_admission_controller_admission_duration_seconds_count{{name=\"{name}\",operation=\"CREATE\",rejected=\"{rejected}\",type=\"{step}\"}}"
        )
    };
    let step = |rejected: bool, step: &str| {
        format!(
            "apiserver_admission_step_admission_duration_seconds_count{{operation=\"CREATE\",rejected=\"{rejected}\",type=\"{step}\"}}"
        )
    };
    let hook = |code: &str, name: &str, rejected: bool, step: &str| {
        format!(
            "apiserver_admission_webhook_request_total{{code=\"{code}\",name=\"{name}.example.com\",operation=\"CREATE\",rejected=\"{rejected}\",type=\"{step}\"}}"
        )
    };
    for (series, expected) in [
        (plugin("NamespaceLifecycle", false, "admit"), 3.0),
        (plugin("ValidatingAdmissionPolicy", true, "validate"), 1.0),
        (plugin("ValidatingAdmissionPolicy", false, "validate"), 2.0),
        (step(false, "admit"), 3.0),
        (step(false, "validate"), 1.0),
        (step(true, "validate"), 2.0),
        (policy("allow"), 2.0),
        (policy("deny"), 1.0),
        (policy("allow").replace("_total", "_duration_seconds_count"), 2.0),
        // What the policy refuses is not asked of webhooks.
        (hook("200", "add", false, "admit"), 3.0),
        (hook("200", "judge", false, "validating"), 1.0),
        (hook("409", "judge", true, "validating"), 1.0),
        (hook("0", "gone", false, "validating"), 2.0),
        ("apiserver_admission_webhook_admission_duration_seconds_count{name=\"judge.example.com\",operation=\"CREATE\",rejected=\"true\",type=\"validating\"}".to_owned(), 1.0),
        ("apiserver_admission_webhook_rejection_count{error_type=\"no_error\",name=\"judge.example.com\",operation=\"CREATE\",rejection_code=\"409\",type=\"validating\"}".to_owned(), 1.0),
        ("apiserver_admission_webhook_fail_open_count{name=\"gone.example.com\",type=\"validating\"}".to_owned(), 2.0),
    ] {
        let since = value(&after, &series).map(|after| after - value(&before, &series).unwrap_or(0.0));
        assert_eq!(since, Some(expected), "{series}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_behind_this_one_are_told_of_when_they_cannot_be_used() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let api_service = json!({"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": "v1.wares.example.com"},
        "spec": {"group": "wares.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
            "insecureSkipTLSVerify": true, "service": {"namespace": "default", "name": "wares"}}});
    admin.post("/apis/apiregistration.k8s.io/v1/apiservices", &api_service).await.ok();
    let text = testkit::eventually(|| async {
        let text = metrics(&admin).await;
        if text.contains("aggregator_unavailable_apiservice_total{") { Ok(text) } else { Err(text) }
    })
    .await;
    check(
        &text,
        &[
            ("aggregator_unavailable_apiservice{name=\"v1.wares.example.com\"}", 1.0),
            (
                "aggregator_unavailable_apiservice_total{name=\"v1.wares.example.com\",reason=\"ServiceNotFound\"}",
                1.0,
            ),
        ],
    );
}
