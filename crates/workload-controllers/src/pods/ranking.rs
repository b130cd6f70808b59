//! Which pods go first when there are too many.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::sync::Arc;

use controller_runtime::objects::Pod;
use jiff::Timestamp;

/// The annotation by which a pod says how dear its loss is.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Orders pods so that those to delete come first, as upstream does: unassigned before assigned, pending before
/// unknown before running, not ready before ready, cheap before dear, many on a node before few, then what has been
/// ready for less long, has restarted more often, is younger.
///
/// Times are compared by powers of two, so that among pods of about one age chance (the uid) decides.
pub fn rank_for_deletion(pods: &mut [Arc<Pod>], on_node: &HashMap<String, usize>, now: Timestamp) {
    pods.sort_by(|a, b| compare(a, b, on_node, now));
}

fn compare(a: &Pod, b: &Pod, on_node: &HashMap<String, usize>, now: Timestamp) -> Ordering {
    let assigned = |pod: &Pod| !pod.spec.node_name.is_empty();
    let neighbours = |pod: &Pod| Reverse(on_node.get(&pod.spec.node_name).copied().unwrap_or(0));
    assigned(a)
        .cmp(&assigned(b))
        .then_with(|| phase(a).cmp(&phase(b)))
        .then_with(|| a.is_ready().cmp(&b.is_ready()))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| neighbours(a).cmp(&neighbours(b)))
        .then_with(|| {
            if !(a.is_ready() && b.is_ready()) {
                return Ordering::Equal;
            }
            by_age(a.ready_since(), b.ready_since(), a, b, now)
        })
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| {
            let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            by_age(created(a), created(b), a, b, now)
        })
}

fn phase(pod: &Pod) -> u8 {
    match &*pod.status.phase {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    }
}

fn cost(pod: &Pod) -> i32 {
    pod.metadata.annotations.get(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

/// The most restarts of a container, with those of sidecars to break ties.
fn restarts(pod: &Pod) -> (i32, i32) {
    let most = |statuses: &[controller_runtime::objects::ContainerStatus]| {
        statuses.iter().map(|status| status.restart_count).max().unwrap_or(0)
    };
    (most(&pod.status.container_statuses), most(&pod.status.init_container_statuses))
}

/// No time before the younger before the older; about the same age is decided by uid.
fn by_age(a: Option<Timestamp>, b: Option<Timestamp>, x: &Pod, y: &Pod, now: Timestamp) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) if a == b => Ordering::Equal,
        (Some(a), Some(b)) => {
            let magnitude = |time: Timestamp| match now.duration_since(time).as_nanos() {
                nanos if nanos > 0 => nanos.ilog2() as i64,
                _ => -1,
            };
            magnitude(a).cmp(&magnitude(b)).then_with(|| x.metadata.uid.cmp(&y.metadata.uid))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, change: Value) -> Arc<Pod> {
        let mut pod = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": "n"},
            "status": {"phase": "Running", "containerStatuses": [{"restartCount": 0}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T01:00:00Z"}]}});
        for (path, value) in change.as_object().unwrap() {
            *pod.pointer_mut(path).unwrap() = value.clone();
        }
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn deletes_first_what_is_least_useful() {
        let mut pods = vec![
            pod("j-oldest", json!({})),
            pod("i-restarted", json!({"/status/containerStatuses/0/restartCount": 3})),
            pod(
                "h-younger-ready",
                json!({"/status/conditions/0/lastTransitionTime": "2026-01-02T00:00:00Z"}),
            ),
            pod("f-crowded", json!({"/spec/nodeName": "crowd"})),
            pod(
                "g-dear-on-crowd",
                json!({"/spec/nodeName": "crowd",
                "/metadata": {"name": "g", "uid": "g", "annotations": {DELETION_COST: "10"}}}),
            ),
            pod(
                "e-cheap",
                json!({"/metadata": {"name": "e", "uid": "e", "annotations": {DELETION_COST: "-1"}}}),
            ),
            pod("d-not-ready", json!({"/status/conditions/0/status": "False"})),
            pod("c-unknown", json!({"/status/phase": "Unknown"})),
            pod("b-pending", json!({"/status/phase": "Pending"})),
            pod("a-unassigned", json!({"/spec/nodeName": ""})),
        ];
        let on_node = HashMap::from([("n".to_owned(), 1), ("crowd".to_owned(), 5)]);
        rank_for_deletion(&mut pods, &on_node, "2026-01-02T00:10:00Z".parse().unwrap());
        let order: Vec<&str> = pods.iter().map(|pod| &pod.metadata.uid[..1]).collect();
        assert_eq!(order.concat(), "abcdefhijg");
    }

    #[test]
    fn pods_of_about_one_age_go_by_chance() {
        let mut pods = vec![
            pod("b", json!({"/status/conditions/0/lastTransitionTime": "2026-01-01T01:00:10Z"})),
            pod("a", json!({"/status/conditions/0/lastTransitionTime": "2026-01-01T01:00:00Z"})),
        ];
        rank_for_deletion(&mut pods, &HashMap::new(), "2026-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(pods[0].metadata.name, "a");
    }
}
