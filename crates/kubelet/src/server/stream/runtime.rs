//! The runtime's streaming server, asked to upgrade to SPDY.

use anyhow::{Context, bail};
use bytes::Bytes;
use component::Runtime;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use httpstream::{PROTOCOL_VERSION, spdy};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An upgraded connection.
pub(super) struct Upstream {
    pub io: TokioIo<Upgraded>,
    /// The protocol it chose.
    pub protocol: Option<HeaderValue>,
}

/// Connects to the URL the runtime gave and upgrades.
pub(super) async fn upgrade(process: &Runtime, url: &str, protocols: &[&str]) -> anyhow::Result<Upstream> {
    let uri: Uri = url.parse().with_context(|| format!("the runtime's streaming URL {url:?}"))?;
    // containerd serves its streams on the node's own loopback without TLS.
    anyhow::ensure!(uri.scheme_str() == Some("http"), "the runtime's streaming URL {url:?} is not http");
    let authority = uri.authority().context("a streaming URL without a host")?;
    let stream =
        TcpStream::connect((authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80)))
            .await
            .with_context(|| format!("connecting to the runtime's streaming server {authority}"))?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    process.spawn_session(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "the runtime's streaming connection");
        }
    });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, spdy::UPGRADE);
    for protocol in protocols {
        request = request.header(PROTOCOL_VERSION, *protocol);
    }
    let mut answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = answer.status();
        let body = Limited::new(answer.body_mut(), 4096).collect().await.map(|body| body.to_bytes());
        let body = body.unwrap_or_default();
        bail!("the runtime refused to stream: {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    let protocol = answer.headers().get(PROTOCOL_VERSION).cloned();
    let io = TokioIo::new(hyper::upgrade::on(answer).await?);
    Ok(Upstream { io, protocol })
}
