//! What to watch: one resource's path, narrowed by namespace and selectors, whole or metadata only.

use std::fmt::Write;

use http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const JSON: &str = "application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Objects per page where the server cannot stream the first listing; upstream's value.
const PAGE: u32 = 500;

/// Describes a watch; [`reflect`](crate::reflect) carries it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    path: String,
    labels: Option<String>,
    fields: Option<String>,
    metadata_only: bool,
}

impl Watch {
    /// Watches all objects of a built-in resource, in all namespaces.
    pub fn all<K: k8s_openapi::Resource>() -> Watch {
        Watch::resource(K::GROUP, K::VERSION, K::URL_PATH_SEGMENT, "")
    }

    /// Watches the objects of a built-in resource in one namespace.
    pub fn namespaced<K: k8s_openapi::Resource>(namespace: &str) -> Watch {
        Watch::resource(K::GROUP, K::VERSION, K::URL_PATH_SEGMENT, namespace)
    }

    /// Watches any resource; an empty namespace means all of them.
    pub fn resource(group: &str, version: &str, plural: &str, namespace: &str) -> Watch {
        let mut path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        if !namespace.is_empty() {
            let _ = write!(path, "/namespaces/{namespace}");
        }
        let _ = write!(path, "/{plural}");
        Watch { path, labels: None, fields: None, metadata_only: false }
    }

    /// Narrows the watch to a label selector.
    #[must_use]
    pub fn labels(mut self, selector: &str) -> Watch {
        self.labels = Some(selector.to_owned());
        self
    }

    /// Narrows the watch to a field selector.
    #[must_use]
    pub fn fields(mut self, selector: &str) -> Watch {
        self.fields = Some(selector.to_owned());
        self
    }

    /// Asks the server for metadata only.
    #[must_use]
    pub fn metadata_only(mut self) -> Watch {
        self.metadata_only = true;
        self
    }

    /// Returns the path of the resource.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A watch that first sends everything there is and marks the end of that with a bookmark.
    pub(crate) fn streaming_list(&self, timeout: u32) -> Request<Vec<u8>> {
        let query = format!(
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true\
             &timeoutSeconds={timeout}"
        );
        self.request(query, PARTIAL)
    }

    pub(crate) fn page(&self, continue_token: &str) -> Request<Vec<u8>> {
        let mut query = format!("limit={PAGE}");
        if !continue_token.is_empty() {
            parameter(&mut query, "continue", continue_token);
        }
        self.request(query, PARTIAL_LIST)
    }

    pub(crate) fn since(&self, resource_version: &str, timeout: u32) -> Request<Vec<u8>> {
        let mut query = format!("watch=true&allowWatchBookmarks=true&timeoutSeconds={timeout}");
        parameter(&mut query, "resourceVersion", resource_version);
        self.request(query, PARTIAL)
    }

    fn request(&self, mut query: String, partial: &str) -> Request<Vec<u8>> {
        for (name, selector) in [("labelSelector", &self.labels), ("fieldSelector", &self.fields)] {
            if let Some(selector) = selector {
                parameter(&mut query, name, selector);
            }
        }
        let mut request = Request::new(Vec::new());
        let target = format!("{}?{query}", self.path);
        // A path that is no URI cannot be watched; the server answers the empty path with 404, which is logged.
        *request.uri_mut() = target.parse().unwrap_or_default();
        let accept = if self.metadata_only { partial } else { JSON };
        if let Ok(accept) = accept.parse() {
            request.headers_mut().insert(http::header::ACCEPT, accept);
        }
        request
    }
}

fn parameter(query: &mut String, name: &str, value: &str) {
    let _ = write!(query, "&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod};

    use super::*;

    #[test]
    fn builds_the_requests_of_a_watch() {
        let watch =
            Watch::namespaced::<Pod>("web").fields("spec.nodeName=w1").labels("app in (a,b)").metadata_only();
        let request = watch.since("7", 290);
        assert_eq!(
            request.uri().to_string(),
            "/api/v1/namespaces/web/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion=7\
             &labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=spec%2EnodeName%3Dw1"
        );
        assert_eq!(request.headers()["accept"], PARTIAL);
        let request = Watch::all::<Node>().page("a=b");
        assert_eq!(request.uri().to_string(), "/api/v1/nodes?limit=500&continue=a%3Db");
        assert_eq!(request.headers()["accept"], JSON);
    }
}
