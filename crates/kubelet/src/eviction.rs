//! Ends pods when the node runs short of memory, disk or processes, before the kernel does it at random.
//!
//! Thresholds are hard or soft: below a soft one pods go only after it has been so for its grace, and get time to end.
//! One pod goes at a time; the next one only if that was not enough. The node's conditions keep saying that it is short
//! for a while after it no longer is, so that what was evicted does not come back at once.

mod measure;
mod rank;
pub mod threshold;
mod tracker;
mod usage;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use component::events::Kind as EventKind;
use k8s_openapi::api::core::v1::Pod;

pub use tracker::Pressure;

use crate::{
    event::{node_event, pod_event},
    housekeeping::Images,
    kubelet::Kubelet,
    metrics, pod,
    status::Verdict,
};
use measure::Known;
use rank::Candidate;
use threshold::{Resource, Signal};
use tracker::{Finding, Tracker};
use usage::Where;

/// The seconds a pod gets that must go at once; upstream's value.
const AT_ONCE: i64 = 1;
/// How long the next look waits for an evicted pod to be gone (upstream's `podCleanupTimeout`).
const GONE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const GONE_LOOK: Duration = Duration::from_millis(250);

/// How many times as long as measuring files took they are not measured again: pods with very many must not keep the
/// disk busy.
const REST: u32 = 20;

/// Decides about evictions from look to look.
#[derive(Debug, Default)]
pub struct Eviction {
    tracker: Tracker,
    /// When the pods that limit themselves are measured again.
    limits_due: Option<Instant>,
}

impl Eviction {
    /// Measures, and evicts one pod when there is too little left. Answers whether one was and is gone: then it is
    /// worth looking again at once.
    pub async fn look(&mut self, kubelet: &Arc<Kubelet>, images: &mut Images) -> bool {
        let rules = &kubelet.settings.eviction;
        let mut left = measure::node(kubelet).await;
        let finding = self.tracker.look(rules, &left.observations, Instant::now());
        show(kubelet, finding.pressure);
        let known: Vec<Known> = active(kubelet);
        if let Some(uid) = self.enforce_own_limits(kubelet, &known, left.runtime_is_apart).await {
            return gone(kubelet, &uid).await;
        }
        let Some(first) = finding.due.first() else { return false };
        let resource = first.signal.resource();
        let message = format!("Attempting to reclaim {resource}");
        tracing::warn!(%resource, "the node is short");
        node_event(
            &kubelet.recorder,
            &kubelet.settings.node_name,
            EventKind::Warning,
            "EvictionThresholdMet",
            message,
        );
        if frees_images(first.signal, left.runtime_is_apart) {
            images.collect(kubelet, true).await;
            left = measure::node(kubelet).await;
            if !still_met(&finding, &left.observations) {
                return false;
            }
        }
        let place = Where::of(first.signal, left.runtime_is_apart);
        let files = matches!(resource, Resource::EphemeralStorage | Resource::Inodes);
        let usages = measure::pods(kubelet, &known, files).await;
        let mut candidates: Vec<Candidate<'_>> =
            known.iter().map(|(pod, _)| Candidate { pod, usage: usages.get(pod::uid(pod)) }).collect();
        rank::rank(&mut candidates, resource, place);
        let Some(chosen) = candidates.iter().find(|candidate| !rank::is_critical(candidate.pod)) else {
            tracing::warn!(%resource, "there is no pod left to evict");
            return false;
        };
        let verdict = Verdict {
            reason: "Evicted".into(),
            message: rank::message(chosen, &finding.due, &left.observations),
            grace: Some(if first.is_hard() { AT_ONCE } else { rules.max_grace }),
            disrupts: true,
        };
        let uid = pod::uid(chosen.pod).to_owned();
        evict(kubelet, chosen.pod, verdict, first.signal.name());
        gone(kubelet, &uid).await
    }

    /// Evicts a pod that has outgrown its own limits on disk.
    async fn enforce_own_limits(
        &mut self,
        kubelet: &Arc<Kubelet>,
        known: &[Known],
        runtime_is_apart: bool,
    ) -> Option<String> {
        let limited: Vec<Known> = known.iter().filter(|(pod, _)| rank::limits_itself(pod)).cloned().collect();
        let begun = Instant::now();
        if limited.is_empty() || self.limits_due.is_some_and(|due| due > begun) {
            return None;
        }
        let usages = measure::pods(kubelet, &limited, true).await;
        self.limits_due = Some(Instant::now() + begun.elapsed() * REST);
        let over = limited.iter().filter(|(pod, _)| !rank::is_critical(pod)).find_map(|(pod, _)| {
            let usage = usages.get(pod::uid(pod))?;
            Some((pod, rank::over_own_limit(pod, usage, runtime_is_apart)?))
        });
        let (pod, (signal, message)) = over?;
        let verdict = Verdict { reason: "Evicted".into(), message, grace: Some(AT_ONCE), disrupts: false };
        evict(kubelet, pod, verdict, signal);
        Some(pod::uid(pod).to_owned())
    }
}

/// What a pod that comes now is told, if it may not come.
pub fn admit(pod: &Pod, pressure: Pressure) -> Result<(), Verdict> {
    let conditions = pressure.conditions();
    if conditions.is_empty() || rank::is_critical(pod) {
        return Ok(());
    }
    // One that asks for memory was promised it; one that asks for nothing is what would be evicted next.
    let only_memory = pressure == Pressure { memory: true, ..Pressure::default() };
    let asks = podrules::requests::qos_class(pod) != podrules::requests::QosClass::BestEffort;
    if only_memory && (asks || bears_memory_pressure(pod)) {
        return Ok(());
    }
    let message = format!("Pod was rejected: The node had condition: [{}]. ", conditions.join(" "));
    Err(Verdict { reason: "Evicted".into(), message, grace: None, disrupts: false })
}

fn bears_memory_pressure(pod: &Pod) -> bool {
    let taint = k8s_openapi::api::core::v1::Taint {
        key: "node.kubernetes.io/memory-pressure".into(),
        effect: "NoSchedule".into(),
        ..Default::default()
    };
    let tolerations = pod::spec(pod).tolerations.as_deref().unwrap_or_default();
    podrules::tolerations::any_tolerates(tolerations, &taint)
}

/// Has the node's status say what it is short of.
fn show(kubelet: &Kubelet, pressure: Pressure) {
    kubelet.pressure.send_if_modified(|held| {
        let news = *held != pressure;
        *held = pressure;
        news
    });
}

/// The pods that have not ended and are not about to by the node's decision.
fn active(kubelet: &Kubelet) -> Vec<Known> {
    let all = kubelet.pods.list().into_iter().filter(|(_, state)| {
        let ended = matches!(state.status.lock().phase.as_deref(), Some("Succeeded" | "Failed"));
        !ended && state.verdict.lock().is_none()
    });
    all.collect()
}

/// Whether unused images are removed before any pod is: where they lie on the filesystem that is short.
fn frees_images(signal: Signal, runtime_is_apart: bool) -> bool {
    match signal {
        Signal::Imagefs | Signal::ImagefsInodes => true,
        Signal::Nodefs | Signal::NodefsInodes => !runtime_is_apart,
        Signal::Memory | Signal::AllocatableMemory | Signal::Pids => false,
    }
}

fn still_met(finding: &Finding<'_>, observations: &tracker::Observations) -> bool {
    finding.due.iter().any(|threshold| {
        let observed = observations.get(&threshold.signal);
        observed.is_some_and(|observed| tracker::is_met(threshold, *observed, false))
    })
}

fn evict(kubelet: &Kubelet, pod: &Pod, verdict: Verdict, signal: &str) {
    metrics::evicted(signal);
    tracing::warn!(
        pod = pod::name(pod),
        namespace = pod::namespace(pod),
        why = verdict.message,
        "evicting a pod"
    );
    pod_event(&kubelet.recorder, pod, EventKind::Warning, "Evicted", verdict.message.clone());
    kubelet.pods.condemn(pod::uid(pod), verdict);
}

/// Waits until what a pod took is free again; answers whether it came to that.
async fn gone(kubelet: &Kubelet, uid: &str) -> bool {
    let deadline = Instant::now() + GONE;
    while Instant::now() < deadline {
        let left = kubelet.pods.by_uid(uid).is_some_and(|(pod, state)| {
            let ended = matches!(state.status.lock().phase.as_deref(), Some("Succeeded" | "Failed"));
            // The cgroup is the last to go: what the volumes held in memory went before.
            let cgroup =
                kubelet.cgroups.as_ref().is_some_and(|cgroups| cgroups.exists(&kubelet.pod_cgroup(&pod)));
            !ended || cgroup || state.observed.lock().is_alive()
        });
        if !left {
            return true;
        }
        tokio::time::sleep(GONE_LOOK).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn who_may_come_while_the_node_is_short() {
        let check = |spec: Value, pressure: Pressure, expected: Option<&str>| {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
            let refused = admit(&pod, pressure).err().map(|verdict| verdict.message);
            assert_eq!(refused.as_deref(), expected, "{spec}");
        };
        let nothing = json!({"containers": [{"name": "c"}]});
        let asks = json!({"containers": [{"name": "c", "resources": {"requests": {"memory": "1Mi"}}}]});
        let bears = json!({"containers": [], "tolerations": [{"operator": "Exists"}]});
        let critical = json!({"containers": [], "priority": 2_000_000_000});
        let memory = Pressure { memory: true, ..Pressure::default() };
        let both = Pressure { disk: true, ..memory };
        let short = "Pod was rejected: The node had condition: [MemoryPressure]. ";
        let very_short = "Pod was rejected: The node had condition: [MemoryPressure DiskPressure]. ";
        check(nothing.clone(), Pressure::default(), None);
        check(nothing, memory, Some(short));
        check(asks.clone(), memory, None);
        check(asks, both, Some(very_short));
        check(bears.clone(), memory, None);
        check(bears, both, Some(very_short));
        check(critical, both, None);
    }

    #[test]
    fn images_go_only_where_that_helps() {
        assert!(frees_images(Signal::Nodefs, false) && frees_images(Signal::Imagefs, true));
        assert!(!frees_images(Signal::Nodefs, true) && !frees_images(Signal::Memory, false));
    }
}
