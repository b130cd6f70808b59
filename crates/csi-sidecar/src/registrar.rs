//! Makes the driver known to the kubelet of its node, as long as this process lives.

use std::path::PathBuf;

use anyhow::Context as _;
use component::Runtime;
use csi::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
    registration_server::{Registration, RegistrationServer},
};
use csi::tonic::{self, Request, Response, Status, transport::Server};

/// What the kubelet is told, and what it says to that.
struct Registrar {
    driver: String,
    endpoint: String,
    runtime: Runtime,
}

#[tonic::async_trait]
impl Registration for Registrar {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: self.driver.clone(),
            endpoint: self.endpoint.clone(),
            supported_versions: vec!["1.0.0".to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        if status.plugin_registered {
            tracing::info!(driver = self.driver, "registered with the kubelet");
        } else {
            // Started again, it asks anew.
            self.runtime.fail(format!("the kubelet refused the driver: {}", status.error));
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}

/// Serves a driver's registration in the kubelet's registry until shutdown.
pub fn register(
    runtime: &Runtime,
    registry: PathBuf,
    driver: String,
    endpoint: String,
) -> anyhow::Result<()> {
    let path = registry.join(format!("{driver}-reg.sock"));
    let socket = csi::listen(&path).with_context(|| format!("listening on {}", path.display()))?;
    let registrar = Registrar { driver, endpoint, runtime: runtime.clone() };
    let server = Server::builder().add_service(RegistrationServer::new(registrar));
    let shutdown = runtime.shutdown();
    runtime.spawn("registration", async move {
        tokio::select! {
            served = server.serve_with_incoming(socket) => served?,
            // The kubelet may keep its connection open.
            () = shutdown.cancelled() => {}
        }
        // The kubelet forgets the driver when the socket goes.
        csi::remove(&path)?;
        anyhow::Ok(())
    });
    Ok(())
}
