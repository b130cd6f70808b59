//! What a replica set does about its pods.

use serde_json::json;

use super::decision::*;
use super::*;

fn set(replicas: i32, min_ready_seconds: i32) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "set", "generation": 3},
        "spec": {"replicas": replicas, "minReadySeconds": min_ready_seconds,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": {}}}}))
    .unwrap()
}

fn pod(name: &str, state: &str) -> Arc<Pod> {
    let (ready, since) = match state {
        "ready" => ("True", "2026-01-01T00:00:00Z"),
        "fresh" => ("True", "2026-01-01T00:59:55Z"),
        _ => ("False", "2026-01-01T00:00:00Z"),
    };
    let phase = match state {
        "ended" => "Succeeded",
        "pending" => "Pending",
        _ => "Running",
    };
    let mut pod = json!({
        "metadata": {"name": name, "uid": name, "labels": {"app": "web", "tier": "front"}},
        "spec": {"nodeName": "n"},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]}});
    if state == "leaving" {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    if state == "half-labelled" {
        pod["metadata"]["labels"] = json!({"app": "web"});
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn decision(set: &ReplicaSet, states: &[&str], may_act: bool) -> Decision {
    let pods: Vec<_> = states.iter().enumerate().map(|(i, state)| pod(&format!("p{i}"), state)).collect();
    let on_node = HashMap::new();
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    decide(&View { set, pods: &pods, on_node: &on_node, may_act, now })
}

#[test]
fn creates_what_is_missing_and_deletes_the_least_useful() {
    for (replicas, states, create, delete) in [
        (3, &[][..], 3, &[][..]),
        (3, &["ready", "pending"], 1, &[]),
        (2, &["ready", "pending"], 0, &[]),
        (2, &["ended", "leaving", "ready"], 1, &[]),
        (1, &["ready", "pending", "ready"], 0, &["p1", "p0"]),
        (0, &["ready"], 0, &["p0"]),
        (2000, &[], 500, &[]),
    ] {
        let decision = decision(&set(replicas, 0), states, true);
        assert_eq!(decision.create, create, "{states:?}");
        let deleted: Vec<&str> = decision.delete.iter().map(|pod| &*pod.metadata.name).collect();
        assert_eq!(deleted, delete, "{states:?}");
    }
}

#[test]
fn does_not_act_while_its_own_writes_are_unseen() {
    let decision = decision(&set(3, 0), &[], false);
    assert_eq!((decision.create, decision.delete.len(), decision.status.replicas), (0, 0, 0));
}

#[test]
fn counts_pods_by_state_and_looks_again_when_one_becomes_available() {
    let states = ["ready", "fresh", "pending", "half-labelled", "ended", "leaving"];
    let decision = decision(&set(4, 10), &states, true);
    let status = &decision.status;
    assert_eq!((status.replicas, status.ready_replicas, status.available_replicas), (4, 2, 1));
    assert_eq!((status.fully_labeled_replicas, status.terminating_replicas), (3, Some(1)));
    assert_eq!(status.observed_generation, 3);
    assert_eq!(decision.look_again, Some(std::time::Duration::from_secs(5)));
    assert_eq!(wire(status)["conditions"], serde_json::Value::Null);
}

#[test]
fn says_once_why_pods_cannot_be_created() {
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    let failed = with_failure(ReplicaSetStatus::default(), Some(("FailedCreate", "quota".to_owned())), now);
    assert_eq!(failed.conditions[0].reason, "FailedCreate");
    let again = with_failure(failed.clone(), Some(("FailedCreate", "other".to_owned())), now);
    assert_eq!(again, failed);
    assert!(with_failure(failed, None, now).conditions.is_empty());
}
