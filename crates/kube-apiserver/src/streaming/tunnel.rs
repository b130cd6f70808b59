//! Upgrades: the request goes on as it is, and both connections become one pipe.

use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{Method, StatusCode};
use httpstream::websocket;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
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

/// Drops the token from the subprotocols of a WebSocket.
pub(crate) fn without_token(headers: &mut HeaderMap) {
    let offered: Vec<&str> =
        websocket::offered(headers).filter(|protocol| !protocol.starts_with(TOKEN_PROTOCOL)).collect();
    let offered = HeaderValue::from_str(&offered.join(", ")).ok().filter(|value| !value.is_empty());
    match offered {
        Some(offered) => drop(headers.insert(SEC_WEBSOCKET_PROTOCOL, offered)),
        None => drop(headers.remove(SEC_WEBSOCKET_PROTOCOL)),
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
    request: Request,
    host: Option<&str>,
    identity: HeaderMap,
) -> Result<Response, BackendError> {
    let asked = Asked::of(request, host, identity);
    let answer = asked.send(dialer, target, path).await?;
    Ok(joined(dialer, asked.client, answer))
}

/// A client's wish to switch protocols, as it goes on.
pub(super) struct Asked {
    method: Method,
    /// The headers that go on.
    pub(super) headers: HeaderMap,
    /// The client's connection, when it has been answered.
    pub(super) client: OnUpgrade,
}

impl Asked {
    pub(super) fn of(mut request: Request, host: Option<&str>, identity: HeaderMap) -> Self {
        let protocol = request.headers().get(UPGRADE).cloned();
        let mut headers = forward::end_to_end(request.headers());
        without_token(&mut headers);
        headers.extend(identity);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.extend(protocol.map(|protocol| (UPGRADE, protocol)));
        forward::set_host(&mut headers, request.uri(), host);
        Self { method: request.method().clone(), headers, client: hyper::upgrade::on(&mut request) }
    }

    /// Asks the target for what the client asks for.
    pub(super) async fn send(
        &self,
        dialer: &Dialer,
        target: &Target,
        path: &str,
    ) -> Result<http::Response<Incoming>, BackendError> {
        send(dialer, target, self.method.clone(), path, self.headers.clone()).await
    }
}

/// Sends an upgrade request, and gives the target's answer.
pub(super) async fn send(
    dialer: &Dialer,
    target: &Target,
    method: Method,
    path: &str,
    headers: HeaderMap,
) -> Result<http::Response<Incoming>, BackendError> {
    let mut request = http::Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = forward::uri(path)?;
    *request.headers_mut() = headers;
    dialer.send(target, request).await
}

/// Answers the client as the target did. Where it switched protocols, the two connections are joined in the background.
pub(super) fn joined(dialer: &Dialer, client: OnUpgrade, mut answer: http::Response<Incoming>) -> Response {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return forward::answer(answer);
    }
    let backend = hyper::upgrade::on(&mut answer);
    switched(dialer, client, backend, answer.headers().clone(), join)
}

/// Answers `101` with these headers. What becomes of the two connections then goes on in the background.
pub(super) fn switched<F>(
    dialer: &Dialer,
    client: OnUpgrade,
    backend: OnUpgrade,
    headers: HeaderMap,
    then: impl FnOnce(TokioIo<Upgraded>, TokioIo<Upgraded>) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    dialer.spawn(async move {
        match tokio::try_join!(client, backend) {
            Ok((client, backend)) => then(TokioIo::new(client), TokioIo::new(backend)).await,
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    let mut switched = Response::new(Body::empty());
    *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switched.headers_mut() = headers;
    switched
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
    fn tokens_are_kept_back() {
        let token = "base64url.bearer.authorization.k8s.io.c2VjcmV0";
        for (offered, left) in [
            (
                format!("{token}, v5.channel.k8s.io,v4.channel.k8s.io"),
                Some("v5.channel.k8s.io, v4.channel.k8s.io"),
            ),
            (token.to_owned(), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offered.parse().unwrap());
            without_token(&mut headers);
            assert_eq!(headers.get(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap()), left);
        }
    }
}
