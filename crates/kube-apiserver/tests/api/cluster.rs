//! A server on a free port with an etcd of its own, and a client that speaks HTTP/1.1 or HTTP/2 with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use component::Runtime;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube_apiserver::{Flags, Server, run};
use parking_lot::Mutex;
use pki::{Authority, Leaf};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use testkit::Etcd;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A running server.
pub struct Cluster {
    pub etcd: Mutex<Etcd>,
    pub server: Arc<Server>,
    pub address: SocketAddr,
    runtime: Runtime,
    authority: Authority,
    arguments: Vec<String>,
    others: Vec<Runtime>,
    _directory: tempfile::TempDir,
}

/// A connection of one user.
#[derive(Clone)]
pub struct Client {
    sender: http2::SendRequest<Full<Bytes>>,
}

/// An answer that was read whole.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The object of a request that must have gone well.
    pub fn ok(self) -> Value {
        assert!(self.code < 300, "{}: {}", self.code, String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Code and message of a refusal.
    pub fn refusal(self) -> (u16, String) {
        let status = self.json();
        assert_eq!(status["kind"], "Status", "{status}");
        assert_eq!(status["code"], self.code);
        (self.code, status["message"].as_str().unwrap_or_default().to_owned())
    }
}

/// Events of a watch, one after another.
pub struct Events {
    body: Incoming,
    held: Vec<u8>,
}

impl Events {
    /// The next event; `None` when the server has ended the watch.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(std::time::Duration::from_secs(20), self.body.frame()).await;
            match frame.expect("an event within 20 s")? {
                Ok(frame) => self.held.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(_) => return None,
            }
        }
    }

    /// Type and name of the next event.
    pub async fn name(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

impl Cluster {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(extra: &[&str]) -> Self {
        Self::start_over(Etcd::start().unwrap(), extra).await
    }

    /// A server over this etcd.
    pub async fn start_over(etcd: Etcd, extra: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = jiff::Timestamp::now();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        let path = directory.path();
        authority.issued().write(path, "ca").unwrap();
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        authority
            .issue(&Leaf::server("kube-apiserver", &["localhost"], &local), now)
            .unwrap()
            .write(path, "apiserver")
            .unwrap();
        let (private, public) = pki::signing_key().unwrap();
        pki::write_private(&path.join("sa.key"), &private).unwrap();
        pki::write_public(&path.join("sa.pub"), &public).unwrap();
        let file = |name: &str| path.join(name).display().to_string();
        let mut arguments: Vec<String> = [
            "kube-apiserver",
            "--etcd-servers",
            &etcd.url(),
            "--bind-address",
            "127.0.0.1",
            "--secure-port",
            "0",
            "--advertise-address",
            "10.0.0.5",
            "--tls-cert-file",
            &file("apiserver.crt"),
            "--tls-private-key-file",
            &file("apiserver.key"),
            "--client-ca-file",
            &file("ca.crt"),
            "--service-account-key-file",
            &file("sa.pub"),
            "--service-account-signing-key-file",
            &file("sa.key"),
            "--service-account-issuer",
            "https://kubernetes.default.svc.cluster.local",
            "--service-cluster-ip-range",
            "10.96.0.0/24",
            "--disable-admission-plugins",
            "ServiceAccount",
        ]
        .map(str::to_owned)
        .to_vec();
        // What is said already is replaced.
        let mut extra = extra.iter().map(|argument| (*argument).to_owned());
        while let Some(argument) = extra.next() {
            match arguments.iter().position(|known| *known == argument && known.starts_with("--")) {
                Some(at) => arguments[at + 1] = extra.next().expect("a value follows its flag"),
                None => arguments.push(argument),
            }
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::detached();
        let (server, address) = run::serve(&runtime, Flags::parse_from(&arguments)).await.unwrap();
        let cluster = Self {
            etcd: Mutex::new(etcd),
            server,
            address,
            runtime,
            authority,
            arguments,
            others: Vec::new(),
            _directory: directory,
        };
        testkit::eventually(|| async {
            if cluster.server.health.is_ready() { Ok(()) } else { Err("not ready") }
        })
        .await;
        cluster
    }

    /// Stops the server as a signal does.
    pub fn stop(&self) {
        self.runtime.shutdown().cancel();
    }

    /// The flags of another server over the same etcd.
    pub fn arguments_of(&self, advertised: &str, port: u16) -> Vec<String> {
        let mut arguments = self.arguments.clone();
        for (flag, value) in [("--advertise-address", advertised), ("--secure-port", &port.to_string())] {
            let at = arguments.iter().position(|argument| argument == flag).unwrap();
            arguments[at + 1] = value.to_owned();
        }
        arguments
    }

    /// Starts another server over the same etcd and does not wait for it.
    pub async fn another(&mut self, advertised: &str) -> SocketAddr {
        let arguments = self.arguments_of(advertised, 0);
        let runtime = Runtime::detached();
        let (_, address) = run::serve(&runtime, Flags::parse_from(&arguments)).await.unwrap();
        self.others.push(runtime);
        address
    }

    /// Stops the other servers as a signal does.
    pub fn stop_others(&mut self) {
        for runtime in self.others.drain(..) {
            runtime.shutdown().cancel();
        }
    }

    /// The administrator's connection.
    pub async fn admin(&self) -> Client {
        self.client("admin", &["system:masters"]).await
    }

    /// A connection of a user in groups.
    pub async fn client(&self, user: &str, groups: &[&str]) -> Client {
        self.client_of(self.address, user, groups).await
    }

    /// A file of the server: `ca.crt`, `apiserver.key`, `sa.pub`, …
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self._directory.path().join(name)
    }

    /// A connection without a certificate.
    pub async fn stranger(&self) -> Client {
        let stream = secured(self.address, self.trusting(None, "h2")).await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Client { sender }
    }

    /// How a client, of this certificate if any, speaks a protocol with a server of the cluster.
    pub fn trusting(&self, issued: Option<pki::Issued>, protocol: &str) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match issued {
            None => builder.with_no_client_auth(),
            Some(issued) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config
    }

    /// A connection of a user in groups to one of the servers.
    pub async fn client_of(&self, address: SocketAddr, user: &str, groups: &[&str]) -> Client {
        self.try_client_of(address, user, groups).await.unwrap()
    }

    /// A connection of a user on which nothing was said yet.
    pub async fn connection(&self, user: &str, groups: &[&str], protocol: &str) -> TlsStream<TcpStream> {
        let issued = self.authority.issue(&Leaf::client(user, groups), jiff::Timestamp::now()).unwrap();
        secured(self.address, self.trusting(Some(issued), protocol)).await.unwrap()
    }

    /// As [`Cluster::client_of`]; `None` when the server does not answer.
    pub async fn try_client_of(&self, address: SocketAddr, user: &str, groups: &[&str]) -> Option<Client> {
        let issued = self.authority.issue(&Leaf::client(user, groups), jiff::Timestamp::now()).unwrap();
        let stream = secured(address, self.trusting(Some(issued), "h2")).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(Client { sender })
    }
}

/// A connection to a server; `None` when there is none to be had.
pub async fn secured(address: SocketAddr, config: ClientConfig) -> Option<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        self.stop_others();
    }
}

impl Client {
    /// An answer, or `None` when the connection broke before it was whole.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(format!("https://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let (head, body) = self.sender.clone().send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Answer { code: head.status.as_u16(), headers: head.headers, body })
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(format!("https://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.clone().send_request(request.body(Full::new(body)).unwrap()).await.unwrap()
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let response = self.send(method, path, headers, body.into()).await;
        let (head, body) = response.into_parts();
        Answer {
            code: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], Bytes::new()).await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.ask(Method::GET, path, &[("accept", accept)], Bytes::new()).await
    }

    pub async fn post(&self, path: &str, object: &Value) -> Answer {
        self.ask(Method::POST, path, &[("content-type", "application/json")], object.to_string()).await
    }

    pub async fn put(&self, path: &str, object: &Value) -> Answer {
        self.ask(Method::PUT, path, &[("content-type", "application/json")], object.to_string()).await
    }

    pub async fn patch(&self, path: &str, kind: &str, patch: &Value) -> Answer {
        let media_type = format!("application/{kind}+json");
        self.ask(Method::PATCH, path, &[("content-type", &media_type)], patch.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &[], Bytes::new()).await
    }

    pub async fn watch(&self, path: &str) -> Events {
        let response = self.send(Method::GET, path, &[], Bytes::new()).await;
        assert_eq!(response.status(), 200);
        Events { body: response.into_body(), held: Vec::new() }
    }
}

/// Where ConfigMaps of the default namespace are.
pub const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A ConfigMap with one key.
pub fn map(name: &str, value: &str) -> Value {
    serde_json::json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"key": value}})
}
