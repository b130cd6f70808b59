//! A driver, or a plugin that registers, behind a unix socket.

use std::path::Path;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::Error;
use crate::registration::{self, registration_client::RegistrationClient};
use crate::v1::{
    self, controller_client::ControllerClient, controller_service_capability::rpc::Type as ControllerRpc,
    identity_client::IdentityClient, node_client::NodeClient, node_service_capability::rpc::Type as NodeRpc,
};

/// The most that is read of one answer.
const MAX_MESSAGE: usize = 4 << 20;

/// Opens a channel to a socket. It connects with the first call, and again after the other side was restarted.
fn channel(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    // The authority is never looked up: the connector goes to the socket.
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(tower::service_fn(
        move |_: tonic::codegen::http::Uri| {
            let socket = socket.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
        },
    ))
}

/// Awaits a call no longer than `limit`: the transport's own deadline does not cover a driver that accepts the
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

/// A driver. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    timeout: Duration,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $service:ident $name:ident $method:ident $request:ident $answer:ident;)*) => {
        $($(#[$doc])*
        pub async fn $name(&self, request: v1::$request) -> Result<v1::$answer, Error> {
            let mut request = tonic::Request::new(request);
            request.set_timeout(self.timeout);
            let mut service = $service::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
            bounded(self.timeout, service.$method(request)).await
        })*
    };
}

impl Client {
    /// Makes a client of the driver at a socket, whose calls take at most `timeout` each.
    pub fn new(socket: &Path, timeout: Duration) -> Self {
        Self { channel: channel(socket), timeout }
    }

    calls! {
        /// Asks who the driver is.
        IdentityClient plugin_info get_plugin_info GetPluginInfoRequest GetPluginInfoResponse;
        /// Asks which parts the driver has.
        IdentityClient plugin_capabilities get_plugin_capabilities GetPluginCapabilitiesRequest GetPluginCapabilitiesResponse;
        /// Asks whether the driver is ready.
        IdentityClient probe probe ProbeRequest ProbeResponse;
        /// Has a volume made.
        ControllerClient create_volume create_volume CreateVolumeRequest CreateVolumeResponse;
        /// Has a volume and its data removed.
        ControllerClient delete_volume delete_volume DeleteVolumeRequest DeleteVolumeResponse;
        /// Has a volume attached to a node.
        ControllerClient controller_publish controller_publish_volume ControllerPublishVolumeRequest ControllerPublishVolumeResponse;
        /// Has a volume detached from a node.
        ControllerClient controller_unpublish controller_unpublish_volume ControllerUnpublishVolumeRequest ControllerUnpublishVolumeResponse;
        /// Has a volume made larger.
        ControllerClient controller_expand controller_expand_volume ControllerExpandVolumeRequest ControllerExpandVolumeResponse;
        /// Has a volume mounted for the node.
        NodeClient stage node_stage_volume NodeStageVolumeRequest NodeStageVolumeResponse;
        /// Undoes that.
        NodeClient unstage node_unstage_volume NodeUnstageVolumeRequest NodeUnstageVolumeResponse;
        /// Has a volume mounted for a pod.
        NodeClient publish node_publish_volume NodePublishVolumeRequest NodePublishVolumeResponse;
        /// Undoes that.
        NodeClient unpublish node_unpublish_volume NodeUnpublishVolumeRequest NodeUnpublishVolumeResponse;
        /// Asks how full a volume is.
        NodeClient volume_stats node_get_volume_stats NodeGetVolumeStatsRequest NodeGetVolumeStatsResponse;
        /// Has what is in a volume grow after the volume.
        NodeClient expand node_expand_volume NodeExpandVolumeRequest NodeExpandVolumeResponse;
        /// Asks by what name the driver knows the node, and where that is.
        NodeClient node_info node_get_info NodeGetInfoRequest NodeGetInfoResponse;
    }

    /// Asks what the driver's controller part does.
    pub async fn controller_capabilities(&self) -> Result<Vec<ControllerRpc>, Error> {
        let mut service = ControllerClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let call = service.controller_get_capabilities(v1::ControllerGetCapabilitiesRequest {});
        let answer = bounded(self.timeout, call).await?;
        let types = answer.capabilities.into_iter().filter_map(|capability| {
            let v1::controller_service_capability::Type::Rpc(rpc) = capability.r#type?;
            ControllerRpc::try_from(rpc.r#type).ok()
        });
        Ok(types.collect())
    }

    /// Asks what the driver's node part does.
    pub async fn node_capabilities(&self) -> Result<Vec<NodeRpc>, Error> {
        let mut service = NodeClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let answer =
            bounded(self.timeout, service.node_get_capabilities(v1::NodeGetCapabilitiesRequest {})).await?;
        let types = answer.capabilities.into_iter().filter_map(|capability| {
            let v1::node_service_capability::Type::Rpc(rpc) = capability.r#type?;
            NodeRpc::try_from(rpc.r#type).ok()
        });
        Ok(types.collect())
    }
}

/// A plugin that wants to be known to the kubelet.
#[derive(Debug)]
pub struct Registrant {
    service: RegistrationClient<Channel>,
    timeout: Duration,
}

impl Registrant {
    /// Makes a client of the plugin whose registration socket this is.
    pub fn new(socket: &Path, timeout: Duration) -> Self {
        Self { service: RegistrationClient::new(channel(socket)), timeout }
    }

    /// Asks who it is.
    pub async fn info(&mut self) -> Result<registration::PluginInfo, Error> {
        bounded(self.timeout, self.service.get_info(registration::InfoRequest {})).await
    }

    /// Tells it that it is registered, or why not.
    pub async fn notify(&mut self, outcome: Result<(), String>) -> Result<(), Error> {
        let (plugin_registered, error) = match outcome {
            Ok(()) => (true, String::new()),
            Err(why) => (false, why),
        };
        let status = registration::RegistrationStatus { plugin_registered, error };
        bounded(self.timeout, self.service.notify_registration_status(status)).await.map(drop)
    }
}
