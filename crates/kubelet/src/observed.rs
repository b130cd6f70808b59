//! What the runtime says about one pod, newest first.

use std::{collections::BTreeMap, net::IpAddr};

use cri::{Error, Runtime, v1};
use jiff::Timestamp;

/// The labels the runtime keeps for us on sandboxes and containers; upstream's names.
pub mod label {
    /// The pod's name.
    pub const POD_NAME: &str = "io.kubernetes.pod.name";
    /// The pod's namespace.
    pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
    /// The pod's uid.
    pub const POD_UID: &str = "io.kubernetes.pod.uid";
    /// The container's name.
    pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
}

/// The annotations the runtime keeps for us on containers; upstream's names.
pub mod annotation {
    /// What tells a changed container.
    pub const HASH: &str = "io.kubernetes.container.hash";
    /// How often the container was started again.
    pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
    /// Where the container may leave a last message.
    pub const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
    /// What to take for the last message.
    pub const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
    /// The pod's own grace period.
    pub const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
    /// The grace period of a pod under deletion.
    pub const POD_DELETION_GRACE: &str = "io.kubernetes.pod.deletionGracePeriod";
    /// The container's ports, as JSON.
    pub const PORTS: &str = "io.kubernetes.container.ports";
    /// The container's preStop hook, as JSON.
    pub const PRE_STOP: &str = "io.kubernetes.container.preStopHandler";
}

/// One pod in the runtime.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Its sandboxes, newest first.
    pub sandboxes: Vec<Sandbox>,
    /// Its containers in all sandboxes, newest first.
    pub containers: Vec<ObservedContainer>,
}

/// A sandbox.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sandbox {
    /// Its id.
    pub id: String,
    /// Whether its process and network are there.
    pub ready: bool,
    /// Which try of this pod it is.
    pub attempt: u32,
    /// Creation, in nanoseconds since the epoch.
    pub created_at: i64,
    /// Its addresses; empty on the node's network.
    pub ips: Vec<String>,
}

/// The state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Made, not started.
    #[default]
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// The runtime lost track of it.
    Unknown,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedContainer {
    /// Its id.
    pub id: String,
    /// Its name in the pod.
    pub name: String,
    /// The sandbox it is in.
    pub sandbox_id: String,
    /// What it does.
    pub state: State,
    /// When it was made, in nanoseconds.
    pub created_at: i64,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it ended with.
    pub exit_code: i32,
    /// Why it ended, in a word.
    pub reason: String,
    /// Why it ended; the runtime's message, or what the container left.
    pub message: String,
    /// The image as asked for.
    pub image: String,
    /// The image as resolved.
    pub image_ref: String,
    /// What tells a changed container.
    pub hash: String,
    /// How often it was started again before.
    pub restart_count: u32,
    /// Its log file on the node.
    pub log_path: String,
    /// The file on the node behind its termination message path.
    pub message_file: Option<String>,
    /// When to read its log for a message.
    pub message_policy: String,
    /// The user its first process runs as, where the runtime says it.
    pub user: Option<v1::LinuxContainerUser>,
    /// What it may use, where the runtime says it.
    pub resources: Option<v1::LinuxContainerResources>,
}

impl Observed {
    /// The sandbox that counts: the newest.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandboxes.first()
    }

    /// The newest container of a name, in whichever sandbox.
    pub fn latest(&self, name: &str) -> Option<&ObservedContainer> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The newest container of a name in the newest sandbox.
    pub fn current(&self, name: &str) -> Option<&ObservedContainer> {
        let sandbox = &self.sandbox()?.id;
        self.containers.iter().find(|container| container.name == name && &container.sandbox_id == sandbox)
    }

    /// The containers that run, or may.
    pub fn running(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.containers.iter().filter(|container| matches!(container.state, State::Running | State::Unknown))
    }

    /// Tells whether anything of the pod is alive.
    pub fn is_alive(&self) -> bool {
        self.running().next().is_some() || self.sandboxes.iter().any(|sandbox| sandbox.ready)
    }
}

/// Asks the runtime about a pod. What `known` says of ended containers is taken over: they no longer change.
pub async fn observe(runtime: &dyn Runtime, uid: &str, known: &Observed) -> Result<Observed, Error> {
    let labels = BTreeMap::from([(label::POD_UID.to_owned(), uid.to_owned())]);
    let (listed_sandboxes, listed_containers) =
        futures::try_join!(runtime.list_pod_sandboxes(labels.clone()), runtime.list_containers(labels))?;

    let mut sandboxes: Vec<Sandbox> = listed_sandboxes.iter().map(as_sandbox).collect();
    sandboxes.sort_by_key(|sandbox| std::cmp::Reverse(sandbox.created_at));
    if let Some(newest) = sandboxes.first_mut().filter(|sandbox| sandbox.ready) {
        match known.sandboxes.iter().find(|sandbox| sandbox.id == newest.id && !sandbox.ips.is_empty()) {
            Some(same) => newest.ips = same.ips.clone(),
            None => match runtime.pod_sandbox_status(&newest.id, false).await {
                Ok(answer) => newest.ips = answer.status.map(addresses).unwrap_or_default(),
                Err(error) if error.is_not_found() => newest.ready = false,
                Err(error) => return Err(error),
            },
        }
    }

    let mut containers = Vec::with_capacity(listed_containers.len());
    for listed in listed_containers {
        let settled =
            known.containers.iter().find(|known| known.id == listed.id && known.state == State::Exited);
        if let Some(settled) = settled {
            containers.push(settled.clone());
            continue;
        }
        match runtime.container_status(&listed.id).await {
            Ok(status) => containers.push(as_container(listed.pod_sandbox_id, status)),
            // Removed between the list and the question.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
    Ok(Observed { sandboxes, containers })
}

fn as_sandbox(listed: &v1::PodSandbox) -> Sandbox {
    Sandbox {
        id: listed.id.clone(),
        ready: listed.state() == v1::PodSandboxState::SandboxReady,
        attempt: listed.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
        created_at: listed.created_at,
        ips: Vec::new(),
    }
}

/// Reads a sandbox's addresses; what is no address is left out.
fn addresses(status: v1::PodSandboxStatus) -> Vec<String> {
    let Some(network) = status.network else { return Vec::new() };
    let all = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|ip| ip.ip));
    all.filter(|ip| ip.parse::<IpAddr>().is_ok()).collect()
}

fn as_container(sandbox_id: String, status: v1::ContainerStatus) -> ObservedContainer {
    let state = match status.state() {
        v1::ContainerState::ContainerCreated => State::Created,
        v1::ContainerState::ContainerRunning => State::Running,
        v1::ContainerState::ContainerExited => State::Exited,
        v1::ContainerState::ContainerUnknown => State::Unknown,
    };
    let annotation = |key: &str| status.annotations.get(key).cloned().unwrap_or_default();
    let message_path = annotation(annotation::MESSAGE_PATH);
    let mounted = status.mounts.iter().find(|mount| mount.container_path == message_path);
    let name = status.labels.get(label::CONTAINER_NAME).cloned();
    ObservedContainer {
        name: name.or(status.metadata.as_ref().map(|metadata| metadata.name.clone())).unwrap_or_default(),
        sandbox_id,
        state,
        created_at: status.created_at,
        started_at: timestamp(status.started_at),
        finished_at: timestamp(status.finished_at),
        exit_code: status.exit_code,
        reason: status.reason.clone(),
        message: status.message.clone(),
        image: status.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
        image_ref: status.image_ref.clone(),
        hash: annotation(annotation::HASH),
        restart_count: annotation(annotation::RESTART_COUNT).parse().unwrap_or_default(),
        log_path: status.log_path.clone(),
        message_file: mounted.map(|mount| mount.host_path.clone()),
        message_policy: annotation(annotation::MESSAGE_POLICY),
        user: status.user.as_ref().and_then(|user| user.linux.clone()),
        resources: status.resources.as_ref().and_then(|resources| resources.linux.clone()),
        id: status.id,
    }
}

fn timestamp(nanos: i64) -> Option<Timestamp> {
    if nanos <= 0 { None } else { Timestamp::from_nanosecond(nanos.into()).ok() }
}
