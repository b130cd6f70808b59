//! Headers that every response carries.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Response;

/// Identifies a request in logs of both sides.
pub const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// The request's own id if it brings a sane one, else a new one.
pub fn audit_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&AUDIT_ID) {
        Some(id) if !id.is_empty() && id.len() <= 64 => id.clone(),
        _ => {
            let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
            let id = uuid::Uuid::new_v4();
            let text = id.hyphenated().encode_lower(&mut text);
            // Hexadecimal digits and dashes are a header value.
            HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        }
    }
}

/// Adds what every response carries.
pub fn finish(response: &mut Response, audit_id: HeaderValue) {
    response.headers_mut().insert(AUDIT_ID, audit_id);
}
