//! Documents about the API: versions, discovery, OpenAPI; made when first asked for, told apart by etags.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use schema::discovery::{self, Aggregated};
use schema::{Resource, openapi};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::aggregation::{RemoteGroup, local_priority};
use crate::http::negotiate::{Negotiated, Offer, negotiate};
use crate::http::{Format, Query, Response, response};

/// The rows that are served, and the documents made of them so far.
pub struct Documents {
    /// The built-in rows first.
    rows: ArcSwap<Vec<Resource>>,
    built_in: usize,
    address: String,
    /// Groups that other servers serve.
    remote: ArcSwap<Vec<RemoteGroup>>,
    /// Compressed: they are large, seldom asked for, and nearly always asked for compressed.
    made: Mutex<HashMap<String, Arc<Document>>>,
}

struct Document {
    compressed: Bytes,
    etag: String,
}

impl Documents {
    /// Documents about these rows, served at this address.
    pub fn new(rows: Vec<Resource>, address: String) -> Self {
        let built_in = rows.len();
        let rows = ArcSwap::from_pointee(rows);
        Self { rows, built_in, address, remote: ArcSwap::default(), made: Mutex::default() }
    }

    /// Takes note of the custom resources that are served.
    pub fn set_custom(&self, custom: impl IntoIterator<Item = Resource>) {
        let built_in = self.rows.load().iter().take(self.built_in).cloned().collect::<Vec<_>>();
        // Under the lock under which documents are made, so that none is of the rows of before.
        let mut made = self.made.lock();
        self.rows.store(Arc::new(built_in.into_iter().chain(custom).collect()));
        made.clear();
    }

    /// Takes note of the groups that other servers serve, best first.
    pub fn set_remote(&self, groups: Vec<RemoteGroup>) {
        if **self.remote.load() == groups {
            return;
        }
        // Under the lock under which documents are made, so that none is of the groups of before.
        let mut made = self.made.lock();
        self.remote.store(Arc::new(groups));
        made.retain(|key, _| !key.starts_with("/apis#") && key != "/openapi/v2");
    }

    /// Answers a path that is a document; `None` if it is none.
    pub fn answer(&self, path: &str, headers: &HeaderMap, query: &Query<'_>) -> Option<Response> {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if matches!(path, "/api" | "/apis")
            && let Some((form, format)) = wants_aggregated(headers)
        {
            return Some(self.aggregated(path, form, format, headers));
        }
        match path {
            "/version" => Some(plain(&version(), headers, query)),
            "/" => Some(plain(&json!({ "paths": self.paths() }), headers, query)),
            "/api" => Some(plain(&discovery::api_versions(&self.address), headers, query)),
            "/apis" => Some(plain(&self.group_list(), headers, query)),
            "/openapi/v2" if wants(headers, &openapi::V2_PROTOBUF_ASKED) => {
                let mut response = self.large("/openapi/v2#protobuf", headers, openapi::v2_protobuf);
                if response.headers().contains_key(CONTENT_TYPE) {
                    response
                        .headers_mut()
                        .insert(CONTENT_TYPE, HeaderValue::from_static(openapi::V2_PROTOBUF));
                }
                Some(response)
            }
            "/openapi/v2" => Some(self.large(path, headers, |rows| {
                let remote = self.remote.load();
                let described = remote.iter().flat_map(RemoteGroup::descriptions);
                let added: Vec<_> = described.filter_map(|(_, described)| described.v2.as_deref()).collect();
                openapi::v2(rows, &added)
            })),
            "/openapi/v3" => Some(plain(&self.v3_index(), headers, query)),
            _ => self.versioned(path, headers, query),
        }
    }

    /// Where the documents of all group versions are, those of other servers included.
    fn v3_index(&self) -> Value {
        let mut index = openapi::v3_index(&self.rows.load());
        for (version, described) in self.remote.load().iter().flat_map(RemoteGroup::descriptions) {
            if let Some(url) = &described.v3 {
                let path = format!("apis/{}/{}", version.group, version.version);
                index["paths"][path] = json!({ "serverRelativeURL": url });
            }
        }
        index
    }

    fn versioned(&self, path: &str, headers: &HeaderMap, query: &Query<'_>) -> Option<Response> {
        if let Some(rest) = path.strip_prefix("/openapi/v3/") {
            let (group, version) = group_version(rest)?;
            if !self.serves(group, version) {
                return None;
            }
            let hash = openapi::v3_hash(&self.rows.load(), group, version);
            let asked = query.get("hash");
            if asked.is_some_and(|asked| asked != hash) {
                return moved(&format!("{path}?hash={hash}"));
            }
            let mut answer = self.large(path, headers, |rows| openapi::v3(rows, group, version));
            if asked.is_some() {
                keep(&mut answer);
            }
            return Some(answer);
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["apis", group] => Some(plain(&self.group(group)?, headers, query)),
            ["api", ..] | ["apis", ..] => {
                let (group, version) = group_version(path.trim_start_matches('/'))?;
                Some(plain(
                    &discovery::api_resource_list(self.rows.load().iter(), group, version)?,
                    headers,
                    query,
                ))
            }
            _ => None,
        }
    }

    /// `/apis` without aggregation: the groups of all servers, whether they answer or not.
    fn group_list(&self) -> Value {
        let mut list = discovery::api_group_list(self.rows.load().iter());
        let remote = self.remote.load();
        if let Some(groups) = list["groups"].as_array_mut() {
            for group in remote.iter() {
                match groups.iter_mut().find(|entry| entry["name"] == *group.name) {
                    Some(entry) => add_versions(entry, group),
                    None => groups
                        .push(Value::Object(discovery::group_entry(&group.name, &group.version_names()))),
                }
            }
            let priority = |entry: &Value| priority(&remote, entry["name"].as_str().unwrap_or_default());
            groups.sort_by_key(|entry| Reverse(priority(entry)));
        }
        list
    }

    fn group(&self, name: &str) -> Option<Value> {
        let remote = self.remote.load();
        let remote = remote.iter().find(|group| group.name == name);
        match (discovery::api_group(self.rows.load().iter(), name), remote) {
            (None, None) => None,
            (Some(own), None) => Some(own),
            (Some(mut own), Some(remote)) => {
                add_versions(&mut own, remote);
                Some(own)
            }
            (None, Some(remote)) => {
                let mut entry = discovery::group_entry(name, &remote.version_names());
                entry.insert("kind".to_owned(), "APIGroup".into());
                entry.insert("apiVersion".to_owned(), "v1".into());
                Some(Value::Object(entry))
            }
        }
    }

    /// Puts the groups of other servers among this server's own, in aggregated discovery's form.
    fn add_remote(&self, groups: &mut Vec<Value>) {
        let remote = self.remote.load();
        for group in remote.iter() {
            match groups.iter_mut().find(|entry| entry["metadata"]["name"] == *group.name) {
                Some(entry) => {
                    if let Some(versions) = entry["versions"].as_array_mut() {
                        versions.extend(group.aggregated_versions());
                    }
                }
                None => groups.push(json!({
                    "metadata": {"name": group.name, "creationTimestamp": null},
                    "versions": group.aggregated_versions(),
                })),
            }
        }
        let priority =
            |entry: &Value| priority(&remote, entry["metadata"]["name"].as_str().unwrap_or_default());
        groups.sort_by_key(|entry| Reverse(priority(entry)));
    }

    fn serves(&self, group: &str, version: &str) -> bool {
        self.rows.load().iter().any(|row| row.group == group && row.version == version)
    }

    fn aggregated(&self, path: &str, form: Aggregated, format: Format, headers: &HeaderMap) -> Response {
        let core = path == "/api";
        let media_type = aggregated_type(form, format);
        let key = format!("{path}#{media_type}");
        let mut response = self.large(&key, headers, |rows| {
            let of_path = rows.iter().filter(|row| row.group.is_empty() == core);
            let mut groups = discovery::aggregated_groups(of_path);
            if !core {
                self.add_remote(&mut groups);
            }
            let json = serde_json::to_vec(&discovery::aggregated(form, groups)).unwrap_or_default();
            match format {
                // Its kinds have messages, so it has a form.
                Format::Protobuf => wire::encode(&json).unwrap_or_default(),
                _ => json,
            }
        });
        if response.headers().contains_key(CONTENT_TYPE) {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        response
    }

    /// Answers with a large document, unless the client has it.
    fn large(&self, key: &str, headers: &HeaderMap, make: impl FnOnce(&[Resource]) -> Vec<u8>) -> Response {
        let document = {
            let mut made = self.made.lock();
            match made.get(key) {
                Some(document) => document.clone(),
                None => {
                    let text = make(&self.rows.load());
                    let document = Arc::new(Document {
                        etag: etag(&text),
                        compressed: response::compress(&text).unwrap_or_default(),
                    });
                    made.insert(key.to_owned(), document.clone());
                    document
                }
            }
        };
        let quoted = format!("\"{}\"", document.etag);
        let has_it = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let mut answer = if has_it.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == quoted)) {
            let mut answer = response::text(StatusCode::NOT_MODIFIED, "");
            answer.headers_mut().remove(CONTENT_TYPE);
            answer
        } else if reads_gzip(headers) {
            let mut answer =
                response::with_type(StatusCode::OK, "application/json", document.compressed.clone());
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer
        } else {
            response::with_type(StatusCode::OK, "application/json", expand(&document.compressed))
        };
        if let Ok(value) = HeaderValue::from_str(&quoted) {
            answer.headers_mut().insert(ETAG, value);
        }
        answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        answer
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            vec!["/.well-known/openid-configuration".into(), "/api".into(), "/apis".into()];
        for group in schema::groups(self.rows.load().iter()) {
            match group.name {
                "" => paths.extend(group.versions.iter().map(|version| format!("/api/{version}"))),
                name => {
                    paths.push(format!("/apis/{name}"));
                    paths.extend(group.versions.iter().map(|version| format!("/apis/{name}/{version}")));
                }
            }
        }
        for group in self.remote.load().iter() {
            let names =
                group.versions.iter().map(|version| format!("/apis/{}/{}", group.name, version.version));
            paths.extend(names.chain([format!("/apis/{}", group.name)]));
        }
        for path in [
            "/debug/pprof/",
            "/flagz",
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/openid/v1/jwks",
            "/readyz",
            "/statusz",
            "/version",
        ] {
            paths.push(path.to_owned());
        }
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Sends the client to the present form of a document.
fn moved(location: &str) -> Option<Response> {
    let mut answer = response::text(StatusCode::MOVED_PERMANENTLY, "");
    answer.headers_mut().insert(LOCATION, HeaderValue::from_str(location).ok()?);
    Some(answer)
}

/// Lets the client keep what its URL says the hash of: it never becomes another.
fn keep(answer: &mut Response) {
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    let in_a_year = Timestamp::now() + SignedDuration::from_hours(365 * 24);
    let date = in_a_year.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        headers.insert(EXPIRES, date);
    }
}

/// Where groups of custom resources stand among all, as upstream registers them.
const CUSTOM_PRIORITY: i64 = 1000;

/// Where a group stands among all: what an APIService says, or the server's own order for its own groups.
fn priority(remote: &[RemoteGroup], name: &str) -> i64 {
    let own = if name == "apiregistration.k8s.io" { Some(i64::MAX) } else { local_priority(name) };
    own.or_else(|| remote.iter().find(|group| group.name == name).map(|group| group.priority))
        .unwrap_or(CUSTOM_PRIORITY)
}

fn add_versions(entry: &mut Value, group: &RemoteGroup) {
    let added = discovery::group_entry(&group.name, &group.version_names());
    if let (Some(versions), Some(added)) = (entry["versions"].as_array_mut(), added["versions"].as_array()) {
        versions.extend(added.iter().cloned());
    }
}

fn group_version(path: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["api", version] => Some(("", version)),
        ["apis", group, version] => Some((group, version)),
        _ => None,
    }
}

/// What `kubectl version` shows of the server.
fn version() -> Value {
    let version = component::VERSION;
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    json!({
        "major": major, "minor": minor,
        "emulationMajor": major, "emulationMinor": minor,
        "minCompatibilityMajor": major, "minCompatibilityMinor": minor.parse::<u32>().map_or(0, |minor| minor.saturating_sub(1)).to_string(),
        "gitVersion": version, "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, go_architecture()),
    })
}

fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn plain(document: &Value, headers: &HeaderMap, query: &Query<'_>) -> Response {
    match negotiate(headers, query, Offer::DOCUMENT) {
        // Documents that are no objects, such as the version, are JSON for everybody.
        Ok(form) if document["kind"].is_string() || form.format != Format::Protobuf => {
            response::value(StatusCode::OK, document, &form)
        }
        Ok(_) => response::value(StatusCode::OK, document, &Negotiated::JSON),
        Err(_) if !document["kind"].is_string() => {
            response::value(StatusCode::OK, document, &Negotiated::JSON)
        }
        Err(refusal) => response::status(&refusal),
    }
}

/// The form of aggregated discovery that comes first among the client's wishes, before the plain one, and its
/// encoding.
fn wants_aggregated(headers: &HeaderMap) -> Option<(Aggregated, Format)> {
    let accept = headers.get(http::header::ACCEPT)?.to_str().ok()?;
    for wish in accept.split(',') {
        let mut parts = wish.split(';').map(str::trim);
        let format = match parts.next() {
            Some("application/json" | "*/*" | "application/*") => Format::Json,
            Some(wire::MEDIA_TYPE) => Format::Protobuf,
            _ => continue,
        };
        let rest: Vec<&str> = parts.filter(|part| !part.starts_with("q=")).collect();
        if rest.is_empty() {
            return None;
        }
        if rest.contains(&"as=APIGroupDiscoveryList") && rest.contains(&"g=apidiscovery.k8s.io") {
            if rest.contains(&"v=v2") {
                return Some((Aggregated::V2, format));
            }
            if rest.contains(&"v=v2beta1") {
                return Some((Aggregated::V2Beta1, format));
            }
        }
    }
    None
}

/// The content type of aggregated discovery.
fn aggregated_type(form: Aggregated, format: Format) -> &'static str {
    match (form, format) {
        (Aggregated::V2, Format::Protobuf) => {
            "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        }
        (Aggregated::V2Beta1, Format::Protobuf) => {
            "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
        }
        (form, _) => form.content_type(),
    }
}

/// Whether a media type is among the client's wishes.
fn wants(headers: &HeaderMap, media_types: &[&str]) -> bool {
    headers
        .get(http::header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.split(',').any(|wish| media_types.contains(&wish.trim())))
}

fn reads_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim().split(';').next() == Some("gzip")))
}

fn etag(text: &[u8]) -> String {
    Sha512::digest(text).iter().map(|byte| format!("{byte:02X}")).collect()
}

fn expand(compressed: &[u8]) -> Bytes {
    use std::io::Read;
    let mut text = Vec::new();
    // Made by this process a moment ago: it expands.
    let _ = flate2::read::GzDecoder::new(compressed).read_to_end(&mut text);
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregated_discovery_is_for_those_who_ask() {
        let wants = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::ACCEPT, accept.parse().unwrap());
            wants_aggregated(&headers)
        };
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        let json = |form| Some((form, Format::Json));
        assert_eq!(wants(&format!("{v2},{v2beta1},application/json")), json(Aggregated::V2));
        assert_eq!(wants(&format!("{v2beta1},application/json")), json(Aggregated::V2Beta1));
        let binary = v2.replace("json", "vnd.kubernetes.protobuf");
        assert_eq!(wants(&binary), Some((Aggregated::V2, Format::Protobuf)));
        assert_eq!(wants(&format!("application/json,{v2}")), None);
        assert_eq!(wants("application/vnd.kubernetes.protobuf"), None);
    }

    #[test]
    fn versions_are_words() {
        assert_eq!(version()["minor"], "36");
        assert_eq!(version()["gitVersion"], "v1.36.0");
    }
}
