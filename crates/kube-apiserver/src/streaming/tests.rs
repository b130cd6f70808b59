//! A client, this server's streaming part and a kubelet behind TLS, all on loopback.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use apimachinery::Status;
use authn::UserInfo;
use futures::future::BoxFuture;
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_TYPE, LOCATION, UPGRADE};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http::{Body, Inbound};

#[path = "tests/old.rs"]
mod old;

struct Fixed(HashMap<String, Value>);

impl Objects for Fixed {
    fn get<'a>(
        &'a self,
        group: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<Value>, Status>> {
        let found = self.0.get(&format!("{resource}/{namespace}/{name}")).cloned().map(Arc::new);
        Box::pin(async move { found.ok_or_else(|| Status::not_found(group, resource, name)) })
    }
}

struct Pki {
    directory: PathBuf,
    authority: pki::Authority,
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Pki {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("streaming-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        let now = jiff::Timestamp::now();
        let authority = pki::Authority::new("ca", 1, now).unwrap();
        authority.issued().write(&directory, "ca").unwrap();
        for (name, leaf) in [
            ("kubelet", pki::Leaf::server("w1", &[], &[[127, 0, 0, 1].into()])),
            ("client", pki::Leaf::client("kube-apiserver", &[])),
        ] {
            authority.issue(&leaf, now).unwrap().write(&directory, name).unwrap();
        }
        Self { directory, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn identity(&self, name: &str) -> Arc<pki::Identity> {
        pki::Identity::load(&self.path(&format!("{name}.crt")), &self.path(&format!("{name}.key"))).unwrap()
    }
}

/// What a kubelet or a pod answers: it echoes after an upgrade, and tells what it was asked otherwise.
async fn backend(mut request: http::Request<Incoming>) -> Result<http::Response<Body>, Infallible> {
    let path = request.uri().to_string();
    let headers: Vec<String> = request
        .headers()
        .iter()
        .filter(|(name, _)| {
            name.as_str().starts_with("x-") || matches!(name.as_str(), "authorization" | "host")
        })
        .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
        .collect();
    if path.contains("refuse") {
        let mut response = http::Response::new(Body::full("container not running"));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    if path.ends_with("/page") {
        let mut response = http::Response::new(Body::full("<a href=\"/x\">"));
        response.headers_mut().insert(CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap());
        response.headers_mut().insert(LOCATION, "/there".parse().unwrap());
        return Ok(response);
    }
    if path.contains("/a/old") {
        return Ok(old::answer(request));
    }
    if httpstream::is_upgrade(request.headers()) {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            stream.write_all(format!("{path} ").as_bytes()).await.unwrap();
            let (mut read, mut write) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = write.shutdown().await;
        });
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(UPGRADE, "SPDY/3.1".parse().unwrap());
        response.headers_mut().insert(CONNECTION, "Upgrade".parse().unwrap());
        return Ok(response);
    }
    Ok(http::Response::new(Body::full(format!("{} {path} {}", request.method(), headers.join(" ")))))
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn start_kubelet(pki: &Pki) -> SocketAddr {
    let verifier = pki::client_verifier(&pki.path("ca.crt")).unwrap();
    let mut config = pki::server_config(pki.identity("kubelet"), Some(verifier)).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                // The API server must show who it is.
                if stream.get_ref().1.peer_certificates().is_none() {
                    return;
                }
                let io = TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(io, service_fn(backend))
                    .with_upgrades()
                    .await;
            });
        }
    });
    address
}

async fn start_pod() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(backend))
                    .with_upgrades(),
            );
        }
    });
    address
}

/// The server: everything is answered by the streaming part.
async fn start_server(streaming: Streaming, objects: Fixed) -> SocketAddr {
    let (listener, address) = listen().await;
    let state = Arc::new((streaming, objects));
    tokio::spawn(async move {
        while let Ok((stream, client)) = listener.accept().await {
            let state = state.clone();
            let service = service_fn(move |request: http::Request<Incoming>| {
                let state = state.clone();
                async move {
                    let (streaming, objects) = &*state;
                    let uri = request.uri().clone();
                    let info = RequestInfo::parse(request.method(), uri.path(), &Query::parse(uri.query()));
                    let user = UserInfo { name: "jane".into(), ..UserInfo::default() };
                    let client = Some(client.ip());
                    let request = request.map(Inbound::new);
                    let call = Call { request, info: &info, user: &user, objects, client };
                    Ok::<_, Infallible>(streaming.serve(call).await.unwrap_or_else(|status| {
                        let mut response = Response::new(Body::full(status.message));
                        *response.status_mut() = StatusCode::from_u16(status.code).unwrap();
                        response
                    }))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades(),
            );
        }
    });
    address
}

struct World {
    server: SocketAddr,
    pod: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    _pki: Pki,
}

impl World {
    async fn new() -> Self {
        Self::with(Pki::new(), None).await
    }

    async fn with(pki: Pki, authority: Option<pki::Trust>) -> Self {
        let kubelet = start_kubelet(&pki).await;
        let pod = start_pod().await;
        let (nobody, nowhere) = listen().await;
        drop(nobody);
        let node = |port: u16| {
            json!({"metadata": {"name": "w1"}, "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}})
        };
        let named = |name: &str, node: &str| {
            json!({"metadata": {"name": name, "namespace": "a"}, "status": {"podIP": "127.0.0.1"},
                "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"containerPort": pod.port()}]}]}})
        };
        let on = |node: &str| named("web", node);
        let objects = HashMap::from([
            ("pods/a/old".to_owned(), named("old", "w1")),
            ("nodes//w1".to_owned(), node(kubelet.port())),
            ("nodes//down".to_owned(), node(nowhere.port())),
            ("pods/a/web".to_owned(), on("w1")),
            ("pods/a/lost".to_owned(), on("down")),
            ("pods/a/waiting".to_owned(), on("")),
            ("services/a/web".to_owned(), json!({"spec": {"ports": [{"port": 80}]}})),
            ("services/a/idle".to_owned(), json!({"spec": {"ports": [{"port": 80}]}})),
            (
                "endpoints/a/web".to_owned(),
                json!({"subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": pod.port()}]}]}),
            ),
        ]);
        let authority = authority.or_else(|| Some(pki::Trust::file(&pki.path("ca.crt")).unwrap()));
        let preferred = PREFERRED_ADDRESSES.map(str::to_owned).to_vec();
        let kubelets = Kubelets::new(authority, Some(pki.identity("client")), preferred).unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let mut streaming = Streaming::new(kubelets, tasks.clone(), stop.clone()).unwrap();
        streaming.proxyable = |_| true;
        let server = start_server(streaming, Fixed(objects)).await;
        Self { server, pod, stop, tasks, _pki: pki }
    }

    /// Status, headers and body of one request.
    async fn ask(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.server).await.unwrap();
        let request = format!(
            "{request} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer t\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), unchunk(body))
    }

    /// Upgrades, sends a line and gives the head and the line that comes back.
    async fn talk(&self, request: &str, protocol: &str) -> (String, String) {
        let mut stream = BufReader::new(TcpStream::connect(self.server).await.unwrap());
        let request =
            format!("{request} HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).await.unwrap() > 0, "{head}");
        }
        let mut body = String::new();
        if head.contains(" 101 ") {
            stream.write_all(b"hello\n").await.unwrap();
            stream.read_line(&mut body).await.unwrap();
        }
        (head, body)
    }
}

fn unchunk(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { return body.to_owned() };
        out.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    if out.is_empty() { body.to_owned() } else { out }
}

const PODS: &str = "/api/v1/namespaces/a/pods";

#[tokio::test]
async fn logs_come_from_the_kubelet() {
    let world = World::new().await;
    let (code, head, body) = world.ask(&format!("GET {PODS}/web/log?follow=true&tailLines=5")).await;
    assert_eq!(code, 200, "{head}");
    assert!(head.contains("content-type: text/plain"), "{head}");
    assert!(body.starts_with("GET /containerLogs/a/web/c?follow=true&tailLines=5 "), "{body}");
    assert!(!body.contains("authorization"), "the client's token stays here: {body}");
    let (code, _, body) = world.ask(&format!("GET {PODS}/waiting/log")).await;
    assert_eq!((code, body.as_str()), (200, ""));
    let (code, _, body) = world.ask(&format!("GET {PODS}/web/log?container=x")).await;
    assert_eq!((code, body.as_str()), (400, "container x is not valid for pod web"));
}

#[tokio::test]
async fn a_kubelet_that_is_down_is_named() {
    let world = World::new().await;
    let (code, _, body) = world.ask(&format!("GET {PODS}/lost/log")).await;
    assert_eq!(code, 500);
    assert!(
        body.starts_with("Get \"https://127.0.0.1:") && body.ends_with("connect: connection refused"),
        "{body}"
    );
    let (head, _) = world.talk(&format!("POST {PODS}/lost/exec?command=sh&stdout=1"), "SPDY/3.1").await;
    assert!(head.contains(" 500 "), "{head}");
}

#[tokio::test]
async fn upgrades_are_tunnelled() {
    let world = World::new().await;
    for (request, protocol, path) in [
        (
            "POST /api/v1/namespaces/a/pods/web/exec?command=sh&stdin=1&tty=1",
            "SPDY/3.1",
            "/exec/a/web/c?command=sh&input=1&tty=1",
        ),
        ("GET /api/v1/namespaces/a/pods/web/attach?stdout=1", "websocket", "/attach/a/web/c?output=1"),
        ("GET /api/v1/namespaces/a/pods/web/portforward", "websocket", "/portForward/a/web"),
        ("GET /api/v1/namespaces/a/pods/web/proxy/socket?x=1", "websocket", "/socket?x=1"),
    ] {
        let (head, line) = world.talk(request, protocol).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.to_lowercase().contains("upgrade: spdy/3.1"), "{head}");
        assert_eq!(line, format!("{path} hello\n"));
    }
}

#[tokio::test]
async fn refusals_of_the_kubelet_are_passed_on() {
    let world = World::new().await;
    let (head, _) = world.talk(&format!("POST {PODS}/web/exec?command=refuse"), "SPDY/3.1").await;
    assert!(head.contains(" 400 "), "{head}");
    let (code, _, body) = world.ask(&format!("POST {PODS}/web/exec?command=sh")).await;
    assert_eq!((code, body.as_str()), (400, "Upgrade request required"));
    let (code, _, body) = world.ask(&format!("POST {PODS}/waiting/exec?command=sh")).await;
    assert_eq!((code, body.as_str()), (400, "pod waiting does not have a host assigned"));
}

#[tokio::test]
async fn a_kubelet_with_a_foreign_certificate_is_not_spoken_to() {
    let other = Pki::new();
    let roots = pki::Trust::file(&other.path("ca.crt")).unwrap();
    assert!(!other.authority.certificate().is_empty());
    let world = World::with(Pki::new(), Some(roots)).await;
    let (code, _, body) = world.ask(&format!("GET {PODS}/web/log")).await;
    assert_eq!(code, 500);
    assert!(body.contains("tls: "), "{body}");
    let (code, ..) = world.ask(&format!("GET {PODS}/web/log?insecureSkipTLSVerifyBackend=true")).await;
    assert_eq!(code, 200, "the client of a log may waive the check");
}

#[tokio::test]
async fn requests_are_proxied_to_pods_services_and_nodes() {
    let world = World::new().await;
    let prefix = format!("{PODS}/web/proxy");
    let (code, _, body) = world.ask(&format!("DELETE {prefix}/a%20b/?q=1")).await;
    assert_eq!(code, 200, "{body}");
    assert_eq!(
        body,
        format!("DELETE /a%20b/?q=1 host=api x-forwarded-for=127.0.0.1 x-forwarded-uri={prefix}/a%20b/")
    );
    let (code, head, _) = world.ask(&format!("GET {prefix}?q=1")).await;
    assert_eq!(code, 301);
    assert!(head.contains(&format!("location: {prefix}/?q=1")), "{head}");
    let (_, head, body) = world.ask(&format!("GET {prefix}/page")).await;
    assert_eq!(body, format!("<a href=\"{prefix}/x\">"));
    assert!(head.contains(&format!("location: {prefix}/there")), "{head}");
    for name in ["web", "web:80", "http:web:80"] {
        let (code, _, body) = world.ask(&format!("GET /api/v1/namespaces/a/services/{name}/proxy/y")).await;
        assert_eq!((code, body.split(' ').nth(1)), (200, Some("/y")), "{body}");
    }
    let (code, _, body) = world.ask("GET /api/v1/nodes/w1/proxy/stats/summary").await;
    assert_eq!((code, body.split(' ').nth(1)), (200, Some("/stats/summary")), "{body}");
    let (code, _, body) =
        world.ask(&format!("GET /api/v1/nodes/w1:{}/proxy/metrics", world.pod.port())).await;
    assert_eq!((code, body.split(' ').nth(1)), (200, Some("/metrics")), "{body}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_in_upstreams_words() {
    let world = World::new().await;
    let (code, _, body) = world.ask(&format!("GET {PODS}/web:1/proxy/")).await;
    assert_eq!(
        (code, body.as_str()),
        (503, "error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused")
    );
    for (request, code, message) in [
        ("GET /api/v1/namespaces/a/services/idle/proxy/", 503, "no endpoints available for service \"idle\""),
        ("GET /api/v1/namespaces/a/services/ftp:web:1/proxy/", 400, "invalid service request \"ftp:web:1\""),
        ("GET /api/v1/namespaces/a/pods/none/proxy/", 404, "pods \"none\" not found"),
    ] {
        let (found, _, body) = world.ask(request).await;
        assert_eq!((found, body.as_str()), (code, message));
    }
}

#[tokio::test]
async fn streams_end_with_the_server() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.server).await.unwrap();
    let request = format!(
        "POST {PODS}/web/exec?command=sh HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
    assert!(!world.tasks.is_empty());
    world.stop.cancel();
    world.tasks.close();
    world.tasks.wait().await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[test]
fn local_addresses_are_not_proxied_to() {
    for (address, expected) in [
        ("172.16.1.5", true),
        ("192.168.1.10", true),
        ("fd00::1", true),
        ("127.0.0.1", false),
        ("::1", false),
        ("::ffff:127.0.0.1", false),
        ("169.254.169.254", false),
        ("fe80::1", false),
        ("0.0.0.0", false),
        ("224.0.0.1", false),
    ] {
        assert_eq!(is_proxyable(address.parse().unwrap()), expected, "{address}");
    }
}
