//! Plugins that an AdmissionConfiguration tells what to do.

use std::path::Path;

use serde_json::{Value, json};
use testkit::HttpsServer;
use testkit::https_server::Answer;

use crate::cluster::{Cluster, MAPS, map};
use crate::outside::Outside;

const PODS: &str = "/api/v1/namespaces/default/pods";

/// Writes the file, and gives the flags that name it and switch plugins on.
fn flags(folder: &Path, plugins: &Value, on: &str) -> [String; 4] {
    let file = folder.join("admission.json");
    let configuration = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": plugins});
    std::fs::write(&file, configuration.to_string()).unwrap();
    let file = file.display().to_string();
    [
        "--admission-control-config-file".to_owned(),
        file,
        "--enable-admission-plugins".to_owned(),
        on.to_owned(),
    ]
}

async fn start(flags: &[String]) -> Cluster {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Cluster::start_with(&flags).await
}

fn pod(name: &str, spec: &Value) -> Value {
    let mut pod =
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "good"}]}});
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    pod
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_do_what_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = json!([
        {"name": "PodSecurity", "configuration": {
            "apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration",
            "defaults": {"enforce": "baseline"}, "exemptions": {"usernames": ["trusted"]}}},
        {"name": "EventRateLimit", "path": "rate.json"},
        {"name": "ResourceQuota", "configuration": {
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration",
            "limitedResources": [{"resource": "secrets", "matchContains": ["count/secrets"]}]}},
        {"name": "PodNodeSelector", "configuration": {"podNodeSelectorPluginConfig": {"default": "pool=shared"}}},
    ]);
    let rate = json!({"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration",
        "limits": [{"type": "Namespace", "qps": 1, "burst": 2}]});
    std::fs::write(folder.path().join("rate.json"), rate.to_string()).unwrap();
    let on = "EventRateLimit,NamespaceAutoProvision,PodNodeSelector";
    let cluster = start(&flags(folder.path(), &plugins, on)).await;
    let admin = cluster.admin().await;

    let host = json!({"hostPID": true});
    let (code, why) = admin.post(PODS, &pod("host", &host)).await.refusal();
    assert_eq!(
        (code, why.as_str()),
        (
            403,
            "pods \"host\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)"
        )
    );
    cluster.client("trusted", &["system:masters"]).await.post(PODS, &pod("host", &host)).await.ok();

    let (_, why) = admin.post(PODS, &pod("tape", &json!({"nodeSelector": {"disk": "tape"}}))).await.refusal();
    assert!(why.ends_with("pod node label selector labels conflict with its namespace whitelist"), "{why}");

    // As many as fill the bucket, and one more than it can have gained meanwhile.
    let event = |name: usize| {
        json!({"metadata": {"name": format!("e{name}")}, "involvedObject": {"namespace": "default"},
            "reason": "r", "type": "Normal"})
    };
    let mut refused = None;
    for name in 0..50 {
        let answer = admin.post("/api/v1/namespaces/default/events", &event(name)).await;
        if answer.code != 201 {
            refused = Some(answer.refusal());
            break;
        }
    }
    let words = "Too many requests: limit reached on type Namespace for key default";
    assert_eq!(refused, Some((429, words.to_owned())));

    let secret = json!({"metadata": {"name": "s"}});
    let (_, why) = admin.post("/api/v1/namespaces/default/secrets", &secret).await.refusal();
    assert_eq!(why, "secrets \"s\" is forbidden: insufficient quota to consume: count/secrets");

    // A namespace comes with the first object in it, and not with a dry run.
    let path = "/api/v1/namespaces/new/configmaps";
    assert_eq!(admin.post(&format!("{path}?dryRun=All"), &map("one", "1")).await.code, 404);
    admin.post(path, &map("one", "1")).await.ok();
    assert_eq!(admin.get("/api/v1/namespaces/new").await.ok()["status"]["phase"], "Active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_says_which_images_may_run() {
    let folder = tempfile::tempdir().unwrap();
    let service = Outside::start(|_, review, _| {
        let mut review = review.clone();
        let bad = review["spec"]["containers"].as_array()?.iter().any(|one| one["image"] == "bad");
        review["status"] = json!({"allowed": !bad, "reason": if bad { "it is bad" } else { "" }});
        Some(review)
    })
    .await;
    let policy =
        json!({"imagePolicy": {"kubeConfigFile": service.kubeconfig(folder.path()), "retryBackoff": 1}});
    let plugins = json!([{"name": "ImagePolicyWebhook", "configuration": policy}]);
    let cluster = start(&flags(folder.path(), &plugins, "ImagePolicyWebhook")).await;
    let admin = cluster.admin().await;
    admin.post(PODS, &pod("good", &json!({}))).await.ok();
    let bad = json!({"containers": [{"name": "c", "image": "bad"}]});
    let (code, why) = admin.post(PODS, &pod("bad", &bad)).await.refusal();
    assert_eq!(
        (code, why.as_str()),
        (403, "pods \"bad\" is forbidden: image policy webhook backend denied one or more images: it is bad")
    );
    let change = json!({"spec": {"containers": [{"name": "c", "image": "bad"}]}});
    let changed = admin.patch(&format!("{PODS}/good"), "strategic-merge-patch", &change).await;
    assert_eq!(changed.code, 403, "an update is asked about between two tries of its write");
    // What was answered holds for a while; what nobody was asked about may not run.
    drop(service);
    admin.post(PODS, &pod("again", &json!({}))).await.ok();
    let other = json!({"containers": [{"name": "c", "image": "other"}]});
    assert_eq!(admin.post(PODS, &pod("other", &other)).await.code, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_called_as_the_user_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let hook = HttpsServer::start(&[], |asked| {
        let review = asked.json();
        let who = asked.headers.get("authorization").and_then(|who| who.to_str().ok()).unwrap_or("nobody");
        Answer::Json(json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {
            "uid": review["request"]["uid"], "allowed": false, "status": {"message": who}}}))
    })
    .await
    .unwrap();
    let kubeconfig = folder.path().join("hooks.kubeconfig");
    let users = json!({"kind": "Config", "apiVersion": "v1", "users": [
        {"name": format!("127.0.0.1:{}", hook.port), "user": {"token": "of-the-server"}}]});
    std::fs::write(&kubeconfig, users.to_string()).unwrap();
    let plugins = json!([{"name": "ValidatingAdmissionWebhook", "configuration": {
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": kubeconfig}}]);
    let cluster = start(&flags(folder.path(), &plugins, "")[..2]).await;
    let admin = cluster.admin().await;
    let bundle = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &hook.authority);
    let configuration = json!({"kind": "ValidatingWebhookConfiguration",
        "apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "who"}, "webhooks": [{
        "name": "who.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "clientConfig": {"url": hook.url, "caBundle": bundle},
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]}]});
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    admin.post(path, &configuration).await.ok();
    let why = testkit::eventually(|| async {
        let answer = admin.post(&format!("{MAPS}?dryRun=All"), &map("m", "1")).await;
        if answer.code == 201 { Err("not asked") } else { Ok(answer.refusal().1) }
    })
    .await;
    assert_eq!(why, "admission webhook \"who.example.com\" denied the request: Bearer of-the-server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_are_set_by_those_who_may() {
    let cluster =
        Cluster::start_with(&["--enable-admission-plugins", "OwnerReferencesPermissionEnforcement"]).await;
    let admin = cluster.admin().await;
    let role = json!({"metadata": {"name": "writer"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "update", "get"]}]});
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).await.ok();
    let binding = json!({"metadata": {"name": "writer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "writer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]});
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.ok();
    let owner = admin.post(MAPS, &map("owner", "1")).await.ok();
    let mut owned = map("owned", "1");
    owned["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
        "uid": owner["metadata"]["uid"]}]);
    let jane = cluster.client("jane", &[]).await;
    testkit::eventually(|| async {
        let answer = jane.post(&format!("{MAPS}?dryRun=All"), &map("plain", "1")).await;
        if answer.code == 201 { Ok(()) } else { Err(answer.code) }
    })
    .await;
    let (code, why) = jane.post(MAPS, &owned).await.refusal();
    assert_eq!(code, 403);
    assert!(why.contains("cannot set an ownerRef on a resource you can't delete"), "{why}");
    admin.post(MAPS, &owned).await.ok();
}
