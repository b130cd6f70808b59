//! The status of one container.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, ContainerUser, LinuxContainerUser, VolumeMountStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{Stage, View, seconds};
use crate::{
    observed::{ObservedContainer, State},
    plan,
    pod::{self, Kind},
};

/// A container's id with the runtime's name before it.
pub fn container_id(runtime_name: &str, id: &str) -> String {
    format!("{runtime_name}://{id}")
}

pub(super) fn status(view: &View<'_>, kind: Kind, container: &Container) -> ContainerStatus {
    let mut traces = view.observed.containers.iter().filter(|trace| trace.name == container.name);
    let (latest, previous) = (traces.next(), traces.next());
    let last = last_status(view, kind, &container.name);
    let mut status = match latest {
        None => absent(view, container, last),
        Some(latest) => {
            let last_state =
                previous.filter(|trace| trace.state == State::Exited).map(|trace| exited(view, trace));
            ContainerStatus {
                name: container.name.clone(),
                image: or(&latest.image, container.image.as_deref().unwrap_or_default()),
                image_id: latest.image_ref.clone(),
                container_id: Some(container_id(view.runtime_name, &latest.id)),
                restart_count: i32::try_from(latest.restart_count).unwrap_or(i32::MAX),
                state: Some(state(view, kind, latest)),
                // What ended before the last kept trace was cleaned away is still in the last status.
                last_state: last_state.or_else(|| last.and_then(|last| last.last_state.clone())),
                user: latest.user.as_ref().map(user),
                ..ContainerStatus::default()
            }
        }
    };
    wait(view, kind, container, latest, &mut status);
    let health =
        latest.filter(|latest| latest.state == State::Running).and_then(|latest| view.health.get(&latest.id));
    let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
    match kind {
        // An init container is ready when it has done its work.
        Kind::Init => {
            let terminated = status.state.as_ref().and_then(|state| state.terminated.as_ref());
            status.ready = terminated.is_some_and(|terminated| terminated.exit_code == 0);
            status.started = Some(running);
        }
        Kind::Ephemeral => status.ready = false,
        Kind::Sidecar | Kind::Regular => {
            status.started = Some(running && health.is_some_and(|health| health.started));
            status.ready =
                running && view.stage == Stage::Running && health.is_some_and(|health| health.ready);
        }
    }
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.clone());
    status.allocated_resources = requests.filter(|_| kind != Kind::Ephemeral);
    // What it has is what was granted, or still what it had before.
    let resources = match last.filter(|_| view.resizing.unsettled.contains(&container.name)) {
        Some(last) => last.resources.clone(),
        None => container.resources.clone(),
    };
    status.resources = resources.filter(|_| latest.is_some() && kind != Kind::Ephemeral);
    status.volume_mounts = mounts(container);
    status
}

fn last_status<'a>(view: &View<'a>, kind: Kind, name: &str) -> Option<&'a ContainerStatus> {
    let list = match kind {
        Kind::Init | Kind::Sidecar => &view.last.init_container_statuses,
        Kind::Regular => &view.last.container_statuses,
        Kind::Ephemeral => &view.last.ephemeral_container_statuses,
    };
    list.as_ref()?.iter().find(|status| status.name == name)
}

/// The status of a container that the runtime does not know.
fn absent(view: &View<'_>, container: &Container, last: Option<&ContainerStatus>) -> ContainerStatus {
    let initializing = !pod::spec(view.pod).init_containers.as_deref().unwrap_or_default().is_empty();
    let reason = if initializing { "PodInitializing" } else { "ContainerCreating" };
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting(reason, "")),
        ..ContainerStatus::default()
    };
    let Some(last) = last else { return status };
    let state = last.state.as_ref();
    status.restart_count = last.restart_count;
    status.last_state = last.last_state.clone();
    if state.is_some_and(|state| state.terminated.is_some()) {
        // Its trace was cleaned away; how it ended stands.
        return last.clone();
    }
    if state.is_some_and(|state| state.running.is_some()) {
        let lost = unknown(
            "The container could not be located when the pod was deleted.  The container used to be Running",
        );
        if view.stage == Stage::Stopped {
            return ContainerStatus { state: Some(lost), ready: false, ..last.clone() };
        }
        status.last_state = Some(lost);
        status.container_id = last.container_id.clone();
        status.image_id = last.image_id.clone();
    }
    status
}

/// The state of a container whose end nobody saw.
fn unknown(message: &str) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".into()),
        message: Some(message.to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn state(view: &View<'_>, kind: Kind, latest: &ObservedContainer) -> ContainerState {
    match latest.state {
        State::Running => ContainerState {
            running: Some(ContainerStateRunning { started_at: latest.started_at.map(time) }),
            ..ContainerState::default()
        },
        State::Exited => exited(view, latest),
        State::Unknown => unknown("The container could not be located when the pod was terminated"),
        State::Created => {
            waiting(if kind == Kind::Init { "PodInitializing" } else { "ContainerCreating" }, "")
        }
    }
}

fn exited(view: &View<'_>, trace: &ObservedContainer) -> ContainerState {
    let reason = match trace.reason.as_str() {
        "" if trace.exit_code == 0 => "Completed",
        "" => "Error",
        reason => reason,
    };
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: trace.exit_code,
            reason: Some(reason.to_owned()),
            message: (!trace.message.is_empty()).then(|| trace.message.clone()),
            // A container that never ran has both times at the epoch, as upstream prints them.
            started_at: Some(trace.started_at.map_or(Time(Timestamp::UNIX_EPOCH), time)),
            finished_at: Some(trace.finished_at.map_or(Time(Timestamp::UNIX_EPOCH), time)),
            container_id: Some(container_id(view.runtime_name, &trace.id)),
            signal: None,
        }),
        ..ContainerState::default()
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then(|| message.to_owned()),
        }),
        ..ContainerState::default()
    }
}

/// Shows a container that has ended but will run again as waiting, where the kubelet remembers why.
fn wait(
    view: &View<'_>,
    kind: Kind,
    container: &Container,
    latest: Option<&ObservedContainer>,
    status: &mut ContainerStatus,
) {
    if view.stage != Stage::Running {
        return;
    }
    let Some(why) = view.waiting.get(&container.name) else { return };
    match latest {
        None => status.state = Some(waiting(&why.reason, &why.message)),
        Some(latest) => {
            let again = latest.state == State::Exited
                && kind != Kind::Ephemeral
                && (plan::restarts(view.pod, container, latest.exit_code)
                    || (kind == Kind::Init
                        && latest.exit_code != 0
                        && pod::restart_policy(view.pod) != "Never"));
            if again {
                status.last_state = status.state.replace(waiting(&why.reason, &why.message));
            }
        }
    }
}

fn user(user: &cri::v1::LinuxContainerUser) -> ContainerUser {
    ContainerUser {
        linux: Some(LinuxContainerUser {
            uid: user.uid,
            gid: user.gid,
            supplemental_groups: Some(user.supplemental_groups.clone()),
        }),
    }
}

fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let statuses: Vec<VolumeMountStatus> = mounts
        .iter()
        .map(|mount| VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only.filter(|read_only| *read_only),
            recursive_read_only: mount
                .read_only
                .filter(|read_only| *read_only)
                .map(|_| "Disabled".to_owned()),
            ..VolumeMountStatus::default()
        })
        .collect();
    (!statuses.is_empty()).then_some(statuses)
}

fn time(timestamp: Timestamp) -> Time {
    Time(seconds(timestamp))
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

/// Groups container statuses by name.
pub(super) fn by_name(statuses: &[ContainerStatus]) -> BTreeMap<&str, &ContainerStatus> {
    statuses.iter().map(|status| (status.name.as_str(), status)).collect()
}
