//! WebSocket connections: the handshake, messages that each carry one channel's bytes, and bytes carried in messages.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
        UPGRADE as UPGRADE_HEADER,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Mutex, mpsc},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::listed;

/// The name in `Upgrade:`.
pub const UPGRADE: &str = "websocket";

/// The largest message that is taken, in one frame or several: upstream's library of channels takes frames up to this
/// size (`DefaultMaxPayloadBytes` of golang.org/x/net/websocket), and there are clients that send all of a command's
/// input at once. What tunnels SPDY writes its frames one by one, of 16 MiB at most. Whoever sends more is gone.
const MAX_MESSAGE: usize = 32 << 20;

/// The largest message in which bytes are carried.
const MAX_CARRIED: usize = 32 << 10;

/// A handshake that is not accepted, with the answer's code and text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The answer's code.
    pub status: StatusCode,
    /// The answer's text.
    pub message: String,
}

impl Refused {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// The subprotocols that a client offers, in its order.
pub fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    listed(headers, SEC_WEBSOCKET_PROTOCOL)
}

/// The first of the served subprotocols that a client offers; an empty one is that of a client that offers none.
pub fn choose(headers: &HeaderMap, served: &[&'static str]) -> Result<&'static str, Refused> {
    let found = served.iter().find(|served| match served.is_empty() {
        true => offered(headers).next().is_none(),
        false => offered(headers).any(|offered| offered == **served),
    });
    found.copied().ok_or_else(|| {
        let offered: Vec<&str> = offered(headers).collect();
        let why =
            format!("unable to negotiate a protocol: client offers {offered:?}, server accepts {served:?}");
        Refused::new(StatusCode::FORBIDDEN, why)
    })
}

/// The headers of the answer that accepts a handshake (RFC 6455, 4.2.2), in this subprotocol if it is not empty.
pub fn accept(headers: &HeaderMap, protocol: &str) -> Result<HeaderMap, Refused> {
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "missing or bad WebSocket Version"));
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "missing Sec-WebSocket-Key"));
    };
    let mut answer = HeaderMap::new();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE_HEADER, HeaderValue::from_static(UPGRADE));
    // The key is answered in base64, which any header may hold, and a client's protocol came in one.
    if let Ok(key) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        answer.insert(SEC_WEBSOCKET_ACCEPT, key);
    }
    if let Ok(protocol) = HeaderValue::try_from(protocol)
        && !protocol.is_empty()
    {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(answer)
}

/// Takes over a client's connection after the handshake.
pub async fn accepted<S: AsyncRead + AsyncWrite + Unpin>(client: S) -> WebSocketStream<S> {
    let limits =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    WebSocketStream::from_raw_socket(client, Role::Server, Some(limits)).await
}

/// Carries bytes in the binary messages of a WebSocket, until either side ends.
pub async fn carry<S, B>(socket: WebSocketStream<S>, bytes: B)
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite,
{
    let (mut sink, mut stream) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(bytes);
    let up = async {
        while let Some(Ok(message)) = stream.next().await {
            if message.is_close() {
                break;
            }
            // Pings are answered by the library; text has no place among bytes.
            if message.is_binary() && writer.write_all(&message.into_data()).await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
    };
    let down = async {
        let mut buffer = vec![0; MAX_CARRIED];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            let message = tungstenite::Message::binary(buffer[..count].to_vec());
            if sink.send(message).await.is_err() {
                break;
            }
        }
        let _ = sink.close().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
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
pub struct Channels<S> {
    socket: WebSocketStream<S>,
    base64: bool,
}

/// The receiving half.
pub struct Incoming<S> {
    socket: SplitStream<WebSocketStream<S>>,
    base64: bool,
    pongs: mpsc::Sender<tungstenite::Message>,
}

/// The sending half.
pub struct Outgoing<S> {
    sink: Mutex<SplitSink<WebSocketStream<S>, tungstenite::Message>>,
    pongs: Mutex<mpsc::Receiver<tungstenite::Message>>,
    base64: bool,
    open: AtomicBool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channels<S> {
    /// Takes over a connection on which a handshake chose this protocol.
    pub async fn new(io: S, protocol: &str) -> Self {
        Self { socket: accepted(io).await, base64: protocol.contains("base64") }
    }

    /// Its two directions.
    pub fn split(self) -> (Incoming<S>, Outgoing<S>) {
        let (sink, stream) = self.socket.split();
        // Answers to a client's pings; the library writes them with the next message, this makes them go at once.
        let (pongs, queue) = mpsc::channel(4);
        let outgoing = Outgoing {
            sink: Mutex::new(sink),
            pongs: Mutex::new(queue),
            base64: self.base64,
            open: AtomicBool::new(true),
        };
        (Incoming { socket: stream, base64: self.base64, pongs }, outgoing)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Incoming<S> {
    /// The next message; none when the client is gone.
    pub async fn next(&mut self) -> Option<Message> {
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

impl<S: AsyncRead + AsyncWrite + Unpin> Outgoing<S> {
    /// Sends bytes of a channel. A client that is gone is noticed where its messages are read.
    pub async fn send(&self, channel: u8, data: Bytes) {
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
            self.open.store(false, Ordering::Relaxed);
        }
    }

    /// Tells whether the client takes messages.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Ends the connection in good order.
    pub async fn close(&self) {
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
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        for protocol in protocols {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        headers
    }

    #[test]
    fn the_best_common_protocol_is_chosen() {
        let served = ["v5.channel.k8s.io", "v4.channel.k8s.io", ""];
        for (protocols, chosen) in [
            (&["v4.channel.k8s.io, v5.channel.k8s.io"][..], "v5.channel.k8s.io"),
            (&["other", "v4.channel.k8s.io"], "v4.channel.k8s.io"),
            (&[], ""),
        ] {
            assert_eq!(choose(&headers(protocols), &served), Ok(chosen));
        }
        let refused = choose(&headers(&["other"]), &served).unwrap_err();
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.message.contains("client offers [\"other\"]"), "{refused}");
    }

    #[test]
    fn handshakes_are_answered_with_their_key() {
        let accepted = accept(&headers(&[]), "v5.channel.k8s.io").unwrap();
        assert_eq!(accepted[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted[SEC_WEBSOCKET_PROTOCOL], "v5.channel.k8s.io");
        assert!(!accept(&headers(&[]), "").unwrap().contains_key(SEC_WEBSOCKET_PROTOCOL));
        for (without, message) in [
            (SEC_WEBSOCKET_VERSION, "missing or bad WebSocket Version"),
            (SEC_WEBSOCKET_KEY, "missing Sec-WebSocket-Key"),
        ] {
            let mut headers = headers(&[]);
            headers.remove(without);
            assert_eq!(accept(&headers, ""), Err(Refused::new(StatusCode::BAD_REQUEST, message)));
        }
    }

    #[tokio::test]
    async fn a_message_is_taken_up_to_its_bound() {
        for (length, is_taken) in [(0, true), (20 << 20, true), (MAX_MESSAGE, true), (MAX_MESSAGE + 1, false)]
        {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let (mut incoming, outgoing) = Channels::new(server, "v5.channel.k8s.io").await.split();
            let sent = async move {
                // A masked binary frame; a mask of zeros changes nothing.
                let mut frame = vec![0x82, 0xff];
                frame.extend_from_slice(&u64::try_from(length).unwrap().to_be_bytes());
                frame.extend_from_slice(&[0; 4]);
                frame.resize(frame.len() + length, 7);
                // Whoever sends too much finds the connection closed.
                let _ = client.write_all(&frame).await;
                let _ = client.write_all(&[0x82, 0x82, 0, 0, 0, 0, 9, 9]).await;
                client
            };
            let taken = async {
                let first = incoming.next().await;
                drop((incoming, outgoing));
                first
            };
            let (_client, message) = tokio::join!(sent, taken);
            let expected = match (length, is_taken) {
                (_, false) => None,
                (0, true) => Some((9, 1)),
                (length, true) => Some((7, length - 1)),
            };
            let found = message.map(|message| match message {
                Message::Data(channel, data) => (channel, data.len()),
                Message::Closed(channel) => (channel, 0),
            });
            assert_eq!(found, expected, "{length}");
        }
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
