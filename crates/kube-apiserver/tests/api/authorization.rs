//! Webhooks and policies that say what a request may do.

use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, map};
use crate::outside::Outside;

/// A webhook that lets `hook-*` list ConfigMaps and forbids Secrets to everybody, and what it was asked.
async fn webhook() -> (Outside, Arc<Mutex<Vec<Value>>>) {
    let questions = Arc::new(Mutex::new(Vec::<Value>::new()));
    let seen = questions.clone();
    let webhook = Outside::start(move |_, question, _| {
        seen.lock().push(question.clone());
        let spec = &question["spec"];
        let user = spec["user"].as_str().unwrap_or_default();
        let resource = spec["resourceAttributes"]["resource"].as_str().unwrap_or_default();
        Some(match resource {
            "secrets" => {
                json!({"status": {"allowed": false, "denied": true, "reason": "secrets are secret"}})
            }
            "configmaps" if user.starts_with("hook-") => {
                json!({"status": {"allowed": true, "reason": "I say so"}})
            }
            _ => json!({"status": {"allowed": false, "reason": "no idea"}}),
        })
    })
    .await;
    (webhook, questions)
}

fn configuration(kubeconfig: &str, failure: &str, condition: &str) -> String {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
        "authorizers": [
            {"type": "Node", "name": "node"},
            {"type": "Webhook", "name": "hook", "webhook": {
                "timeout": "3s", "subjectAccessReviewVersion": "v1", "failurePolicy": failure,
                "matchConditionSubjectAccessReviewVersion": "v1",
                "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": kubeconfig},
                "matchConditions": [{"expression": condition}],
            }},
            {"type": "RBAC", "name": "rbac"},
        ],
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_decides_before_roles_do() {
    let (hook, questions) = webhook().await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = hook.kubeconfig(folder.path());
    let file = folder.path().join("authorization.yaml");
    let of_resources = "has(request.resourceAttributes) && !request.user.startsWith('system:')";
    std::fs::write(&file, configuration(&kubeconfig, "Deny", of_resources)).unwrap();
    let cluster = Cluster::start_with(&[&format!("--authorization-config={}", file.display())]).await;
    let admin = cluster.admin().await;
    admin.post(MAPS, &map("a", "1")).await.ok();
    let binding = json!({"metadata": {"name": "viewers"},
        "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": [{"kind": "User", "name": "viewer", "apiGroup": "rbac.authorization.k8s.io"}]});
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.ok();

    let jane = cluster.client("hook-jane", &["dev"]).await;
    for _ in 0..5 {
        assert_eq!(jane.get(&format!("{MAPS}?labelSelector=app%3Dweb")).await.code, 200);
    }
    {
        let asked = questions.lock();
        let of_jane: Vec<&Value> =
            asked.iter().filter(|question| question["spec"]["user"] == "hook-jane").collect();
        assert_eq!(of_jane.len(), 1, "answers are remembered");
        assert_eq!(of_jane[0]["spec"]["groups"], json!(["dev", "system:authenticated"]));
        let attributes = &of_jane[0]["spec"]["resourceAttributes"];
        assert_eq!(attributes["verb"], "list");
        assert_eq!(
            attributes["labelSelector"]["requirements"],
            json!([{"key": "app", "operator": "In", "values": ["web"]}])
        );
        assert!(asked.iter().all(|question| question["spec"].get("resourceAttributes").is_some()));
    }
    let (code, message) = jane.get("/api/v1/namespaces/default/secrets").await.refusal();
    assert_eq!(code, 403);
    assert!(message.ends_with(": secrets are secret"), "{message}");
    let (_, message) = jane.get("/api/v1/namespaces/default/pods").await.refusal();
    assert!(message.ends_with(": no idea"), "{message}");
    // What the webhook has no opinion of, roles decide; nobody asks it about the administrator.
    let viewer = cluster.client("viewer", &[]).await;
    testkit::eventually(|| async {
        match viewer.get("/api/v1/namespaces/default/pods").await.code {
            200 => Ok(()),
            code => Err(code),
        }
    })
    .await;
    let review = json!({"spec": {"user": "hook-bob", "resourceAttributes": {"verb": "get", "resource": "configmaps"}}});
    let answer = admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await.ok();
    assert_eq!(answer["status"], json!({"allowed": true, "reason": "I say so"}));
    assert!(questions.lock().iter().all(|question| question["spec"]["user"] != "admin"));

    // The file changes: nobody is asked any more.
    std::fs::write(&file, configuration(&kubeconfig, "Deny", "request.user == 'nobody'")).unwrap();
    testkit::eventually(|| async {
        match jane.get(MAPS).await.code {
            403 => Ok(()),
            code => Err(code),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_of_the_flags_are_asked_in_their_order() {
    let (hook, questions) = webhook().await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = hook.kubeconfig(folder.path());
    let policies = folder.path().join("policies.jsonl");
    let policy = json!({"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy",
        "spec": {"user": "alice", "namespace": "*", "resource": "configmaps", "readonly": true}});
    std::fs::write(&policies, format!("# who reads\n{policy}\n")).unwrap();
    let cluster = Cluster::start_with(&[
        "--authorization-mode=ABAC,Webhook",
        &format!("--authorization-policy-file={}", policies.display()),
        &format!("--authorization-webhook-config-file={kubeconfig}"),
        "--authorization-webhook-cache-unauthorized-ttl=0s",
    ])
    .await;
    let alice = cluster.client("alice", &[]).await;
    assert_eq!(alice.get(MAPS).await.code, 200);
    assert!(questions.lock().is_empty());
    let (code, message) = alice.post(MAPS, &map("a", "1")).await.refusal();
    assert_eq!(code, 403);
    assert!(message.ends_with("No policy matched.\nno idea"), "{message}");
    assert_eq!(questions.lock()[0]["apiVersion"], "authorization.k8s.io/v1beta1");
    assert_eq!(cluster.client("hook-x", &[]).await.get(MAPS).await.code, 200);
    drop(hook);
    // Nobody answers, and nobody else allows it: that is no refusal but a failure.
    let bob = cluster.client("bob", &[]).await;
    let (code, message) = bob.get(MAPS).await.refusal();
    assert_eq!(code, 500);
    assert!(message.contains("connect"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_by_get_takes_the_right_to_create_it() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    for (name, verbs) in [("reader", json!(["get"])), ("runner", json!(["get", "create"]))] {
        let rules = json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": verbs}]);
        let role = json!({"metadata": {"name": name}, "rules": rules});
        admin.post(&format!("{rbac}/clusterroles"), &role).await.ok();
        let binding = json!({"metadata": {"name": name},
            "roleRef": {"kind": "ClusterRole", "name": name, "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]});
        admin.post(&format!("{rbac}/clusterrolebindings"), &binding).await.ok();
    }
    let exec = "/api/v1/namespaces/default/pods/web/exec?command=sh";
    // Once the role is known, it is the pod that is missing.
    let runner = cluster.client("runner", &[]).await;
    testkit::eventually(|| async {
        match runner.get(exec).await.code {
            404 => Ok(()),
            code => Err(code),
        }
    })
    .await;
    let reader = cluster.client("reader", &[]).await;
    testkit::eventually(|| async {
        let (code, message) = reader.get(exec).await.refusal();
        let is_refused = code == 403 && message.contains(r#"cannot create resource "pods/exec""#);
        if is_refused { Ok(()) } else { Err(message) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_part_of_a_claims_status_has_a_right_of_its_own() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let claims = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims";
    let status = format!("{claims}/c/status");
    let requests = json!([{"name": "r", "exactly": {"deviceClassName": "c"}}]);
    client
        .post(claims, &json!({"metadata": {"name": "c"}, "spec": {"devices": {"requests": requests}}}))
        .await
        .ok();
    let device = json!({"driver": "a.example", "pool": "p", "device": "d"});
    let mut result = device.clone();
    result["request"] = json!("r");
    let terms = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w1"]}]}]);
    let allocation = json!({"nodeSelector": {"nodeSelectorTerms": terms}, "devices": {"results": [result]}});
    let allocated = json!({"status": {"allocation": allocation}});
    let told = |n: u32| json!({"status": {"devices": [{"driver": "a.example", "pool": "p", "device": "d", "data": {"n": n}}]}});
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let rule = |resource: &str, names: &[&str], verbs: &[&str]| json!({"apiGroups": ["resource.k8s.io"], "resources": [resource], "resourceNames": names, "verbs": verbs});
    for (name, rule) in [
        ("all", rule("resourceclaims/status", &[], &["patch"])),
        ("binder", rule("resourceclaims/binding", &[], &["patch"])),
        ("local", rule("resourceclaims/driver", &["a.example"], &["associated-node:patch"])),
        ("central", rule("resourceclaims/driver", &["a.example"], &["arbitrary-node:patch"])),
        ("other", rule("resourceclaims/driver", &["b.example"], &["arbitrary-node:patch"])),
    ] {
        client.post(roles, &json!({"metadata": {"name": name}, "rules": [rule]})).await.ok();
        let account = |name: &str| json!({"kind": "ServiceAccount", "namespace": "default", "name": name});
        let accounts = if name == "all" {
            vec![account("binder"), account("local"), account("central"), account("other")]
        } else {
            vec![account(name)]
        };
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let binding = json!({"metadata": {"name": name}, "roleRef": role, "subjects": accounts});
        client.post(bindings, &binding).await.ok();
    }
    let ask = async |account: &str, node: &str, patch: &Value| {
        let user = format!("system:serviceaccount:default:{account}");
        let mut headers =
            vec![("content-type", "application/merge-patch+json"), ("impersonate-user", &*user)];
        if !node.is_empty() {
            headers.push(("impersonate-extra-authentication.kubernetes.io%2fnode-name", node));
        }
        client.ask(Method::PATCH, &status, &headers, patch.to_string()).await
    };
    // Once the last of the roles is known, all are.
    client.patch(&status, "merge-patch", &allocated).await.ok();
    let known = told(0);
    testkit::eventually(|| async {
        match ask("central", "", &known).await.code {
            200 => Ok(()),
            code => Err(code),
        }
    })
    .await;
    let bound = json!({"status": {"reservedFor": [{"resource": "pods", "name": "p", "uid": "1"}]}});
    let (binding, device) = (Some("status"), Some("status.devices"));
    for (account, node, patch, refused) in [
        ("binder", "", &bound, None),
        ("central", "", &json!({"status": {"reservedFor": null}}), binding),
        ("binder", "", &told(1), device),
        ("local", "w1", &told(2), None),
        ("local", "w2", &told(3), device),
        ("local", "", &told(3), device),
        ("central", "", &told(4), None),
        ("other", "", &told(5), device),
        // What is unchanged takes no right, and what is given back takes what was told with it.
        ("other", "", &told(4), None),
        ("binder", "", &json!({"status": {"reservedFor": null, "allocation": null}}), None),
    ] {
        let answer = ask(account, node, patch).await;
        let Some(field) = refused else {
            assert_eq!(answer.code, 200, "{account} {node} {patch}: {}", answer.json());
            continue;
        };
        let told = answer.json();
        assert_eq!(
            (answer.code, &told["details"]["causes"][0]["field"]),
            (422, &json!(field)),
            "{account} {patch}: {told}"
        );
        let reason = told["message"].as_str().unwrap_or_default();
        let why = match field {
            "status" => {
                r#"verb="patch" permission: resourceclaims.resource.k8s.io is forbidden: User "system:serviceaccount:default:central" cannot patch resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope"#
            }
            _ => {
                r#"arbitrary-node:patch]" permission: resourceclaims.resource.k8s.io "a.example" is forbidden: User"#
            }
        };
        assert!(reason.contains(why), "{reason}");
    }
    assert_eq!(client.get(&format!("{claims}/c")).await.json()["status"], json!({}));
}
