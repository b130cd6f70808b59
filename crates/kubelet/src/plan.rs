//! What must be done so that the runtime holds what a pod asks for: a pure decision.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

use crate::{
    backoff::Backoff,
    observed::{Observed, ObservedContainer, State},
    pod::{self, Kind},
};

#[cfg(test)]
mod tests;

/// All that the decision looks at.
pub struct View<'a> {
    /// What is asked for.
    pub pod: &'a Pod,
    /// What the runtime holds.
    pub observed: &'a Observed,
    /// What the probes of running containers say, by container id.
    pub health: &'a BTreeMap<String, Health>,
    /// Which crashing containers must wait.
    pub backoff: &'a Backoff,
    /// The time.
    pub now: Timestamp,
}

/// What the probes say about one running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// It has started up: its startup probe has passed, or it has none.
    pub started: bool,
    /// It may get traffic.
    pub ready: bool,
    /// It has failed for good: liveness or startup, and must be started again.
    pub failed: Option<Failed>,
}

/// Which probe has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// The liveness probe.
    Liveness,
    /// The startup probe.
    Startup,
}

/// What to do now. Steps run in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Stop everything and the sandbox.
    pub stop_pod: bool,
    /// Stop these containers.
    pub kill: Vec<Kill>,
    /// Make a sandbox, as this attempt.
    pub sandbox: Option<u32>,
    /// Start these containers, one after another.
    pub start: Vec<Start>,
    /// Containers that wait for their back-off.
    pub waiting: Vec<CrashLoop>,
    /// Look again after this time, even if nothing happens.
    pub wake: Option<Duration>,
}

/// A container to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why; upstream's words.
    pub message: String,
    /// The probe that failed, where one did: its own grace period then holds.
    pub failed: Option<Failed>,
}

/// A container to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// How often it was started before.
    pub restarts: u32,
}

/// A container that keeps ending and waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashLoop {
    /// Its name.
    pub name: String,
    /// The whole delay.
    pub delay: SignedDuration,
}

/// The key under which a container's crashes are counted. An edited image starts over.
pub fn backoff_key(container: &Container) -> String {
    format!("{}/{}", container.name, container.image.as_deref().unwrap_or_default())
}

/// Decides.
pub fn plan(view: &View<'_>) -> Plan {
    let mut plan = Plan::default();
    if let Some(attempt) = needs_sandbox(view) {
        fresh(view, attempt, &mut plan);
        return plan;
    }
    ephemeral(view, &mut plan);
    if init(view, &mut plan) {
        regular(view, &mut plan);
    }
    plan
}

/// Answers the attempt to make a sandbox as, when the newest is not fit to run the pod.
fn needs_sandbox(view: &View<'_>) -> Option<u32> {
    let Some(newest) = view.observed.sandbox() else { return Some(0) };
    let several = view.observed.sandboxes.iter().filter(|sandbox| sandbox.ready).count() > 1;
    let without_address = newest.ips.is_empty() && !pod::is_host_network(view.pod);
    (several || !newest.ready || without_address).then_some(newest.attempt + 1)
}

/// Plans a pod without a usable sandbox: all of it starts over, unless it has run and may not run again.
fn fresh(view: &View<'_>, attempt: u32, plan: &mut Plan) {
    let spec = pod::spec(view.pod);
    // What is left of an older sandbox goes first.
    plan.stop_pod = view.observed.is_alive();
    let ran = attempt > 0 && !view.observed.containers.is_empty();
    let again: Vec<&Container> =
        spec.containers.iter().filter(|container| may_run(view, container)).collect();
    if ran && again.is_empty() {
        plan.stop_pod = true;
        return;
    }
    plan.sandbox = Some(attempt);
    match spec.init_containers.as_deref() {
        Some([first, ..]) => push_start(view, plan, pod::init_kind(first), first),
        _ => {
            for container in again {
                push_start(view, plan, Kind::Regular, container);
            }
        }
    }
}

/// Tells whether a container that may have ended is to run (again).
fn may_run(view: &View<'_>, container: &Container) -> bool {
    match view.observed.latest(&container.name) {
        None => true,
        Some(latest) => match latest.state {
            State::Running | State::Created => true,
            // The sandbox under it is gone: with restartPolicy Never it is not run a second time.
            State::Unknown => restarts(view.pod, container, 137),
            State::Exited => restarts(view.pod, container, latest.exit_code),
        },
    }
}

/// Tells whether a container that ended with this code is started again.
pub fn restarts(pod: &Pod, container: &Container, exit_code: i32) -> bool {
    for rule in container.restart_policy_rules.iter().flatten() {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
        let holds = if codes.operator == "NotIn" { !listed } else { listed };
        if holds && rule.action == "Restart" {
            return true;
        }
    }
    match container.restart_policy.as_deref().unwrap_or_else(|| pod::restart_policy(pod)) {
        "Never" => false,
        "OnFailure" => exit_code != 0,
        _ => true,
    }
}

fn ephemeral(view: &View<'_>, plan: &mut Plan) {
    for container in pod::spec(view.pod).ephemeral_containers.iter().flatten() {
        if view.observed.latest(&container.name).is_none() {
            plan.start.push(Start { kind: Kind::Ephemeral, name: container.name.clone(), restarts: 0 });
        }
    }
}

/// Plans init containers and sidecars. Answers whether the ordinary containers may run.
fn init(view: &View<'_>, plan: &mut Plan) -> bool {
    let spec = pod::spec(view.pod);
    let containers = spec.init_containers.as_deref().unwrap_or_default();
    // Once an ordinary container of this sandbox was made, init is over for good; sidecars are kept running.
    let initialized =
        spec.containers.iter().any(|container| view.observed.current(&container.name).is_some());
    // A later container's traces show that the earlier ones were done, even when theirs were cleaned away.
    let reached = containers.iter().rposition(|container| view.observed.current(&container.name).is_some());

    for (index, container) in containers.iter().enumerate() {
        let current = view.observed.current(&container.name);
        match pod::init_kind(container) {
            Kind::Sidecar => {
                if !sidecar(view, plan, container, current) && !initialized {
                    return false;
                }
            }
            _ if initialized => {}
            _ => match current.map(|current| (current.state, current.exit_code)) {
                None if reached.is_some_and(|reached| reached > index) => {}
                None => {
                    push_start(view, plan, Kind::Init, container);
                    return false;
                }
                Some((State::Exited, 0)) => {}
                Some((State::Exited, exit_code)) => {
                    if init_restarts(view.pod, container, exit_code) {
                        start_after_backoff(view, plan, Kind::Init, container);
                    } else {
                        plan.stop_pod = true;
                    }
                    return false;
                }
                Some((State::Running, _)) => {
                    let hash = current.map(|current| current.hash.as_str()).unwrap_or_default();
                    if hash != pod::container_hash(container) {
                        push_kill(
                            plan,
                            current,
                            format!("Init container {} definition changed", container.name),
                            None,
                        );
                    }
                    return false;
                }
                Some((State::Created, _)) => {
                    // Made but never started: the kubelet ended in between.
                    push_start(view, plan, Kind::Init, container);
                    return false;
                }
                Some((State::Unknown, _)) => {
                    push_kill(plan, current, unknown(&container.name), None);
                    return false;
                }
            },
        }
    }
    true
}

/// An init container fails the pod only under `Never`; `OnFailure` and `Always` both try again.
fn init_restarts(pod: &Pod, container: &Container, exit_code: i32) -> bool {
    match container.restart_policy {
        Some(_) => restarts(pod, container, exit_code),
        None => pod::restart_policy(pod) != "Never" || restarts(pod, container, exit_code),
    }
}

/// Plans one sidecar. Answers whether it has started up, so that the next container may go on.
fn sidecar(
    view: &View<'_>,
    plan: &mut Plan,
    container: &Container,
    current: Option<&ObservedContainer>,
) -> bool {
    match current.map(|current| current.state) {
        Some(State::Running) => {
            let Some(current) = current else { return false };
            if let Some(kill) = unhealthy(view, container, current) {
                plan.kill.push(kill);
                return true;
            }
            view.health.get(&current.id).is_some_and(|health| health.started)
        }
        Some(State::Unknown) => {
            push_kill(plan, current, unknown(&container.name), None);
            false
        }
        Some(State::Exited) => {
            // When every ordinary container is done for good the pod is ending; sidecars are not revived.
            if !all_done(view) {
                start_after_backoff(view, plan, Kind::Sidecar, container);
            }
            false
        }
        Some(State::Created) | None => {
            push_start(view, plan, Kind::Sidecar, container);
            false
        }
    }
}

fn all_done(view: &View<'_>) -> bool {
    pod::spec(view.pod).containers.iter().all(|container| {
        view.observed.latest(&container.name).is_some_and(|latest| {
            latest.state == State::Exited && !restarts(view.pod, container, latest.exit_code)
        })
    })
}

fn regular(view: &View<'_>, plan: &mut Plan) {
    for container in &pod::spec(view.pod).containers {
        let current = view.observed.current(&container.name);
        match current.map(|current| current.state) {
            None => match view.observed.latest(&container.name) {
                // It ended under an older sandbox and is done.
                Some(_) if !may_run(view, container) => {}
                Some(_) | None => push_start(view, plan, Kind::Regular, container),
            },
            Some(State::Created) => push_start(view, plan, Kind::Regular, container),
            Some(State::Exited) => {
                if may_run(view, container) {
                    start_after_backoff(view, plan, Kind::Regular, container);
                }
            }
            Some(State::Unknown) => push_kill(plan, current, unknown(&container.name), None),
            Some(State::Running) => {
                let kill = current.and_then(|current| unhealthy(view, container, current));
                plan.kill.extend(kill);
            }
        }
    }
    if all_done(view) && plan.start.is_empty() && plan.waiting.is_empty() {
        plan.stop_pod = true;
    }
}

/// Answers why a running container must be stopped, if it must.
fn unhealthy(view: &View<'_>, container: &Container, current: &ObservedContainer) -> Option<Kill> {
    let restart = |after: &str| {
        if restarts(view.pod, container, 137) {
            format!("{after}, will be restarted")
        } else {
            after.to_owned()
        }
    };
    let name = &container.name;
    // The definition changed: it is started again whatever the restart policy says.
    let (message, failed) = if current.hash != pod::container_hash(container) {
        (format!("Container {name} definition changed, will be restarted"), None)
    } else {
        let failed = view.health.get(&current.id).and_then(|health| health.failed)?;
        let probe = match failed {
            Failed::Liveness => "liveness",
            Failed::Startup => "startup",
        };
        (restart(&format!("Container {name} failed {probe} probe")), Some(failed))
    };
    Some(Kill { id: current.id.clone(), name: name.clone(), message, failed })
}

fn unknown(name: &str) -> String {
    format!("Container {name} is in unknown state, try killing it before restart")
}

fn push_kill(plan: &mut Plan, current: Option<&ObservedContainer>, message: String, failed: Option<Failed>) {
    if let Some(current) = current {
        plan.kill.push(Kill { id: current.id.clone(), name: current.name.clone(), message, failed });
    }
}

fn push_start(view: &View<'_>, plan: &mut Plan, kind: Kind, container: &Container) {
    let restarts = view.observed.latest(&container.name).map_or(0, |latest| latest.restart_count + 1);
    plan.start.push(Start { kind, name: container.name.clone(), restarts });
}

fn start_after_backoff(view: &View<'_>, plan: &mut Plan, kind: Kind, container: &Container) {
    let ended =
        view.observed.latest(&container.name).and_then(|latest| latest.finished_at).unwrap_or(view.now);
    match view.backoff.waiting(&backoff_key(container), ended, view.now) {
        None => push_start(view, plan, kind, container),
        Some(waiting) => {
            plan.waiting.push(CrashLoop { name: container.name.clone(), delay: waiting.delay });
            let remaining = Duration::try_from(waiting.remaining).unwrap_or_default();
            plan.wake = Some(plan.wake.map_or(remaining, |wake| wake.min(remaining)));
        }
    }
}
