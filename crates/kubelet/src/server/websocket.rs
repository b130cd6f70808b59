//! WebSocket connections: the handshake, and messages that each carry one channel's bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, handshake::derive_accept_key, protocol::Role},
};

use super::{Body, text};

/// The protocols of exec and attach, the best first.
pub(super) const CHANNEL_PROTOCOLS: [&str; 6] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "",
];

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Tells whether a request asks for a WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Accepts a WebSocket. Answers the response and the protocol chosen.
pub(super) fn accept(
    headers: &HeaderMap,
    served: &[&'static str],
) -> Result<(Response<Body>, &'static str), Box<Response<Body>>> {
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Err(Box::new(text(StatusCode::BAD_REQUEST, "missing Sec-WebSocket-Key")));
    };
    let offered: Vec<&str> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let chosen = served
        .iter()
        .find(|served| if served.is_empty() { offered.is_empty() } else { offered.contains(served) });
    let Some(chosen) = chosen else {
        let why =
            format!("unable to negotiate a protocol: client offers {offered:?}, server accepts {served:?}");
        return Err(Box::new(text(StatusCode::FORBIDDEN, why)));
    };
    let mut response = super::stream::switching();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    // The key is answered in base64, which any header may hold.
    if let Ok(key) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if !chosen.is_empty() {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(chosen));
    }
    Ok((response, chosen))
}

/// Takes over an upgraded connection.
pub(super) async fn socket(io: TokioIo<Upgraded>) -> Socket {
    WebSocketStream::from_raw_socket(io, Role::Server, None).await
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Bytes of a channel.
    Data(u8, Bytes),
    /// A channel that is at its end (v5 only).
    Closed(u8),
}

/// In v5 a message of this channel names a channel that is at its end.
const CLOSE: u8 = 255;

/// A WebSocket whose messages carry channels.
pub(super) struct Channels {
    socket: Socket,
    base64: bool,
}

/// The receiving half.
pub(super) struct Incoming {
    socket: SplitStream<Socket>,
    base64: bool,
    pongs: mpsc::Sender<tungstenite::Message>,
}

/// The sending half.
pub(super) struct Outgoing {
    sink: Mutex<SplitSink<Socket, tungstenite::Message>>,
    pongs: Mutex<mpsc::Receiver<tungstenite::Message>>,
    base64: bool,
    open: std::sync::atomic::AtomicBool,
}

impl Channels {
    pub(super) async fn new(io: TokioIo<Upgraded>, protocol: &str) -> Self {
        Self { socket: socket(io).await, base64: protocol.contains("base64") }
    }

    pub(super) fn split(self) -> (Incoming, Outgoing) {
        let (sink, stream) = self.socket.split();
        // Answers to a client's pings; the library writes them with the next message, this makes them go at once.
        let (pongs, queue) = mpsc::channel(4);
        let outgoing = Outgoing {
            sink: Mutex::new(sink),
            pongs: Mutex::new(queue),
            base64: self.base64,
            open: std::sync::atomic::AtomicBool::new(true),
        };
        (Incoming { socket: stream, base64: self.base64, pongs }, outgoing)
    }
}

impl Incoming {
    /// The next message; none when the client is gone.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            match self.socket.next().await? {
                Ok(tungstenite::Message::Binary(data)) => {
                    if let Some(message) = read(data, false) {
                        return Some(message);
                    }
                }
                Ok(tungstenite::Message::Text(text)) => {
                    if let Some(message) = read(Bytes::from(text), self.base64) {
                        return Some(message);
                    }
                }
                Ok(tungstenite::Message::Ping(_)) => {
                    let _ = self.pongs.try_send(tungstenite::Message::Pong(Bytes::new()));
                }
                Ok(tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_)) => {}
                Ok(tungstenite::Message::Close(_)) | Err(_) => return None,
            }
        }
    }
}

/// Reads a message of a protocol of channels; none where it says nothing.
pub fn read(mut data: Bytes, base64: bool) -> Option<Message> {
    if data.is_empty() {
        return None;
    }
    let channel = data.split_to(1)[0];
    if base64 {
        // The channel is a digit in a protocol of text.
        let plain = STANDARD.decode(&data).ok()?;
        return Some(Message::Data(channel.wrapping_sub(b'0'), plain.into()));
    }
    match (channel, data.first()) {
        (CLOSE, Some(&closed)) => Some(Message::Closed(closed)),
        _ => Some(Message::Data(channel, data)),
    }
}

impl Outgoing {
    /// Sends bytes of a channel. A client that is gone is noticed where its messages are read.
    pub(super) async fn send(&self, channel: u8, data: Bytes) {
        let message = if self.base64 {
            tungstenite::Message::text(format!(
                "{}{}",
                char::from(b'0' + channel % 10),
                STANDARD.encode(&data)
            ))
        } else {
            let mut bytes = Vec::with_capacity(1 + data.len());
            bytes.push(channel);
            bytes.extend_from_slice(&data);
            tungstenite::Message::binary(bytes)
        };
        let mut sink = self.sink.lock().await;
        let mut pongs = self.pongs.lock().await;
        while let Ok(pong) = pongs.try_recv() {
            let _ = sink.feed(pong).await;
        }
        if sink.send(message).await.is_err() {
            self.open.store(false, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Tells whether the client takes messages.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Ends the connection in good order.
    pub(super) async fn close(&self) {
        let mut sink = self.sink.lock().await;
        let frame = tungstenite::protocol::CloseFrame {
            code: tungstenite::protocol::frame::coding::CloseCode::Normal,
            reason: "".into(),
        };
        let _ = sink.send(tungstenite::Message::Close(Some(frame))).await;
        let _ = sink.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(protocols: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        for protocol in protocols {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        headers
    }

    #[test]
    fn the_best_common_protocol_is_chosen() {
        let offered = headers(&["v4.channel.k8s.io, v5.channel.k8s.io"]);
        let (response, chosen) = accept(&offered, &CHANNEL_PROTOCOLS).unwrap();
        assert_eq!(chosen, "v5.channel.k8s.io");
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(accept(&headers(&["other"]), &CHANNEL_PROTOCOLS).is_err());
        assert_eq!(accept(&headers(&[]), &CHANNEL_PROTOCOLS).unwrap().1, "");
    }

    #[test]
    fn messages_name_their_channel() {
        assert_eq!(
            read(Bytes::from_static(b"\x00hi"), false),
            Some(Message::Data(0, Bytes::from_static(b"hi")))
        );
        assert_eq!(read(Bytes::from_static(b"\xff\x00"), false), Some(Message::Closed(0)));
        assert_eq!(
            read(Bytes::from_static(b"0aGk="), true),
            Some(Message::Data(0, Bytes::from_static(b"hi")))
        );
        assert_eq!(read(Bytes::new(), false), None);
    }
}
