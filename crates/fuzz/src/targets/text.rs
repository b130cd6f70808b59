//! Texts that come with requests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use kube_apiserver::access::impersonation;
use kube_apiserver::handlers::continuation::Continuation;
use kube_apiserver::http::negotiate::{Offer, negotiate};
use kube_apiserver::http::{Query, RequestInfo, input};
use serde_json::json;

use super::{seeds, text};

pub fn yamls() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: web}}\nspec:\n  containers:\n  - name: c\n    image: \"x\"\n",
        "a: &a [1, 2]\nb: *a\nc: {<<: {x: 1}, y: 2}\n",
        "a: |\n  text\n  more\nb: >-\n  folded\n  text\n---\nc: !!str 1\n",
        "? a\n: 1e3\n? [b]\n: 0x1F\n",
        "a: &a {x: [1]}\nb: &b {p: *a, q: *a}\nc: &c {p: *b, q: *b}\n",
    ])
}

pub fn yaml(bytes: &[u8]) -> bool {
    let read = formats::yaml::documents(&text(bytes));
    if let Ok(documents) = &read {
        documents.iter().for_each(|document| drop(formats::yaml::text(document)));
    }
    let body = input::parse(bytes, input::Encoding::Yaml);
    body.is_ok() || read.is_ok()
}

pub fn selectors() -> Vec<Vec<u8>> {
    seeds(&[
        "app=web,tier!=back",
        "app in (a, b),tier notin (c),x,!y",
        "example.com/a==b, n>1,n<5",
        "metadata.name=a,status.phase!=Running",
        "a=\\,b\\=\\\\",
        "",
        "a=b",
    ])
}

pub fn label_selector(input: &[u8]) -> bool {
    let Ok(selector) = apimachinery::labels::parse(&text(input)) else { return false };
    let labels = [("app", "web"), ("n", "3")];
    selector.matches(|key| labels.iter().find(|(known, _)| *known == key).map(|(_, value)| *value));
    // What a selector says of itself means the same.
    let again = apimachinery::labels::parse(&selector.to_string()).expect("a selector reads its own text");
    assert_eq!(again.to_string(), selector.to_string());
    true
}

pub fn field_selector(input: &[u8]) -> bool {
    let Ok(selector) = apimachinery::fields::parse(&text(input)) else { return false };
    selector.matches(|_| Some("a"));
    selector.exact("metadata.name");
    true
}

pub fn quantities() -> Vec<Vec<u8>> {
    seeds(&[
        "100m",
        "1.5Gi",
        "1e3",
        "-0.25",
        "9223372036854775807",
        "1E",
        "12345678901234567890Ki",
        "1n",
        "0",
    ])
}

pub fn quantity(input: &[u8]) -> bool {
    let Ok(quantity) = text(input).parse::<apimachinery::Quantity>() else { return false };
    let canonical = quantity.to_string();
    let again: apimachinery::Quantity = canonical.parse().expect("a quantity reads its own text");
    assert_eq!(again.to_string(), canonical);
    let _ = (quantity.value(), quantity.milli_value(), quantity.as_f64());
    true
}

pub fn durations() -> Vec<Vec<u8>> {
    seeds(&[
        "1h30m",
        "-1.5s",
        "100ms",
        "2026-11-21T16:20:48.000001Z",
        "9999-12-31T23:59:59Z",
        "2026-11-21T16:20:48+23:59",
    ])
}

pub fn duration(input: &[u8]) -> bool {
    let text = text(input);
    let nanos = apimachinery::time::parse_go_duration(&text);
    if let Some(nanos) = nanos {
        drop(apimachinery::time::format_go_duration(nanos));
    }
    let at = apimachinery::time::parse(&text);
    let object = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"creationTimestamp": text}});
    let written = wire::encode(object.to_string().as_bytes());
    drop(apimachinery::time::age(&text, Timestamp::UNIX_EPOCH));
    nanos.is_some() || at.is_some() || written.is_ok()
}

pub fn tokens() -> Vec<Vec<u8>> {
    let token = Continuation { revision: 7, after: "default/web".into() };
    vec![
        token.encode("").into_bytes(),
        token.encode("default").into_bytes(),
        br#"{"v":"meta.k8s.io/v1","rv":5,"start":"a/b\u0000"}"#.to_vec(),
        br#"{"v":"meta.k8s.io/v1","rv":5,"start":"../x"}"#.to_vec(),
    ]
}

pub fn continue_token(input: &[u8]) -> bool {
    let plain = Continuation::decode(&text(input), "default");
    let inside = Continuation::decode(&URL_SAFE_NO_PAD.encode(input), "");
    plain.is_ok() || inside.is_ok()
}

pub fn request_lines() -> Vec<Vec<u8>> {
    seeds(&[
        "/api/v1/namespaces/default/pods/a/proxy/x%2Fy/?watch=1&fieldSelector=metadata.name=a\napplication/json;q=0.5,*/*",
        "/apis/apps/v1/watch/namespaces/a/deployments?limit=5&continue=x\napplication/json;as=Table;g=meta.k8s.io;v=v1",
        "/api/v1/namespaces/x/status\napplication/vnd.kubernetes.protobuf,text/html",
        "//api//v1///\n",
    ])
}

pub fn request_line(input: &[u8]) -> bool {
    let text = text(input);
    let (line, accept) = text.split_once('\n').unwrap_or((&text, ""));
    let (path, query) = line.split_once('?').map_or((line, None), |(path, query)| (path, Some(query)));
    let query = Query::parse(query);
    let info = RequestInfo::parse(&Method::GET, path, &query);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(accept) {
        headers.insert(http::header::ACCEPT, value);
    }
    let offer = Offer { tables: true, metadata: true, protobuf: true, stream: info.verb == "watch" };
    negotiate(&headers, &query, offer).is_ok()
}

pub fn headers() -> Vec<Vec<u8>> {
    seeds(&[
        "impersonate-user: jane\nimpersonate-group: dev\nimpersonate-group: ops\nimpersonate-extra-acme%2Fscope: a",
        "Impersonate-User: system:node:n1\nImpersonate-Uid: 1\nimpersonate-extra-%zz: x\nimpersonate-extra-: ",
        "authorization: Bearer abc.def\nsec-websocket-protocol: base64url.bearer.authorization.k8s.io.YQ, v5.channel.k8s.io",
    ])
}

/// Headers that say who asks, and for whom.
pub fn identity_headers(input: &[u8]) -> bool {
    let headers = super::identity::read_headers(input);
    let wanted = impersonation::wanted(&headers);
    if matches!(wanted, Ok(Some(_)) | Err(_)) {
        let owned = headers.keys().any(|name| impersonation::owns(name.as_str()));
        assert!(owned, "who asks for another is not passed on as who asks");
    }
    let bearer = authn::bearer_token(&headers);
    matches!(wanted, Ok(Some(_))) || bearer.is_some()
}

pub fn image_names() -> Vec<Vec<u8>> {
    seeds(&[
        "nginx",
        "docker.io/library/busybox:latest",
        "registry.example.com:5000/a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ])
}

pub fn image_name(input: &[u8]) -> bool {
    let text = text(input);
    let (name, registry) = text.split_once('\n').unwrap_or((&text, "example.com:5000/a"));
    kubelet::image::reference::default_policy(name);
    kubelet::image::reference::matches_registry(name, registry);
    kubelet::image::reference::with_default_tag(name).is_ok()
}
