//! What an aggregated server says of itself in OpenAPI, for this server's own documents.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::ObjectExt as _;
use authn::UserInfo;
use http::StatusCode;
use http::header::{ACCEPT, ETAG, HOST, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http_body_util::{BodyExt as _, Limited};
use schema::openapi::Added;
use serde_json::Value;

use super::{Backend, proxy};
use crate::http::Body;
use crate::server::Server;

/// The largest document that is read: all of this server's own is a quarter of it.
const LARGEST: usize = 16 << 20;
/// How long a document may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was said last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// Where the group version's document of version 3 is, its hash included. It is fetched by who wants it.
    pub v3: Option<String>,
    /// Its part of the document of version 2.
    pub v2: Option<Arc<Added>>,
    /// By which the server says whether its document of version 2 has changed.
    etag: Option<HeaderValue>,
}

/// Asks a server that answers, and keeps what was known when it does not say.
pub(super) async fn ask(server: &Server, backend: &Backend) {
    let before = backend.state.read().description.clone();
    let known = before.as_deref().cloned().unwrap_or_default();
    let mut now = known.clone();
    match fetch(server, backend, "/openapi/v3", None).await {
        Ok(Some((_, body))) => now.v3 = v3_url(&body, backend.group(), backend.version()),
        Ok(None) => {}
        Err(error) => tracing::debug!(api_service = backend.name, error, "no OpenAPI v3"),
    }
    match fetch(server, backend, "/openapi/v2", known.etag).await {
        Ok(Some((headers, body))) => {
            if let Ok(document) = serde_json::from_slice::<Value>(&body) {
                let added = Added::of(document, backend.group(), backend.version());
                now.v2 = Some(Arc::new(added));
                now.etag = headers.get(ETAG).cloned();
            }
        }
        Ok(None) => {}
        Err(error) => tracing::debug!(api_service = backend.name, error, "no OpenAPI v2"),
    }
    // An equal description stays the same one.
    if before.as_deref() != Some(&now) {
        backend.state.write().description = Some(Arc::new(now));
    }
}

/// Where the index of version 3 has the group version, if that is a place of this server's own.
pub fn v3_url(index: &[u8], group: &str, version: &str) -> Option<String> {
    let index: Value = serde_json::from_slice(index).ok()?;
    let path = format!("apis/{group}/{version}");
    let url = index.str_at(&["paths", &path, "serverRelativeURL"])?;
    let rest = url.strip_prefix("/openapi/v3/")?.strip_prefix(&path)?;
    (rest.is_empty() || rest.starts_with("?hash=")).then(|| url.to_owned())
}

/// A document; none when it is still the one of the etag.
async fn fetch(
    server: &Server,
    backend: &Backend,
    path: &'static str,
    etag: Option<HeaderValue>,
) -> Result<Option<(HeaderMap, bytes::Bytes)>, String> {
    let place = backend.place().ok_or("not available")?;
    let target = backend.target(place)?;
    let mut request = http::Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static(path);
    // As upstream: whoever is known may read what everybody may.
    let aggregator = UserInfo { name: "system:aggregator".into(), ..UserInfo::default() };
    let headers = request.headers_mut();
    *headers = proxy::identity(&aggregator);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.extend(target.authority().parse().ok().map(|host| (HOST, host)));
    headers.extend(etag.map(|etag| (IF_NONE_MATCH, etag)));
    let answer = async {
        let sent = server.aggregation.dialer.send(&target, request).await;
        let (head, body) = sent.map_err(|error| error.to_string())?.into_parts();
        match head.status {
            StatusCode::NOT_MODIFIED => Ok(None),
            StatusCode::OK => {
                let body = Limited::new(body, LARGEST).collect().await;
                Ok(Some((head.headers, body.map_err(|error| error.to_string())?.to_bytes())))
            }
            status => Err(status.to_string()),
        }
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err("context deadline exceeded".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_where_its_index_says_and_nowhere_else() {
        let url = |url: &str| {
            let index = serde_json::json!({"paths": {"apis/a.io/v1": {"serverRelativeURL": url}}});
            v3_url(index.to_string().as_bytes(), "a.io", "v1")
        };
        for good in ["/openapi/v3/apis/a.io/v1?hash=1A", "/openapi/v3/apis/a.io/v1"] {
            assert_eq!(url(good).as_deref(), Some(good));
        }
        for bad in [
            "/openapi/v3/apis/b.io/v1?hash=1A",
            "https://x/openapi/v3/apis/a.io/v1",
            "/openapi/v3/apis/a.io/v10",
        ] {
            assert_eq!(url(bad), None);
        }
        assert_eq!(v3_url(b"404 page not found", "a.io", "v1"), None);
    }
}
