//! What webhooks, issuers, aggregated servers and kubelets answer.

use authn::jwt::KeySet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::{Value, json};

use super::{seeds, text};

pub fn reviews() -> Vec<Vec<u8>> {
    seeds(&[
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"W10=","warnings":["w"],"auditAnnotations":{"a":"b"}}}"#,
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":false,"status":{"code":403,"message":"no","reason":"Forbidden"}}}"#,
        r#"{"status":{"authenticated":true,"user":{"username":"u","groups":["g"],"extra":{"a":["b"]}},"audiences":["x"]}}"#,
        r#"{"status":{"allowed":true,"reason":"r"}}"#,
    ])
}

/// What webhooks say that admit, authenticate or authorise.
pub fn review(input: &[u8]) -> bool {
    let admission = ["v1", "v1beta1"].map(|version| admission::review::answer(input, "u", version, true));
    let images = admission::image_policy::Answer::read(input);
    let access = authz::webhook::Answer::read(input);
    let value: Value = serde_json::from_slice(input).unwrap_or_default();
    let audiences = ["x".to_owned()];
    let user = authn::token_review::answer(&value, &audiences, &audiences);
    drop(admission::review::refusal("w", value.get("response")));
    admission.iter().any(Result::is_ok) || images.is_ok() || access.is_ok() || user.is_ok()
}

fn boxes() -> [Value; 2] {
    ["a", "b"].map(|name| {
        json!({"apiVersion": "example.com/v1", "kind": "Box",
            "metadata": {"name": name, "uid": "u", "labels": {"x": "y"}}, "spec": {"n": 1}})
    })
}

pub fn conversions() -> Vec<Vec<u8>> {
    let mut converted = boxes();
    for object in &mut converted {
        object["apiVersion"] = "example.com/v2".into();
    }
    let answer = |response: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})
            .to_string()
            .into_bytes()
    };
    let success = json!({"uid": "u", "result": {"status": "Success"}, "convertedObjects": converted});
    vec![answer(success.clone()), answer(success)]
}

pub fn conversion(input: &[u8]) -> bool {
    custom_resources::review::answer(input, "v1", "u", "example.com/v2", &boxes()).is_ok()
}

pub fn key_sets() -> Vec<Vec<u8>> {
    seeds(&[
        r#"{"keys":[{"kty":"RSA","kid":"a","alg":"RS256","use":"sig","n":"u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9xNAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmw","e":"AQAB"}]}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"b","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#,
        r#"{"keys":[]}"#,
    ])
}

pub fn key_set(input: &[u8]) -> bool {
    KeySet::read(input).is_ok()
}

pub fn documents() -> Vec<Vec<u8>> {
    let document = json!({"swagger": "2.0", "paths": {
            "/apis/a.io/v1/": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/io.a.v1.Thing"}}}}},
            "/apis/b.io/v1/x": {"get": {}}},
        "definitions": {"io.a.v1.Thing": {"type": "object", "properties": {"self": {"$ref": "#/definitions/io.a.v1.Thing"},
            "meta": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}}, "b": {"type": "string"}}});
    vec![document.to_string().into_bytes()]
}

/// An aggregated server's OpenAPI document, taken into this server's.
pub fn document(input: &[u8]) -> bool {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return false };
    let added = schema::openapi::Added::of(document, "a.io", "v1");
    let merged = schema::openapi::v2(&[], &[&added]);
    serde_json::from_slice::<Value>(&merged).expect("the merged document is JSON");
    true
}

pub fn expositions() -> Vec<Vec<u8>> {
    seeds(&[
        "# HELP a b\nnode_cpu_usage_seconds_total 1.5 1700000000000\nnode_memory_working_set_bytes 1e9\n\
         container_cpu_usage_seconds_total{container=\"c\",namespace=\"n\",pod=\"p\"} 0.25 1700000000000\n\
         container_memory_working_set_bytes{container=\"c\",namespace=\"n\",pod=\"p\"} 4096\n\
         container_start_time_seconds{container=\"c\",namespace=\"n\",pod=\"p\"} NaN\n",
    ])
}

/// What kubelets say of the use of resources.
pub fn exposition(input: &[u8]) -> bool {
    metrics_server::exposition::parse(&text(input), 0).node.is_some()
}

pub fn watch_events() -> Vec<Vec<u8>> {
    seeds(&[
        r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","resourceVersion":"5","labels":null},"spec":{"containers":[{"name":"c","ports":[{"containerPort":80}]}]}}}"#,
        r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
        r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version: 1 (5)","reason":"Expired"}}"#,
        r#"{"type":"DELETED","object":{"metadata":{"name":"m"},"data":{"a":"b"},"binaryData":{"c":"AA=="}}}"#,
    ])
}

/// A line of a watch, as components read it.
pub fn watch_event(input: &[u8]) -> bool {
    use informer::Event;
    let pod = Event::<Pod>::decode(input);
    if let Ok(Event::Applied(pod) | Event::Deleted(pod)) = &pod {
        let written = serde_json::to_value(pod).expect("an object is written");
        assert_eq!(
            serde_json::from_value::<Pod>(written).ok().as_ref(),
            Some(pod),
            "what is written is read"
        );
    }
    pod.is_ok() || Event::<ConfigMap>::decode(input).is_ok()
}

pub fn credentials() -> Vec<Vec<u8>> {
    seeds(&[
        r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2026-01-01T00:00:00Z"}}"#,
        r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"clientCertificateData":"c","clientKeyData":"k"}}"#,
    ])
}

/// What a program prints that a kubeconfig names for credentials.
pub fn credential(input: &[u8]) -> bool {
    let version = "client.authentication.k8s.io/v1";
    let Ok(token) = component::client::exec_credential(input, version) else { return false };
    assert!(
        token.header.is_sensitive() && token.header.len() > "Bearer ".len(),
        "a token is shown to nobody else"
    );
    true
}

pub fn ends() -> Vec<Vec<u8>> {
    seeds(&[
        r#"{"metadata":{},"status":"Success"}"#,
        r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"137"}]}}"#,
        r#"{"status":"Failure","message":"container not found (\"c\")"}"#,
        "plain words",
    ])
}

/// How a command in a container ended, as the stream of errors says.
pub fn end(input: &[u8]) -> bool {
    let outcome = cli_runtime::client::Channels::outcome(input);
    if let Err(error) = &outcome {
        drop((error.exit_code(), error.text()));
    }
    outcome.is_ok()
}
