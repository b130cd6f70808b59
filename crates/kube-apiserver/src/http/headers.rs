//! Headers that every response carries.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Response;

/// Identifies a request in logs of both sides.
pub const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Which FlowSchema a request belongs to.
pub const FLOW_SCHEMA: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
/// Which PriorityLevelConfiguration.
pub const PRIORITY_LEVEL: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

/// The request's own id if it brings a sane one, else a new one.
pub fn audit_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&AUDIT_ID) {
        Some(id) if !id.is_empty() && id.len() <= 64 => id.clone(),
        _ => {
            let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
            let id = random_id();
            let text = id.hyphenated().encode_lower(&mut text);
            // Hexadecimal digits and dashes are a header value.
            HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        }
    }
}

/// A random UUID from the thread's own generator, which asks the kernel for randomness once and not each time.
pub fn random_id() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// Adds what every response carries.
pub fn finish(response: &mut Response, mut audit_id: HeaderValue) {
    // No two are the same: HPACK need not remember it in place of headers that come again.
    audit_id.set_sensitive(true);
    response.headers_mut().insert(AUDIT_ID, audit_id);
}
