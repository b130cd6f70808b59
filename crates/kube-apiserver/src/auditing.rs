//! The server's side of auditing: what is written down of a request as it passes, and of its answer.

mod answer;
mod flags;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ::http::HeaderMap;
use ::http::header::{AUTHORIZATION, USER_AGENT};
use audit::{Auditor, Head, ObjectReference, Record};
use authn::UserInfo;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::json;

pub use self::answer::finish;
pub use self::flags::{AuditFlags, load};
use crate::access::impersonation::Impersonated;
use crate::http::{Request, RequestInfo};

/// Begins the record of a request, where somebody audits.
pub fn begin(
    auditor: Option<&Arc<Auditor>>,
    client: Option<IpAddr>,
    request: &Request,
    info: &RequestInfo,
    audit_id: &::http::HeaderValue,
) -> Option<Arc<Record>> {
    let auditor = auditor?;
    let headers = request.headers();
    let text = |value: Option<&::http::HeaderValue>| {
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    };
    let object = info.is_resource.then(|| ObjectReference {
        resource: info.resource.clone(),
        namespace: info.namespace.clone(),
        name: info.name.clone(),
        api_group: info.group.clone(),
        api_version: info.version.clone(),
        subresource: info.subresource.clone(),
        ..ObjectReference::default()
    });
    let head = Head {
        audit_id: text(Some(audit_id)),
        uri: request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        path: info.path.clone(),
        verb: info.verb.to_owned(),
        source_ips: source_ips(headers, client),
        user_agent: text(headers.get(USER_AGENT)),
        object,
    };
    Some(auditor.record(head, Timestamp::now()))
}

/// Handles a request so that it may add to its record; a handler that breaks is written down before it breaks on.
pub async fn within<F: Future>(record: &Arc<Record>, handle: F) -> F::Output {
    match AssertUnwindSafe(record.scope(Box::pin(handle))).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            record.panicked();
            std::panic::resume_unwind(panic)
        }
    }
}

/// Notes who asks.
pub fn authenticated(user: &UserInfo) {
    if let Some(record) = audit::current() {
        record.received(authz::User { name: &user.name, groups: &user.groups }, json!(user));
    }
}

/// Notes that it is not known who asks, and by what was tried.
pub fn unauthenticated(headers: &HeaderMap) {
    if let Some(record) = audit::current() {
        let scheme = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let attempted = match scheme.and_then(|value| value.split(' ').next()).map(str::to_ascii_lowercase) {
            None => "",
            Some(scheme) if scheme == "bearer" => "bearer",
            Some(scheme) if scheme == "basic" => "basic",
            Some(_) => "unknown",
        };
        record.unauthenticated(attempted);
    }
}

/// Notes as whom the request acts.
pub fn impersonates(acts: &Impersonated) {
    if let Some(record) = audit::current() {
        record.impersonates(json!(acts.user), acts.constraint);
    }
}

/// Notes a decision of the authorisers.
pub fn decided(decision: &authz::Decision) {
    if audit::is_on() {
        let word = if decision.is_allowed() { "allow" } else { "forbid" };
        audit::annotate("authorization.k8s.io/decision", word);
        audit::annotate("authorization.k8s.io/reason", decision.reason().to_string());
    }
}

/// Notes a patch as it was sent.
pub fn patch(body: &[u8]) {
    let Some(record) = audit::current() else { return };
    if record.level() >= audit::Level::Request
        && let Ok(text) = std::str::from_utf8(body)
        && let Ok(patch) = serde_saphyr::from_str(text)
    {
        audit::request_object(&patch);
    }
}

/// Where a request comes from: what proxies say, then the connection.
fn source_ips(headers: &HeaderMap, client: Option<IpAddr>) -> Vec<String> {
    let of = |name: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|part| part.trim().parse::<IpAddr>().ok())
            .collect::<Vec<_>>()
    };
    let mut found = of("x-forwarded-for");
    for ip in of("x-real-ip").into_iter().take(1) {
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    // A proxy on this machine adds itself again.
    found.extend(client.filter(|client| found.last() != Some(client)));
    found.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_from_the_far_end_to_the_near() {
        let check = |pairs: &[(&'static str, &str)], expected: &[&str]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (::http::HeaderName::from_static(name), value.parse().unwrap()));
            let client = Some("10.0.0.9".parse().unwrap());
            assert_eq!(source_ips(&headers.collect(), client), expected);
        };
        check(&[], &["10.0.0.9"]);
        check(&[("x-forwarded-for", "1.2.3.4, junk, 5.6.7.8")], &["1.2.3.4", "5.6.7.8", "10.0.0.9"]);
        check(&[("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "1.2.3.4")], &["1.2.3.4", "10.0.0.9"]);
        check(&[("x-real-ip", "10.0.0.9")], &["10.0.0.9"]);
    }
}
