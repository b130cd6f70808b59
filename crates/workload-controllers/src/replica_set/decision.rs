//! How many pods to create, which to delete, and what the status says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::labels::Selector;
use controller_runtime::objects::{Condition, Pod, ReplicaSetStatus, find};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::Replicas;
use crate::pods::rank_for_deletion;

/// The most pods created or deleted in one go; upstream's value.
const BURST: usize = 500;

/// What is known of a set.
pub struct View<'a, K> {
    /// The set.
    pub set: &'a K,
    /// Its pods, those that have ended or are on their way out included.
    pub pods: &'a [Arc<Pod>],
    /// Active pods of the set and its siblings by node.
    pub on_node: &'a HashMap<String, usize>,
    /// Whether earlier writes were seen, so that counting is safe.
    pub may_act: bool,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub struct Decision {
    /// How many pods to create.
    pub create: usize,
    /// Which pods to delete.
    pub delete: Vec<Arc<Pod>>,
    /// The status as counted, with the failure condition as it was.
    pub status: ReplicaSetStatus,
    /// When a ready pod will count as available.
    pub look_again: Option<Duration>,
}

/// Decides.
pub fn decide<K: Replicas>(view: &View<'_, K>) -> Decision {
    let mut active: Vec<Arc<Pod>> = view.pods.iter().filter(|pod| pod.is_active()).cloned().collect();
    let terminating = view.pods.iter().filter(|pod| pod.is_terminating()).count();
    let desired = usize::try_from(view.set.replicas()).unwrap_or(0);
    let status = count(view, &active, terminating);
    let look_again = next_available(view, &active);
    let (mut create, mut delete) = (0, Vec::new());
    if view.may_act && active.len() < desired {
        create = (desired - active.len()).min(BURST);
    } else if view.may_act && active.len() > desired {
        let surplus = (active.len() - desired).min(BURST);
        rank_for_deletion(&mut active, view.on_node, view.now);
        active.truncate(surplus);
        delete = active;
    }
    Decision { create, delete, status, look_again }
}

fn count<K: Replicas>(view: &View<'_, K>, active: &[Arc<Pod>], terminating: usize) -> ReplicaSetStatus {
    let template = view.set.template().value();
    let labels = template["metadata"]["labels"].as_object();
    let labels =
        labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    let full = Selector::from_pairs(labels);
    let number = |counts: &dyn Fn(&Pod) -> bool| {
        i32::try_from(active.iter().filter(|pod| counts(pod)).count()).unwrap_or(i32::MAX)
    };
    ReplicaSetStatus {
        replicas: number(&|_| true),
        fully_labeled_replicas: number(&|pod| full.matches_map(Some(&pod.metadata.labels))),
        ready_replicas: number(&Pod::is_ready),
        available_replicas: number(&|pod| pod.is_available(view.set.min_ready_seconds(), view.now)),
        terminating_replicas: Some(i32::try_from(terminating).unwrap_or(i32::MAX)),
        observed_generation: view.set.metadata().generation,
        conditions: view.set.status().conditions.clone(),
    }
}

/// Returns when the next ready pod will have been ready for long enough.
fn next_available<K: Replicas>(view: &View<'_, K>, active: &[Arc<Pod>]) -> Option<Duration> {
    let waiting = active.iter().filter(|pod| !pod.is_available(view.set.min_ready_seconds(), view.now));
    let left = waiting.filter_map(|pod| {
        let available_at = pod.ready_since()?.as_second() + view.set.min_ready_seconds();
        u64::try_from(available_at - view.now.as_second()).ok()
    });
    left.min().map(|seconds| Duration::from_secs(seconds.max(1)))
}

/// Adds or removes the condition that says why pods could not be created or deleted.
pub fn with_failure(
    mut status: ReplicaSetStatus,
    failure: Option<(&str, String)>,
    now: Timestamp,
) -> ReplicaSetStatus {
    match (failure, find(&status.conditions, "ReplicaFailure")) {
        (Some((reason, message)), None) => status.conditions.push(Condition {
            kind: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: Some(Time(now)),
            ..Condition::default()
        }),
        (None, Some(_)) => status.conditions.retain(|condition| condition.kind != "ReplicaFailure"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    status
}

/// Returns the status as it is sent: what is zero or empty is left out, except `replicas`.
pub fn wire(status: &ReplicaSetStatus) -> Value {
    let unless_zero = |number: i64| if number == 0 { Value::Null } else { number.into() };
    json!({
        "replicas": status.replicas,
        "fullyLabeledReplicas": unless_zero(status.fully_labeled_replicas.into()),
        "readyReplicas": unless_zero(status.ready_replicas.into()),
        "availableReplicas": unless_zero(status.available_replicas.into()),
        "terminatingReplicas": status.terminating_replicas,
        "observedGeneration": unless_zero(status.observed_generation),
        "conditions": if status.conditions.is_empty() { Value::Null } else { json!(status.conditions) },
    })
}
