//! The runtime behind a unix socket.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, stream::BoxStream};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::{
    Error, Event, Reply, Runtime, events,
    v1::{self, image_service_client::ImageServiceClient, runtime_service_client::RuntimeServiceClient},
};

/// The largest answer taken, as upstream's 16 MiB.
const MAX_MESSAGE: usize = 16 << 20;

/// How long calls may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Ordinary calls (`--runtime-request-timeout`). Starting a sandbox may take twice as long.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { request: Duration::from_secs(120) }
    }
}

/// Is told of each call, under upstream's name of it: how long it took and whether it succeeded.
pub type Observer = Arc<dyn Fn(&'static str, Duration, bool) + Send + Sync>;

/// A client of a CRI v1 runtime.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    timeouts: Timeouts,
    observer: Option<Observer>,
}

impl Client {
    /// Makes a client of the socket at `endpoint` (`unix:///run/containerd/containerd.sock` or a bare path).
    ///
    /// It connects with the first call, and again after the runtime was restarted.
    pub fn new(endpoint: &str, timeouts: Timeouts) -> Self {
        let path = PathBuf::from(endpoint.strip_prefix("unix://").unwrap_or(endpoint));
        // The authority is never looked up: the connector goes to the socket.
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(
            tower::service_fn(move |_: tonic::codegen::http::Uri| {
                let path = path.clone();
                async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
            }),
        );
        Self { channel, timeouts, observer: None }
    }

    /// Sets who is told of every call.
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// Bounds a call, here and (by the deadline it carries) in the runtime.
    fn within<T>(&self, message: T, limit: Duration) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(limit);
        request
    }
}

/// Awaits a call no longer than `limit`: the transport's own deadline does not cover a runtime that accepts the
/// connection and then says nothing.
async fn bounded<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(tonic::Status::deadline_exceeded("context deadline exceeded").into()),
    }
}

/// Awaits a call and tells of it.
async fn observed<T>(
    observer: Option<Observer>,
    method: &'static str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let began = Instant::now();
    let result = call.await;
    if let Some(observer) = observer {
        observer(operation(method), began.elapsed(), result.is_ok());
    }
    result
}

/// What upstream names a method of the contract in its metrics.
fn operation(method: &'static str) -> &'static str {
    match method {
        "run_pod_sandbox" => "run_podsandbox",
        "stop_pod_sandbox" => "stop_podsandbox",
        "remove_pod_sandbox" => "remove_podsandbox",
        "pod_sandbox_status" => "podsandbox_status",
        "list_pod_sandbox" => "list_podsandbox",
        "update_container_resources" => "update_container",
        method => method,
    }
}

macro_rules! call {
    ($self:ident, $service:ident, $method:ident, $message:expr, $limit:expr) => {{
        let limit = $limit;
        let request = $self.within($message, limit);
        let mut service = $self.$service();
        let observer = $self.observer.clone();
        async move { observed(observer, stringify!($method), bounded(limit, service.$method(request))).await }
    }};
    ($self:ident, $service:ident, $method:ident, $message:expr) => {
        call!($self, $service, $method, $message, $self.timeouts.request)
    };
}

impl Runtime for Client {
    fn version(&self) -> Reply<'_, v1::VersionResponse> {
        // The version of the request is upstream's fixed text for the kubelet's API.
        call!(self, runtime, version, v1::VersionRequest { version: "0.1.0".to_owned() }).boxed()
    }

    fn cgroup_driver(&self) -> Reply<'_, Option<v1::CgroupDriver>> {
        let call = call!(self, runtime, runtime_config, v1::RuntimeConfigRequest {});
        async move {
            match call.await {
                Ok(answer) => Ok(answer.linux.map(|linux| linux.cgroup_driver())),
                Err(Error::Unimplemented(_)) => Ok(None),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn status(&self, verbose: bool) -> Reply<'_, v1::StatusResponse> {
        call!(self, runtime, status, v1::StatusRequest { verbose }).boxed()
    }

    fn update_pod_cidr(&self, pod_cidr: String) -> Reply<'_, ()> {
        let network_config = Some(v1::NetworkConfig { pod_cidr });
        let message =
            v1::UpdateRuntimeConfigRequest { runtime_config: Some(v1::RuntimeConfig { network_config }) };
        let call = call!(self, runtime, update_runtime_config, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn run_pod_sandbox(&self, config: v1::PodSandboxConfig, runtime_handler: String) -> Reply<'_, String> {
        let message = v1::RunPodSandboxRequest { config: Some(config), runtime_handler };
        let call = call!(self, runtime, run_pod_sandbox, message, self.timeouts.request * 2);
        async move { Ok(call.await?.pod_sandbox_id) }.boxed()
    }

    fn stop_pod_sandbox(&self, id: &str) -> Reply<'_, ()> {
        let message = v1::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        let call = call!(self, runtime, stop_pod_sandbox, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn remove_pod_sandbox(&self, id: &str) -> Reply<'_, ()> {
        let message = v1::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        let call = call!(self, runtime, remove_pod_sandbox, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn pod_sandbox_status(&self, id: &str, verbose: bool) -> Reply<'_, v1::PodSandboxStatusResponse> {
        let message = v1::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose };
        call!(self, runtime, pod_sandbox_status, message).boxed()
    }

    fn list_pod_sandboxes(&self, label_selector: BTreeMap<String, String>) -> Reply<'_, Vec<v1::PodSandbox>> {
        let filter = Some(v1::PodSandboxFilter { label_selector, ..Default::default() });
        let call = call!(self, runtime, list_pod_sandbox, v1::ListPodSandboxRequest { filter });
        async move { Ok(call.await?.items) }.boxed()
    }

    fn create_container(
        &self,
        sandbox_id: &str,
        config: v1::ContainerConfig,
        sandbox_config: v1::PodSandboxConfig,
    ) -> Reply<'_, String> {
        let message = v1::CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        let call = call!(self, runtime, create_container, message);
        async move { Ok(call.await?.container_id) }.boxed()
    }

    fn start_container(&self, id: &str) -> Reply<'_, ()> {
        let message = v1::StartContainerRequest { container_id: id.to_owned() };
        let call = call!(self, runtime, start_container, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn stop_container(&self, id: &str, timeout: i64) -> Reply<'_, ()> {
        let message = v1::StopContainerRequest { container_id: id.to_owned(), timeout };
        // The call returns when the container is gone: its grace comes on top.
        let limit = self.timeouts.request + Duration::from_secs(timeout.max(0).unsigned_abs());
        let call = call!(self, runtime, stop_container, message, limit);
        async move { call.await.map(drop) }.boxed()
    }

    fn remove_container(&self, id: &str) -> Reply<'_, ()> {
        let message = v1::RemoveContainerRequest { container_id: id.to_owned() };
        let call = call!(self, runtime, remove_container, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn list_containers(&self, label_selector: BTreeMap<String, String>) -> Reply<'_, Vec<v1::Container>> {
        let filter = Some(v1::ContainerFilter { label_selector, ..Default::default() });
        let call = call!(self, runtime, list_containers, v1::ListContainersRequest { filter });
        async move { Ok(call.await?.containers) }.boxed()
    }

    fn container_status(&self, id: &str) -> Reply<'_, v1::ContainerStatus> {
        let message = v1::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        let call = call!(self, runtime, container_status, message);
        async move {
            call.await?
                .status
                .ok_or_else(|| Error::Failed("the runtime answered without a container status".into()))
        }
        .boxed()
    }

    fn update_container_resources(&self, id: &str, resources: v1::LinuxContainerResources) -> Reply<'_, ()> {
        let message = v1::UpdateContainerResourcesRequest {
            container_id: id.to_owned(),
            linux: Some(resources),
            annotations: BTreeMap::new(),
        };
        let call = call!(self, runtime, update_container_resources, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn reopen_container_log(&self, id: &str) -> Reply<'_, ()> {
        let message = v1::ReopenContainerLogRequest { container_id: id.to_owned() };
        let call = call!(self, runtime, reopen_container_log, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn exec_sync(&self, id: &str, cmd: Vec<String>, timeout: i64) -> Reply<'_, v1::ExecSyncResponse> {
        let message = v1::ExecSyncRequest { container_id: id.to_owned(), cmd, timeout };
        let mut service = self.runtime();
        let observer = self.observer.clone();
        if timeout <= 0 {
            let call = async move { Ok(service.exec_sync(message).await?.into_inner()) };
            return observed(observer, "exec_sync", call).boxed();
        }
        // The runtime kills the command after its timeout and then needs time of its own to answer.
        let limit = self.timeouts.request + Duration::from_secs(timeout.unsigned_abs());
        let request = self.within(message, limit);
        let call = async move { bounded(limit, service.exec_sync(request)).await };
        observed(observer, "exec_sync", call).boxed()
    }

    fn exec(&self, request: v1::ExecRequest) -> Reply<'_, String> {
        let call = call!(self, runtime, exec, request);
        async move { Ok(call.await?.url) }.boxed()
    }

    fn attach(&self, request: v1::AttachRequest) -> Reply<'_, String> {
        let call = call!(self, runtime, attach, request);
        async move { Ok(call.await?.url) }.boxed()
    }

    fn list_container_stats(&self) -> Reply<'_, Vec<v1::ContainerStats>> {
        let call = call!(self, runtime, list_container_stats, v1::ListContainerStatsRequest { filter: None });
        async move { Ok(call.await?.stats) }.boxed()
    }

    fn list_images(&self) -> Reply<'_, Vec<v1::Image>> {
        let call = call!(self, images, list_images, v1::ListImagesRequest { filter: None });
        async move { Ok(call.await?.images) }.boxed()
    }

    fn image_status(&self, image: &str) -> Reply<'_, Option<v1::Image>> {
        let message = v1::ImageStatusRequest { image: Some(spec(image)), verbose: false };
        let call = call!(self, images, image_status, message);
        async move { Ok(call.await?.image) }.boxed()
    }

    fn pull_image(
        &self,
        image: &str,
        auth: Option<v1::AuthConfig>,
        sandbox_config: v1::PodSandboxConfig,
    ) -> Reply<'_, String> {
        let message =
            v1::PullImageRequest { image: Some(spec(image)), auth, sandbox_config: Some(sandbox_config) };
        let mut service = self.images();
        let call = async move { Ok(service.pull_image(message).await?.into_inner().image_ref) };
        observed(self.observer.clone(), "pull_image", call).boxed()
    }

    fn remove_image(&self, image: &str) -> Reply<'_, ()> {
        let message = v1::RemoveImageRequest { image: Some(spec(image)) };
        let call = call!(self, images, remove_image, message);
        async move { call.await.map(drop) }.boxed()
    }

    fn image_fs_info(&self) -> Reply<'_, Vec<v1::FilesystemUsage>> {
        let call = call!(self, images, image_fs_info, v1::ImageFsInfoRequest {});
        async move { Ok(call.await?.image_filesystems) }.boxed()
    }

    fn events(&self) -> Reply<'_, BoxStream<'static, Result<Event, Error>>> {
        let mut service = self.runtime();
        let channel = self.channel.clone();
        async move {
            match service.get_container_events(v1::GetEventsRequest {}).await {
                Ok(stream) => Ok(events::from_cri(stream.into_inner())),
                Err(status) if status.code() == tonic::Code::Unimplemented => {
                    events::from_tasks(channel).await
                }
                Err(status) => Err(status.into()),
            }
        }
        .boxed()
    }
}

fn spec(image: &str) -> v1::ImageSpec {
    v1::ImageSpec { image: image.to_owned(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn whoever_observes_is_told_of_every_call_under_upstreams_name() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&told);
        let client = Client::new("unix:///nowhere/cri.sock", Timeouts::default())
            .observed_by(Arc::new(move |operation, _, well| notes.lock().unwrap().push((operation, well))));
        assert!(client.version().await.is_err());
        assert!(client.stop_pod_sandbox("a").await.is_err());
        assert!(client.exec_sync("a", Vec::new(), 0).await.is_err());
        assert!(client.exec_sync("a", Vec::new(), 1).await.is_err());
        assert!(client.pull_image("a", None, v1::PodSandboxConfig::default()).await.is_err());
        let expected = ["version", "stop_podsandbox", "exec_sync", "exec_sync", "pull_image"];
        assert_eq!(*told.lock().unwrap(), expected.map(|operation| (operation, false)));
    }
}
