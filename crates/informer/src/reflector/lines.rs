//! The lines of a watch response, one event each.

use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;

use super::{Error, request_error};

/// Far above the largest object that the API takes (etcd's request limit is 1.5 MiB).
const LONGEST: usize = 64 << 20;
/// What a buffer keeps after a large event.
const KEEP: usize = 16 << 10;

pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where no line end was found yet.
    searched: usize,
}

impl Lines {
    pub(super) async fn open(client: &Client, request: Request<Vec<u8>>) -> Result<Lines, Error> {
        let response = client.send(request.map(Body::from)).await.map_err(request_error)?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(Lines { body, buffer: Vec::new(), start: 0, searched: 0 });
        }
        #[derive(Deserialize)]
        struct Failure {
            message: String,
        }
        let text = body.collect().await.map_err(Error::Body)?.to_bytes();
        let message = serde_json::from_slice::<Failure>(&text)
            .map_or_else(|_| head.status.to_string(), |failure| failure.message);
        Err(Error::Status { code: head.status.as_u16(), message })
    }

    /// Returns the next line without its end, `None` at the end of the response.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let (from, to) = (self.start, self.searched + length);
                self.start = to + 1;
                self.searched = to + 1;
                if from == to {
                    continue;
                }
                return Ok(Some(&self.buffer[from..to]));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.searched = self.buffer.len();
            if self.buffer.capacity() > KEEP && self.buffer.len() < KEEP / 2 {
                self.buffer.shrink_to(KEEP);
            }
            if self.buffer.len() > LONGEST {
                return Err(Error::TooLong(LONGEST));
            }
            match self.body.frame().await {
                // What follows the last line end is an event cut off: it will be sent again.
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.map_err(Error::Body)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
