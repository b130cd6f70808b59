//! Connections that were used and wait to be used again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use crate::dial::{self, DialError, Target};

/// How many connections wait, as many as Go's client keeps for one host.
const KEPT: usize = 25;
/// How long a connection waits, as in Go's client.
const WAIT: Duration = Duration::from_secs(90);

/// One connection; its task ends with it.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
    last_used: Instant,
}

/// What came of a request.
pub(crate) enum Sent {
    /// The head of the answer; the connection carries its body.
    Answer(Response<Incoming>),
    /// The other side had closed the connection before it saw the request: it may be sent again on another.
    Stale,
    /// It broke.
    Broken(String),
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> Result<Self, DialError> {
        let stream = dial::connect(target).await?;
        let (sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| DialError::Http(error.to_string()))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(Self { sender, _driver: AbortOnDropHandle::new(driver), last_used: Instant::now() })
    }

    /// Sends a request. On a connection that has waited, an end without an answer means that it was closed meanwhile.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>, waited: bool) -> Sent {
        if self.sender.ready().await.is_err() {
            return if waited { Sent::Stale } else { Sent::Broken("EOF".to_owned()) };
        }
        match self.sender.send_request(request).await {
            Ok(answer) => Sent::Answer(answer),
            Err(error) if waited && (error.is_incomplete_message() || error.is_canceled()) => Sent::Stale,
            Err(error) if error.is_incomplete_message() => Sent::Broken("EOF".to_owned()),
            Err(error) => Sent::Broken(error.to_string()),
        }
    }
}

/// The connections to one place.
#[derive(Default)]
pub(crate) struct Pool {
    waiting: Mutex<Vec<Connection>>,
}

impl Pool {
    /// The connection that was used last, of those that are still open.
    pub(crate) fn take(&self) -> Option<Connection> {
        let mut waiting = self.waiting.lock();
        while let Some(connection) = waiting.pop() {
            if !connection.sender.is_closed() && connection.last_used.elapsed() < WAIT {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(crate) fn keep(&self, mut connection: Connection) {
        connection.last_used = Instant::now();
        let mut waiting = self.waiting.lock();
        waiting.retain(|connection| !connection.sender.is_closed() && connection.last_used.elapsed() < WAIT);
        if waiting.len() < KEPT && !connection.sender.is_closed() {
            waiting.push(connection);
        }
    }
}
