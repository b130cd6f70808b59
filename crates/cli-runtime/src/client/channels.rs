//! The WebSocket channel protocols (v5 and v4) of exec, attach and port-forward.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::error::{Error, Result};

/// What the server sends.
#[derive(Debug)]
pub enum Frame {
    /// Bytes on a channel.
    Data(u8, Bytes),
    /// The peer closed the connection.
    Closed,
}

/// What the client sends.
#[derive(Debug)]
pub enum Signal {
    /// Bytes for a channel.
    Data(u8, Bytes),
    /// No more bytes come on this channel.
    Close(u8),
    /// The terminal's size: width, height.
    Resize(u16, u16),
}

/// A connection that carries numbered channels.
pub struct Channels {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    close_signal: bool,
}

impl Channels {
    /// Wraps an upgraded connection; `close_signal` says whether channels can be closed one by one (v5).
    pub fn new(stream: WebSocketStream<TokioIo<Upgraded>>, close_signal: bool) -> Self {
        Self { stream, close_signal }
    }

    /// The next bytes on any channel.
    pub async fn next(&mut self) -> Result<Frame> {
        loop {
            match self.stream.next().await {
                None | Some(Ok(Message::Close(_))) => return Ok(Frame::Closed),
                Some(Err(error)) => return Err(Error::message(format!("websocket: {error}"))),
                Some(Ok(Message::Binary(bytes))) if !bytes.is_empty() => {
                    let channel = bytes[0];
                    return Ok(Frame::Data(channel, bytes.slice(1..)));
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// Sends a signal.
    pub async fn send(&mut self, signal: Signal) -> Result<()> {
        let message = match signal {
            Signal::Data(channel, bytes) => framed(channel, &bytes),
            Signal::Close(channel) if self.close_signal => vec![255, channel],
            // v4 cannot close one channel; the process sees the end when the connection closes.
            Signal::Close(_) => return Ok(()),
            Signal::Resize(width, height) => {
                framed(4, format!("{{\"Width\":{width},\"Height\":{height}}}").as_bytes())
            }
        };
        let sent = self.stream.send(Message::Binary(message.into())).await;
        sent.map_err(|error| Error::message(format!("websocket: {error}")))
    }

    /// Closes the connection.
    pub async fn close(&mut self) {
        let _ = self.stream.close(None).await;
    }
}

fn framed(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend_from_slice(bytes);
    message
}

/// What the status on the error channel means for the exit code: nothing, a code, or an error.
pub fn outcome(status: &[u8]) -> Result<()> {
    let Ok(status) = serde_json::from_slice::<Value>(status) else {
        let text = String::from_utf8_lossy(status);
        return if text.trim().is_empty() { Ok(()) } else { Err(Error::message(text.trim())) };
    };
    if status["status"] == "Success" {
        return Ok(());
    }
    if status["reason"] == "NonZeroExitCode" {
        let causes = status["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let code = causes
            .iter()
            .find(|cause| cause["reason"] == "ExitCode")
            .and_then(|cause| cause["message"].as_str())
            .and_then(|code| code.parse::<u8>().ok())
            .unwrap_or(1);
        return Err(Error::Exit(code, format!("command terminated with exit code {code}")));
    }
    Err(Error::message(status["message"].as_str().unwrap_or("the command ended without a reason")))
}

impl Channels {
    /// What the status on the error channel says about the command's end.
    pub fn outcome(status: &[u8]) -> Result<()> {
        outcome(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_comes_from_the_error_channel() {
        let status = br#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        assert_eq!(outcome(status).unwrap_err().exit_code(), 3);
        assert!(outcome(br#"{"status":"Success"}"#).is_ok());
        assert!(outcome(b"").is_ok());
        assert_eq!(outcome(b"boom").unwrap_err().text(), "error: boom");
    }
}
