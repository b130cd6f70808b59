//! The endpoints every component has: `/healthz`, `/livez`, `/readyz`, `/metrics`, `/version`, and the pages of
//! [`pages`](crate::pages).

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use apimachinery::Status;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use pki::{AnyClient, Authority, Identity, Leaf};
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{
    Readiness, Runtime,
    accept::{Limits, accept, handshake, speak},
    access::{Access, ReviewFlags, Wish},
    metrics::{self, checks},
    pages::{self, Asked, Page},
};

/// What `/statusz` lists.
const PATHS: [&str; 6] = ["/healthz", "/livez", "/metrics", "/metrics/slis", "/readyz", "/version"];

/// Probes and scrapes are short: none needs to be waited for.
const LIMITS: Limits = Limits { connections: 64, drain: Duration::ZERO };

/// The flags of a component's secure port, which is `PORT` unless told otherwise.
#[derive(Debug, Clone, clap::Args)]
pub struct ServingFlags<const PORT: u16> {
    /// The address to serve health and metrics at
    #[arg(long, default_value_t = Ipv4Addr::UNSPECIFIED.into(), value_name = "IP")]
    pub bind_address: IpAddr,
    /// The port to serve health and metrics at by HTTPS; 0: not at all
    #[arg(long, default_value_t = PORT, value_name = "PORT")]
    pub secure_port: u16,
    /// The certificate to serve with; made at start when not given
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub tls_private_key_file: Option<PathBuf>,
}

impl<const PORT: u16> ServingFlags<PORT> {
    /// Returns where to serve, if anywhere.
    pub fn address(&self) -> Option<SocketAddr> {
        (self.secure_port != 0).then(|| SocketAddr::new(self.bind_address, self.secure_port))
    }

    /// Loads the certificate to serve with, if one is given.
    pub fn identity(&self) -> anyhow::Result<Option<Arc<Identity>>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert_file, &self.tls_private_key_file) else {
            return Ok(None);
        };
        Ok(Some(Identity::load(certificate, key).context("--tls-cert-file")?))
    }
}

/// How the endpoints are served.
#[derive(Clone)]
pub struct Endpoints {
    /// TLS, on upstream's secure ports.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may read what. `None` means everybody, as on upstream's loopback ports.
    pub access: Option<Arc<Access>>,
    /// A page of metrics that the component has besides: its path, and what writes it.
    more: Option<(&'static str, MoreMetrics)>,
}

type MoreMetrics = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

impl Endpoints {
    /// Plain HTTP for everybody who reaches the address, which should be loopback.
    pub fn open() -> Self {
        Self { tls: None, access: None, more: None }
    }

    /// TLS with a certificate made for this process, as upstream's components make when given none; open paths for
    /// whoever does not show what is not accepted, all else for users that are known by a certificate or a token and that the
    /// API server allows.
    pub fn secure(
        client: kube::Client,
        identity: Option<Arc<Identity>>,
        review: &ReviewFlags,
    ) -> anyhow::Result<Self> {
        let identity = match identity {
            Some(identity) => identity,
            None => self_signed("localhost", &["localhost"], &["127.0.0.1".parse()?])?,
        };
        let tls = pki::server_config(identity, Some(Arc::new(AnyClient::new())))?;
        let clients = review.clients(&client)?;
        let access = Access::new(client, clients, review.open.clone());
        Ok(Self { tls: Some(Arc::new(tls)), access: Some(access), more: None })
    }

    /// Serves one more page of metrics. What writes it may take long.
    #[must_use]
    pub fn with_metrics(
        self,
        path: &'static str,
        text: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self { more: Some((path, Arc::new(text))), ..self }
    }
}

/// Makes a certificate for this process, as upstream's components do that are given none.
pub fn self_signed(name: &str, dns: &[&str], addresses: &[IpAddr]) -> anyhow::Result<Arc<Identity>> {
    let now = jiff::Timestamp::now();
    let authority = Authority::new(&format!("{name}-ca"), 1, now)?;
    let issued = authority.issue(&Leaf::server(name, dns, addresses), now)?;
    Ok(Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes())?)
}

/// Binds the address and serves until shutdown. Returns the address bound (the port may have been 0).
pub async fn serve(
    runtime: &Runtime,
    address: SocketAddr,
    endpoints: Endpoints,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let bound = listener.local_addr()?;
    if let Some(access) = &endpoints.access {
        access.follow(runtime);
    }
    let (readiness, shutdown) = (runtime.readiness().clone(), runtime.shutdown());
    runtime.spawn("health endpoints", async move {
        accept(listener, LIMITS, shutdown, |stream, _| {
            connection(stream, endpoints.clone(), readiness.clone())
        })
        .await;
        anyhow::Ok(())
    });
    Ok(bound)
}

async fn connection(stream: TcpStream, endpoints: Endpoints, readiness: Readiness) {
    let tls = endpoints.tls.clone().map(TlsAcceptor::from);
    let answer = move |chain: Chain| {
        move |request: Request<Incoming>| {
            let (endpoints, readiness, chain) = (endpoints.clone(), readiness.clone(), Arc::clone(&chain));
            async move { answer(&request, &chain, &endpoints, &readiness).await }
        }
    };
    match tls {
        None => speak(stream, answer(Chain::default())).await,
        Some(tls) => match handshake(&tls, stream).await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let chain = shown.iter().map(|certificate| certificate.clone().into_owned()).collect();
                speak(stream, answer(chain)).await;
            }
            Err(error) => tracing::debug!(%error, "TLS handshake"),
        },
    }
}

/// The certificates that a client has shown, its own first.
type Chain = Arc<[CertificateDer<'static>]>;

async fn answer(
    request: &Request<Incoming>,
    chain: &Chain,
    endpoints: &Endpoints,
    readiness: &Readiness,
) -> Response<Full<Bytes>> {
    if let Some(access) = &endpoints.access
        && let Err(status) = authorize(request, chain, access).await
    {
        return refused(&status);
    }
    let path = request.uri().path();
    match path {
        // The names without a z are those of CoreDNS, which cluster-dns stands in for.
        "/healthz" | "/livez" | "/health" => {
            checks::asked("ping", if path == "/livez" { "livez" } else { "healthz" }, true);
            return text(StatusCode::OK, "ok");
        }
        "/readyz" | "/ready" => {
            for (name, open) in readiness.checks() {
                checks::asked(&name, "readyz", open);
            }
            return ready(readiness, request.uri().query().is_some_and(|query| query.contains("verbose")));
        }
        _ => {}
    }
    if let Some((_, text)) = endpoints.more.as_ref().filter(|(more, _)| *more == path) {
        let text = Arc::clone(text);
        return match tokio::task::spawn_blocking(move || text()).await {
            Ok(text) => metrics_page(text),
            Err(_) => self::text(StatusCode::INTERNAL_SERVER_ERROR, "cannot write the metrics"),
        };
    }
    match path {
        "/metrics" => metrics_page(metrics::text()),
        "/metrics/slis" => metrics_page(slis(&readiness.checks())),
        "/version" => text(StatusCode::OK, crate::VERSION),
        // Whoever reaches an open port may see what the process is told, but not make it work.
        path if endpoints.access.is_none() && pages::is_profile(path) => not_found(),
        path => {
            let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let query = request.uri().query().unwrap_or_default();
            let asked = Asked { path, query, accept: accept.unwrap_or_default() };
            match pages::answer(asked, &PATHS).await {
                Some(page) => of_page(page),
                None => not_found(),
            }
        }
    }
}

/// Lets pass whoever may have the path, which on these ports is never a resource's: the verb is the method.
async fn authorize(request: &Request<Incoming>, chain: &Chain, access: &Access) -> Result<(), Status> {
    let user = access.user(chain, request.headers()).await?;
    let verb = match *request.method() {
        Method::GET => Cow::Borrowed("get"),
        ref method => Cow::Owned(method.as_str().to_ascii_lowercase()),
    };
    access.check(&user, &Wish::Path { verb, path: request.uri().path().to_owned() }).await
}

fn refused(status: &Status) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(status.to_value().to_string())));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

fn ready(readiness: &Readiness, verbose: bool) -> Response<Full<Bytes>> {
    let is_ready = readiness.is_ready();
    if is_ready && !verbose {
        return text(StatusCode::OK, "ok");
    }
    let mut body = String::new();
    for (name, open) in readiness.checks() {
        body.push_str(&format!(
            "[{}]{name} {}\n",
            if open { '+' } else { '-' },
            if open { "ok" } else { "not yet" }
        ));
    }
    body.push_str(if is_ready { "readyz check passed\n" } else { "readyz check failed\n" });
    text(if is_ready { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }, &body)
}

fn of_page(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.body));
    *response.status_mut() = page.status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(page.media_type));
    response
}

fn metrics_page(text: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let media_type = header::HeaderValue::from_static(metrics::MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

/// What readiness waits for, as upstream's components tell of their health checks.
fn slis(latches: &[(String, bool)]) -> Vec<u8> {
    let alive = [("ping", "healthz", true), ("ping", "livez", true)];
    let ready = latches.iter().map(|(name, open)| (name.as_str(), "readyz", *open));
    for (name, kind, well) in alive.into_iter().chain(ready) {
        checks::is(name, kind, well);
    }
    checks::text()
}

fn not_found() -> Response<Full<Bytes>> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod secure_port;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn whoever_asks_how_it_is_is_counted() {
        let runtime = Runtime::detached();
        let loopback = "127.0.0.1:0".parse().unwrap();
        let address = serve(&runtime, loopback, Endpoints::open()).await.unwrap();
        let latch = runtime.readiness().latch("caught-up");
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 500"));
        latch.open();
        for path in ["/readyz", "/readyz?verbose", "/livez"] {
            assert!(get(address, path).await.starts_with("HTTP/1.1 200"), "{path}");
        }
        let slis = get(address, "/metrics/slis").await;
        for line in [
            "kubernetes_healthcheck{name=\"caught-up\",type=\"readyz\"} 1\n",
            "kubernetes_healthchecks_total{name=\"caught-up\",status=\"error\",type=\"readyz\"} 1\n",
            "kubernetes_healthchecks_total{name=\"caught-up\",status=\"success\",type=\"readyz\"} 2\n",
            "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"livez\"} 1\n",
        ] {
            assert!(slis.contains(line), "{line}\n{slis}");
        }
    }

    #[test]
    fn each_check_is_told_with_its_result() {
        let text = slis(&[("informers".to_owned(), true), ("leader lease".to_owned(), false)]);
        let text = String::from_utf8(text).unwrap();
        for line in [
            "kubernetes_healthcheck{name=\"ping\",type=\"livez\"} 1\n",
            "kubernetes_healthcheck{name=\"informers\",type=\"readyz\"} 1\n",
            "kubernetes_healthcheck{name=\"leader lease\",type=\"readyz\"} 0\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
