//! A CSI driver whose volumes are directories of a node, or of a file system that all nodes share.
//!
//! It is small and does what a real driver does: it makes, attaches, stages, publishes and expands. Sizes are written
//! down and not enforced. [`Volumes`] keeps what there is; the three services of the contract stand on it.

mod config;
mod controller;
mod identity;
mod node;
mod state;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use component::Runtime;
use csi::tonic::{Status, transport::Server};
use csi::v1::{
    controller_server::ControllerServer, identity_server::IdentityServer, node_server::NodeServer,
};

pub use config::{Config, Flags};
pub use state::Volumes;

/// The label and topology key by which volumes of a node say where they are.
pub const TOPOLOGY: &str = "topology.hostpath.csi/node";

/// Runs the driver with the process's arguments.
pub fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<Flags>(&[]);
    let logging = flags.logging.clone();
    component::run("csi-hostpath-driver", 1, &logging, &ignored, |runtime| async move {
        start(&runtime, Config::new(flags)?)
    })
}

/// Serves the driver on its socket until shutdown.
pub fn start(runtime: &Runtime, config: Config) -> anyhow::Result<()> {
    let socket =
        csi::listen(&config.socket).with_context(|| format!("listening on {}", config.socket.display()))?;
    let path = config.socket.clone();
    tracing::info!(driver = config.driver, node = config.node, socket = %config.socket.display(), "serving");
    let driver = Arc::new(Driver { volumes: Volumes::new(&config.state), config });
    let server = Server::builder()
        .add_service(IdentityServer::from_arc(Arc::clone(&driver)))
        .add_service(ControllerServer::from_arc(Arc::clone(&driver)))
        .add_service(NodeServer::from_arc(driver));
    let shutdown = runtime.shutdown();
    runtime.spawn("driver", async move {
        server.serve_with_incoming_shutdown(socket, shutdown.cancelled_owned()).await?;
        csi::remove(&path)?;
        anyhow::Ok(())
    });
    Ok(())
}

/// The driver.
struct Driver {
    config: Config,
    volumes: Volumes,
}

/// Runs filesystem work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, state::Error> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Status::internal(error.to_string()))?;
    done.map_err(|error| {
        tracing::warn!(%error, "refused");
        error.into()
    })
}

/// Writes down what was asked, as `kubectl logs` shows it. Secrets never are.
fn note(call: &str, volume: &str, place: &str) {
    tracing::info!(volume, place, "{call}");
}
