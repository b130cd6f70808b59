//! The next step of a stateful set: which pods to make and remove now, and what must wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::objects::Pod;
use controller_runtime::objects::stateful_set::{StatefulSet, StatefulSetStatus};
use jiff::Timestamp;

use super::REVISION;
use crate::deployment::proportion::{Rounding, resolve};

/// What is known of a stateful set.
pub struct View<'a> {
    /// The set.
    pub set: &'a StatefulSet,
    /// Its pods.
    pub pods: &'a [Arc<Pod>],
    /// The revision before the update.
    pub current: &'a str,
    /// The revision of the present template.
    pub update: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// A pod to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPod {
    /// Its number.
    pub ordinal: i32,
    /// Whether it is of the present template.
    pub updated: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Decision {
    /// Pods to create.
    pub create: Vec<NewPod>,
    /// Pods to delete because they have ended or are of an old revision; they come back.
    pub delete: Vec<Arc<Pod>>,
    /// Pods to delete because the set is smaller.
    pub condemn: Vec<Arc<Pod>>,
    /// Pods that lack the labels that tell them apart.
    pub relabel: Vec<Arc<Pod>>,
    /// The status to write.
    pub status: StatefulSetStatus,
    /// When a ready pod will count as available.
    pub look_again: Option<Duration>,
}

/// Decides.
pub fn decide(view: &View<'_>) -> Decision {
    let set = view.set;
    let first = set.first_ordinal();
    let range = first..first.saturating_add(set.spec.replicas.max(0));
    let mut members: BTreeMap<i32, &Arc<Pod>> = BTreeMap::new();
    let mut condemned: Vec<&Arc<Pod>> = Vec::new();
    for pod in view.pods {
        match set.ordinal(&pod.metadata.name) {
            Some(ordinal) if range.contains(&ordinal) => {
                members.insert(ordinal, pod);
            }
            _ => condemned.push(pod),
        }
    }
    condemned.sort_by_key(|pod| std::cmp::Reverse(set.ordinal(&pod.metadata.name)));
    let mut decision = Decision { status: count(view), ..Decision::default() };
    decision.relabel = view
        .pods
        .iter()
        .filter(|pod| !pod.metadata.labels.contains_key("statefulset.kubernetes.io/pod-name"))
        .cloned()
        .collect();
    decision.look_again = next_available(view);
    let in_order = set.spec.pod_management_policy != "Parallel";
    let settled = fill(view, range.clone(), &members, in_order, &mut decision)
        && shrink(view, &condemned, in_order, &mut decision);
    if settled && set.spec.update_strategy.kind != "OnDelete" {
        update(view, range, &members, &mut decision);
    }
    complete(view, &mut decision);
    decision
}

fn revision(pod: &Pod) -> &str {
    pod.metadata.labels.get(REVISION).map_or("", String::as_str)
}

fn is_healthy(view: &View<'_>, pod: &Pod) -> bool {
    pod.status.phase == "Running"
        && !pod.metadata.is_deleting()
        && pod.is_available(view.set.spec.min_ready_seconds, view.now)
}

/// Makes what is missing; tells whether the steps after it may go on.
fn fill(
    view: &View<'_>,
    range: std::ops::Range<i32>,
    members: &BTreeMap<i32, &Arc<Pod>>,
    in_order: bool,
    decision: &mut Decision,
) -> bool {
    for ordinal in range {
        let waits = match members.get(&ordinal) {
            None => {
                let updated = !keeps_current(view, ordinal);
                decision.create.push(NewPod { ordinal, updated });
                let status = &mut decision.status;
                status.replicas += 1;
                status.updated_replicas += i32::from(updated);
                status.current_replicas += i32::from(!updated || view.current == view.update);
                true
            }
            Some(pod) if pod.is_terminal() => {
                if !pod.metadata.is_deleting() {
                    decision.delete.push(Arc::clone(pod));
                }
                true
            }
            Some(pod) => !is_healthy(view, pod),
        };
        if waits && in_order {
            return false;
        }
    }
    true
}

/// Tells whether a new pod of this number is still of the revision before the update.
fn keeps_current(view: &View<'_>, ordinal: i32) -> bool {
    let strategy = &view.set.spec.update_strategy;
    if strategy.kind == "OnDelete" {
        return false;
    }
    let kept = match &strategy.rolling_update {
        Some(rolling) => rolling.partition,
        None => view.set.status.current_replicas,
    };
    ordinal < view.set.first_ordinal().saturating_add(kept)
}

fn shrink(view: &View<'_>, condemned: &[&Arc<Pod>], in_order: bool, decision: &mut Decision) -> bool {
    let first_unhealthy = condemned.iter().find(|pod| !is_healthy(view, pod)).map(|pod| &pod.metadata.uid);
    for pod in condemned {
        if pod.metadata.is_deleting() {
            if in_order {
                return false;
            }
            continue;
        }
        // In order, one that does not work may go, but not a working one while another does not.
        let held = !is_healthy(view, pod) && first_unhealthy != Some(&pod.metadata.uid);
        if in_order && held {
            return false;
        }
        decision.condemn.push(Arc::clone(pod));
        if in_order {
            return false;
        }
    }
    true
}

/// Replaces pods of old revisions from the highest number down, as many at a time as may be unavailable.
fn update(
    view: &View<'_>,
    range: std::ops::Range<i32>,
    members: &BTreeMap<i32, &Arc<Pod>>,
    decision: &mut Decision,
) {
    let rolling = view.set.spec.update_strategy.rolling_update.as_ref();
    let partition = rolling.map_or(0, |rolling| rolling.partition.max(0));
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let mut budget =
        unavailable.map_or(1, |share| resolve(share, view.set.spec.replicas, Rounding::Down)).max(1);
    let lowest = range.start.saturating_add(partition);
    for ordinal in range.rev().take_while(|ordinal| *ordinal >= lowest) {
        let Some(pod) = members.get(&ordinal) else {
            budget -= 1;
            if budget == 0 {
                return;
            }
            continue;
        };
        if revision(pod) != view.update && !pod.metadata.is_deleting() {
            decision.delete.push(Arc::clone(pod));
            budget -= 1;
        } else if !is_healthy(view, pod) {
            budget -= 1;
        }
        if budget == 0 {
            return;
        }
    }
}

fn count(view: &View<'_>) -> StatefulSetStatus {
    let mut status = StatefulSetStatus {
        observed_generation: view.set.metadata.generation,
        current_revision: view.current.to_owned(),
        update_revision: view.update.to_owned(),
        collision_count: view.set.status.collision_count,
        conditions: view.set.status.conditions.clone(),
        ..StatefulSetStatus::default()
    };
    for pod in view.pods {
        status.replicas += 1;
        if pod.status.phase == "Running" && pod.is_ready() {
            status.ready_replicas += 1;
            status.available_replicas +=
                i32::from(pod.is_available(view.set.spec.min_ready_seconds, view.now));
        }
        if !pod.metadata.is_deleting() {
            status.current_replicas += i32::from(revision(pod) == view.current);
            status.updated_replicas += i32::from(revision(pod) == view.update);
        }
    }
    status
}

/// Once every pod is of the update revision and ready, that is the current one.
fn complete(view: &View<'_>, decision: &mut Decision) {
    let (status, replicas) = (&mut decision.status, view.set.spec.replicas);
    let arrived = view.set.spec.update_strategy.kind != "OnDelete"
        && status.updated_replicas == replicas
        && status.ready_replicas == replicas
        && status.replicas == replicas;
    if arrived {
        status.current_revision = status.update_revision.clone();
        status.current_replicas = status.updated_replicas;
    }
}

fn next_available(view: &View<'_>) -> Option<Duration> {
    let waiting = view.pods.iter().filter(|pod| !pod.is_available(view.set.spec.min_ready_seconds, view.now));
    let left = waiting.filter_map(|pod| {
        let available_at = pod.ready_since()?.as_second() + view.set.spec.min_ready_seconds;
        u64::try_from(available_at - view.now.as_second()).ok()
    });
    left.min().map(|seconds| Duration::from_secs(seconds.max(1)))
}
