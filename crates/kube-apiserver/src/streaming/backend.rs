//! Connections to kubelets, pods and services: one for each request, since most become a stream of their own.

use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webhooks::dial;
pub use webhooks::{DialError as BackendError, Target};

use crate::http::Body;

/// How long a connection may take to come about, TLS included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes connections, and keeps the tasks that drive them.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// Where the tasks live.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

impl Dialer {
    /// Drives a stream in the background until it or the server ends.
    pub fn spawn(&self, stream: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stream => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// Sends a request over a connection of its own, and gives the response, which may be an upgrade. The
    /// connection ends with the response's body or the upgraded stream.
    pub async fn send(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> Result<http::Response<Incoming>, BackendError> {
        let broken = |error: hyper::Error| BackendError::Http(error.to_string());
        let handshake = async {
            let stream = dial::connect(target).await?;
            hyper::client::conn::http1::Builder::new()
                .preserve_header_case(false)
                .handshake::<_, Body>(TokioIo::new(stream))
                .await
                .map_err(broken)
        };
        let (mut sender, connection) = match timeout(PATIENCE, handshake).await {
            Ok(connected) => connected?,
            Err(_) => return Err(BackendError::Connect(target.authority(), "i/o timeout".into())),
        };
        let target = target.authority();
        self.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%target, %error, "connection ended");
            }
        });
        sender.send_request(request).await.map_err(broken)
    }
}
