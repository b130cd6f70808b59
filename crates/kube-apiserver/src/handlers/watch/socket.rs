//! Watches over a WebSocket: each event is a message, for clients that cannot read an answer while it comes.

use apimachinery::Status;
use bytes::{Buf as _, Bytes};
use futures::{SinkExt as _, StreamExt as _};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Extensions, StatusCode};
use http_body_util::BodyExt as _;
use httpstream::websocket;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::http::{Body, Response};
use crate::streaming::{Streaming, tunnel};

/// What a client sends is read for its control frames only, and may be no more than this.
const LARGEST_RECEIVED: usize = 64 * 1024;
/// What a watch holds for reading: clients hardly say anything.
const READ_BUFFER: usize = 1024;

/// Whether a request asks to go on as a WebSocket.
pub fn is_asked(headers: &HeaderMap) -> bool {
    httpstream::asks_for(headers, websocket::UPGRADE)
}

/// Turns the answer to a watch into a WebSocket on the connection that it was asked for on. A refusal stays one.
pub fn switch(
    answer: Response,
    asked: &HeaderMap,
    extensions: &mut Extensions,
    streaming: &Streaming,
) -> Result<Response, Status> {
    if answer.status() != StatusCode::OK {
        return Ok(answer);
    }
    let Some(upgrade) = extensions.remove::<OnUpgrade>() else { return Ok(answer) };
    let accepted = accept(asked)?;
    let (mut parts, body) = answer.into_parts();
    let protobuf =
        parts.headers.remove(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b";stream=watch"));
    parts.status = StatusCode::SWITCHING_PROTOCOLS;
    parts.headers.extend(accepted);
    streaming.spawn(async move {
        match upgrade.await {
            Ok(connection) => carry(connection, body, protobuf).await,
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    Ok(Response::from_parts(parts, Body::empty()))
}

/// The headers that accept the handshake.
fn accept(asked: &HeaderMap) -> Result<HeaderMap, Status> {
    // A watch has no protocol of its own: a client that insists on one gets it, as upstream.
    let mut offered = asked.clone();
    tunnel::without_token(&mut offered);
    let protocol = websocket::offered(&offered).next().unwrap_or_default();
    websocket::accept(asked, protocol).map_err(|refused| Status::bad_request(refused.message))
}

/// Sends the events until they or the client end.
async fn carry(connection: Upgraded, mut events: Body, protobuf: bool) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(LARGEST_RECEIVED))
        .max_frame_size(Some(LARGEST_RECEIVED));
    let connection = TokioIo::new(connection);
    let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    let (mut to_client, mut from_client) = socket.split();
    loop {
        tokio::select! {
            piece = events.frame() => {
                let Some(Ok(piece)) = piece else { break };
                let Ok(mut piece) = piece.into_data() else { continue };
                for event in split(piece.copy_to_bytes(piece.remaining()), protobuf) {
                    let Some(message) = message(event, protobuf) else { return };
                    if to_client.feed(message).await.is_err() {
                        return;
                    }
                }
                if to_client.flush().await.is_err() {
                    return;
                }
            }
            // Pings are answered by the library as it reads; what else is said is of no interest.
            received = from_client.next() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            }
        }
    }
    let _ = to_client.close().await;
}

/// The events of a piece: it holds whole ones, each a line of JSON, or protobuf behind four bytes of its length.
fn split(mut piece: Bytes, protobuf: bool) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        if piece.is_empty() {
            return None;
        }
        if !protobuf {
            let end = memchr::memchr(b'\n', &piece).map_or(piece.len(), |at| at + 1);
            return Some(piece.split_to(end));
        }
        let length = piece.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) as usize)?;
        if piece.len() < 4 + length {
            return None;
        }
        Some(piece.split_to(4 + length).slice(4..))
    })
}

fn message(event: Bytes, protobuf: bool) -> Option<Message> {
    match protobuf {
        true => Some(Message::Binary(event)),
        // JSON is UTF-8: what was stored was read as it.
        false => Utf8Bytes::try_from(event).ok().map(Message::Text),
    }
}

#[cfg(test)]
mod tests {
    use http::header::{
        HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    };

    use super::*;

    #[test]
    fn each_event_is_a_message() {
        let check = |piece: &'static [u8], protobuf| -> Vec<Bytes> {
            split(Bytes::from_static(piece), protobuf).collect()
        };
        assert_eq!(check(b"{1}\n{2}\n", false), ["{1}\n", "{2}\n"]);
        assert_eq!(check(b"\0\0\0\x02ab\0\0\0\x01c", true), ["ab", "c"]);
        assert_eq!(check(b"\0\0\0\x09ab", true), [] as [&str; 0]);
        assert_eq!(check(b"", false), [] as [&str; 0]);
    }

    #[test]
    fn a_handshake_is_answered_as_it_is_asked() {
        let mut asked = HeaderMap::new();
        let refused = |asked: &HeaderMap| accept(asked).unwrap_err().code;
        assert_eq!(refused(&asked), 400);
        asked.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        assert_eq!(refused(&asked), 400);
        // The example of RFC 6455, 1.3.
        asked.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let accepted = accept(&asked).unwrap();
        assert_eq!(accepted[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted.get(SEC_WEBSOCKET_PROTOCOL), None);
        let offered = "base64url.bearer.authorization.k8s.io.dA, binary.k8s.io";
        asked.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offered));
        assert_eq!(accept(&asked).unwrap()[SEC_WEBSOCKET_PROTOCOL], "binary.k8s.io");
    }
}
