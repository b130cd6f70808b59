//! Upgrades: the request goes on as it is, and both connections become one pipe.

use std::time::Duration;

use http::StatusCode;
use http::header::{CONNECTION, HeaderMap, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy};
use tokio::time::timeout;

use super::backend::{BackendError, Dialer, Target};
use super::forward;
use crate::http::{Body, Request, Response};

/// How long one direction may go on after the other has ended: the rest of the output after the input's end.
const LINGER: Duration = Duration::from_secs(10);

/// The subprotocol that carries a token, which is not for the other side to see.
const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether a request asks to switch protocols.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
}

/// Drops the token from the subprotocols of a WebSocket.
pub(crate) fn without_token(headers: &mut HeaderMap) {
    let offered: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|protocol| protocol.trim().to_owned())
        .filter(|protocol| !protocol.is_empty() && !protocol.starts_with(TOKEN_PROTOCOL))
        .collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(value) = offered.join(", ").parse()
        && !offered.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}

/// Sends an upgrade request to `path` at the target. When the target switches protocols, so does the answer, and
/// the two connections are joined in the background; any other answer is passed on.
pub(crate) async fn upgrade(
    dialer: &Dialer,
    target: &Target,
    path: &str,
    request: Request,
    host: Option<&str>,
) -> Result<Response, BackendError> {
    upgrade_as(dialer, target, path, request, host, HeaderMap::new()).await
}

/// As [`upgrade`], with headers that say who asks.
pub(crate) async fn upgrade_as(
    dialer: &Dialer,
    target: &Target,
    path: &str,
    mut request: Request,
    host: Option<&str>,
    identity: HeaderMap,
) -> Result<Response, BackendError> {
    let protocol = request.headers().get(UPGRADE).cloned();
    let mut headers = forward::end_to_end(request.headers());
    without_token(&mut headers);
    headers.extend(identity);
    headers.insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
    headers.extend(protocol.map(|protocol| (UPGRADE, protocol)));
    forward::set_host(&mut headers, request.uri(), host);
    let client = hyper::upgrade::on(&mut request);
    let mut outgoing = http::Request::new(Body::empty());
    *outgoing.method_mut() = request.method().clone();
    *outgoing.uri_mut() = forward::uri(path)?;
    *outgoing.headers_mut() = headers;
    let mut response = dialer.send(target, outgoing).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(forward::answer(response));
    }
    let backend = hyper::upgrade::on(&mut response);
    let stop = dialer.stop.clone();
    dialer.tasks.spawn(async move {
        let joined = async {
            match tokio::try_join!(client, backend) {
                Ok((client, backend)) => join(TokioIo::new(client), TokioIo::new(backend)).await,
                Err(error) => tracing::debug!(%error, "upgrade failed"),
            }
        };
        tokio::select! {
            () = joined => {}
            () = stop.cancelled() => {}
        }
    });
    let mut switched = Response::new(Body::empty());
    *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switched.headers_mut() = response.headers().clone();
    Ok(switched)
}

/// Copies both ways until both ends have ended, or one a while after the other.
async fn join<A, B>(client: A, backend: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_backend, mut to_backend) = tokio::io::split(backend);
    let up = async {
        let _ = copy(&mut from_client, &mut to_backend).await;
        let _ = to_backend.shutdown().await;
    };
    let down = async {
        let _ = copy(&mut from_backend, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::pin!(up, down);
    tokio::select! {
        () = &mut up => { let _ = timeout(LINGER, down).await; }
        () = &mut down => { let _ = timeout(LINGER, up).await; }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_are_recognised_and_tokens_kept_back() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, "keep-alive, Upgrade".parse().unwrap());
        assert!(!is_upgrade(&headers));
        headers.insert(UPGRADE, "websocket".parse().unwrap());
        assert!(is_upgrade(&headers));
        let offered = "base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io,v4.channel.k8s.io";
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offered.parse().unwrap());
        without_token(&mut headers);
        assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "v5.channel.k8s.io, v4.channel.k8s.io");
    }
}
