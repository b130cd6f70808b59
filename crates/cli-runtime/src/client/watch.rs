//! Bodies that come in pieces: lines of a log, events of a watch.

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;

use crate::error::{Error, Result};

/// The longest line that is kept in memory; the server's objects are far smaller.
const MAX_LINE: usize = 64 << 20;

/// A body, piece by piece or line by line.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
    scanned: usize,
}

impl Lines {
    /// Reads the body of an answer.
    pub fn new(reply: Response<Body>) -> Self {
        Self { body: reply.into_body(), buffer: BytesMut::new(), scanned: 0 }
    }

    /// The next piece, as it came.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::message(error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// The next line with its newline; the last one may have none.
    pub async fn line(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(at) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.scanned + at + 1).freeze();
                self.scanned = 0;
                return Ok(Some(line));
            }
            self.scanned = self.buffer.len();
            if self.scanned > MAX_LINE {
                return Err(Error::message("the server sent an endless line"));
            }
            match self.piece().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.scanned = 0;
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
        }
    }
}

/// Events of a watch.
pub struct Watch {
    lines: Lines,
}

impl Watch {
    /// Reads events from lines.
    pub fn new(lines: Lines) -> Self {
        Self { lines }
    }

    /// The next event: its type and its object. `None` when the server ended the watch.
    pub async fn next(&mut self) -> Result<Option<(String, Value)>> {
        // A broken connection ends a watch just as a closed one does: the caller lists again.
        let Ok(Some(line)) = self.lines.line().await else { return Ok(None) };
        let Ok(mut event) = serde_json::from_slice::<Value>(&line) else { return Ok(None) };
        let object = event["object"].take();
        match event["type"].as_str().unwrap_or("") {
            "ERROR" => Err(Error::server(object)),
            kind => Ok(Some((kind.to_string(), object))),
        }
    }
}
