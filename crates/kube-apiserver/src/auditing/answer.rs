//! What is written down of an answer.

use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use audit::{Answered, Level, Record, Stage};
use bytes::{Buf as _, Bytes};
use flate2::read::GzDecoder;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::http::body::{BodyError, Piece};
use crate::http::{Body, Response};

/// The largest answer that is written down, in bytes of its JSON.
const LARGEST: u64 = 64 << 20;

/// Writes down how a request was answered. An answer that goes on for long is written down when it begins and when it
/// ends.
pub async fn finish(record: Arc<Record>, is_long: bool, mut answer: Response) -> Response {
    let level = record.level();
    if level == Level::None {
        return answer;
    }
    let code = answer.status().as_u16();
    if is_long && code < 400 {
        record.answered(Stage::ResponseStarted, Answered { code, object: None });
        return answer.map(|body| Body::stream(Audited { body, _end: End { record, code } }));
    }
    let mut object = None;
    if code >= 400 || level == Level::RequestResponse {
        let (head, body) = answer.into_parts();
        let body = match body {
            Body::Stream(stream) => match stream.collect().await {
                Ok(collected) => collected.to_bytes(),
                Err(error) => {
                    tracing::debug!(%error, "an answer broke");
                    Bytes::new()
                }
            },
            Body::Whole(piece) => {
                piece.map_or_else(Bytes::new, |mut piece| piece.copy_to_bytes(piece.remaining()))
            }
        };
        let header =
            |name| head.headers.get(name).and_then(|value: &::http::HeaderValue| value.to_str().ok());
        object = tree(&body, header(CONTENT_TYPE), header(CONTENT_ENCODING));
        answer = Response::from_parts(head, Body::full(body));
    }
    record.answered(Stage::ResponseComplete, Answered { code, object });
    answer
}

/// The object that an answer holds, if it holds one.
fn tree(body: &[u8], media_type: Option<&str>, encoding: Option<&str>) -> Option<Value> {
    let mut unpacked = Vec::new();
    let body = match encoding {
        Some("gzip") => {
            GzDecoder::new(body).take(LARGEST).read_to_end(&mut unpacked).ok()?;
            unpacked.as_slice()
        }
        _ => body,
    };
    match media_type?.split(';').next()?.trim() {
        "application/json" => serde_json::from_slice(body).ok(),
        "application/yaml" => serde_saphyr::from_str(std::str::from_utf8(body).ok()?).ok(),
        wire::MEDIA_TYPE => wire::decode(body).ok(),
        _ => None,
    }
}

/// A body whose end is written down.
struct Audited {
    body: Body,
    _end: End,
}

/// Written down when it goes, however it goes.
struct End {
    record: Arc<Record>,
    code: u16,
}

impl Drop for End {
    fn drop(&mut self) {
        self.record.answered(Stage::ResponseComplete, Answered { code: self.code, object: None });
    }
}

impl http_body::Body for Audited {
    type Data = Piece;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn answers_of_every_encoding_are_read() {
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}});
        let text = object.to_string();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        let json_type = Some("application/json");
        assert_eq!(tree(text.as_bytes(), json_type, None), Some(object.clone()));
        assert_eq!(tree(&packed.finish().unwrap(), json_type, Some("gzip")), Some(object.clone()));
        assert_eq!(tree(text.as_bytes(), Some("application/yaml; x=y"), None), Some(object.clone()));
        let wire = wire::encode(text.as_bytes()).unwrap();
        assert_eq!(tree(&wire, Some(wire::MEDIA_TYPE), None).unwrap()["metadata"]["name"], "a");
        assert_eq!(tree(b"ok", Some("text/plain"), None), None);
        assert_eq!(tree(b"{", json_type, None), None);
    }
}
