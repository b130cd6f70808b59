//! What budgets allow.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:10:00Z";

/// `name:state`, state as `ready`, `not`, `going`.
fn pod(text: &str) -> Arc<Pod> {
    let (name, state) = text.split_once(':').unwrap();
    let ready = if state == "not" { "False" } else { "True" };
    let time = (state == "going").then_some(NOW);
    let pod = json!({"metadata": {"name": name, "uid": name, "deletionTimestamp": time},
        "status": {"conditions": [{"type": "Ready", "status": ready}]}});
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn look(spec: Value, status: Value, pods: &str, scales: &Result<Scales, String>) -> Decision {
    let budget = json!({"metadata": {"name": "b", "generation": 3}, "spec": spec, "status": status});
    let budget: PodDisruptionBudget = serde_json::from_value(budget).unwrap();
    let pods: Vec<_> = pods.split_whitespace().map(pod).collect();
    decide(&View { budget: &budget, pods: &pods, scales, now: NOW.parse().unwrap() })
}

#[test]
fn allows_what_is_healthy_beyond_what_must_be() {
    // The budget, the pods, what controllers want; expected, desired, healthy, allowed.
    let four = "a:ready b:ready c:ready d:ready";
    for (spec, pods, wanted, expected) in [
        (json!({"minAvailable": 3}), four, 4, [4, 3, 4, 1]),
        (json!({"minAvailable": "50%"}), four, 4, [4, 2, 4, 2]),
        (json!({"minAvailable": "50%"}), four, 5, [5, 3, 4, 1]),
        (json!({"maxUnavailable": 1}), four, 4, [4, 3, 4, 1]),
        (json!({"maxUnavailable": 1}), "a:ready b:ready c:not d:ready", 4, [4, 3, 3, 0]),
        (json!({"maxUnavailable": 1}), "a:ready b:ready c:going d:ready", 4, [4, 3, 3, 0]),
        (json!({"maxUnavailable": "30%"}), four, 4, [4, 2, 4, 2]),
        (json!({"maxUnavailable": "100%"}), four, 4, [4, 0, 4, 4]),
        (json!({"maxUnavailable": 9}), four, 4, [4, 0, 4, 4]),
        (json!({"minAvailable": 0}), "", 0, [0, 0, 0, 0]),
        (json!({"minAvailable": 9}), four, 4, [4, 9, 4, 0]),
    ] {
        let scales = Ok(Scales::from([("owner".to_owned(), wanted)]));
        let status = look(spec.clone(), json!({}), pods, &scales).status;
        let found = [
            status.expected_pods,
            status.desired_healthy,
            status.current_healthy,
            status.disruptions_allowed,
        ];
        assert_eq!(found, expected, "{spec} {pods}");
        let condition = &status.conditions[0];
        let allowed = (&*condition.status, &*condition.reason);
        let said = if expected[3] > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        assert_eq!((allowed, condition.observed_generation), (said, Some(3)));
    }
}

#[test]
fn a_granted_eviction_counts_until_the_pod_is_gone_or_two_minutes_are_over() {
    let status = json!({"disruptedPods": {
        "fresh": "2026-01-01T00:09:00Z", "late": "2026-01-01T00:07:00Z", "gone": "2026-01-01T00:09:30Z"}});
    let scales = Ok(Scales::new());
    let pods = "fresh:ready late:ready other:ready";
    let decision = look(json!({"minAvailable": 1}), status, pods, &scales);
    assert_eq!(decision.status.disrupted_pods.keys().collect::<Vec<_>>(), ["fresh"]);
    assert_eq!((decision.status.current_healthy, decision.status.disruptions_allowed), (2, 1));
    assert_eq!(decision.look_again, Some(Duration::from_secs(60)));
    let overdue: Vec<&str> = decision.overdue.iter().map(|pod| &*pod.metadata.name).collect();
    assert_eq!(overdue, ["late"]);
}

#[test]
fn pods_of_unknown_controllers_allow_nothing_unless_a_plain_number_is_asked_for() {
    let scales = Err("found no controllers for pod \"a\"".to_owned());
    let before = json!({"disruptionsAllowed": 2, "currentHealthy": 3, "expectedPods": 4});
    let decision = look(json!({"maxUnavailable": 1}), before, "a:ready", &scales);
    let status = decision.status;
    assert_eq!((status.disruptions_allowed, status.current_healthy, status.expected_pods), (0, 3, 4));
    assert_eq!(status.conditions[0].reason, "SyncFailed");
    assert!(decision.failure.is_some());
    let decision = look(json!({"minAvailable": 1}), json!({}), "a:ready b:ready", &scales);
    assert_eq!((decision.status.disruptions_allowed, decision.failure), (1, None));
}
