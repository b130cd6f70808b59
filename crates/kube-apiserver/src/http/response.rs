//! Answers: objects, Status, plain text; encoded as negotiated, compressed when large and asked for.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use apimachinery::{Status, json};
use bytes::{Buf, BufMut as _, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use serde::Serialize;
use serde_json::Value;

use super::body::Body;
use super::negotiate::{Format, Negotiated};
use crate::protobuf;

/// A response of this server.
pub type Response = http::Response<Body>;

/// Responses at least this large are compressed for clients that read it, as upstream.
pub const GZIP_FROM: usize = 128 * 1024;

/// How many headers an answer has: these, the audit's, two of flow control, the length and the date.
const HEADERS: usize = 8;

/// An answer with a body of a media type.
pub fn with_type(code: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(text)
    }
}

/// Plain text.
pub fn text(code: StatusCode, text: impl Into<Body>) -> Response {
    with_type(code, "text/plain; charset=utf-8", text)
}

/// JSON bytes that are there, encoded as negotiated.
pub fn json(code: StatusCode, bytes: Bytes, form: &Negotiated) -> Response {
    match form.format {
        Format::Json => whole(code, bytes, form),
        Format::Protobuf => as_protobuf(code, &bytes, form),
        Format::PrettyJson | Format::Yaml => match serde_json::from_slice(&bytes) {
            Ok(read) => value(code, &read, form),
            Err(_) => whole(code, bytes, form),
        },
    }
}

/// A JSON value, encoded as negotiated.
pub fn value(code: StatusCode, value: &Value, form: &Negotiated) -> Response {
    let compact = || json::to_vec(value);
    let bytes = match form.format {
        Format::Json => compact().into(),
        Format::Protobuf => return as_protobuf(code, &compact(), form),
        Format::PrettyJson => pretty(value),
        Format::Yaml => serde_saphyr::to_string(value).map_or_else(|_| Bytes::new(), Bytes::from),
    };
    whole(code, bytes, form)
}

fn pretty(value: &Value) -> Bytes {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"  ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    if value.serialize(&mut serializer).is_ok() {
        bytes.push(b'\n');
    }
    Bytes::from(bytes)
}

/// JSON as protobuf; what has no such form is refused in JSON.
fn as_protobuf(code: StatusCode, json: &[u8], form: &Negotiated) -> Response {
    match protobuf::body(json) {
        Ok(body) => whole(code, body.into(), form),
        Err(refusal) => status(&refusal),
    }
}

/// Bytes that are encoded as negotiated already.
pub fn whole(code: StatusCode, bytes: Bytes, form: &Negotiated) -> Response {
    if form.gzip
        && bytes.len() >= GZIP_FROM
        && let Some(small) = compress(&bytes)
    {
        let mut response = with_type(code, form.format.media_type(), small);
        is_compressed(&mut response);
        return response;
    }
    with_type(code, form.format.media_type(), bytes)
}

/// Says that the body is compressed.
pub fn is_compressed(response: &mut Response) {
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// The level that upstream uses for API responses.
const LEVEL: Compression = Compression::new(1);

/// A body that is compressed while it is sent.
pub struct Compressed<B> {
    /// The rest of what is to be compressed; none once all of it was.
    body: Option<B>,
    encoder: GzEncoder<Vec<u8>>,
    /// What the encoder is given next.
    part: Vec<u8>,
}

impl<B> Compressed<B> {
    /// Compresses a body.
    pub fn new(body: B) -> Self {
        Self { body: Some(body), encoder: GzEncoder::new(Vec::new(), LEVEL), part: Vec::new() }
    }
}

impl<B: Buf + Unpin> http_body::Body for Compressed<B> {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let Self { body: left, encoder, part } = self.get_mut();
        let mut read = 0;
        while let Some(body) = left {
            if !body.has_remaining() {
                *left = None;
                encoder.try_finish()?;
                break;
            }
            part.clear();
            part.put(body.take(PART));
            encoder.write_all(part)?;
            read += part.len();
            if encoder.get_ref().len() >= COMPRESSED_PIECE {
                break;
            }
            if read >= READ_PIECE {
                encoder.flush()?;
                break;
            }
        }
        let made = std::mem::take(encoder.get_mut());
        Poll::Ready((!made.is_empty()).then(|| Ok(Frame::data(made.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none() && self.encoder.get_ref().is_empty()
    }
}

/// From so many bytes on, what is compressed goes out.
const COMPRESSED_PIECE: usize = 16 * 1024;

/// So much is given to the encoder at a time, which clears its buffers whenever it is given something.
const PART: usize = 64 * 1024;

/// So many bytes are compressed at once at most, however small they become: others wait meanwhile.
const READ_PIECE: usize = 256 * 1024;

/// Compresses what is there as a whole.
pub fn compress(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), LEVEL);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// A refusal.
pub fn status(status: &Status) -> Response {
    status_as(status, &Negotiated::JSON)
}

/// A refusal, encoded as negotiated.
pub fn status_as(status: &Status, form: &Negotiated) -> Response {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = value(code, &status.to_value(), &Negotiated { gzip: false, ..*form });
    if let Some(seconds) =
        status.details.as_ref().map(|details| details.retry_after_seconds).filter(|s| *s > 0)
    {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds `Warning` headers, which clients show to their users.
pub fn warn(response: &mut Response, warnings: &[String]) {
    // As upstream: no header block may grow beyond what proxies take.
    let mut room = 4096_usize;
    for warning in warnings {
        let quoted: String = warning
            .chars()
            .filter(|char| !char.is_control())
            .flat_map(|char| match char {
                '"' | '\\' => vec!['\\', char],
                char => vec![char],
            })
            .collect();
        let Some(left) = room.checked_sub(quoted.len()) else { return };
        room = left;
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            response.headers_mut().append(http::header::WARNING, value);
        }
    }
}
