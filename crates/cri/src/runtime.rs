//! All that the kubelet asks of a container runtime.

use std::collections::BTreeMap;

use futures::{future::BoxFuture, stream::BoxStream};

use crate::{
    Error, Event,
    v1::{
        AttachRequest, AuthConfig, CgroupDriver, Container, ContainerConfig, ContainerStats, ContainerStatus,
        ExecRequest, ExecSyncResponse, FilesystemUsage, Image, LinuxContainerResources, PodSandbox,
        PodSandboxConfig, PodSandboxStatusResponse, StatusResponse, VersionResponse,
    },
};

/// The answer to a call.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A container runtime: containerd behind its socket, or a double of it in tests.
///
/// Guarantees: every call but image pulls, event streams and unlimited execs ends within its timeout. Dropping a call
/// cancels it in the runtime.
pub trait Runtime: Send + Sync + 'static {
    /// Asks for name and version.
    fn version(&self) -> Reply<'_, VersionResponse>;
    /// Asks who owns the cgroups of containers; none when the runtime does not say (containerd says it since 2.0).
    fn cgroup_driver(&self) -> Reply<'_, Option<CgroupDriver>>;
    /// Asks for the conditions RuntimeReady and NetworkReady.
    fn status(&self, verbose: bool) -> Reply<'_, StatusResponse>;
    /// Tells the pod network's address range.
    fn update_pod_cidr(&self, pod_cidr: String) -> Reply<'_, ()>;

    /// Creates and starts a sandbox; the answer is its id.
    fn run_pod_sandbox(&self, config: PodSandboxConfig, runtime_handler: String) -> Reply<'_, String>;
    /// Stops a sandbox and everything in it.
    fn stop_pod_sandbox(&self, id: &str) -> Reply<'_, ()>;
    /// Removes a sandbox and everything in it.
    fn remove_pod_sandbox(&self, id: &str) -> Reply<'_, ()>;
    /// Asks for a sandbox's state, addresses and, when verbose, internals such as its process id.
    fn pod_sandbox_status(&self, id: &str, verbose: bool) -> Reply<'_, PodSandboxStatusResponse>;
    /// Lists the sandboxes that carry all these labels.
    fn list_pod_sandboxes(&self, labels: BTreeMap<String, String>) -> Reply<'_, Vec<PodSandbox>>;

    /// Creates a container in a sandbox; the answer is its id.
    fn create_container(
        &self,
        sandbox_id: &str,
        config: ContainerConfig,
        sandbox_config: PodSandboxConfig,
    ) -> Reply<'_, String>;
    /// Starts a created container.
    fn start_container(&self, id: &str) -> Reply<'_, ()>;
    /// Stops a container; it is killed after `timeout` seconds.
    fn stop_container(&self, id: &str, timeout: i64) -> Reply<'_, ()>;
    /// Removes a container.
    fn remove_container(&self, id: &str) -> Reply<'_, ()>;
    /// Lists the containers that carry all these labels.
    fn list_containers(&self, labels: BTreeMap<String, String>) -> Reply<'_, Vec<Container>>;
    /// Asks for a container's state.
    fn container_status(&self, id: &str) -> Reply<'_, ContainerStatus>;
    /// Changes a running container's limits.
    fn update_container_resources(&self, id: &str, resources: LinuxContainerResources) -> Reply<'_, ()>;
    /// Has the runtime write to a new log file after a rotation.
    fn reopen_container_log(&self, id: &str) -> Reply<'_, ()>;

    /// Runs a command to its end; `timeout` in seconds, 0 for none.
    fn exec_sync(&self, id: &str, command: Vec<String>, timeout: i64) -> Reply<'_, ExecSyncResponse>;
    /// Prepares an interactive command; the answer is the URL to stream it from.
    fn exec(&self, request: ExecRequest) -> Reply<'_, String>;
    /// Prepares attaching to a container; the answer is the URL to stream it from.
    fn attach(&self, request: AttachRequest) -> Reply<'_, String>;

    /// Measures all containers.
    fn list_container_stats(&self) -> Reply<'_, Vec<ContainerStats>>;

    /// Lists the node's images.
    fn list_images(&self) -> Reply<'_, Vec<Image>>;
    /// Looks an image up; none when it is not on the node.
    fn image_status(&self, image: &str) -> Reply<'_, Option<Image>>;
    /// Pulls an image; the answer is its id.
    fn pull_image(
        &self,
        image: &str,
        auth: Option<AuthConfig>,
        sandbox_config: PodSandboxConfig,
    ) -> Reply<'_, String>;
    /// Removes an image.
    fn remove_image(&self, image: &str) -> Reply<'_, ()>;
    /// Measures the filesystems images live on.
    fn image_fs_info(&self) -> Reply<'_, Vec<FilesystemUsage>>;

    /// Subscribes to changes of containers. The stream ends with an error when the runtime goes away.
    fn events(&self) -> Reply<'_, BoxStream<'static, Result<Event, Error>>>;
}
