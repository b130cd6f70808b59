//! A runtime in memory, for tests: sandboxes and containers that do as the test says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::{ContainerChange, Error, Event, Reply, Runtime, v1};

/// Events a slow subscriber may lag behind; more than any test makes.
const EVENTS: usize = 1024;

/// A runtime in memory.
pub struct FakeRuntime {
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
}

/// What the fake runtime holds; tests look into it and change it.
#[derive(Default)]
pub struct State {
    /// Sandboxes by id.
    pub sandboxes: BTreeMap<String, v1::PodSandboxStatus>,
    /// Containers by id, with the sandbox each belongs to.
    pub containers: BTreeMap<String, (String, v1::ContainerStatus)>,
    /// Configurations of the containers created, by id.
    pub configs: BTreeMap<String, v1::ContainerConfig>,
    /// Images on the node.
    pub images: BTreeSet<String>,
    /// Images that can be pulled.
    pub registry: BTreeSet<String>,
    /// Every changing call, in order: `run web`, `create c`, `start c`, `stop c`, …
    pub calls: Vec<String>,
    /// What execs answer: exit code by the command's first word; absent is 0.
    pub exec_exit_codes: BTreeMap<String, i32>,
    next: u64,
    clock: i64,
}

impl State {
    fn id(&mut self) -> String {
        self.next += 1;
        format!("{:064x}", self.next)
    }

    fn tick(&mut self) -> i64 {
        self.clock += 1_000_000_000;
        self.clock
    }
}

impl Default for FakeRuntime {
    fn default() -> Self {
        // From 2026 on, so that times in it read as times.
        let state = State { clock: 1_767_225_600_000_000_000, ..State::default() };
        Self { state: Mutex::new(state), events: broadcast::channel(EVENTS).0 }
    }
}

impl FakeRuntime {
    /// Looks into the runtime, or changes it behind the kubelet's back.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the running container of this name with this exit code.
    pub fn exit(&self, name: &str, exit_code: i32) {
        let mut state = self.state();
        let now = state.tick();
        let running = state.containers.iter_mut().find(|(_, (_, status))| {
            status.state() == v1::ContainerState::ContainerRunning
                && status.metadata.as_ref().is_some_and(|metadata| metadata.name == name)
        });
        if let Some((id, (_, status))) = running {
            end(status, exit_code, now);
            let container_id = id.clone();
            drop(state);
            self.tell(container_id, ContainerChange::Stopped);
        }
    }

    fn tell(&self, container_id: String, change: ContainerChange) {
        // Without a subscriber there is nobody to tell.
        let _ = self.events.send(Event { container_id, change });
    }
}

fn end(status: &mut v1::ContainerStatus, exit_code: i32, now: i64) {
    status.set_state(v1::ContainerState::ContainerExited);
    status.exit_code = exit_code;
    status.finished_at = now;
    status.reason = if exit_code == 0 { "Completed" } else { "Error" }.to_owned();
}

fn carries(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn missing<T>(what: &str, id: &str) -> Result<T, Error> {
    Err(Error::NotFound(format!("rpc error: code = NotFound desc = {what} \"{id}\": not found")))
}

fn ready<'a, T: Send + 'a>(answer: Result<T, Error>) -> Reply<'a, T> {
    std::future::ready(answer).boxed()
}

impl Runtime for FakeRuntime {
    fn version(&self) -> Reply<'_, v1::VersionResponse> {
        ready(Ok(v1::VersionResponse {
            version: "0.1.0".into(),
            runtime_name: "fake".into(),
            runtime_version: "1.0.0".into(),
            runtime_api_version: "v1".into(),
        }))
    }

    fn cgroup_driver(&self) -> Reply<'_, Option<v1::CgroupDriver>> {
        ready(Ok(None))
    }

    fn status(&self, _verbose: bool) -> Reply<'_, v1::StatusResponse> {
        let condition =
            |r#type: &str| v1::RuntimeCondition { r#type: r#type.into(), status: true, ..Default::default() };
        let conditions = vec![condition("RuntimeReady"), condition("NetworkReady")];
        ready(Ok(v1::StatusResponse { status: Some(v1::RuntimeStatus { conditions }), ..Default::default() }))
    }

    fn update_pod_cidr(&self, _pod_cidr: String) -> Reply<'_, ()> {
        ready(Ok(()))
    }

    fn run_pod_sandbox(&self, config: v1::PodSandboxConfig, runtime_handler: String) -> Reply<'_, String> {
        let mut state = self.state();
        let (id, created_at) = (state.id(), state.tick());
        let name = config.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
        state.calls.push(format!("run {name}"));
        let ip = format!("10.0.0.{}", state.sandboxes.len() + 1);
        state.sandboxes.insert(
            id.clone(),
            v1::PodSandboxStatus {
                id: id.clone(),
                metadata: config.metadata,
                state: v1::PodSandboxState::SandboxReady.into(),
                created_at,
                network: Some(v1::PodSandboxNetworkStatus { ip, additional_ips: vec![] }),
                linux: None,
                labels: config.labels,
                annotations: config.annotations,
                runtime_handler,
            },
        );
        ready(Ok(id))
    }

    fn stop_pod_sandbox(&self, id: &str) -> Reply<'_, ()> {
        let mut state = self.state();
        state.calls.push("stop sandbox".into());
        let now = state.tick();
        if let Some(sandbox) = state.sandboxes.get_mut(id) {
            sandbox.set_state(v1::PodSandboxState::SandboxNotready);
        }
        for (sandbox, status) in state.containers.values_mut() {
            if sandbox == id && status.state() == v1::ContainerState::ContainerRunning {
                end(status, 137, now);
            }
        }
        ready(Ok(()))
    }

    fn remove_pod_sandbox(&self, id: &str) -> Reply<'_, ()> {
        let mut state = self.state();
        state.calls.push("remove sandbox".into());
        state.sandboxes.remove(id);
        state.containers.retain(|_, (sandbox, _)| sandbox != id);
        ready(Ok(()))
    }

    fn pod_sandbox_status(&self, id: &str, _verbose: bool) -> Reply<'_, v1::PodSandboxStatusResponse> {
        ready(match self.state().sandboxes.get(id) {
            Some(status) => {
                Ok(v1::PodSandboxStatusResponse { status: Some(status.clone()), ..Default::default() })
            }
            None => missing("sandbox", id),
        })
    }

    fn list_pod_sandboxes(&self, labels: BTreeMap<String, String>) -> Reply<'_, Vec<v1::PodSandbox>> {
        let state = self.state();
        let sandboxes = state.sandboxes.values().filter(|status| carries(&status.labels, &labels));
        ready(Ok(sandboxes.map(as_listed).collect()))
    }

    fn create_container(
        &self,
        sandbox_id: &str,
        config: v1::ContainerConfig,
        _sandbox_config: v1::PodSandboxConfig,
    ) -> Reply<'_, String> {
        let mut state = self.state();
        let (id, created_at) = (state.id(), state.tick());
        let name = config.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
        state.calls.push(format!("create {name}"));
        let status = v1::ContainerStatus {
            id: id.clone(),
            metadata: config.metadata.clone(),
            state: v1::ContainerState::ContainerCreated.into(),
            created_at,
            image: config.image.clone(),
            image_ref: config.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            log_path: config.log_path.clone(),
            resources: Some(v1::ContainerResources {
                linux: config.linux.as_ref().and_then(|linux| linux.resources.clone()),
            }),
            ..Default::default()
        };
        state.containers.insert(id.clone(), (sandbox_id.to_owned(), status));
        state.configs.insert(id.clone(), config);
        ready(Ok(id))
    }

    fn start_container(&self, id: &str) -> Reply<'_, ()> {
        let mut state = self.state();
        let now = state.tick();
        let Some((_, status)) = state.containers.get_mut(id) else { return ready(missing("container", id)) };
        status.set_state(v1::ContainerState::ContainerRunning);
        status.started_at = now;
        let name = status.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
        state.calls.push(format!("start {name}"));
        drop(state);
        self.tell(id.to_owned(), ContainerChange::Started);
        ready(Ok(()))
    }

    fn stop_container(&self, id: &str, timeout: i64) -> Reply<'_, ()> {
        let mut state = self.state();
        let now = state.tick();
        let Some((_, status)) = state.containers.get_mut(id) else { return ready(Ok(())) };
        let name = status.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
        if status.state() == v1::ContainerState::ContainerRunning {
            end(status, 137, now);
        }
        state.calls.push(format!("stop {name} {timeout}"));
        drop(state);
        self.tell(id.to_owned(), ContainerChange::Stopped);
        ready(Ok(()))
    }

    fn remove_container(&self, id: &str) -> Reply<'_, ()> {
        let mut state = self.state();
        state.calls.push("remove container".into());
        state.containers.remove(id);
        ready(Ok(()))
    }

    fn list_containers(&self, labels: BTreeMap<String, String>) -> Reply<'_, Vec<v1::Container>> {
        let state = self.state();
        let listed = state.containers.values().filter(|(_, status)| carries(&status.labels, &labels)).map(
            |(sandbox, status)| v1::Container {
                id: status.id.clone(),
                pod_sandbox_id: sandbox.clone(),
                metadata: status.metadata.clone(),
                image: status.image.clone(),
                image_ref: status.image_ref.clone(),
                state: status.state,
                created_at: status.created_at,
                labels: status.labels.clone(),
                annotations: status.annotations.clone(),
                image_id: status.image_id.clone(),
            },
        );
        ready(Ok(listed.collect()))
    }

    fn container_status(&self, id: &str) -> Reply<'_, v1::ContainerStatus> {
        ready(match self.state().containers.get(id) {
            Some((_, status)) => Ok(status.clone()),
            None => missing("container", id),
        })
    }

    fn update_container_resources(&self, id: &str, resources: v1::LinuxContainerResources) -> Reply<'_, ()> {
        ready(match self.state().containers.get_mut(id) {
            Some((_, status)) => {
                status.resources = Some(v1::ContainerResources { linux: Some(resources) });
                Ok(())
            }
            None => missing("container", id),
        })
    }

    fn reopen_container_log(&self, _id: &str) -> Reply<'_, ()> {
        ready(Ok(()))
    }

    fn exec_sync(&self, _id: &str, command: Vec<String>, _timeout: i64) -> Reply<'_, v1::ExecSyncResponse> {
        let mut state = self.state();
        state.calls.push(format!("exec {}", command.join(" ")));
        let exit_code =
            command.first().and_then(|word| state.exec_exit_codes.get(word)).copied().unwrap_or_default();
        ready(Ok(v1::ExecSyncResponse { exit_code, ..Default::default() }))
    }

    fn exec(&self, _request: v1::ExecRequest) -> Reply<'_, String> {
        ready(Err(Error::Unimplemented("no streaming here".into())))
    }

    fn attach(&self, _request: v1::AttachRequest) -> Reply<'_, String> {
        ready(Err(Error::Unimplemented("no streaming here".into())))
    }

    fn list_container_stats(&self) -> Reply<'_, Vec<v1::ContainerStats>> {
        ready(Ok(vec![]))
    }

    fn list_images(&self) -> Reply<'_, Vec<v1::Image>> {
        ready(Ok(self.state().images.iter().map(|name| image(name)).collect()))
    }

    fn image_status(&self, name: &str) -> Reply<'_, Option<v1::Image>> {
        ready(Ok(self.state().images.get(name).map(|name| image(name))))
    }

    fn pull_image(
        &self,
        name: &str,
        _auth: Option<v1::AuthConfig>,
        _sandbox_config: v1::PodSandboxConfig,
    ) -> Reply<'_, String> {
        let mut state = self.state();
        state.calls.push(format!("pull {name}"));
        if !state.registry.contains(name) {
            return ready(missing("image", name));
        }
        state.images.insert(name.to_owned());
        ready(Ok(image(name).id))
    }

    fn remove_image(&self, name: &str) -> Reply<'_, ()> {
        let mut state = self.state();
        state.calls.push(format!("remove image {name}"));
        state.images.retain(|held| held != name && image(held).id != name);
        ready(Ok(()))
    }

    fn image_fs_info(&self) -> Reply<'_, Vec<v1::FilesystemUsage>> {
        ready(Ok(vec![]))
    }

    fn events(&self) -> Reply<'_, BoxStream<'static, Result<Event, Error>>> {
        let stream = BroadcastStream::new(self.events.subscribe())
            .map(|event| event.map_err(|lagged| Error::Failed(lagged.to_string())));
        ready(Ok(stream.boxed()))
    }
}

fn image(name: &str) -> v1::Image {
    v1::Image {
        id: format!("sha256:{name}"),
        repo_tags: vec![name.to_owned()],
        size: 1 << 20,
        ..Default::default()
    }
}

fn as_listed(status: &v1::PodSandboxStatus) -> v1::PodSandbox {
    v1::PodSandbox {
        id: status.id.clone(),
        metadata: status.metadata.clone(),
        state: status.state,
        created_at: status.created_at,
        labels: status.labels.clone(),
        annotations: status.annotations.clone(),
        runtime_handler: status.runtime_handler.clone(),
    }
}
