//! One request on its way to an aggregated server, which is told who asks by the request header contract.

use std::net::IpAddr;
use std::sync::Arc;

use authn::UserInfo;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Backend;
use crate::http::{Body, Request, Response, response};
use crate::server::Server;
use crate::streaming::backend::{BackendError, Target};
use crate::streaming::{forward as headers, tunnel};

/// What may not be in a header's name (RFC 9110, 5.6.2), and the escape sign itself.
const NOT_TOKEN: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'(')
    .add(b')')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'{')
    .add(b'}')
    .add(b'%');

/// The headers by which a backend knows the user, believed for the front proxy's certificate.
pub fn identity(user: &UserInfo) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.append(name, value);
        }
    };
    add(HeaderName::from_static("x-remote-user"), &user.name);
    if !user.uid.is_empty() {
        add(HeaderName::from_static("x-remote-uid"), &user.uid);
    }
    for group in &user.groups {
        add(HeaderName::from_static("x-remote-group"), group);
    }
    for (key, values) in &user.extra {
        let name = format!("x-remote-extra-{}", utf8_percent_encode(key, &NOT_TOKEN));
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        for value in values {
            add(name.clone(), value);
        }
    }
    headers
}

/// Passes a request on to one of the backend's endpoints, and its answer back as it comes.
pub async fn forward(
    server: &Server,
    backend: Arc<Backend>,
    request: Request,
    user: &UserInfo,
    client: Option<IpAddr>,
) -> Response {
    let Some(place) = backend.place() else {
        return response::text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n");
    };
    let passed = match backend.target(place) {
        Ok(target) => pass(server, &target, request, identity(user), client).await,
        Err(error) => Err(BackendError::Tls(error)),
    };
    passed.unwrap_or_else(|error| {
        tracing::info!(api_service = backend.name, %error, "cannot reach an aggregated server");
        response::text(StatusCode::SERVICE_UNAVAILABLE, format!("error trying to reach service: {error}\n"))
    })
}

async fn pass(
    server: &Server,
    target: &Target,
    mut request: Request,
    identity: HeaderMap,
    client: Option<IpAddr>,
) -> Result<Response, BackendError> {
    let (dialer, authority) = (&server.aggregation.dialer, target.authority());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    headers::add_forwarded_for(request.headers_mut(), client);
    if httpstream::is_upgrade(request.headers()) {
        return tunnel::upgrade_as(dialer, target, &path, request, Some(&authority), identity).await;
    }
    let (parts, body) = request.into_parts();
    let mut passed = headers::end_to_end(&parts.headers);
    passed.extend(identity);
    headers::set_host(&mut passed, &parts.uri, Some(&authority));
    let mut outgoing = http::Request::new(match hyper::body::Body::is_end_stream(&body) {
        true => Body::empty(),
        false => Body::stream(body),
    });
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = headers::uri(&path)?;
    *outgoing.headers_mut() = passed;
    Ok(headers::answer(dialer.send(target, outgoing).await?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_user_is_in_the_headers_of_the_contract() {
        let user = UserInfo {
            name: "jane".into(),
            uid: "7".into(),
            groups: vec!["a".into(), "b".into()],
            extra: BTreeMap::from([("example.com/Key%".into(), vec!["x".into(), "y".into()])]),
        };
        let headers = identity(&user);
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "x-remote-extra-example.com%2fkey%25: x",
                "x-remote-extra-example.com%2fkey%25: y",
                "x-remote-group: a",
                "x-remote-group: b",
                "x-remote-uid: 7",
                "x-remote-user: jane",
            ]
        );
    }
}
