//! Priority and fairness: schemas and levels as a cluster starts with them, as they are changed, and what they do.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Client, Cluster, MAPS, map};

const SCHEMAS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
const LEVELS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations";

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_has_upstreams_schemas_and_levels_and_keeps_them() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    assert_eq!(
        names(&admin.get(LEVELS).await.ok()),
        [
            "catch-all",
            "exempt",
            "global-default",
            "leader-election",
            "node-high",
            "system",
            "workload-high",
            "workload-low"
        ]
    );
    assert_eq!(names(&admin.get(SCHEMAS).await.ok()).len(), 13);
    // A suggested one comes back as long as its annotation says so, a mandatory one always.
    let path = format!("{LEVELS}/system");
    let shares = |shares: u64| json!({"spec": {"limited": {"nominalConcurrencyShares": shares}}});
    admin.patch(&path, "merge-patch", &shares(7)).await.ok();
    let settled = |path: String, wanted: u64| {
        let admin = admin.clone();
        async move {
            testkit::eventually(|| async {
                let found = admin.get(&path).await.json();
                let shares = &found["spec"]["limited"]["nominalConcurrencyShares"];
                if *shares == wanted { Ok(()) } else { Err(found) }
            })
            .await;
        }
    };
    settled(path.clone(), 30).await;
    let own = json!({"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}});
    admin.patch(&path, "merge-patch", &own).await.ok();
    admin.patch(&path, "merge-patch", &shares(7)).await.ok();
    admin.delete(&format!("{LEVELS}/catch-all")).await.ok();
    settled(format!("{LEVELS}/catch-all"), 5).await;
    settled(path, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_name_their_schema_and_level_and_a_schema_without_level_dangles() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let jane = cluster.client_of(cluster.address, "jane", &[]).await;
    let uid = |object: Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    let exempt = uid(admin.get(&format!("{SCHEMAS}/exempt")).await.ok());
    let global = uid(admin.get(&format!("{SCHEMAS}/global-default")).await.ok());
    testkit::eventually(|| async {
        let (of_admin, of_jane) = (admin.get(MAPS).await, jane.get(MAPS).await);
        assert_eq!(of_jane.code, 403);
        let found = [of_admin, of_jane].map(|answer| {
            answer
                .headers
                .get("x-kubernetes-pf-flowschema-uid")
                .and_then(|uid| uid.to_str().ok())
                .map(str::to_owned)
        });
        let wanted = [Some(exempt.clone()), Some(global.clone())];
        if found == wanted { Ok(()) } else { Err(found) }
    })
    .await;
    let schema = json!({
        "metadata": {"name": "lost"},
        "spec": {"matchingPrecedence": 50, "priorityLevelConfiguration": {"name": "missing"}, "rules": [{
            "subjects": [{"kind": "User", "user": {"name": "jane"}}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }]},
    });
    admin.post(SCHEMAS, &schema).await.ok();
    let dangles = |wanted: &'static str| {
        let admin = admin.clone();
        async move {
            testkit::eventually(|| async {
                let conditions =
                    admin.get(&format!("{SCHEMAS}/lost")).await.json()["status"]["conditions"].clone();
                if conditions[0]["type"] == "Dangling" && conditions[0]["status"] == wanted {
                    Ok(())
                } else {
                    Err(conditions)
                }
            })
            .await;
        }
    };
    dangles("True").await;
    let level = json!({"metadata": {"name": "missing"}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}}});
    admin.post(LEVELS, &level).await.ok();
    dangles("False").await;
    let metrics = String::from_utf8(admin.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("apiserver_flowcontrol_nominal_limit_seats{priority_level=\"missing\"}"));
    let table = admin.get("/debug/api_priority_and_fairness/dump_priority_levels").await;
    assert!(String::from_utf8_lossy(&table.body).starts_with("PriorityLevelName,"));
}

/// A level of one seat without queues: of many requests at once some are turned away, in upstream's words, while the
/// administrator is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_turned_away_and_leaves_others_alone() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let level = json!({"metadata": {"name": "flood"}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}}});
    admin.post(LEVELS, &level).await.ok();
    let schema = json!({
        "metadata": {"name": "flood"},
        "spec": {"matchingPrecedence": 50, "priorityLevelConfiguration": {"name": "flood"}, "rules": [{
            "subjects": [{"kind": "User", "user": {"name": "joe"}}],
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}],
        }]},
    });
    admin.post(SCHEMAS, &schema).await.ok();
    let binding = json!({
        "metadata": {"name": "joe"}, "subjects": [{"kind": "User", "name": "joe", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"},
    });
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.ok();
    admin.post(MAPS, &map("m", "0")).await.ok();
    let joe = cluster.client_of(cluster.address, "joe", &[]).await;
    let refused = testkit::eventually(|| async {
        let mut writers = Vec::new();
        for number in 0..20 {
            let joe = joe.clone();
            writers.push(tokio::spawn(async move {
                let patch = json!({"data": {"key": number.to_string()}}).to_string();
                let headers = [("content-type", "application/merge-patch+json")];
                joe.ask(Method::PATCH, &format!("{MAPS}/m"), &headers, patch).await
            }));
        }
        let mut refused = None;
        for writer in writers {
            let answer = writer.await.unwrap();
            if answer.code == 429 {
                refused = Some(answer);
            }
        }
        refused.ok_or("none was turned away")
    })
    .await;
    assert_eq!(refused.body, "Too many requests, please try again later.\n");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
    let (path, patch) = (format!("{MAPS}/m"), json!({"data": {"key": "admin"}}));
    let answer =
        tokio::time::timeout(Duration::from_secs(10), admin.patch(&path, "merge-patch", &patch)).await;
    answer.unwrap().ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_that_cannot_be_read_is_refused() {
    let cluster = Cluster::start().await;
    let (code, message) = cluster.admin().await.get(&format!("{MAPS}?timeout=soon")).await.refusal();
    assert_eq!(code, 400);
    assert_eq!(message, "invalid timeout specified in the request URL - time: invalid duration \"soon\"");
}

/// How many requests of administrators run, the one that asks among them.
async fn executing(admin: &Client) -> String {
    let answer = admin.get("/metrics").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let name =
        "apiserver_flowcontrol_current_executing_requests{flow_schema=\"exempt\",priority_level=\"exempt\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_takes_its_seats_until_its_first_objects_are_out() {
    let cluster = Cluster::start().await;
    let (admin, reader) = (cluster.admin().await, cluster.admin().await);
    let is_running = |wanted: &'static str| {
        let admin = admin.clone();
        async move {
            testkit::eventually(|| async {
                let found = executing(&admin).await;
                if found == wanted { Ok(()) } else { Err(found) }
            })
            .await;
        }
    };
    admin.post(MAPS, &map("small", "1")).await.ok();
    let _small = reader.watch(&format!("{MAPS}?watch=true")).await;
    is_running("1").await;
    // More than a client takes in that does not read.
    let large = "x".repeat(900_000);
    for number in 0..10 {
        admin.post(MAPS, &map(&format!("large-{number}"), &large)).await.ok();
    }
    let mut events = reader.watch(&format!("{MAPS}?watch=true")).await;
    is_running("2").await;
    for _ in 0..11 {
        assert_eq!(events.name().await.0, "ADDED");
    }
    is_running("1").await;
    let _unread = reader.watch(&format!("{MAPS}?watch=true")).await;
    is_running("2").await;
    drop(reader);
    drop(_unread);
    is_running("1").await;
}
