//! Reading a request's body: bounded, JSON, YAML or protobuf.

use apimachinery::Status;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

use super::Inbound;

/// The largest body that is read, as upstream's default.
pub const LIMIT: usize = 3 * 1024 * 1024;

/// Reads a whole body.
pub async fn read(body: Inbound) -> Result<Bytes, Status> {
    let declared = hyper::body::Body::size_hint(&body).lower();
    if declared > LIMIT as u64 {
        return Err(too_large());
    }
    match Limited::new(body, LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Status::bad_request(format!("error reading the request body: {error}"))),
    }
}

fn too_large() -> Status {
    Status::too_large(format!("Request entity too large: limit is {LIMIT}"))
}

/// The encoding of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`, or nothing said.
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// What this server reads, as the refusal lists it.
const READ: &[&str] = &["application/json", "application/yaml", wire::MEDIA_TYPE];

/// The media type without its parameters.
pub fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// How the body of a create, update or delete is encoded.
pub fn encoding(headers: &HeaderMap) -> Result<Encoding, Status> {
    match media_type(headers) {
        "" | "application/json" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        wire::MEDIA_TYPE => Ok(Encoding::Protobuf),
        _ => Err(Status::unsupported_media_type(READ)),
    }
}

/// The tree of a body, and the JSON text that it stands for.
pub fn parse(bytes: &[u8], encoding: Encoding) -> Result<Value, Status> {
    match encoding {
        Encoding::Json => serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string())),
        Encoding::Yaml => {
            yaml(bytes).map_err(|why| Status::bad_request(format!("error converting YAML to JSON: {why}")))
        }
        Encoding::Protobuf => wire::decode(bytes).map_err(|error| Status::bad_request(error.to_string())),
    }
}

/// The tree of YAML, of which JSON is a part. Of keys that are there twice the last one counts, as upstream.
pub fn yaml(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Refuses a body that is no object of a kind.
pub fn malformed(reason: &str) -> Status {
    Status::bad_request(format!("couldn't get version/kind; json parse error: {reason}"))
}
