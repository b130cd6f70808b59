//! A small HTTPS server inside a test, for what the code under test calls.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pki::{Authority, Identity, Leaf};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request that came whole.
#[derive(Debug)]
pub struct Asked {
    /// The path, and the query if there is one.
    pub uri: String,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// What was sent.
    pub body: Bytes,
    /// `https://127.0.0.1:port`, the server's own.
    pub url: String,
}

impl Asked {
    /// The path without its query.
    pub fn path(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }

    /// What was sent, as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Debug)]
pub enum Answer {
    /// 200 with JSON.
    Json(Value),
    /// 404.
    NotFound,
    /// No answer comes.
    Never,
    /// Anything else.
    Other(Response<Bytes>),
}

/// A server on a free port of 127.0.0.1; it ends, and its connections with it, when it is dropped.
#[derive(Debug)]
pub struct HttpsServer {
    /// `https://127.0.0.1:port`
    pub url: String,
    /// Its port.
    pub port: u16,
    /// Whose certificate it has, in PEM.
    pub authority: String,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl HttpsServer {
    /// Answers by a function of what is asked; its certificate is for 127.0.0.1 and these names.
    pub async fn start(
        names: &[&str],
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let now = jiff::Timestamp::now();
        let authority = Authority::new("outside", 1, now)?;
        let issued =
            authority.issue(&Leaf::server("outside", names, &[IpAddr::V4(Ipv4Addr::LOCALHOST)]), now)?;
        let identity = Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes())?;
        let mut tls = pki::server_config(identity, None)?;
        // HTTP/1.1 is all that it speaks.
        tls.alpn_protocols.clear();
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let url = format!("https://127.0.0.1:{port}");
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, own, counted) = (Arc::new(answer), url.clone(), connections.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answer, own, counted) = (tls.clone(), answer.clone(), own.clone(), counted.clone());
                open.spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    counted.fetch_add(1, Ordering::SeqCst);
                    let service = service_fn(move |request| respond(request, answer.clone(), own.clone()));
                    let http = hyper::server::conn::http1::Builder::new();
                    // Whoever goes away in the middle has had what he wanted.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { url, port, authority: authority.certificate().to_owned(), connections, _task: task })
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: Arc<impl Fn(&Asked) -> Answer>,
    url: String,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked = Asked { uri: parts.uri.to_string(), headers: parts.headers, body, url };
    Ok(match answer(&asked) {
        Answer::Json(value) => {
            let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Answer::NotFound => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        Answer::Never => std::future::pending().await,
        Answer::Other(response) => response.map(Full::new),
    })
}
