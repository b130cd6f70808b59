//! Decoders of text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use kube_apiserver::handlers::continuation::Continuation;
use kube_apiserver::http::negotiate::{Offer, negotiate};
use kube_apiserver::http::{Query, RequestInfo, input};
use serde_json::json;

use super::{outcome, said, seeds};

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

pub fn yamls() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: web}}\nspec:\n  containers:\n  - name: c\n    image: \"x\"\n",
        "a: &a [1, 2]\nb: *a\nc: {<<: {x: 1}, y: 2}\n",
        "a: |\n  text\n  more\nb: >-\n  folded\n  text\n---\nc: !!str 1\n",
        "? a\n: 1e3\n? [b]\n: 0x1F\n",
        "a: &a {x: [1]}\nb: &b {p: *a, q: *a}\nc: &c {p: *b, q: *b}\n",
    ])
}

pub fn yaml(bytes: &[u8]) -> u64 {
    let read = formats::yaml::documents(&text(bytes));
    if let Ok(documents) = &read {
        documents.iter().for_each(|document| drop(formats::yaml::text(document)));
    }
    outcome(input::parse(bytes, input::Encoding::Yaml)) ^ outcome(read)
}

pub fn selectors() -> Vec<Vec<u8>> {
    seeds(&[
        "app=web,tier!=back",
        "app in (a, b),tier notin (c),x,!y",
        "example.com/a==b, n>1,n<5",
        "metadata.name=a,status.phase!=Running",
        "a=\\,b\\=\\\\",
        "",
    ])
}

pub fn label_selector(input: &[u8]) -> u64 {
    let read = apimachinery::labels::parse(&text(input));
    if let Ok(selector) = &read {
        let labels = [("app", "web"), ("n", "3")];
        selector.matches(|key| labels.iter().find(|(known, _)| *known == key).map(|(_, value)| *value));
        // What a selector says of itself means the same.
        let again =
            apimachinery::labels::parse(&selector.to_string()).expect("a selector reads its own text");
        assert_eq!(again.to_string(), selector.to_string());
    }
    outcome(read)
}

pub fn field_selector(input: &[u8]) -> u64 {
    let read = apimachinery::fields::parse(&text(input));
    if let Ok(selector) = &read {
        selector.matches(|_| Some("a"));
        selector.exact("metadata.name");
    }
    outcome(read)
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

pub fn quantity(input: &[u8]) -> u64 {
    let read = text(input).parse::<apimachinery::Quantity>();
    if let Ok(quantity) = &read {
        let canonical = quantity.to_string();
        let again: apimachinery::Quantity = canonical.parse().expect("a quantity reads its own text");
        assert_eq!(again.to_string(), canonical);
        let _ = (quantity.value(), quantity.milli_value(), quantity.as_f64());
    }
    outcome(read)
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

pub fn duration(input: &[u8]) -> u64 {
    let text = text(input);
    let nanos = apimachinery::time::parse_go_duration(&text);
    if let Some(nanos) = nanos {
        drop(apimachinery::time::format_go_duration(nanos));
    }
    let at = apimachinery::time::parse(&text);
    let object = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"creationTimestamp": text}});
    let written = wire::encode(object.to_string().as_bytes());
    drop(apimachinery::time::age(&text, Timestamp::UNIX_EPOCH));
    u64::from(nanos.is_some()) | u64::from(at.is_some()) << 1 | u64::from(written.is_ok()) << 2
}

pub fn expressions() -> Vec<Vec<u8>> {
    seeds(&[
        "self.a > 1 && has(self.b) ? 'x' : \"y\"",
        "self.items.all(i, i.size() < 3 && i.matches('^[a-z]+$'))",
        "[1, 2u, 3.0, b'x', null].map(x, x).filter(x, x != 1).exists_one(x, true)",
        "{'a': [1], 'b': {}}.a[0] + self.a * -2 % 3",
        "duration('1h') + timestamp('2026-01-01T00:00:00Z').getFullYear()",
        "'%d %s'.format([1, 'a']).lowerAscii().split(',').join('-').replace('a', 'b', 2)",
        "quantity('1Gi').isGreaterThan(quantity('1M')) || ip('10.0.0.1').isLoopback()",
        "self.?b.orValue(1) in [1, 2] || url('https://a/b?c').getHost() == r'a'",
        "((((((((1))))))))",
    ])
}

pub fn cel(input: &[u8]) -> u64 {
    let text = text(input);
    let program = match cel::Program::compile(&text, &["self", "oldSelf"]) {
        Ok(program) => program,
        Err(error) => return said(&error.to_string()),
    };
    let object = json!({"a": 1, "b": "text", "items": ["x", "yy"], "map": {"k": [1.5, null]}});
    let values = [("self", cel::Value::of(&object, None)), ("oldSelf", cel::Value::of(&object, None))];
    outcome(program.run(&values, &cel::Budget::new(200_000)).map(drop))
}

pub fn tokens() -> Vec<Vec<u8>> {
    let token = Continuation { revision: 7, after: "default/web".into() };
    vec![
        token.encode("").into_bytes(),
        token.encode("default").into_bytes(),
        br#"{"v":"meta.k8s.io/v1","rv":-1,"start":"a/b\u0000"}"#.to_vec(),
        br#"{"v":"meta.k8s.io/v1","rv":5,"start":"../x"}"#.to_vec(),
    ]
}

pub fn continue_token(input: &[u8]) -> u64 {
    let plain = Continuation::decode(&text(input), "default").map(drop);
    let inside = Continuation::decode(&URL_SAFE_NO_PAD.encode(input), "").map(drop);
    outcome(plain) ^ outcome(inside).rotate_left(1)
}

pub fn request_lines() -> Vec<Vec<u8>> {
    seeds(&[
        "/api/v1/namespaces/default/pods/a/proxy/x%2Fy/?watch=1&fieldSelector=metadata.name=a\napplication/json;q=0.5,*/*",
        "/apis/apps/v1/watch/namespaces/a/deployments?limit=5&continue=x\napplication/json;as=Table;g=meta.k8s.io;v=v1",
        "/api/v1/namespaces/x/status\ntext/html",
        "//api//v1///\n",
    ])
}

pub fn request_line(input: &[u8]) -> u64 {
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
    let form = negotiate(&headers, &query, offer);
    crate::session::hash((info.verb, info.is_resource, info.subresource.is_empty(), format!("{form:?}")))
}

pub fn paths() -> Vec<Vec<u8>> {
    seeds(&[
        "{.items[*].metadata.name}",
        "{range .items[?(@.a > 1)]}{.b}{\"\\n\"}{end}",
        "{..name}{.a[-1:0:2]}{['a','b']}",
        "{.items[0]['a.b']} text",
    ])
}

pub fn jsonpath(input: &[u8]) -> u64 {
    let text = text(input);
    let root = json!({"items": [{"a": 1, "b": "x", "metadata": {"name": "n"}}, {"a": 2}], "a": [1, 2, 3]});
    let read = formats::jsonpath::Template::parse(&text, true);
    let result = match &read {
        Ok(path) => outcome(path.render(&root)),
        Err(error) => said(&error.to_string()),
    };
    drop(formats::jsonpath::relaxed(&text));
    result
}

pub fn templates() -> Vec<Vec<u8>> {
    seeds(&[
        "{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}",
        "{{if and .a (gt (len .b) 1)}}x{{else if .c}}y{{else}}z{{end}}",
        "{{$x := index .a 0}}{{printf \"%d %q\" $x .b | base64decode}}",
        "{{with .a}}{{.}}{{end}}{{/* c */}}{{- \"t\" -}}",
    ])
}

pub fn template(input: &[u8]) -> u64 {
    let root = json!({"items": [{"metadata": {"name": "n"}}], "a": [1, 2], "b": "eA=="});
    match formats::template::Template::parse(&text(input)) {
        Ok(template) => outcome(template.render(&root)),
        Err(error) => said(&error.to_string()),
    }
}

pub fn jwts() -> Vec<Vec<u8>> {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "kid": "k"}));
    let claims = part(json!({"iss": "i", "sub": "system:serviceaccount:a:b", "exp": 1, "aud": ["x"]}));
    seeds(&[&format!("{header}.{claims}.c2ln"), "a.b.c", &part(json!({"alg": "none", "crit": ["x"]}))])
}

pub fn jwt(input: &[u8]) -> u64 {
    struct Nobody;
    impl authn::Lookup for Nobody {
        fn service_account(&self, _: &str, _: &str) -> Option<authn::Referent> {
            None
        }
        fn pod(&self, _: &str, _: &str) -> Option<authn::Referent> {
            None
        }
        fn node(&self, _: &str) -> Option<authn::Referent> {
            None
        }
        fn secret(&self, _: &str, _: &str) -> Option<std::sync::Arc<serde_json::Value>> {
            None
        }
    }
    let verifier = authn::TokenVerifier::new(Vec::new(), vec!["i".to_owned()], std::sync::Arc::new(Nobody));
    let result = verifier.verify(&text(input), &["x".to_owned()], Timestamp::UNIX_EPOCH);
    said(&format!("{:?}", result.err()))
}
