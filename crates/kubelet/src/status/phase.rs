//! A pod's phase: where its containers are, in one word.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus};

use super::{Stage, View, containers::by_name};
use crate::{
    plan,
    pod::{self, Kind},
};

#[derive(Default)]
struct Count {
    waiting: usize,
    running: usize,
    stopped: usize,
    succeeded: usize,
    will_restart: usize,
}

pub(super) fn phase(view: &View<'_>, init: &[ContainerStatus], regular: &[ContainerStatus]) -> String {
    // A pod that has ended has ended: no later observation brings it back.
    if let Some(ended @ ("Succeeded" | "Failed")) = view.last.phase.as_deref() {
        return ended.to_owned();
    }
    if view.verdict.is_some() {
        let before = view.last.phase.as_deref().filter(|_| view.stage == Stage::Stopping);
        return before.unwrap_or("Failed").to_owned();
    }
    let word = compute(view, init, regular);
    match (view.stage, word) {
        // A pod stopped before it came to its own end is neither running nor waiting any more.
        (Stage::Stopped, "Pending" | "Running") if pod::is_deleting(view.pod) => "Failed".to_owned(),
        (Stage::Stopping, "Pending") if view.last.phase.as_deref() == Some("Running") => "Running".to_owned(),
        (_, word) => word.to_owned(),
    }
}

fn compute(view: &View<'_>, init: &[ContainerStatus], regular: &[ContainerStatus]) -> &'static str {
    let spec = pod::spec(view.pod);
    let never = pod::restart_policy(view.pod) == "Never";
    let statuses = by_name(init);
    let (mut pending_init, mut failed_init, mut running_sidecars) = (false, false, false);
    for container in spec.init_containers.iter().flatten() {
        let state = statuses.get(container.name.as_str()).and_then(|status| status.state.as_ref());
        if pod::init_kind(container) == Kind::Sidecar {
            running_sidecars |= state.is_some_and(|state| state.running.is_some());
            let started =
                statuses.get(container.name.as_str()).and_then(|status| status.started) == Some(true);
            pending_init |= !started && !initialized(view);
            continue;
        }
        match state {
            Some(state) if state.terminated.is_some() => {
                let failed = exit_code(state.terminated.as_ref()) != 0;
                failed_init |= failed;
                pending_init |= failed && !never;
            }
            Some(state) if state.running.is_some() => pending_init = true,
            Some(_) => {
                let last =
                    statuses.get(container.name.as_str()).and_then(|status| status.last_state.as_ref());
                let failed_before = last.is_some_and(|last| exit_code(last.terminated.as_ref()) != 0);
                failed_init |= failed_before;
                pending_init = true;
            }
            None => pending_init = true,
        }
    }

    let count = tally(view, regular);
    let done = view.stage == Stage::Stopped;
    if failed_init && never {
        return "Failed";
    }
    if pending_init && !initialized(view) && !done {
        return "Pending";
    }
    if count.waiting > 0 {
        return "Pending";
    }
    if count.running > 0 {
        return "Running";
    }
    if count.stopped == 0 {
        return "Pending";
    }
    if done {
        return if count.stopped == count.succeeded { "Succeeded" } else { "Failed" };
    }
    if running_sidecars && view.observed.running().next().is_some() && count.will_restart == 0 {
        // The ordinary containers are done; sidecars end next.
        return "Running";
    }
    if count.will_restart > 0 {
        return "Running";
    }
    if count.stopped == count.succeeded { "Succeeded" } else { "Failed" }
}

fn tally(view: &View<'_>, regular: &[ContainerStatus]) -> Count {
    let mut count = Count::default();
    for status in regular {
        let state = status.state.as_ref();
        if state.is_some_and(|state| state.running.is_some()) {
            count.running += 1;
            continue;
        }
        let ended = state.and_then(|state| state.terminated.as_ref());
        let before = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        match (ended, before) {
            (Some(ended), _) => {
                count.stopped += 1;
                count.succeeded += usize::from(ended.exit_code == 0);
                count.will_restart += usize::from(will_restart(view, status, ended.exit_code));
            }
            // It waits to be started again.
            (None, Some(_)) => {
                count.stopped += 1;
                count.will_restart += 1;
            }
            (None, None) => count.waiting += 1,
        }
    }
    count
}

fn will_restart(view: &View<'_>, status: &ContainerStatus, exit_code: i32) -> bool {
    view.stage == Stage::Running
        && pod::container(view.pod, &status.name)
            .is_some_and(|(_, container)| plan::restarts(view.pod, &container, exit_code))
}

fn initialized(view: &View<'_>) -> bool {
    pod::spec(view.pod).containers.iter().any(|container| view.observed.current(&container.name).is_some())
}

fn exit_code(terminated: Option<&ContainerStateTerminated>) -> i32 {
    terminated.map_or(0, |terminated| terminated.exit_code)
}
