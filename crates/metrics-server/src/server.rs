//! HTTPS: connections, who asks, and the answers.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use bytes::Bytes;
use component::Readiness;
use component::accept::{Limits, accept, handshake, speak};
use component::access::Access;
use component::serve::self_signed;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use parking_lot::RwLock;
use percent_encoding::percent_decode_str;
use pki::{AnyClient, Identity};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::access::wished;
use crate::answer::{self, Options, Wish};
use crate::config::Config;
use crate::objects::Cluster;
use crate::points::Points;

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 128;
/// How long connections may finish what they are at when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

type Answer = Response<Full<Bytes>>;
/// The certificates that a client has shown, its own first.
type Chain = Arc<[CertificateDer<'static>]>;

/// What requests need.
pub struct Server {
    /// Who may what.
    pub access: Arc<Access>,
    /// Nodes and pods.
    pub cluster: Cluster,
    /// What they use.
    pub points: Arc<RwLock<Points>>,
    /// What `/readyz` tells.
    pub readiness: Readiness,
}

/// The TLS side: the certificate given, or one made for this process as upstream does. Clients are asked for a
/// certificate; whom to believe is [`Access`]'s to say.
pub fn tls(config: &Config) -> anyhow::Result<TlsAcceptor> {
    let names = ["metrics-server.kube-system.svc", "metrics-server", "localhost"];
    let identity = match &config.serving {
        Some((certificate, key)) => Identity::load(certificate, key)?,
        None => self_signed("metrics-server", &names, &[])?,
    };
    Ok(TlsAcceptor::from(Arc::new(pki::server_config(identity, Some(Arc::new(AnyClient::new())))?)))
}

/// Serves until it is told to stop.
pub async fn serve(server: Arc<Server>, listener: TcpListener, tls: TlsAcceptor, stop: CancellationToken) {
    let limits = Limits { connections: CONNECTIONS, drain: DRAIN };
    accept(listener, limits, stop, move |stream, _| connection(server.clone(), stream, tls.clone())).await;
}

async fn connection(server: Arc<Server>, stream: TcpStream, tls: TlsAcceptor) {
    let stream = match handshake(&tls, stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "TLS handshake");
            return;
        }
    };
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain: Chain = shown.iter().map(|certificate| certificate.clone().into_owned()).collect();
    speak(stream, move |request: Request<Incoming>| {
        let (server, chain) = (server.clone(), chain.clone());
        async move { respond(&server, &chain, &request).await }
    })
    .await;
}

async fn respond(server: &Server, chain: &Chain, request: &Request<Incoming>) -> Answer {
    let path = request.uri().path();
    match path {
        "/healthz" | "/livez" => return text(StatusCode::OK, "ok"),
        "/readyz" => return ready(&server.readiness),
        _ => {}
    }
    match pass(server, chain, request).await {
        Ok(answer) => answer,
        Err(status) => {
            let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(code, &status.to_value())
        }
    }
}

async fn pass(server: &Server, chain: &Chain, request: &Request<Incoming>) -> Result<Answer, Status> {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    let user = server.access.user(chain, request.headers()).await?;
    let wish = Wish::parse(path);
    let watch = matches!(parameter(query, "watch").as_deref(), Some("true" | "1"));
    let verb = match &wish {
        Some(Wish::Objects(objects)) => match *request.method() {
            Method::GET | Method::HEAD => objects.verb(watch),
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            _ => "delete",
        },
        _ if request.method() == Method::GET => "get",
        _ => "post",
    };
    server.access.check(&user, &wished(wish.as_ref(), verb, path)).await?;
    if let Some(Wish::Objects(objects)) = &wish
        && verb == "watch"
    {
        return Err(Status::method_not_allowed(answer::GROUP, objects.resource, "watch"));
    }
    let Some(wish) = wish else {
        return Ok(match path {
            "/metrics" => {
                let mut answer = Response::new(Full::new(Bytes::from(component::metrics::text())));
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                answer.headers_mut().insert(CONTENT_TYPE, kind);
                answer
            }
            "/version" => json(StatusCode::OK, &serde_json::json!({"gitVersion": component::VERSION})),
            _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        });
    };
    let options = Options {
        labels: parameter(query, "labelSelector").unwrap_or_default(),
        fields: parameter(query, "fieldSelector").unwrap_or_default(),
        table: wants_table(request.headers()),
        whole_objects: parameter(query, "includeObject").as_deref() == Some("Object"),
    };
    let points = server.points.read();
    let answer =
        answer::answer(&wish, request.method(), &options, &server.cluster, &points, Timestamp::now())?;
    Ok(json(StatusCode::OK, &answer))
}

/// The first value of a query parameter, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
}

/// Whether the first wish that can be met is a table.
fn wants_table(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept
        .split(',')
        .map(|wish| wish.split(';').map(str::trim).collect::<Vec<_>>())
        .find(|parts| {
            matches!(parts.first(), Some(&("application/json" | "*/*" | "application/*")))
                && parts.iter().all(|part| !part.starts_with("as=") || *part == "as=Table")
        })
        .is_some_and(|parts| parts.contains(&"as=Table"))
}

fn ready(readiness: &Readiness) -> Answer {
    if readiness.is_ready() {
        return text(StatusCode::OK, "ok");
    }
    let lines: String = readiness
        .checks()
        .into_iter()
        .map(|(name, open)| {
            format!("[{}]{name} {}\n", if open { '+' } else { '-' }, if open { "ok" } else { "failed" })
        })
        .collect();
    text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{lines}readyz check failed\n"))
}

fn json(code: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(serde_json::to_vec(value).unwrap_or_default())));
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn text(code: StatusCode, body: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_for_those_who_ask() {
        let wants = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            wants_table(&headers)
        };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert!(wants(&format!("{table},application/json")));
        assert!(!wants(&format!("application/json,{table}")));
        assert!(!wants("application/vnd.kubernetes.protobuf, */*"));
        assert!(wants(&format!("application/json;as=PartialObjectMetadataList,{table}")));
    }

    #[test]
    fn query_parameters_are_decoded() {
        assert_eq!(
            parameter("a=1&labelSelector=app%3Dweb%2Ctier+in+(x)", "labelSelector").as_deref(),
            Some("app=web,tier in (x)")
        );
        assert_eq!(parameter("", "a"), None);
    }
}
