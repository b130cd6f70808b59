//! Calls to a server of the test's own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONNECTION, HOST};
use serde_json::json;
use testkit::HttpsServer;
use testkit::https_server::{Answer, Asked};
use webhooks::{Client, Place, Service, Services, Users};

/// More than a client reads.
const LARGE: usize = 9 << 20;

struct Here(Option<Place>);

impl Services for Here {
    fn place(&self, service: Service<'_>) -> Result<Place, String> {
        self.0.clone().ok_or_else(|| format!("no endpoints available for service {:?}", service.name))
    }
}

/// Answers with path, query and what was sent; `/slow` never does, `/large` without end, `/500` with that code, `/who`
/// with how the caller proves who it is.
async fn start(names: &[&str]) -> HttpsServer {
    HttpsServer::start(names, answer).await.unwrap()
}

fn answer(asked: &Asked) -> Answer {
    let text = |name| asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = String::from_utf8_lossy(&asked.body);
    let body = match asked.path() {
        "/slow" => return Answer::Never,
        "/large" => "x".repeat(LARGE),
        "/who" => text(AUTHORIZATION).to_owned(),
        _ => format!("{} {} {sent}", text(HOST), asked.uri),
    };
    let mut response = http::Response::builder();
    if asked.path() == "/500" {
        response = response.status(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if asked.path() == "/last" {
        response = response.header(CONNECTION, "close");
    }
    Answer::Other(response.body(Bytes::from(body)).unwrap())
}

fn bundle(server: &HttpsServer) -> String {
    BASE64_STANDARD.encode(&server.authority)
}

async fn post(client: &Client, timeout_ms: u64) -> Result<String, String> {
    let answer = client.post("timeout=5s", Bytes::from("{}"), Duration::from_millis(timeout_ms)).await;
    answer.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|error| error.to_string())
}

fn by_url(server: &HttpsServer, path: &str) -> Client {
    let config = json!({"url": format!("{}{path}", server.url), "caBundle": bundle(server)});
    Client::of_client_config(&config, Arc::new(Here(None))).unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = start(&[]).await;
    let client = by_url(&server, "/validate");
    let expected = format!("127.0.0.1:{} /validate?timeout=5s {{}}", server.port);
    for _ in 0..3 {
        assert_eq!(post(&client, 5000).await, Ok(expected.clone()));
    }
    assert_eq!(server.connections(), 1);
    let client = by_url(&server, "/last");
    for _ in 0..2 {
        post(&client, 5000).await.unwrap();
    }
    assert_eq!(server.connections(), 3, "one that was closed is not used again");
}

#[tokio::test]
async fn failures_are_worded_as_gos() {
    let server = start(&["hook.other.svc"]).await;
    let url = |path: &str| format!("{}{path}?timeout=5s", server.url);
    assert_eq!(
        post(&by_url(&server, "/slow"), 30).await,
        Err(format!("Post {:?}: context deadline exceeded", url("/slow")))
    );
    assert_eq!(
        post(&by_url(&server, "/large"), 5000).await,
        Err(format!("Post {:?}: http: response body too large", url("/large")))
    );
    let refused = post(&by_url(&server, "/500"), 5000).await.unwrap_err();
    assert!(refused.starts_with("an error on the server (\"127.0.0.1"), "{refused}");
    let stranger = start(&[]).await;
    let mut mixed = start(&[]).await;
    mixed.authority.clone_from(&stranger.authority);
    let refused = post(&by_url(&mixed, "/"), 5000).await.unwrap_err();
    assert!(
        refused.ends_with("tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        "{refused}"
    );
    let bundle = bundle(&server);
    let closed = json!({"url": "https://127.0.0.1:1/", "caBundle": bundle});
    let closed = Client::of_client_config(&closed, Arc::new(Here(None))).unwrap();
    let refused = post(&closed, 5000).await.unwrap_err();
    assert!(refused.ends_with("dial tcp 127.0.0.1:1: connect: connection refused"), "{refused}");
}

#[tokio::test]
async fn a_service_is_called_where_it_is_and_by_its_own_name() {
    let server = start(&["hook.other.svc"]).await;
    let config = |name: &str| json!({"service": {"namespace": "other", "name": name, "path": "mutate", "port": 8443}, "caBundle": bundle(&server)});
    let place = || Arc::new(Here(Some(Place { host: "127.0.0.1".into(), port: server.port })));
    let client = Client::of_client_config(&config("hook"), place()).unwrap();
    assert_eq!(post(&client, 5000).await.unwrap(), "hook.other.svc:8443 /mutate?timeout=5s {}");
    let client = Client::of_client_config(&config("foreign"), place()).unwrap();
    let refused = post(&client, 5000).await.unwrap_err();
    assert_eq!(
        refused,
        "Post \"https://foreign.other.svc:8443/mutate?timeout=5s\": tls: failed to verify certificate: x509: certificate is valid for hook.other.svc, not foreign.other.svc"
    );
    let nowhere = Client::of_client_config(&config("hook"), Arc::new(Here(None))).unwrap();
    assert_eq!(
        post(&nowhere, 5000).await.unwrap_err(),
        "Post \"https://hook.other.svc:8443/mutate?timeout=5s\": no endpoints available for service \"hook\""
    );
}

#[tokio::test]
async fn a_kubeconfig_says_as_whom_which_server_is_called() {
    let server = start(&["hook.other.svc"]).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hooks.kubeconfig");
    let users = json!({"kind": "Config", "apiVersion": "v1", "users": [
        {"name": "*.svc", "user": {"token": "for-services"}},
        {"name": format!("127.0.0.1:{}", server.port), "user": {"username": "a", "password": "b"}},
    ]});
    std::fs::write(&file, users.to_string()).unwrap();
    let users = Users::of_kubeconfig(&file).unwrap();
    let here = || Arc::new(Here(Some(Place { host: "127.0.0.1".into(), port: server.port })));
    let who = async |config| {
        let client = Client::of_client_config_as(&config, here(), Some(&users)).unwrap();
        post(&client, 5000).await.unwrap()
    };
    let bundle = bundle(&server);
    let service = json!({"namespace": "other", "name": "hook", "path": "who"});
    assert_eq!(who(json!({"service": service, "caBundle": bundle})).await, "Bearer for-services");
    assert_eq!(who(json!({"url": format!("{}/who", server.url), "caBundle": bundle})).await, "Basic YTpi");
}
