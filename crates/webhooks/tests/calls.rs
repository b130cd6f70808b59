//! Calls to a server of the test's own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::Request;
use http::header::{HOST, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pki::{Authority, Identity, Leaf};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use webhooks::{Client, Place, Service, Services};

/// More than a client reads.
const LARGE: usize = 9 << 20;

struct Here(Option<Place>);

impl Services for Here {
    fn place(&self, service: Service<'_>) -> Result<Place, String> {
        self.0.clone().ok_or_else(|| format!("no endpoints available for service {:?}", service.name))
    }
}

struct Server {
    port: u16,
    bundle: String,
    connections: Arc<AtomicUsize>,
}

/// Answers with path, query and what was sent; `/slow` never does, `/large` without end, `/500` with that code.
async fn start(names: &[&str]) -> Server {
    let authority = Authority::new("webhooks", 1, jiff::Timestamp::now()).unwrap();
    let local = [std::net::IpAddr::from([127, 0, 0, 1])];
    let issued = authority.issue(&Leaf::server("hook", names, &local), jiff::Timestamp::now()).unwrap();
    let identity = Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap();
    let mut tls = pki::server_config(identity, None).unwrap();
    tls.alpn_protocols.clear();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = tls.accept(stream).await else { continue };
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = service_fn(async |request: Request<hyper::body::Incoming>| {
                let path = request.uri().to_string();
                let host = request.headers()[HOST].to_str().unwrap().to_owned();
                let sent = request.into_body().collect().await.unwrap().to_bytes();
                let sent = String::from_utf8_lossy(&sent).into_owned();
                if path.starts_with("/slow") {
                    std::future::pending::<()>().await;
                }
                let body = match path.starts_with("/large") {
                    true => "x".repeat(LARGE),
                    false => format!("{host} {path} {sent}"),
                };
                let mut response = http::Response::new(Full::new(Bytes::from(body)));
                if path.starts_with("/500") {
                    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                }
                if path.starts_with("/last") {
                    response.headers_mut().insert("connection", HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    let bundle = base64::prelude::BASE64_STANDARD.encode(authority.certificate());
    Server { port, bundle, connections }
}

async fn post(client: &Client, timeout_ms: u64) -> Result<String, String> {
    let answer = client.post("timeout=5s", Bytes::from("{}"), Duration::from_millis(timeout_ms)).await;
    answer.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|error| error.to_string())
}

fn by_url(server: &Server, path: &str) -> Client {
    let config =
        json!({"url": format!("https://127.0.0.1:{}{path}", server.port), "caBundle": server.bundle});
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
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let client = by_url(&server, "/last");
    for _ in 0..2 {
        post(&client, 5000).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 3, "one that was closed is not used again");
}

#[tokio::test]
async fn failures_are_worded_as_gos() {
    let server = start(&["hook.other.svc"]).await;
    let url = |path: &str| format!("https://127.0.0.1:{}{path}?timeout=5s", server.port);
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
    let mixed = Server { bundle: stranger.bundle.clone(), ..start(&[]).await };
    let refused = post(&by_url(&mixed, "/"), 5000).await.unwrap_err();
    assert!(
        refused.ends_with("tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        "{refused}"
    );
    let bundle = &server.bundle;
    let closed = json!({"url": "https://127.0.0.1:1/", "caBundle": bundle});
    let closed = Client::of_client_config(&closed, Arc::new(Here(None))).unwrap();
    let refused = post(&closed, 5000).await.unwrap_err();
    assert!(refused.ends_with("dial tcp 127.0.0.1:1: connect: connection refused"), "{refused}");
}

#[tokio::test]
async fn a_service_is_called_where_it_is_and_by_its_own_name() {
    let server = start(&["hook.other.svc"]).await;
    let config = |name: &str| json!({"service": {"namespace": "other", "name": name, "path": "mutate", "port": 8443}, "caBundle": server.bundle});
    let place = || Arc::new(Here(Some(Place { host: "127.0.0.1".into(), port: server.port })));
    let client = Client::of_client_config(&config("hook"), place()).unwrap();
    assert_eq!(post(&client, 5000).await.unwrap(), "hook.other.svc:8443 /mutate?timeout=5s {}");
    let client = Client::of_client_config(&config("foreign"), place()).unwrap();
    let refused = post(&client, 5000).await.unwrap_err();
    assert_eq!(
        refused,
        "Post \"https://foreign.other.svc:8443/mutate?timeout=5s\": tls: failed to verify certificate: x509: certificate is not valid for foreign.other.svc"
    );
    let nowhere = Client::of_client_config(&config("hook"), Arc::new(Here(None))).unwrap();
    assert_eq!(
        post(&nowhere, 5000).await.unwrap_err(),
        "Post \"https://hook.other.svc:8443/mutate?timeout=5s\": no endpoints available for service \"hook\""
    );
}
