//! Creating, reading, replacing and deleting objects.

use http::Method;
use serde_json::json;

use crate::cluster::{Cluster, MAPS, map};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_lives_and_dies() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let created = client.post(MAPS, &map("a", "1")).await;
    assert_eq!(created.code, 201);
    let created = created.ok();
    assert_eq!(created["metadata"]["namespace"], "default");
    for field in ["uid", "creationTimestamp", "resourceVersion"] {
        assert!(created["metadata"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    assert_eq!(client.get(&format!("{MAPS}/a")).await.ok(), created);
    assert_eq!(
        client.post(MAPS, &map("a", "1")).await.refusal(),
        (409, "configmaps \"a\" already exists".into())
    );

    let mut changed = created.clone();
    changed["data"]["key"] = "2".into();
    let replaced = client.put(&format!("{MAPS}/a"), &changed).await.ok();
    assert_ne!(replaced["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    assert_eq!(
        client.put(&format!("{MAPS}/a"), &changed).await.refusal(),
        (409, "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again".into())
    );
    // Writing what is there already changes nothing.
    let again = client.put(&format!("{MAPS}/a"), &replaced).await.ok();
    assert_eq!(again["metadata"]["resourceVersion"], replaced["metadata"]["resourceVersion"]);

    let deleted = client.delete(&format!("{MAPS}/a")).await.ok();
    assert_eq!((&deleted["status"], &deleted["details"]["name"]), (&json!("Success"), &json!("a")));
    assert_eq!(client.get(&format!("{MAPS}/a")).await.refusal(), (404, "configmaps \"a\" not found".into()));
    assert_eq!(client.delete(&format!("{MAPS}/a")).await.refusal().0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_in_upstreams_words_and_changes_nothing() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let cases = [
        (
            json!({"metadata": {"name": "A b"}}),
            422,
            "ConfigMap \"A b\" is invalid: metadata.name: Invalid value: \"A b\": a lowercase RFC 1123 subdomain",
        ),
        (
            json!({"metadata": {"name": "a", "namespace": "kube-system"}}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            json!([]),
            400,
            r#"couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#,
        ),
        (
            json!({"kind": 1, "metadata": {"name": "a"}}),
            400,
            "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
        ),
        (
            json!({"metadata": {"name": "a"}, "data": {"k": 1}}),
            400,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}),
            400,
            "Secret in version \"v1\" cannot be handled as a ConfigMap",
        ),
        (
            json!({"kind": "Pod", "apiVersion": "v2", "metadata": {"name": "a"}}),
            400,
            "Pod in version \"v2\" cannot be handled as a ConfigMap: no kind \"Pod\" is registered for version \"v2\"",
        ),
        (
            json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "a"}}),
            400,
            "the API version in the data (apps/v1) does not match the expected API version (v1)",
        ),
        (
            json!({"metadata": {"name": "a", "resourceVersion": "7"}}),
            500,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            json!({"metadata": {}}),
            422,
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
    ];
    for (object, code, start) in cases {
        let (found, message) = client.post(MAPS, &object).await.refusal();
        assert_eq!(found, code, "{message}");
        assert!(message.starts_with(start), "{message}\n{start}");
    }
    let strict = client
        .post(&format!("{MAPS}?fieldValidation=Strict"), &json!({"metadata": {"name": "a"}, "dat": {}}))
        .await;
    assert_eq!(
        strict.refusal(),
        (400, "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dat\"".into())
    );
    let warned = client.post(MAPS, &json!({"metadata": {"name": "a"}, "dat": {}})).await;
    assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"dat\\\"\"");
    client.delete(&format!("{MAPS}/a")).await.ok();

    let text = client.ask(http::Method::POST, MAPS, &[("content-type", "text/plain")], "x").await;
    assert_eq!(text.refusal().0, 415);
    let large = client.ask(http::Method::POST, MAPS, &[], vec![b'x'; 4 << 20]).await;
    assert_eq!(large.refusal().0, 413);
    assert_eq!(client.get_as(MAPS, "text/html").await.refusal().0, 406);
    assert_eq!(client.ask(http::Method::PUT, MAPS, &[], "").await.refusal().0, 405);
    assert_eq!(client.get("/api/v1/namespaces/default/nothings").await.code, 404);
    let list = client.get(MAPS).await.ok();
    let names: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect();
    assert!(!names.contains(&"a"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_generated_and_dry_runs_leave_nothing() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let generated = client.post(MAPS, &json!({"metadata": {"generateName": "a-"}})).await.ok();
    let name = generated["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("a-") && name.len() == 7, "{name}");

    let dry = client.post(&format!("{MAPS}?dryRun=All"), &map("dry", "1")).await;
    assert_eq!(dry.code, 201);
    assert_eq!(dry.ok()["metadata"]["name"], "dry");
    assert_eq!(client.get(&format!("{MAPS}/dry")).await.code, 404);
    let gone = client.delete(&format!("{MAPS}/{name}?dryRun=All")).await.ok();
    assert_eq!(gone["status"], "Success");
    assert_eq!(client.get(&format!("{MAPS}/{name}")).await.code, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_come_and_go_in_three_encodings() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  key: v\n";
    let created =
        client.ask(http::Method::POST, MAPS, &[("content-type", "application/yaml")], yaml).await.ok();
    assert_eq!(created["data"]["key"], "v");
    let protobuf: &[u8] = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1b\x0a\x11\x0a\x01p\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12\x06\x0a\x01x\x12\x01y\x1a\x00\"\x00";
    let headers = [
        ("content-type", "application/vnd.kubernetes.protobuf"),
        ("accept", "application/vnd.kubernetes.protobuf,application/json"),
    ];
    let created = client.ask(http::Method::POST, MAPS, &headers, protobuf).await;
    assert_eq!(created.headers["content-type"], "application/vnd.kubernetes.protobuf");
    let created = wire::decode(&created.body).unwrap();
    assert_eq!((&created["metadata"]["name"], &created["data"]["x"]), (&json!("p"), &json!("y")));
    let text = client.get_as(&format!("{MAPS}/yaml"), "application/yaml").await;
    assert_eq!(text.headers["content-type"], "application/yaml");
    assert!(String::from_utf8_lossy(&text.body).contains("key: v"));
    let pretty = client.get(&format!("{MAPS}/yaml?pretty=true")).await;
    assert!(String::from_utf8_lossy(&pretty.body).contains("\n  \"data\": {"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let mut object = map("held", "1");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(MAPS, &object).await.ok();
    let marked = client.delete(&format!("{MAPS}/held")).await.ok();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let mut released = client.get(&format!("{MAPS}/held")).await.ok();
    released["metadata"]["finalizers"] = json!([]);
    client.put(&format!("{MAPS}/held"), &released).await.ok();
    assert_eq!(client.get(&format!("{MAPS}/held")).await.code, 404);

    client.post(MAPS, &map("parent", "1")).await.ok();
    let orphaned = client.delete(&format!("{MAPS}/parent?propagationPolicy=Orphan")).await.ok();
    assert_eq!(orphaned["metadata"]["finalizers"], json!(["orphan"]));
    let uid = client.delete(&format!("{MAPS}/nobody")).await;
    assert_eq!(uid.code, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_a_role_may_nothing_and_a_stranger_even_less() {
    let cluster = Cluster::start().await;
    let jane = cluster.client("jane", &["devs"]).await;
    assert_eq!(
        jane.get(MAPS).await.refusal(),
        (403, "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"".into())
    );
    let admin = cluster.admin().await;
    let role = json!({"metadata": {"name": "read"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]});
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    admin.post(&format!("{roles}/roles"), &role).await.ok();
    let binding = json!({
        "metadata": {"name": "read"}, "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "Role", "name": "read", "apiGroup": "rbac.authorization.k8s.io"},
    });
    admin.post(&format!("{roles}/rolebindings"), &binding).await.ok();
    testkit::eventually(|| async {
        let answer = jane.get(MAPS).await;
        if answer.code == 200 { Ok(()) } else { Err(answer.code) }
    })
    .await;
    assert_eq!(jane.get(&format!("{MAPS}/x")).await.code, 403);
    let wrong = jane.ask(http::Method::GET, MAPS, &[("authorization", "Bearer nonsense")], "").await;
    assert_eq!(wrong.code, 200, "the certificate comes first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_are_there_twice_are_told_of() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let yaml = "\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: twice\ndata:\n  a: one\n  a: two\n";
    let twice = "yaml: unmarshal errors:\n  line 8: key \"a\" already set in map";
    let post = async |query: &str| {
        client
            .ask(Method::POST, &format!("{MAPS}{query}"), &[("content-type", "application/yaml")], yaml)
            .await
    };
    let refused = post("?fieldValidation=Strict").await.refusal();
    let words = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: ";
    assert_eq!(refused, (400, format!("{words}{twice}")));
    // Each of several is named.
    let more = format!("{yaml}  b: one\n  b: two\n  c: one\n  c: two\n");
    let path = format!("{MAPS}?fieldValidation=Strict");
    let headers = [("content-type", "application/yaml")];
    let refused = client.ask(Method::POST, &path, &headers, more).await.refusal();
    let all =
        format!("{twice}\n  line 10: key \"b\" already set in map\n  line 12: key \"c\" already set in map");
    assert_eq!(refused, (400, format!("{words}{all}")));
    let made = post("").await;
    assert!(made.headers["warning"].to_str().unwrap().contains("line 8: key"));
    assert_eq!(made.ok()["data"]["a"], "two");

    let path = format!("{MAPS}/twice?fieldManager=m&fieldValidation=Strict");
    let headers = [("content-type", "application/apply-patch+yaml")];
    let refused = client.ask(Method::PATCH, &path, &headers, yaml).await.refusal();
    let words = "error strict decoding YAML: error converting YAML to JSON: ";
    assert_eq!(refused, (400, format!("{words}{twice}")));

    let headers = [("content-type", "application/merge-patch+json")];
    let body = r#"{"dat": 1, "data": {"a": "3", "a": "4"}}"#;
    let (code, message) = client.ask(Method::PATCH, &path, &headers, body).await.refusal();
    assert!(code == 422 && message.starts_with(" \"\" is invalid: patch: Invalid value: \"{"), "{message}");
    let expected = "strict decoding error: duplicate field \"data.a\", unknown field \"dat\"";
    assert!(message.ends_with(expected), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletions_insist_on_the_object_they_mean() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let path = format!("{MAPS}/m");
    let made = client.post(MAPS, &map("m", "1")).await.ok();
    let (uid, version) =
        (made["metadata"]["uid"].as_str().unwrap(), made["metadata"]["resourceVersion"].as_str().unwrap());
    let delete = |options: serde_json::Value| {
        let (client, path) = (client.clone(), path.clone());
        async move {
            let headers = [("content-type", "application/json")];
            client.ask(Method::DELETE, &path, &headers, options.to_string()).await
        }
    };
    for (options, code, told) in [
        (
            json!({"preconditions": {"uid": "other"}}),
            409,
            format!(
                "the UID in the precondition (other) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
            ),
        ),
        (
            json!({"preconditions": {"uid": uid, "resourceVersion": "1"}}),
            409,
            format!(
                "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({version}). The object might have been modified"
            ),
        ),
        (
            json!({"propagationPolicy": "Some"}),
            422,
            "propagationPolicy: Unsupported value: \"Some\"".to_owned(),
        ),
        (
            json!({"propagationPolicy": "Orphan", "orphanDependents": true}),
            422,
            "orphanDependents and deletionPropagation cannot be both set".to_owned(),
        ),
        (json!({"dryRun": ["Some"]}), 422, "dryRun: Unsupported value: \"Some\"".to_owned()),
    ] {
        let (found, message) = delete(options.clone()).await.refusal();
        assert_eq!(found, code, "{options}: {message}");
        assert!(message.contains(&told), "{message}\n{told}");
    }
    assert_eq!(delete(json!({"dryRun": ["All"], "preconditions": {"uid": uid}})).await.code, 200);
    assert_eq!(client.get(&path).await.ok(), made, "nothing of that touched it");
    let both = json!({"preconditions": {"uid": uid, "resourceVersion": version}, "gracePeriodSeconds": -1});
    assert_eq!(delete(both).await.code, 200);
    assert_eq!(client.get(&path).await.code, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_insist_on_the_object_they_mean() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let made = client.post(MAPS, &map("m", "1")).await.ok();
    let mut other = made.clone();
    other["metadata"]["uid"] = "other".into();
    let (code, message) = client.put(&format!("{MAPS}/m"), &other).await.refusal();
    assert_eq!(code, 409);
    assert!(
        message.contains("Precondition failed: UID in precondition: other, UID in object meta: "),
        "{message}"
    );
    let whatever = client.put(&format!("{MAPS}/m"), &map("m", "2")).await.ok();
    assert_eq!(
        (&whatever["data"]["key"], &whatever["metadata"]["uid"]),
        (&json!("2"), &made["metadata"]["uid"])
    );
    assert_eq!(client.put(&format!("{MAPS}/m"), &map("n", "2")).await.refusal().0, 400);
    assert_eq!(client.put(&format!("{MAPS}/none"), &map("none", "2")).await.refusal().0, 404);
    let again = client.post(&format!("{MAPS}?dryRun=All"), &map("m", "1")).await.refusal();
    assert_eq!(again, (409, "configmaps \"m\" already exists".into()));

    // Some kinds are made where they are not, by whoever may make them.
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease =
        json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 1}});
    let mut remembered = lease.clone();
    remembered["metadata"]["resourceVersion"] = "7".into();
    let (code, message) = client.put(&format!("{leases}/l"), &remembered).await.refusal();
    assert_eq!(code, 409);
    assert!(message.contains("StorageError: invalid object, Code: 4"), "{message}");
    assert_eq!(client.put(&format!("{leases}/l?dryRun=All"), &lease).await.code, 201);
    assert_eq!(client.get(&format!("{leases}/l")).await.code, 404);
    assert_eq!(client.put(&format!("{leases}/l"), &lease).await.code, 201);
    // What is there must be named with the version that was seen.
    let blind = client.put(&format!("{leases}/l"), &lease).await.refusal();
    assert_eq!(
        blind,
        (422, "Lease.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update".into())
    );
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let put = client.put("/api/v1/namespaces/default/services/s", &service).await;
    assert_eq!(put.code, 201);
    assert!(put.ok()["spec"]["clusterIP"].as_str().is_some_and(|address| !address.is_empty()));
    let jane = cluster.client("jane", &[]).await;
    let rules = json!({"metadata": {"name": "updates"}, "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]}]});
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    client.post(&format!("{roles}/roles"), &rules).await.ok();
    let binding = json!({"metadata": {"name": "updates"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "updates"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}]});
    client.post(&format!("{roles}/rolebindings"), &binding).await.ok();
    let (code, message) = client_may(&jane, &format!("{leases}/new"), &lease_named(&lease, "new")).await;
    assert_eq!(code, 403);
    assert!(message.contains("cannot create resource \"leases\""), "{message}");
}

fn lease_named(lease: &serde_json::Value, name: &str) -> serde_json::Value {
    let mut lease = lease.clone();
    lease["metadata"]["name"] = name.into();
    lease
}

/// What a PUT is told once the roles of the one who asks are known: that update is allowed, and create is not.
async fn client_may(
    client: &crate::cluster::Client,
    path: &str,
    object: &serde_json::Value,
) -> (u16, String) {
    loop {
        let told = client.put(path, object).await.refusal();
        if !told.1.contains("cannot update resource") {
            return told;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrative_access_to_devices_needs_a_labelled_namespace() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let namespace = "/apis/resource.k8s.io/v1/namespaces/default";
    let claims = format!("{namespace}/resourceclaims");
    let spec = |admin: bool| json!({"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "adminAccess": admin}}]}});
    let claim = |name: &str, admin: bool| json!({"metadata": {"name": name}, "spec": spec(admin)});
    let template = json!({"metadata": {"name": "t"}, "spec": {"spec": spec(true)}});
    let why = "adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace";
    for (kind, object) in [("resourceclaims", claim("a", true)), ("resourceclaimtemplates", template)] {
        let (code, message) = client.post(&format!("{namespace}/{kind}"), &object).await.refusal();
        assert_eq!(code, 422, "{kind}");
        assert!(message.contains(&format!("spec.devices.requests[0].{why}")), "{message}");
    }
    client.post(&claims, &claim("plain", false)).await.ok();
    let result =
        json!({"request": "r", "driver": "a.example", "pool": "p", "device": "d", "adminAccess": true});
    let granted = json!({"status": {"allocation": {"devices": {"results": [result]}}}});
    let status = format!("{claims}/plain/status");
    let (code, message) = client.patch(&status, "merge-patch", &granted).await.refusal();
    assert_eq!(code, 422, "{message}");
    assert!(message.contains(&format!("status.allocation.devices.results[0].{why}")), "{message}");

    let labels = json!({"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}});
    client.patch("/api/v1/namespaces/default", "merge-patch", &labels).await.ok();
    client.post(&claims, &claim("a", true)).await.ok();
    client.patch(&status, "merge-patch", &granted).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_systems_priority_classes_stay() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let (code, message) = client.delete(&format!("{classes}/system-node-critical")).await.refusal();
    assert_eq!(
        (code, &*message),
        (
            403,
            r#"priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted"#
        )
    );
    client.post(classes, &json!({"metadata": {"name": "mine"}, "value": 5})).await.ok();
    client.delete(&format!("{classes}/mine")).await.ok();
}
