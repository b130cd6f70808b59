//! Connections: accepted, secured, spoken HTTP/1.1 or HTTP/2 on, and drained when the server stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use authn::Peer;
use component::accept::{self, Limits};
use component::gathering::Gathering;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::inbound::Rest;
use super::service::{self, Connection};
use super::{Inbound, Request};
use crate::server::Server;
use crate::serving::Serving;

/// How long a connection may be idle, as upstream.
const IDLE: Duration = Duration::from_secs(90);
/// How long connections may finish what they are at when the server stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How long a client may go on greeting a server that stops: one that has not begun keeps nobody waiting.
const GREETING: Duration = Duration::from_millis(500);
/// Streams of one connection at the same time, as upstream.
const STREAMS: u32 = 250;
/// Request bodies are small or read at once: little needs to be in flight.
const WINDOW: u32 = 256 * 1024;

/// Accepts connections until the server stops, then lets those that are open finish.
pub async fn accept(
    server: Arc<Server>,
    listener: TcpListener,
    serving: Arc<Serving>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(match server.options.http2_streams {
            0 => STREAMS,
            streams => streams,
        })
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 4)
        .max_send_buf_size(256 * 1024)
        .max_header_list_size(64 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(15));
    let builder = Arc::new(builder);
    let limits = Limits { connections: usize::MAX, drain: DRAIN };
    let stopping = stop.clone();
    accept::accept(listener, limits, stop, move |stream, address| {
        let (server, builder, stop) = (server.clone(), builder.clone(), stopping.clone());
        let tls = serving.acceptor();
        async move {
            if let Err(error) = speak(server, stream, address, tls, &builder, stop).await {
                tracing::debug!(%address, %error, "connection ended");
            }
        }
    })
    .await;
    Ok(())
}

async fn speak(
    server: Arc<Server>,
    stream: TcpStream,
    address: SocketAddr,
    tls: TlsAcceptor,
    builder: &Builder<TokioExecutor>,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stopping = async {
        stop.cancelled().await;
        tokio::time::sleep(GREETING).await;
    };
    let stream = tokio::select! {
        secured = accept::handshake(&tls, stream) => secured.inspect_err(|_| server.metrics.handshake_failed())?,
        () = stopping => return Ok(()),
    };
    let peer = match stream.get_ref().1.peer_certificates() {
        Some(chain) => server.authenticator.peer(chain, Timestamp::now()),
        None => Peer::unknown(),
    };
    let connection = Connection { peer, client: Some(address.ip()) };
    let goes_away = Arc::new(Notify::new());
    let (asked_to_go, chance) = (goes_away.clone(), server.options.goaway_millionth);
    let service = service_fn(move |request: http::Request<Incoming>| {
        if chance > 0
            && request.version() == http::Version::HTTP_2
            && rand::random_range(0..1_000_000) < chance
        {
            asked_to_go.notify_one();
        }
        let (request, rest) = inbound(request);
        // Boxed: the connection moves it about several times before it runs.
        let answer = Box::pin(service::serve(server.clone(), connection.clone(), request));
        async move {
            let mut answer = answer.await;
            if let Some(rest) = rest
                && !rest.discard().await
            {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let stream = Gathering::new(stream);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream.clone()), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = stream.drive(connection.as_mut()) => Some(ended),
        () = stop.cancelled() => None,
        // What is under way goes on; the client opens another connection for what is new.
        () = goes_away.notified() => None,
    };
    match ended {
        Some(ended) => ended?,
        None => {
            connection.as_mut().graceful_shutdown();
            stream.drive(connection.as_mut()).await?;
        }
    }
    Ok(stream.send().await?)
}

/// A request with its body, and where the rest of that will be, if it must be read.
fn inbound(request: http::Request<Incoming>) -> (Request, Option<Rest>) {
    let (head, body) = request.into_parts();
    let (body, rest) = match head.version {
        http::Version::HTTP_2 => (Inbound::new(body), None),
        _ => Inbound::with_rest(body),
    };
    (Request::from_parts(head, body), rest)
}
