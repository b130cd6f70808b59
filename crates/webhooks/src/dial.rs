//! One connection: TCP, then TLS where the target speaks it.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Address or name, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Where a connection goes.
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

/// Why there is no connection, in the words that people know from Go's network errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
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

/// A stream of bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects.
pub async fn connect(target: &Target) -> Result<Box<dyn Stream>, DialError> {
    let stream = match TcpStream::connect((target.host.as_str(), target.port)).await {
        Ok(stream) => stream,
        Err(error) => {
            let is_name = target.host.parse::<IpAddr>().is_err();
            return Err(match is_name && error.raw_os_error().is_none() {
                true => DialError::Lookup(target.host.clone()),
                false => connect_error(target.authority(), &error),
            });
        }
    };
    // Keystrokes of `exec` must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &target.tls else { return Ok(Box::new(stream)) };
    let name = target.server_name.as_ref().unwrap_or(&target.host);
    let server_name =
        ServerName::try_from(name.clone()).map_err(|error| DialError::Tls(error.to_string()))?;
    match TlsConnector::from(tls.clone()).connect(server_name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(DialError::Tls(tls_error(&error))),
    }
}

fn connect_error(authority: String, error: &io::Error) -> DialError {
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::TimedOut => "i/o timeout".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
        _ => error.to_string(),
    };
    DialError::Connect(authority, words)
}

/// What is wrong with a certificate, as Go's verification says it.
fn tls_error(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            format!("failed to verify certificate: {}", pki::refusal(why))
        }
        _ => error.to_string(),
    }
}
