//! The taints that follow from a node's conditions.

use controller_runtime::objects::{Node, find};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// The conditions that keep new pods away while they are true.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// Returns the keys of the taints that keep new pods away.
pub fn no_schedule(node: &Node) -> Vec<&'static str> {
    let conditions = &node.status.conditions;
    let mut keys: Vec<&'static str> = Vec::new();
    match find(conditions, "Ready").map(|ready| &*ready.status) {
        Some("True") => {}
        Some("Unknown") => keys.push(UNREACHABLE),
        Some(_) | None => keys.push(NOT_READY),
    }
    for (condition, key) in PRESSURES {
        if controller_runtime::objects::is_true(conditions, condition) {
            keys.push(key);
        }
    }
    if node.spec.unschedulable {
        keys.push(UNSCHEDULABLE);
    }
    keys
}

/// Returns the key of the taint that drives pods away, from the status of `Ready`.
///
/// A node that has not reported yet has no pods to drive away.
pub fn no_execute(ready: Option<&str>) -> Option<&'static str> {
    match ready {
        None | Some("True") => None,
        Some("Unknown") => Some(UNREACHABLE),
        Some(_) => Some(NOT_READY),
    }
}

/// Tells whether a node has a taint.
pub fn has(node: &Node, key: &str, effect: &str) -> bool {
    node.spec.taints.iter().any(|taint| taint.key == key && taint.effect == effect)
}

/// Returns which of the taints that drive pods away the node has now.
pub fn evicting_taint(node: &Node) -> Option<&'static str> {
    [NOT_READY, UNREACHABLE].into_iter().find(|key| has(node, key, "NoExecute"))
}

/// Returns the node's taints with those of this controller replaced; unchanged ones keep their place and time.
pub fn replace(node: &Node, no_schedule: &[&str], no_execute: Option<&str>, now: Timestamp) -> Vec<Taint> {
    let desired: Vec<(&str, &str)> = no_schedule
        .iter()
        .map(|key| (*key, "NoSchedule"))
        .chain(no_execute.map(|key| (key, "NoExecute")))
        .collect();
    let is_ours = |taint: &Taint| match &*taint.effect {
        "NoExecute" => taint.key == NOT_READY || taint.key == UNREACHABLE,
        "NoSchedule" => {
            [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&&*taint.key)
                || PRESSURES.iter().any(|(_, key)| *key == taint.key)
        }
        _ => false,
    };
    let is_desired =
        |taint: &Taint| desired.iter().any(|(key, effect)| *key == taint.key && *effect == taint.effect);
    let mut taints: Vec<Taint> =
        node.spec.taints.iter().filter(|taint| !is_ours(taint) || is_desired(taint)).cloned().collect();
    for (key, effect) in desired {
        if !has(node, key, effect) {
            taints.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                value: None,
                time_added: Some(Time(now)),
            });
        }
    }
    taints
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(conditions: Value, unschedulable: bool, taints: Value) -> Node {
        let node = json!({"metadata": {"name": "w1"}, "spec": {"taints": taints, "unschedulable": unschedulable},
            "status": {"conditions": conditions}});
        serde_json::from_value(node).unwrap()
    }

    fn told(node: &Node) -> Vec<String> {
        let ready = find(&node.status.conditions, "Ready").map(|ready| &*ready.status);
        let taints =
            replace(node, &no_schedule(node), no_execute(ready), "2026-01-01T00:00:00Z".parse().unwrap());
        let short = |taint: &Taint| {
            let added = if taint.time_added.is_some() { "+" } else { "" };
            format!("{added}{}:{}", taint.key.trim_start_matches("node.kubernetes.io/"), taint.effect)
        };
        taints.iter().map(short).collect()
    }

    #[test]
    fn taints_follow_conditions() {
        let ready = |status: &str| json!({"type": "Ready", "status": status});
        assert_eq!(told(&node(json!([ready("True")]), false, json!([]))), [""; 0]);
        assert_eq!(
            told(&node(json!([ready("False")]), false, json!([]))),
            ["+not-ready:NoSchedule", "+not-ready:NoExecute"]
        );
        assert_eq!(
            told(&node(json!([ready("Unknown")]), true, json!([]))),
            ["+unreachable:NoSchedule", "+unschedulable:NoSchedule", "+unreachable:NoExecute"]
        );
        assert_eq!(told(&node(json!([]), false, json!([]))), ["+not-ready:NoSchedule"]);
        let pressed = json!([ready("True"), {"type": "DiskPressure", "status": "True"}, {"type": "PIDPressure", "status": "False"}]);
        assert_eq!(told(&node(pressed, false, json!([]))), ["+disk-pressure:NoSchedule"]);
    }

    #[test]
    fn replaces_only_its_own_and_keeps_what_stays() {
        let taints = json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
            {"key": NOT_READY, "effect": "NoSchedule"}, {"key": NOT_READY, "effect": "NoExecute"},
            {"key": "mine", "effect": "NoExecute"}]);
        let unknown = json!([{"type": "Ready", "status": "Unknown"}]);
        assert_eq!(
            told(&node(unknown, false, taints.clone())),
            [
                "node-role.kubernetes.io/control-plane:NoSchedule",
                "mine:NoExecute",
                "+unreachable:NoSchedule",
                "+unreachable:NoExecute"
            ]
        );
        let not_ready = json!([{"type": "Ready", "status": "False"}]);
        assert_eq!(told(&node(not_ready, false, taints)).len(), 4);
    }
}
