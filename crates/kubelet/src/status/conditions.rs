//! A pod's conditions, with upstream's reasons and messages.

use k8s_openapi::{
    api::core::v1::{ContainerStatus, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{Stage, View, containers::by_name, seconds};
use crate::pod::{self, Kind};

struct Verdict {
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Verdict {
    fn is(status: bool) -> Self {
        Self { status, reason: None, message: None }
    }

    fn no(reason: &'static str, message: Option<String>) -> Self {
        Self { status: false, reason: Some(reason), message }
    }
}

/// Says that a pod goes for reasons that are not its own.
const DISRUPTED: &str = "DisruptionTarget";
/// Upstream's reason for that where the kubelet ends it.
const BY_KUBELET: &str = "TerminationByKubelet";

/// The conditions this kubelet writes; everyone else's are kept.
pub const OWNED: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// The conditions of a resize, which are there only while it is not done.
pub const OF_RESIZE: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

pub(super) fn conditions(
    view: &View<'_>,
    phase: &str,
    init: &[ContainerStatus],
    regular: &[ContainerStatus],
) -> Vec<PodCondition> {
    let containers = containers_ready(view, phase, init, regular);
    let ready = ready(view, &containers);
    let own = [sandbox(view), initialized(view, phase, init), ready, containers, Verdict::is(true)];
    let mut conditions: Vec<PodCondition> =
        OWNED.into_iter().zip(own).map(|(kind, verdict)| condition(view, kind, verdict)).collect();
    // The scheduler's, readiness gates' and disruption's own come from the API's pod, which is newer than our last.
    let foreign =
        view.pod.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    conditions.extend(foreign.filter(|condition| !OWNED.contains(&condition.type_.as_str())).cloned());
    conditions.retain(|condition| !OF_RESIZE.contains(&condition.type_.as_str()));
    conditions.extend(resizing(view));
    if let Some(verdict) = view.verdict.filter(|verdict| verdict.disrupts) {
        conditions.retain(|condition| condition.type_ != DISRUPTED);
        let own = Verdict { status: true, reason: Some(BY_KUBELET), message: Some(verdict.message.clone()) };
        conditions.push(condition(view, DISRUPTED, own));
    }
    conditions
}

/// How a resize stands; nothing when there is none.
fn resizing(view: &View<'_>) -> Option<PodCondition> {
    let [pending, in_progress] = OF_RESIZE;
    let resizing = view.resizing;
    if let Some((reason, message)) = &resizing.pending {
        let verdict = Verdict { status: true, reason: Some(*reason), message: Some(message.clone()) };
        return Some(condition(view, pending, verdict));
    }
    if let Some(message) = &resizing.error {
        let verdict = Verdict { status: true, reason: Some("Error"), message: Some(message.clone()) };
        return Some(condition(view, in_progress, verdict));
    }
    (!resizing.unsettled.is_empty()).then(|| condition(view, in_progress, Verdict::is(true)))
}

/// Whether this kubelet writes a condition: its own, and that it ends the pod for reasons that are not the pod's.
pub fn is_own(condition: &PodCondition) -> bool {
    OWNED.contains(&condition.type_.as_str())
        || OF_RESIZE.contains(&condition.type_.as_str())
        || (condition.type_ == DISRUPTED && condition.reason.as_deref() == Some(BY_KUBELET))
}

fn condition(view: &View<'_>, kind: &str, verdict: Verdict) -> PodCondition {
    let status = if verdict.status { "True" } else { "False" };
    let last = view.last.conditions.iter().flatten().find(|condition| condition.type_ == kind);
    let unchanged =
        last.filter(|last| last.status == status).and_then(|last| last.last_transition_time.clone());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
        last_transition_time: unchanged.or(Some(Time(seconds(view.now)))),
        last_probe_time: None,
        observed_generation: view.pod.metadata.generation,
    }
}

fn sandbox(view: &View<'_>) -> Verdict {
    let sandbox = view.observed.sandbox().filter(|sandbox| sandbox.ready);
    Verdict::is(sandbox.is_some_and(|sandbox| pod::is_host_network(view.pod) || !sandbox.ips.is_empty()))
}

fn initialized(view: &View<'_>, phase: &str, init: &[ContainerStatus]) -> Verdict {
    let containers = pod::spec(view.pod).init_containers.as_deref().unwrap_or_default();
    if phase == "Succeeded" {
        return Verdict { status: true, reason: Some("PodCompleted"), message: None };
    }
    let statuses = by_name(init);
    // Init is over for good with the first ordinary container.
    let over = pod::spec(view.pod)
        .containers
        .iter()
        .any(|container| view.observed.current(&container.name).is_some());
    let incomplete: Vec<&str> = containers
        .iter()
        .filter(|container| {
            let Some(status) = statuses.get(container.name.as_str()) else { return true };
            match pod::init_kind(container) {
                Kind::Sidecar => status.started != Some(true),
                _ => !status.ready,
            }
        })
        .map(|container| container.name.as_str())
        .collect();
    if incomplete.is_empty() || over {
        return Verdict::is(true);
    }
    let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
    Verdict::no("ContainersNotInitialized", Some(message))
}

fn containers_ready(
    view: &View<'_>,
    phase: &str,
    init: &[ContainerStatus],
    regular: &[ContainerStatus],
) -> Verdict {
    match phase {
        "Succeeded" => return Verdict::no("PodCompleted", None),
        "Failed" => return Verdict::no("PodFailed", None),
        _ => {}
    }
    let spec = pod::spec(view.pod);
    let statuses = by_name(regular);
    let sidecar_statuses = by_name(init);
    let sidecars = spec.init_containers.iter().flatten().filter(|init| pod::init_kind(init) == Kind::Sidecar);
    let all = sidecars.map(|sidecar| (&sidecar.name, sidecar_statuses.get(sidecar.name.as_str()))).chain(
        spec.containers.iter().map(|container| (&container.name, statuses.get(container.name.as_str()))),
    );
    let unready: Vec<&str> = all
        .filter(|(_, status)| !status.is_some_and(|status| status.ready))
        .map(|(name, _)| name.as_str())
        .collect();
    if unready.is_empty() && view.stage == Stage::Running {
        return Verdict::is(true);
    }
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    Verdict::no("ContainersNotReady", Some(message))
}

fn ready(view: &View<'_>, containers: &Verdict) -> Verdict {
    if !containers.status {
        return Verdict { status: false, reason: containers.reason, message: containers.message.clone() };
    }
    let known = view.pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut missing = Vec::new();
    for gate in pod::spec(view.pod).readiness_gates.iter().flatten() {
        let kind = &gate.condition_type;
        match known.into_iter().flatten().find(|condition| &condition.type_ == kind) {
            None => missing
                .push(format!("corresponding condition of pod readiness gate {kind:?} does not exist.")),
            Some(condition) if condition.status != "True" => missing.push(format!(
                "the status of pod readiness gate {kind:?} is not \"True\", but {}",
                condition.status
            )),
            Some(_) => {}
        }
    }
    if missing.is_empty() {
        Verdict::is(true)
    } else {
        Verdict::no("ReadinessGatesNotReady", Some(missing.join(", ")))
    }
}
