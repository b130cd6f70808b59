//! Stateful sets grow, shrink and update in order.

use super::decision::*;
use super::*;

fn set(replicas: i32, change: Value) -> StatefulSet {
    let mut object = json!({"metadata": {"name": "db", "namespace": "a", "uid": "s", "generation": 1},
        "spec": {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}});
    for (name, value) in change.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// `ordinal:revision:state`, state as `up`, `down`, `go`, `bad`.
fn pod(text: &str) -> Arc<Pod> {
    let parts: Vec<&str> = text.split(':').collect();
    let ready = if matches!(parts[2], "up" | "go") { "True" } else { "False" };
    let name = format!("db-{}", parts[0]);
    let mut pod = json!({
        "metadata": {"name": name, "uid": name, "labels": {REVISION: parts[1], "statefulset.kubernetes.io/pod-name": name}},
        "status": {"phase": if parts[2] == "bad" { "Failed" } else { "Running" },
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:59:55Z"}]}});
    if parts[2] == "go" {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn step(set: &StatefulSet, pods: &[&str]) -> Decision {
    let pods: Vec<_> = pods.iter().map(|text| pod(text)).collect();
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    decide(&View { set, pods: &pods, current: "old", update: "new", now })
}

/// What happens: `+n` created (`'` of the current revision), `-n` deleted, `xn` scaled away.
fn told(set: &StatefulSet, pods: &[&str]) -> String {
    let decision = step(set, pods);
    let created =
        decision.create.iter().map(|new| format!("+{}{}", new.ordinal, if new.updated { "" } else { "'" }));
    let name = |pod: &Arc<Pod>| pod.metadata.name.trim_start_matches("db-").to_owned();
    let deleted = decision.delete.iter().map(|pod| format!("-{}", name(pod)));
    let condemned = decision.condemn.iter().map(|pod| format!("x{}", name(pod)));
    created.chain(deleted).chain(condemned).collect::<Vec<_>>().join(" ")
}

#[test]
fn pods_are_made_one_after_the_other() {
    let three = set(3, json!({}));
    assert_eq!(told(&three, &[]), "+0");
    assert_eq!(told(&three, &["0:new:down"]), "");
    assert_eq!(told(&three, &["0:new:up"]), "+1");
    assert_eq!(told(&three, &["0:new:up", "2:new:up"]), "+1");
    assert_eq!(told(&three, &["0:new:go", "1:new:up"]), "");
    assert_eq!(told(&three, &["0:new:up", "1:new:bad", "2:new:up"]), "-1");
    assert_eq!(told(&set(3, json!({"podManagementPolicy": "Parallel"})), &["1:new:down"]), "+0 +2");
    assert_eq!(told(&set(2, json!({"ordinals": {"start": 5}})), &["5:new:up"]), "+6");
}

#[test]
fn pods_are_removed_from_the_highest_number_down() {
    let one = set(1, json!({}));
    assert_eq!(told(&one, &["0:new:up", "1:new:up", "2:new:up"]), "x2");
    assert_eq!(told(&one, &["0:new:up", "1:new:up", "2:new:go"]), "");
    assert_eq!(told(&one, &["0:new:down", "1:new:up"]), "", "not while a member does not work");
    assert_eq!(told(&one, &["0:new:up", "1:new:down", "2:new:up"]), "x2");
    let parallel = set(1, json!({"podManagementPolicy": "Parallel"}));
    assert_eq!(told(&parallel, &["0:new:up", "1:new:up", "2:new:down"]), "x2 x1");
}

#[test]
fn updates_go_from_the_highest_number_down_to_the_partition() {
    let three = set(3, json!({}));
    assert_eq!(told(&three, &["0:old:up", "1:old:up", "2:old:up"]), "-2");
    assert_eq!(told(&three, &["0:old:up", "1:old:up", "2:new:up"]), "-1");
    assert_eq!(told(&three, &["0:old:up", "1:old:up", "2:new:down"]), "");
    let partition = |partition: i32| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}});
    assert_eq!(told(&set(3, partition(2)), &["0:old:up", "1:old:up", "2:new:up"]), "");
    assert_eq!(told(&set(3, partition(2)), &["0:old:up", "2:old:up"]), "+1'");
    let two = json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}});
    assert_eq!(told(&set(3, two), &["0:old:up", "1:old:up", "2:old:up"]), "-2 -1");
    let on_delete = set(3, json!({"updateStrategy": {"type": "OnDelete"}}));
    assert_eq!(told(&on_delete, &["0:old:up", "1:old:up", "2:old:up"]), "");
}

#[test]
fn the_update_is_the_current_revision_once_all_are_ready() {
    let two = set(2, json!({}));
    let half = step(&two, &["0:old:up", "1:new:up"]).status;
    assert_eq!((&*half.current_revision, half.current_replicas, half.updated_replicas), ("old", 1, 1));
    let done = step(&two, &["0:new:up", "1:new:up"]).status;
    assert_eq!((&*done.current_revision, done.current_replicas, done.ready_replicas), ("new", 2, 2));
}

#[test]
fn a_pod_counts_as_available_after_min_ready_seconds() {
    let slow = set(2, json!({"minReadySeconds": 10}));
    let decision = step(&slow, &["0:new:up"]);
    assert_eq!((decision.create.len(), decision.look_again), (0, Some(std::time::Duration::from_secs(5))));
    assert_eq!((decision.status.ready_replicas, decision.status.available_replicas), (1, 0));
}

#[test]
fn a_pod_has_its_name_its_claims_and_its_place() {
    let claims = json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]);
    let retention = json!({"whenDeleted": "Delete"});
    let db =
        set(1, json!({"volumeClaimTemplates": claims, "persistentVolumeClaimRetentionPolicy": retention}));
    let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": []}});
    let pod = new_pod::object(&db, &template, "db-abc", 2);
    assert_eq!(pod["metadata"]["name"], "db-2");
    assert_eq!(
        pod["metadata"]["labels"],
        json!({"app": "db", REVISION: "db-abc", "statefulset.kubernetes.io/pod-name": "db-2", "apps.kubernetes.io/pod-index": "2"})
    );
    assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("db-2"), &json!("db")));
    assert_eq!(
        pod["spec"]["volumes"],
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-2"}}])
    );
    let claim = &new_pod::claims(&db, 2)[0];
    assert_eq!(claim["metadata"]["labels"], json!({"app": "db"}));
    assert_eq!(claim["metadata"]["ownerReferences"][0]["kind"], "StatefulSet");
    assert_eq!(db.ordinal("db-2"), Some(2));
    assert_eq!((db.ordinal("db-x"), db.ordinal("dbx-2"), db.ordinal("db-")), (None, None, None));
}
