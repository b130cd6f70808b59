//! The kubelet's own API: what the API server asks of a node, over TLS, for known users only.

mod auth;
mod claims;
mod forward;
pub mod logs;
mod metrics;
mod network;
mod query;
mod rates;
mod stats;
mod stream;

pub use logs::{Filter as LogFilter, parse as log_entry, tail_start as log_tail};

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use cgroups::Cgroups;
use component::accept::{Limits, accept, handshake, speak};
use component::{metrics::checks, pages};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use k8s_openapi::{List, api::core::v1::Pod};
use pki::Identity;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{Config, kubelet::Kubelet};
use auth::Access;
use query::Query;

/// Exec sessions and log streams each hold a connection, and must not hold up the process's end.
const LIMITS: Limits = Limits { connections: 512, drain: Duration::ZERO };

type Body = BoxBody<Bytes, std::io::Error>;

/// What the server's tasks share.
struct Server {
    kubelet: Arc<Kubelet>,
    access: Access,
    rates: rates::Rates,
}

/// Binds the port and starts serving. Returns the certificate that is served with, which may be replaced.
pub async fn start(kubelet: &Arc<Kubelet>, config: &Config) -> anyhow::Result<Arc<Identity>> {
    let identity = auth::identity(kubelet, config)?;
    let tls = auth::tls(Arc::clone(&identity), config)?;
    let listener = listen(config.address)?;
    let bound = listener.local_addr()?;
    kubelet.port.store(bound.port(), Ordering::Relaxed);
    tracing::info!(%bound, "serving");
    let server = Arc::new(Server {
        kubelet: Arc::clone(kubelet),
        access: Access::new(kubelet.client.clone(), config.anonymous_auth),
        rates: rates::Rates::default(),
    });
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let shutdown = kubelet.process.shutdown();
    kubelet.process.spawn("server", async move {
        accept(listener, LIMITS, shutdown, |stream, _| {
            connection(Arc::clone(&server), acceptor.clone(), stream)
        })
        .await;
        anyhow::Ok(())
    });
    Ok(identity)
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

async fn connection(server: Arc<Server>, acceptor: TlsAcceptor, stream: TcpStream) {
    let stream = match handshake(&acceptor, stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "TLS handshake");
            return;
        }
    };
    let peer = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| leaf.clone().into_owned());
    let peer: Option<Arc<CertificateDer<'static>>> = peer.map(Arc::new);
    speak(stream, move |request: Request<Incoming>| {
        let (server, peer) = (Arc::clone(&server), peer.clone());
        async move { answer(&server, peer.as_deref(), request).await }
    })
    .await;
}

/// What `/statusz` lists.
const PATHS: [&str; 5] = ["/configz", "/healthz", "/metrics", "/pods", "/stats/summary"];

/// An answer of text.
fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn json_answer(value: &impl serde::Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => typed(StatusCode::OK, "application/json", bytes),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn answer(
    server: &Arc<Server>,
    peer: Option<&CertificateDer<'_>>,
    request: Request<Incoming>,
) -> Response<Body> {
    let user = match server.access.user(peer, request.headers()).await {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    let node = &server.kubelet.settings.node_name;
    if let Err(refusal) = server.access.check(&user, request.method(), request.uri().path(), node).await {
        return refusal;
    }
    route(server, request).await
}

async fn route(server: &Arc<Server>, request: Request<Incoming>) -> Response<Body> {
    let kubelet = &server.kubelet;
    let path = request.uri().path().to_owned();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["healthz"] => {
            for check in ["ping", "log", "syncloop"] {
                checks::asked(check, "healthz", true);
            }
            text(StatusCode::OK, "ok")
        }
        ["healthz", "ping" | "log" | "syncloop"] => text(StatusCode::OK, "ok"),
        ["pods"] => json_answer(&pods(kubelet)),
        ["runningpods"] => running_pods(kubelet).await,
        ["containerLogs", namespace, pod, container] => {
            logs::serve(kubelet, namespace, pod, container, &query).await
        }
        ["logs", ..] => logs::files(&parts[1..]).await,
        ["exec", target @ ..] | ["attach", target @ ..] => {
            let Some(target) = stream::Target::parse(target) else { return not_found() };
            stream::serve(kubelet, request, &target, &query, parts[0] == "attach").await
        }
        ["portForward", namespace, pod] | ["portForward", namespace, pod, _] => {
            let (namespace, pod) = ((*namespace).to_owned(), (*pod).to_owned());
            forward::serve(kubelet, request, &namespace, &pod, &query).await
        }
        ["run", target @ ..] if request.method() == Method::POST => {
            let Some(target) = stream::Target::parse(target) else { return not_found() };
            stream::run(kubelet, &target, &query).await
        }
        ["stats", "summary"] => stats::summary(kubelet, &server.rates, query.is("only_cpu_and_memory")).await,
        ["metrics"] => metrics_text(metrics::own(kubelet).await),
        ["metrics", "slis"] => metrics_text(checks::text()),
        ["metrics", "resource"] => metrics_text(metrics::resource(kubelet).await),
        ["metrics", "cadvisor"] => metrics_text(metrics::cadvisor(kubelet).await),
        ["metrics", "probes"] => metrics_text(metrics::probes(kubelet)),
        ["configz"] => json_answer(&configz(kubelet)),
        _ => page(&request).await.unwrap_or_else(not_found),
    }
}

/// A page by which people look into the kubelet.
async fn page(request: &Request<Incoming>) -> Option<Response<Body>> {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let asked = pages::Asked {
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        accept: accept.unwrap_or_default(),
    };
    let page = pages::answer(asked, &PATHS).await?;
    Some(typed(page.status, page.media_type, page.body))
}

fn metrics_text(bytes: Vec<u8>) -> Response<Body> {
    typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", bytes)
}

fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// The pods as asked for, with the status they have now.
fn pods(kubelet: &Kubelet) -> serde_json::Value {
    let items: Vec<Pod> = kubelet
        .pods
        .list()
        .into_iter()
        .map(|(pod, state)| Pod { status: Some(state.status.lock().clone()), ..Pod::clone(&pod) })
        .collect();
    let list = List { items, ..List::default() };
    serde_json::to_value(list).unwrap_or_default()
}

async fn running_pods(kubelet: &Kubelet) -> Response<Body> {
    let items: Vec<serde_json::Value> = kubelet
        .pods
        .list()
        .into_iter()
        .filter(|(_, state)| state.observed.lock().is_alive())
        .map(|(_, state)| {
            let observed = state.observed.lock();
            let containers: Vec<_> = observed
                .running()
                .map(|container| json!({"name": container.name, "image": container.image, "resources": {}}))
                .collect();
            let names = &state.names;
            json!({
                "metadata": {"name": names.name, "namespace": names.namespace, "uid": names.uid},
                "spec": {"containers": containers},
                "status": {},
            })
        })
        .collect();
    json_answer(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
}

/// The configuration in use, under upstream's names.
fn configz(kubelet: &Kubelet) -> serde_json::Value {
    let settings = &kubelet.settings;
    let go = |duration: Duration| {
        apimachinery::time::format_go_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    };
    json!({"kubeletconfig": {
        "staticPodPath": settings.static_pods,
        "clusterDomain": settings.cluster_domain,
        "clusterDNS": settings.cluster_dns,
        "nodeStatusUpdateFrequency": go(settings.node_status_update_frequency),
        "nodeStatusReportFrequency": go(settings.node_status_report_frequency),
        "nodeLeaseDurationSeconds": settings.lease_duration.as_secs(),
        "imageMinimumGCAge": go(settings.image_minimum_gc_age),
        "imageGCHighThresholdPercent": settings.image_gc_high_percent,
        "imageGCLowThresholdPercent": settings.image_gc_low_percent,
        "cgroupRoot": settings.cgroup_root,
        "cgroupsPerQOS": settings.cgroups_per_qos,
        "cgroupDriver": kubelet.cgroups.as_ref().map_or(settings.cgroup_driver, Cgroups::driver).name(),
        "maxPods": settings.max_pods,
        "podPidsLimit": settings.pod_pids_limit,
        "resolvConf": settings.resolv_conf,
        "cpuCFSQuota": settings.cpu_cfs_quota,
        "maxParallelImagePulls": settings.max_parallel_image_pulls,
        "evictionHard": settings.eviction.given[0],
        "evictionSoft": settings.eviction.given[1],
        "evictionPressureTransitionPeriod": go(settings.eviction.transition),
        "evictionMaxPodGracePeriod": settings.eviction.max_grace,
        "containerLogMaxSize": settings.container_log_max_size.to_string(),
        "containerLogMaxFiles": settings.container_log_max_files,
        "podLogsDir": settings.pod_logs_dir,
        "registerNode": settings.register_node,
    }})
}
