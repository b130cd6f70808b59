//! Connections to kubelets, pods and services: one for each request, since most become a stream of their own.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::Body;

/// How long a connection may take to come about, TLS included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a request goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How to speak TLS; `None` for plain HTTP.
    pub tls: Option<Arc<ClientConfig>>,
    /// The name that the certificate must have, where it is not the host.
    pub server_name: Option<String>,
}

impl Target {
    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Why no answer came, in the words that people know from Go's network errors.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The name has no address.
    #[error("dial tcp: lookup {0}: no such host")]
    Lookup(String),
    /// The connection could not be made.
    #[error("dial tcp {0}: {1}")]
    Connect(String, String),
    /// TLS failed.
    #[error("tls: {0}")]
    Tls(String),
    /// The connection broke or did not speak HTTP.
    #[error("{0}")]
    Http(String),
}

fn connect_error(authority: String, error: &io::Error) -> BackendError {
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::TimedOut => "i/o timeout".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
        _ => error.to_string(),
    };
    BackendError::Connect(authority, words)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections, and keeps the tasks that drive them.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// Where the tasks live.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

impl Dialer {
    async fn connect(target: &Target) -> Result<Box<dyn Stream>, BackendError> {
        let authority = target.authority();
        let stream = match TcpStream::connect((target.host.as_str(), target.port)).await {
            Ok(stream) => stream,
            Err(error) => {
                let is_name = target.host.parse::<std::net::IpAddr>().is_err();
                return Err(match is_name && error.raw_os_error().is_none() {
                    true => BackendError::Lookup(target.host.clone()),
                    false => connect_error(authority, &error),
                });
            }
        };
        // Keystrokes of `exec` must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &target.tls else { return Ok(Box::new(stream)) };
        let name = target.server_name.as_ref().unwrap_or(&target.host);
        let name =
            ServerName::try_from(name.clone()).map_err(|error| BackendError::Tls(error.to_string()))?;
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| BackendError::Tls(error.to_string()))?))
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
            let stream = Self::connect(target).await?;
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
        let stop = self.stop.clone();
        let target = target.authority();
        self.tasks.spawn(async move {
            tokio::select! {
                ended = connection.with_upgrades() => if let Err(error) = ended {
                    tracing::debug!(%target, %error, "connection ended");
                },
                () = stop.cancelled() => {}
            }
        });
        sender.send_request(request).await.map_err(broken)
    }
}
