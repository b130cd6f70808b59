//! A pod's status from its spec and what the runtime says: a pure computation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::{
    observed::Observed,
    plan::Health,
    pod::{self, Kind},
    resize::Resizing,
};

mod conditions;
mod containers;
mod phase;
#[cfg(test)]
mod tests;

pub use conditions::{OF_RESIZE, OWNED, is_own};
pub use containers::container_id;

/// Why a container is not running, as the kubelet remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// `ImagePullBackOff`, `CrashLoopBackOff`, `CreateContainerConfigError`, …
    pub reason: String,
    /// More for a person.
    pub message: String,
}

/// How far a pod is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is to run.
    Running,
    /// It is being stopped.
    Stopping,
    /// Nothing of it runs any more, and nothing will.
    Stopped,
}

/// A pod ended by the node: past its deadline, evicted or not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `DeadlineExceeded`, `Evicted`, …
    pub reason: String,
    /// More for a person.
    pub message: String,
    /// The seconds it gets to end in, where these are fewer than its own.
    pub grace: Option<i64>,
    /// Whether the node ends it for reasons that are not its own: Jobs tell disruptions from failures by that.
    pub disrupts: bool,
}

impl Verdict {
    /// A verdict for reasons that are the pod's own; it ends in its own time.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), grace: None, disrupts: false }
    }
}

/// All that the status is computed from.
pub struct View<'a> {
    /// The pod as asked for, with what the node grants of it.
    pub pod: &'a Pod,
    /// The status last written, or the API's at the start.
    pub last: &'a PodStatus,
    /// What the runtime holds.
    pub observed: &'a Observed,
    /// What the probes say, by container id.
    pub health: &'a BTreeMap<String, Health>,
    /// Why containers wait, by name.
    pub waiting: &'a BTreeMap<String, Waiting>,
    /// The scheme of container ids: `containerd`.
    pub runtime_name: &'a str,
    /// The node's addresses, the first one first.
    pub host_ips: &'a [String],
    /// How far the pod is on its way out.
    pub stage: Stage,
    /// What the node decided against the pod.
    pub verdict: Option<&'a Verdict>,
    /// How a resize of the pod stands.
    pub resizing: &'a Resizing,
    /// The time.
    pub now: Timestamp,
}

/// Computes the status.
pub fn compute(view: &View<'_>) -> PodStatus {
    let spec = pod::spec(view.pod);
    let of = |kind: fn(Kind) -> bool| {
        let containers = pod::containers(view.pod).into_iter().filter(move |(found, _)| kind(*found));
        let statuses: Vec<_> =
            containers.map(|(kind, container)| containers::status(view, kind, &container)).collect();
        statuses
    };
    // A pod that was turned away never had containers.
    let turned_away = view.verdict.is_some()
        && view.observed.sandboxes.is_empty()
        && view.last.container_statuses.is_none();
    let of = |kind: fn(Kind) -> bool| if turned_away { Vec::new() } else { of(kind) };
    let init = of(|kind| matches!(kind, Kind::Init | Kind::Sidecar));
    // As upstream: init containers in the order in which they run, the others by name.
    let by_name = |mut statuses: Vec<ContainerStatus>| {
        statuses.sort_by(|one, other| one.name.cmp(&other.name));
        statuses
    };
    let regular = by_name(of(|kind| kind == Kind::Regular));
    let ephemeral = by_name(of(|kind| kind == Kind::Ephemeral));

    let phase = phase::phase(view, &init, &regular);
    let ips: Vec<&String> = if spec.host_network == Some(true) {
        view.host_ips.iter().collect()
    } else {
        let sandbox = view.observed.sandbox().filter(|sandbox| sandbox.ready);
        sandbox.into_iter().flat_map(|sandbox| &sandbox.ips).collect()
    };
    // An ended pod keeps the address it had.
    let pod_ips = if ips.is_empty() && view.stage != Stage::Running {
        view.last.pod_ips.clone()
    } else {
        (!ips.is_empty()).then(|| ips.iter().map(|ip| PodIP { ip: (*ip).clone() }).collect())
    };
    let host_ips: Vec<HostIP> = view.host_ips.iter().map(|ip| HostIP { ip: ip.clone() }).collect();
    let conditions = conditions::conditions(view, &phase, &init, &regular);
    let (reason, message) = match view.verdict {
        // Nobody is told that it has failed while something of it may still run.
        Some(verdict) if view.stage != Stage::Stopping => {
            (Some(verdict.reason.clone()), Some(verdict.message.clone()))
        }
        _ => (view.last.reason.clone(), view.last.message.clone()),
    };
    PodStatus {
        phase: Some(phase),
        conditions: Some(conditions),
        reason,
        message,
        host_ip: view.host_ips.first().cloned(),
        host_ips: (!host_ips.is_empty()).then_some(host_ips),
        pod_ip: pod_ips.as_ref().and_then(|ips: &Vec<PodIP>| ips.first()).map(|ip| ip.ip.clone()),
        pod_ips,
        start_time: view.last.start_time.clone().or(Some(Time(seconds(view.now)))),
        qos_class: Some(podrules::requests::qos_class(view.pod).as_str().to_owned()),
        init_container_statuses: (!init.is_empty()).then_some(init),
        container_statuses: (!regular.is_empty()).then_some(regular),
        ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
        observed_generation: view.pod.metadata.generation,
        nominated_node_name: view.last.nominated_node_name.clone(),
        resource_claim_statuses: view.last.resource_claim_statuses.clone(),
        ..PodStatus::default()
    }
}

/// Whether a status as the API shows it says otherwise than the kubelet about one of the kubelet's conditions.
pub fn contradicts(shown: &PodStatus, own: &PodStatus) -> bool {
    let own = || own.conditions.iter().flatten();
    let shown = shown.conditions.iter().flatten();
    shown.filter(|shown| OWNED.contains(&shown.type_.as_str())).any(|shown| {
        own().any(|condition| condition.type_ == shown.type_ && condition.status != shown.status)
    })
}

/// API times have whole seconds.
pub(crate) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
