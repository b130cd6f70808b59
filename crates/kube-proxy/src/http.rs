//! The smallest HTTP server that a load balancer's probe needs: one request, one answer, closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use component::accept::{Limits, accept};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const LIMITS: Limits = Limits { connections: 32, drain: Duration::ZERO };
/// The largest request head read.
const HEAD: usize = 8192;
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer in JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether all is well: 200 or 503.
    pub healthy: bool,
    /// More header lines, each ended by CRLF.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// Listens at an address.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves for as long as it is polled; `answer` gives the answer to a path, none for 404.
pub async fn serve(listener: TcpListener, answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) {
    let answer = Arc::new(answer);
    accept(listener, LIMITS, CancellationToken::new(), |stream, _| {
        let answer = answer.clone();
        async move {
            // A probe that went away or speaks something else needs no answer.
            let _ = tokio::time::timeout(TIMEOUT, respond(stream, &*answer)).await;
        }
    })
    .await;
}

async fn respond(
    mut stream: TcpStream,
    answer: &(impl Fn(&str) -> Option<Answer> + Send + Sync),
) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head);
    let path = text.split(' ').nth(1).and_then(|path| path.split('?').next()).unwrap_or("/");
    let (status, headers, body) = match answer(path) {
        Some(answer) if answer.healthy => ("200 OK", answer.headers, answer.body),
        Some(answer) => ("503 Service Unavailable", answer.headers, answer.body),
        None => ("404 Not Found", String::new(), String::new()),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}
