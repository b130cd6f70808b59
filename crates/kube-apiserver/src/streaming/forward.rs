//! What of a request and a response goes on to the other side.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use hyper::body::Incoming;

use super::backend::BackendError;
use crate::access::impersonation;
use crate::http::{Body, Response};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers that are about one connection (RFC 9110, 7.6.1), and those that told this server who asks.
fn stays_here(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "proxy-connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "authorization"
    ) || impersonation::owns(name.as_str())
        || name.as_str().starts_with("x-remote-")
}

/// The headers that go on.
pub(crate) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> =
        httpstream::listed(headers, header::CONNECTION).map(str::to_ascii_lowercase).collect();
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !stays_here(name) && !named.iter().any(|named| named == name.as_str()) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

/// Sets `Host`: as given, or as the client has it (in HTTP/2 it is part of the URI).
pub(crate) fn set_host(headers: &mut HeaderMap, uri: &http::Uri, host: Option<&str>) {
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    if let Some(value) = host.and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.insert(header::HOST, value);
    }
    if !headers.contains_key(header::HOST) {
        headers.insert(header::HOST, HeaderValue::from_static(""));
    }
}

/// Adds the client to those that the request came through.
pub(crate) fn add_forwarded_for(headers: &mut HeaderMap, client: Option<IpAddr>) {
    let Some(client) = client else { return };
    let before: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let chain = match before.is_empty() {
        true => client.to_string(),
        false => format!("{}, {client}", before.join(", ")),
    };
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// The request line's path and query.
pub(crate) fn uri(path: &str) -> Result<http::Uri, BackendError> {
    let path = PathAndQuery::try_from(path).map_err(|error| BackendError::Http(error.to_string()))?;
    Ok(http::Uri::from(path))
}

/// Passes a response on.
pub(crate) fn answer(response: http::Response<Incoming>) -> Response {
    let (parts, body) = response.into_parts();
    let mut answer = Response::new(Body::stream(body));
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = end_to_end(&parts.headers);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_and_of_identity_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer t"),
            ("impersonate-user", "jane"),
            ("x-remote-user", "jane"),
            ("accept", "a"),
            ("x-forwarded-for", "10.0.0.1"),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let mut passed = end_to_end(&headers);
        add_forwarded_for(&mut passed, Some([10, 0, 0, 2].into()));
        let mut names: Vec<_> =
            passed.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        names.sort();
        assert_eq!(names, ["accept: a", "x-forwarded-for: 10.0.0.1, 10.0.0.2"]);
    }
}
