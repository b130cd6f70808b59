//! Whether a node still reports, and what is said when it does not.

use std::time::Duration;

use controller_runtime::objects::{Condition, Node, find};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The conditions that a kubelet reports and that are unknown once it does not.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What was heard of a node.
#[derive(Debug, Clone, Copy)]
pub struct Signs {
    /// How long ago the last sign of life came.
    pub silent_for: Duration,
    /// How long that may be.
    pub grace: Duration,
    /// How long it may be for a node that has never reported.
    pub startup_grace: Duration,
}

/// What follows.
#[derive(Debug, PartialEq)]
pub struct Judgement {
    /// The conditions to write, if the node is silent and this is not yet said.
    pub unknown: Option<Vec<Condition>>,
    /// When the node's grace ends.
    pub look_again: Option<Duration>,
}

/// Judges.
pub fn judge(node: &Node, signs: &Signs, now: Timestamp) -> Judgement {
    let conditions = &node.status.conditions;
    let grace = if find(conditions, "Ready").is_some() { signs.grace } else { signs.startup_grace };
    if signs.silent_for <= grace {
        // A moment more, so that the grace is over when it is looked at.
        let left = grace - signs.silent_for + Duration::from_millis(100);
        return Judgement { unknown: None, look_again: Some(left) };
    }
    let is_said =
        REPORTED.iter().all(|kind| find(conditions, kind).is_some_and(|one| one.status == "Unknown"));
    if is_said {
        return Judgement { unknown: None, look_again: None };
    }
    let mut unknown = conditions.clone();
    for kind in REPORTED {
        match unknown.iter_mut().find(|condition| condition.kind == kind) {
            None => unknown.push(Condition {
                kind: kind.to_owned(),
                status: "Unknown".to_owned(),
                reason: "NodeStatusNeverUpdated".to_owned(),
                message: "Kubelet never posted node status.".to_owned(),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(Time(now)),
                ..Condition::default()
            }),
            Some(condition) if condition.status != "Unknown" => {
                condition.status = "Unknown".to_owned();
                condition.reason = "NodeStatusUnknown".to_owned();
                condition.message = "Kubelet stopped posting node status.".to_owned();
                condition.last_transition_time = Some(Time(now));
            }
            Some(_) => {}
        }
    }
    Judgement { unknown: Some(unknown), look_again: None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(conditions: Value, silent: u64) -> Judgement {
        let node = json!({"metadata": {"name": "w1", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": conditions}});
        let signs = Signs {
            silent_for: Duration::from_secs(silent),
            grace: Duration::from_secs(40),
            startup_grace: Duration::from_secs(60),
        };
        judge(&serde_json::from_value(node).unwrap(), &signs, "2026-01-01T01:00:00Z".parse().unwrap())
    }

    fn told(judgement: &Judgement) -> Vec<String> {
        let conditions = judgement.unknown.iter().flatten();
        conditions.map(|one| format!("{} {} {}", one.kind, one.status, one.reason)).collect()
    }

    #[test]
    fn a_node_that_was_heard_within_its_grace_is_left_alone() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(
            judged(ready, 40),
            Judgement { unknown: None, look_again: Some(Duration::from_millis(100)) }
        );
        assert_eq!(judged(json!([]), 45).look_again, Some(Duration::from_millis(15_100)));
    }

    #[test]
    fn a_silent_node_is_unknown_in_every_condition_it_reports() {
        let conditions = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady"},
            {"type": "NetworkUnavailable", "status": "False", "reason": "Up"},
            {"type": "DiskPressure", "status": "Unknown", "reason": "Earlier"}]);
        assert_eq!(
            told(&judged(conditions, 41)),
            [
                "Ready Unknown NodeStatusUnknown",
                "NetworkUnavailable False Up",
                "DiskPressure Unknown Earlier",
                "MemoryPressure Unknown NodeStatusNeverUpdated",
                "PIDPressure Unknown NodeStatusNeverUpdated"
            ]
        );
        assert_eq!(told(&judged(json!([]), 61)).len(), 4);
    }

    #[test]
    fn it_is_said_once() {
        let said = judged(json!([]), 61).unknown.unwrap();
        assert_eq!(judged(json!(said), 100), Judgement { unknown: None, look_again: None });
    }
}
