//! What holds of objects of every kind: they come, are found and watched, change whole and in part, and go.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Answer, Client, Cluster};

/// Paths of collections and the least that an object there says.
fn kinds() -> Vec<(&'static str, Value)> {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let of_pods = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template});
    let mut of_jobs = json!({"template": template});
    of_jobs["template"]["spec"]["restartPolicy"] = json!("Never");
    let matched = json!({"resourceRules": [{"apiGroups": ["none.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"]}]});
    let hooks = json!({"webhooks": [{"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/x"}, "rules": [{"apiGroups": ["none.example"], "apiVersions": ["v1"],
        "operations": ["CREATE"], "resources": ["things"]}]}]});
    let event = json!({"involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "reason": "R", "type": "Normal"});
    let new_event = json!({"regarding": {"kind": "Pod", "namespace": "default", "name": "p"}, "reason": "R", "type": "Normal", "action": "A",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "a.example/c", "reportingInstance": "i"});
    let role = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let binding = |kind: &str| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "r"}, "subjects": []});
    vec![
        ("api/v1/namespaces/default/configmaps", json!({"data": {"a": "b"}})),
        ("api/v1/namespaces/default/endpoints", json!({})),
        ("api/v1/namespaces/default/events", event),
        (
            "api/v1/namespaces/default/limitranges",
            json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "9"}}]}}),
        ),
        ("api/v1/nodes", json!({})),
        (
            "api/v1/namespaces/default/persistentvolumeclaims",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        (
            "api/v1/persistentvolumes",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}}),
        ),
        ("api/v1/namespaces/default/pods", json!({"spec": {"containers": [{"name": "c", "image": "i"}]}})),
        ("api/v1/namespaces/default/podtemplates", json!({"template": template})),
        (
            "api/v1/namespaces/default/replicationcontrollers",
            json!({"spec": {"replicas": 0, "template": template}}),
        ),
        (
            "api/v1/namespaces/default/resourcequotas",
            json!({"spec": {"hard": {"count/widgets.example.com": "100"}}}),
        ),
        ("api/v1/namespaces/default/secrets", json!({"stringData": {"a": "b"}})),
        ("api/v1/namespaces/default/serviceaccounts", json!({})),
        ("api/v1/namespaces/default/services", json!({"spec": {"ports": [{"port": 80}]}})),
        (
            "apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
            json!({"spec": {"matchConstraints": matched, "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}]}}),
        ),
        (
            "apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
            json!({"spec": {"policyName": "p"}}),
        ),
        ("apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", hooks.clone()),
        (
            "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            json!({"spec": {"matchConstraints": matched, "validations": [{"expression": "true"}]}}),
        ),
        (
            "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
            json!({"spec": {"policyName": "p", "validationActions": ["Deny"]}}),
        ),
        ("apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", hooks),
        ("apis/apps/v1/namespaces/default/controllerrevisions", json!({"revision": 1, "data": {"a": 1}})),
        ("apis/apps/v1/namespaces/default/daemonsets", json!({"spec": of_pods})),
        ("apis/apps/v1/namespaces/default/deployments", json!({"spec": of_pods})),
        ("apis/apps/v1/namespaces/default/replicasets", json!({"spec": of_pods})),
        ("apis/apps/v1/namespaces/default/statefulsets", json!({"spec": of_pods})),
        (
            "apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
            json!({"spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}}),
        ),
        (
            "apis/batch/v1/namespaces/default/cronjobs",
            json!({"spec": {"schedule": "@daily", "jobTemplate": {"spec": of_jobs}}}),
        ),
        ("apis/batch/v1/namespaces/default/jobs", json!({"spec": of_jobs})),
        (
            "apis/coordination.k8s.io/v1/namespaces/default/leases",
            json!({"spec": {"holderIdentity": "h", "leaseDurationSeconds": 30}}),
        ),
        (
            "apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            json!({"addressType": "IPv4", "endpoints": []}),
        ),
        ("apis/events.k8s.io/v1/namespaces/default/events", new_event),
        (
            "apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
            json!({"spec": {"matchingPrecedence": 9000, "priorityLevelConfiguration": {"name": "global-default"}}}),
        ),
        (
            "apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
            json!({"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}}),
        ),
        ("apis/networking.k8s.io/v1/ingressclasses", json!({"spec": {"controller": "a.example/c"}})),
        (
            "apis/networking.k8s.io/v1/namespaces/default/ingresses",
            json!({"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}),
        ),
        (
            "apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            json!({"spec": {"podSelector": {}}}),
        ),
        ("apis/node.k8s.io/v1/runtimeclasses", json!({"handler": "h"})),
        (
            "apis/policy/v1/namespaces/default/poddisruptionbudgets",
            json!({"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
        ),
        ("apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding("ClusterRole")),
        ("apis/rbac.authorization.k8s.io/v1/clusterroles", role.clone()),
        ("apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding("Role")),
        ("apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", role),
        ("apis/resource.k8s.io/v1/deviceclasses", json!({"spec": {}})),
        (
            "apis/resource.k8s.io/v1/namespaces/default/resourceclaims",
            json!({"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}}),
        ),
        (
            "apis/resource.k8s.io/v1/namespaces/default/resourceclaimtemplates",
            json!({"spec": {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}}}),
        ),
        (
            "apis/resource.k8s.io/v1/resourceslices",
            json!({"spec": {"driver": "a.example", "allNodes": true, "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": []}}),
        ),
        ("apis/scheduling.k8s.io/v1/priorityclasses", json!({"value": 5})),
        ("apis/storage.k8s.io/v1/csidrivers", json!({"spec": {"attachRequired": false}})),
        ("apis/storage.k8s.io/v1/csinodes", json!({"spec": {"drivers": []}})),
        ("apis/storage.k8s.io/v1/namespaces/default/csistoragecapacities", json!({"storageClassName": "s"})),
        ("apis/storage.k8s.io/v1/storageclasses", json!({"provisioner": "a.example"})),
        (
            "apis/storage.k8s.io/v1/volumeattachments",
            json!({"spec": {"attacher": "a.example", "nodeName": "n", "source": {"persistentVolumeName": "v"}}}),
        ),
        (
            "apis/storage.k8s.io/v1/volumeattributesclasses",
            json!({"driverName": "a.example", "parameters": {"a": "b"}}),
        ),
    ]
}

/// Whether labels and annotations stay as they are when a kind's status is written.
fn status_is_alone(collection: &str) -> bool {
    let plural = collection.rsplit('/').next().unwrap_or_default();
    matches!(
        plural,
        "apiservices"
            | "flowschemas"
            | "prioritylevelconfigurations"
            | "resourceclaims"
            | "servicecidrs"
            | "storageversionmigrations"
            | "validatingadmissionpolicies"
            | "volumeattachments"
    )
}

fn ok(step: &str, path: &str, answer: Answer) -> Value {
    assert!(answer.code < 300, "{step} {path}: {} {}", answer.code, String::from_utf8_lossy(&answer.body));
    answer.json()
}

/// Walks one kind through its life, as those who try out an API do.
async fn walk(client: &Client, number: usize, collection: &str, least: &Value) {
    // Events of both groups are the same objects.
    let (a, b) = (format!("walked-{number}-a"), format!("walked-{number}-b"));
    let path = |rest: &str| format!("/{collection}{rest}");
    let named = |name: &str| {
        let mut object = least.clone();
        object["metadata"] = json!({"name": name, "labels": {"walked": number.to_string()}});
        object
    };
    for name in [&a, &b] {
        let made = ok("create", collection, client.post(&path(""), &named(name)).await);
        assert!(made["metadata"]["uid"].is_string() && made["metadata"]["creationTimestamp"].is_string());
        let kind = made["kind"].as_str().unwrap_or_default();
        let again = client.post(&path(""), &named(name)).await.refusal();
        assert!(again.0 == 409 && again.1.ends_with("already exists"), "{kind}: {again:?}");
    }
    let list = ok("list", collection, client.get(&path(&format!("?labelSelector=walked%3D{number}"))).await);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{collection}");
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let mut events = client
        .watch(&path(&format!("?watch=1&labelSelector=walked%3D{number}&resourceVersion={version}")))
        .await;

    let one = path(&format!("/{a}"));
    let annotation = |key: &str| json!({"metadata": {"annotations": {key: "yes"}}});
    let mut expected = Vec::new();
    for (kind, key) in [("merge-patch", "merged"), ("strategic-merge-patch", "strategic")] {
        let patched = ok(kind, collection, client.patch(&one, kind, &annotation(key)).await);
        assert_eq!(patched["metadata"]["annotations"][key], "yes", "{collection}");
        expected.push(key);
    }
    let pointed = json!([{"op": "add", "path": "/metadata/annotations/pointed", "value": "yes"}]);
    ok("json-patch", collection, client.patch(&one, "json-patch", &pointed).await);
    expected.push("pointed");
    let mut applied = annotation("applied");
    let seen = ok("get", collection, client.get(&one).await);
    for key in ["apiVersion", "kind"] {
        applied[key] = seen[key].clone();
    }
    let query = format!("{one}?fieldManager=walker");
    let answer = client
        .ask(Method::PATCH, &query, &[("content-type", "application/apply-patch+yaml")], applied.to_string())
        .await;
    let mut object = ok("apply", collection, answer);
    assert_eq!(object["metadata"]["annotations"]["applied"], "yes", "{collection}");
    expected.push("applied");

    let stale = seen;
    // The server itself may write a status meanwhile.
    let updated = loop {
        object["metadata"]["annotations"]["updated"] = json!("yes");
        match client.put(&one, &object).await {
            answer if answer.code == 409 => object = ok("get", collection, client.get(&one).await),
            answer => break ok("update", collection, answer),
        }
    };
    assert_eq!(updated["metadata"]["annotations"]["updated"], "yes", "{collection}");
    let conflict = client.put(&one, &stale).await.refusal();
    assert!(conflict.0 == 409 && conflict.1.contains("the object has been modified"), "{conflict:?}");
    expected.push("updated");

    let status = client.get(&format!("{one}/status")).await;
    if status.code == 200 {
        let patched = client.patch(&format!("{one}/status"), "merge-patch", &annotation("status")).await;
        let patched = ok("patch status", collection, patched);
        let kept = patched["metadata"]["annotations"]["status"] == "yes";
        assert_eq!(kept, !status_is_alone(collection), "{collection}: annotations with a status");
        if kept {
            expected.push("status");
        }
    }
    for key in expected {
        loop {
            let event = events.next().await.expect("an event");
            let metadata = &event["object"]["metadata"];
            assert_eq!(event["type"], "MODIFIED", "{collection}");
            if metadata["name"] == *a && metadata["annotations"][key] == "yes" {
                break;
            }
        }
    }

    let dry = client.delete(&format!("{one}?dryRun=All")).await;
    ok("dry deletion", collection, dry);
    let policy = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    let headers = [("content-type", "application/json")];
    ok("delete", collection, client.ask(Method::DELETE, &one, &headers, policy.to_string()).await);
    release(client, &one).await;
    assert_eq!(client.get(&one).await.code, 404, "{collection}");
    let all = path(&format!("?labelSelector=walked%3D{number}"));
    ok("delete collection", collection, client.ask(Method::DELETE, &all, &headers, policy.to_string()).await);
    release(client, &path(&format!("/{b}"))).await;
    let list = ok("list", collection, client.get(&all).await);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(0), "{collection}");
}

/// Takes away what holds an object that is being deleted: nobody else does here.
async fn release(client: &Client, path: &str) {
    let left = client.get(path).await;
    if left.code == 200 {
        assert!(left.json()["metadata"]["deletionTimestamp"].is_string(), "{path} is marked");
        let free = json!({"metadata": {"finalizers": null}});
        ok("release", path, client.patch(path, "merge-patch", &free).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_every_kind_come_change_and_go() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let walks = kinds().into_iter().enumerate().map(|(number, (collection, least))| {
        let client = client.clone();
        tokio::spawn(async move { walk(&client, number, collection, &least).await })
    });
    let mut failed = Vec::new();
    for walk in walks.collect::<Vec<_>>() {
        if let Err(error) = walk.await {
            failed.push(error.to_string());
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
