//! Where pods of a daemon set are missing, where there are too many, which are replaced next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::objects::daemon_set::{DaemonSet, DaemonSetStatus};
use controller_runtime::objects::{Node, Pod};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodSpec;

use super::HASH;
use super::placement::{Fit, fit, node_of};
use crate::deployment::proportion::{Rounding, resolve};

/// The most pods created or deleted in one go; upstream's value.
const BURST: usize = 250;

/// What is known of a daemon set.
pub struct View<'a> {
    /// The set.
    pub set: &'a DaemonSet,
    /// The pod that its template makes.
    pub spec: &'a PodSpec,
    /// All nodes.
    pub nodes: &'a [Arc<Node>],
    /// Its pods.
    pub pods: &'a [Arc<Pod>],
    /// The hash of the present template.
    pub hash: &'a str,
    /// Whether earlier writes were seen, so that counting is safe.
    pub may_act: bool,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Decision {
    /// Nodes that get a pod.
    pub create: Vec<String>,
    /// Pods that go.
    pub delete: Vec<Arc<Pod>>,
    /// Pods that have ended and go after a wait.
    pub failed: Vec<Arc<Pod>>,
    /// The status to write.
    pub status: DaemonSetStatus,
    /// When a ready pod will count as available.
    pub look_again: Option<Duration>,
}

/// A node with the set's pods on it, oldest first.
struct Place<'a> {
    node: &'a Node,
    fit: Fit,
    pods: Vec<&'a Arc<Pod>>,
}

/// Decides.
pub fn decide(view: &View<'_>) -> Decision {
    let mut on_node: BTreeMap<&str, Vec<&Arc<Pod>>> = BTreeMap::new();
    for pod in view.pods {
        on_node.entry(node_of(pod)).or_default().push(pod);
    }
    let places: Vec<Place<'_>> = view
        .nodes
        .iter()
        .map(|node| {
            let mut pods = on_node.remove(&*node.metadata.name).unwrap_or_default();
            pods.sort_by_key(|pod| {
                let metadata = &pod.metadata;
                (
                    pod.spec.node_name.is_empty(),
                    metadata.creation_timestamp.as_ref().map(|time| time.0),
                    &metadata.name,
                )
            });
            Place { node, fit: fit(view.spec, node), pods }
        })
        .collect();
    let mut decision = Decision { status: count(view, &places), ..Decision::default() };
    decision.look_again = next_available(view);
    if !view.may_act {
        return decision;
    }
    for place in &places {
        manage(view, place, &mut decision);
    }
    // What is left is pinned to nodes that are gone; if it runs there, others remove it.
    let lost = on_node.into_values().flatten().filter(|pod| pod.spec.node_name.is_empty());
    decision.delete.extend(lost.filter(|pod| !pod.metadata.is_deleting()).cloned());
    let settled = decision.create.is_empty() && decision.delete.is_empty() && decision.failed.is_empty();
    if settled && view.set.spec.update_strategy.kind != "OnDelete" {
        roll(view, &places, &mut decision);
    }
    decision.create.truncate(BURST);
    decision.delete.truncate(BURST);
    decision
}

fn is_new(view: &View<'_>, pod: &Pod) -> bool {
    pod.metadata.labels.get(HASH).is_some_and(|hash| hash == view.hash)
}

fn is_available(view: &View<'_>, pod: &Pod) -> bool {
    pod.is_available(view.set.spec.min_ready_seconds, view.now)
}

fn manage(view: &View<'_>, place: &Place<'_>, decision: &mut Decision) {
    let present = place.pods.iter().filter(|pod| !pod.metadata.is_deleting());
    if !place.fit.may_stay {
        decision.delete.extend(present.copied().cloned());
        return;
    }
    if place.pods.is_empty() {
        if place.fit.should_run {
            decision.create.push(place.node.metadata.name.clone());
        }
        return;
    }
    let (ended, running): (Vec<_>, Vec<_>) = present.partition(|pod| pod.is_terminal());
    decision.failed.extend(ended.into_iter().cloned());
    let superfluous: Vec<&Arc<Pod>> = if limits(view).surge == 0 {
        running.into_iter().skip(1).collect()
    } else {
        // While it is replaced, a node may have one old and one new pod.
        let (new, old): (Vec<_>, Vec<_>) = running.into_iter().partition(|pod| is_new(view, pod));
        let replaced = new.first().is_some_and(|pod| is_available(view, pod));
        let kept_old = usize::from(!replaced);
        new.into_iter().skip(1).chain(old.into_iter().skip(kept_old)).collect()
    };
    decision.delete.extend(superfluous.into_iter().cloned());
}

struct Limits {
    unavailable: i32,
    surge: i32,
}

fn limits(view: &View<'_>) -> Limits {
    let rolling = view.set.spec.update_strategy.rolling_update.as_ref();
    let desired = view.nodes.iter().filter(|node| fit(view.spec, node).should_run).count();
    let desired = i32::try_from(desired).unwrap_or(i32::MAX);
    let surge = rolling
        .and_then(|rolling| rolling.max_surge.as_ref())
        .map_or(0, |surge| resolve(surge, desired, Rounding::Up));
    let unavailable = match rolling.and_then(|rolling| rolling.max_unavailable.as_ref()) {
        Some(unavailable) => resolve(unavailable, desired, Rounding::Up),
        None => 1,
    };
    Limits { unavailable: if surge == 0 { unavailable.max(1) } else { unavailable }, surge }
}

fn roll(view: &View<'_>, places: &[Place<'_>], decision: &mut Decision) {
    let limits = limits(view);
    let running = places.iter().filter(|place| place.fit.should_run);
    if limits.surge > 0 {
        let (mut surging, mut urgent, mut waiting) = (0, Vec::new(), Vec::new());
        for place in running {
            let (new, old): (Vec<&&Arc<Pod>>, Vec<&&Arc<Pod>>) =
                place.pods.iter().partition(|pod| is_new(view, pod));
            match (new.first(), old.iter().find(|pod| !pod.metadata.is_deleting())) {
                (None, Some(old)) if is_available(view, old) => {
                    waiting.push(place.node.metadata.name.clone())
                }
                (None, Some(_)) => urgent.push(place.node.metadata.name.clone()),
                (Some(new), Some(_)) if !is_available(view, new) => surging += 1,
                _ => {}
            }
        }
        let left = usize::try_from(limits.surge - surging).unwrap_or(0);
        decision.create.extend(urgent);
        decision.create.extend(waiting.into_iter().take(left));
        return;
    }
    let (mut unavailable, mut candidates) = (0, Vec::new());
    for place in running {
        let pod = match place.pods[..] {
            [pod] if !pod.metadata.is_deleting() => pod,
            // Without a pod, or with one on its way out.
            _ => {
                unavailable += 1;
                continue;
            }
        };
        match (is_new(view, pod), is_available(view, pod)) {
            (true, true) => {}
            (true, false) => unavailable += 1,
            (false, true) => candidates.push(Arc::clone(pod)),
            // An old pod that does not work can only be bettered.
            (false, false) => {
                unavailable += 1;
                decision.delete.push(Arc::clone(pod));
            }
        }
    }
    let left = usize::try_from(limits.unavailable - unavailable).unwrap_or(0);
    decision.delete.extend(candidates.into_iter().take(left));
}

fn count(view: &View<'_>, places: &[Place<'_>]) -> DaemonSetStatus {
    let mut status = DaemonSetStatus {
        observed_generation: view.set.metadata.generation,
        collision_count: view.set.status.collision_count,
        conditions: view.set.status.conditions.clone(),
        ..DaemonSetStatus::default()
    };
    for place in places {
        let scheduled = !place.pods.is_empty();
        if !place.fit.should_run {
            status.number_misscheduled += i32::from(scheduled);
            continue;
        }
        status.desired_number_scheduled += 1;
        status.current_number_scheduled += i32::from(scheduled);
        let Some(pod) = place.pods.first().filter(|pod| pod.is_ready()) else {
            status.updated_number_scheduled +=
                i32::from(place.pods.first().is_some_and(|pod| is_new(view, pod)));
            continue;
        };
        status.number_ready += 1;
        status.number_available += i32::from(is_available(view, pod));
        status.updated_number_scheduled += i32::from(is_new(view, pod));
    }
    status.number_unavailable = status.desired_number_scheduled - status.number_available;
    status
}

fn next_available(view: &View<'_>) -> Option<Duration> {
    let waiting = view.pods.iter().filter(|pod| !is_available(view, pod));
    let left = waiting.filter_map(|pod| {
        let available_at = pod.ready_since()?.as_second() + view.set.spec.min_ready_seconds;
        u64::try_from(available_at - view.now.as_second()).ok()
    });
    left.min().map(|seconds| Duration::from_secs(seconds.max(1)))
}
