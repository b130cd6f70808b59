//! Small HTTPS servers of the tests' own, which the server under test calls.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pki::{Authority, Leaf};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// Asks again and again until the answer is `Ok`: what the server looks at now and then takes longer than `testkit` waits.
pub async fn eventually<T, E, F>(limit: Duration, mut ask: impl FnMut() -> F) -> T
where
    E: std::fmt::Debug,
    F: Future<Output = Result<T, E>>,
{
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(state) if start.elapsed() > limit => panic!("still not so after {limit:?}: {state:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A server on 127.0.0.1 that answers JSON; it ends with the test.
pub struct Outside {
    /// `https://127.0.0.1:port`
    pub url: String,
    /// Whose certificate it has, in PEM.
    pub authority: String,
    _task: AbortOnDropHandle<()>,
}

impl Outside {
    /// Answers by a function of the path, the body and its own URL; `None` is 404.
    pub async fn start(answer: impl Fn(&str, &Value, &str) -> Option<Value> + Send + Sync + 'static) -> Self {
        let now = jiff::Timestamp::now();
        let authority = Authority::new("outside", 1, now).unwrap();
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let issued = authority.issue(&Leaf::server("outside", &["localhost"], &local), now).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        let own = url.clone();
        let task = tokio::spawn(async move {
            // Connections end with the server: a test that drops it means that nobody answers.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answer, own) = (tls.clone(), answer.clone(), own.clone());
                connections.spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answer, own) = (answer.clone(), own.clone());
                        async move {
                            let path = request.uri().path().to_owned();
                            let body = request.into_body().collect().await.unwrap().to_bytes();
                            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                            let mut response = match answer(&path, &body, &own) {
                                Some(answer) => Response::new(Full::new(Bytes::from(answer.to_string()))),
                                None => {
                                    let mut none = Response::new(Full::default());
                                    *none.status_mut() = StatusCode::NOT_FOUND;
                                    none
                                }
                            };
                            let json = http::HeaderValue::from_static("application/json");
                            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
                            Ok::<_, Infallible>(response)
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let authority = authority.certificate().to_owned();
        Self { url, authority, _task: AbortOnDropHandle::new(task) }
    }

    /// Writes a kubeconfig that names the server, and gives its path.
    pub fn kubeconfig(&self, folder: &Path) -> String {
        let authority = folder.join("outside-ca.crt");
        std::fs::write(&authority, &self.authority).unwrap();
        let path = folder.join("outside.kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "outside",
            "clusters": [{"name": "outside", "cluster": {"server": self.url, "certificate-authority": authority}}],
            "users": [{"name": "api", "user": {"token": "of-the-server"}}],
            "contexts": [{"name": "outside", "context": {"cluster": "outside", "user": "api"}}],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        path.display().to_string()
    }
}
