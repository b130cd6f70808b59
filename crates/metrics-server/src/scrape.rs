//! Asks every kubelet for what its node and pods use.
//!
//! Keeps true: the points are those of the nodes that there are, none older than three rounds. Woken by: time.
//! Reads: `/metrics/resource` of every kubelet. Writes: the points. Gives up when: never; a kubelet that does not
//! answer is asked again in the next round.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use component::Latch;
use component::client;
use component::metrics::{
    IntCounterVec, IntGaugeVec, opts, register_int_counter_vec, register_int_gauge_vec,
};
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use kube::client::Body;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower::filter::AsyncFilterLayer;
use tower::util::BoxCloneSyncService;

use crate::config::Kubelets;
use crate::exposition;
use crate::objects::Cluster;
use crate::points::Points;

/// How many kubelets are asked at the same time.
const AT_ONCE: usize = 16;
/// The largest answer that is read: a thousand containers fit in a megabyte.
const LARGEST: usize = 16 << 20;
/// A rate takes two measurements: the second comes soon after the first.
const SECOND: Duration = Duration::from_secs(3);
/// How many rounds a node may be silent before its numbers are no longer told.
const SILENT: i32 = 3;

type Response = http::Response<hyper::body::Incoming>;

/// Asks kubelets.
#[derive(Clone)]
pub struct Scraper {
    client: BoxCloneSyncService<http::Request<Body>, Response, tower::BoxError>,
    kubelets: Kubelets,
    requests: IntCounterVec,
    held: IntGaugeVec,
}

impl Scraper {
    /// Speaks to kubelets with the credentials that are for the API server.
    pub fn new(mut config: kube::Config, kubelets: Kubelets) -> anyhow::Result<Self> {
        if let Some(path) = &kubelets.authority {
            let certificates = pki::read_certificates(path).context("--kubelet-certificate-authority")?;
            config.root_cert = Some(certificates.iter().map(|certificate| certificate.to_vec()).collect());
            config.root_cert_file = None;
        }
        config.accept_invalid_certs = kubelets.insecure;
        config.tls_server_name = None;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(kubelets.patience));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(client::tls_config(&config).context("TLS of kubelets")?)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        // A connection is kept from round to round: a handshake costs more than all the rest.
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build::<_, Body>(connector);
        let service = tower::ServiceBuilder::new()
            .option_layer(
                client::Credentials::of(&config.auth_info).context("credentials")?.map(AsyncFilterLayer::new),
            )
            .map_err(tower::BoxError::from)
            .service(client);
        Ok(Self {
            client: BoxCloneSyncService::new(service),
            kubelets,
            requests: register_int_counter_vec!(
                opts!("metrics_server_kubelet_request_total", "Number of requests sent to Kubelet API"),
                &["success"]
            )?,
            held: register_int_gauge_vec!(
                opts!("metrics_server_storage_points", "Number of metrics points stored."),
                &["type"]
            )?,
        })
    }

    /// Asks every kubelet once a round until it is told to stop; the latch opens when there are rates to tell.
    pub async fn run(
        self,
        cluster: Cluster,
        points: Arc<RwLock<Points>>,
        resolution: Duration,
        latch: Latch,
        stop: CancellationToken,
    ) {
        let mut latch = Some(latch);
        let mut pause = SECOND;
        tokio::select! {
            () = cluster.nodes.ready() => {}
            () = stop.cancelled() => return,
        }
        loop {
            let next = tokio::time::Instant::now() + pause;
            tokio::select! {
                () = self.round(&cluster, &points, resolution) => {}
                () = stop.cancelled() => return,
            }
            let tells = cluster.nodes.keys().iter().any(|node| points.read().node(node.as_str()).is_some());
            if tells {
                pause = resolution;
                if let Some(latch) = latch.take() {
                    latch.open();
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn round(&self, cluster: &Cluster, points: &RwLock<Points>, resolution: Duration) {
        let nodes = cluster.nodes.list();
        futures::stream::iter(&nodes)
            .for_each_concurrent(AT_ONCE, |node| async move {
                let name = informer::Object::name(&**node);
                let Some(authority) = node.kubelet(&self.kubelets) else { return };
                let asked = tokio::time::timeout(self.kubelets.patience, self.ask(&authority)).await;
                let text = asked.unwrap_or_else(|_| bail!("no answer within {:?}", self.kubelets.patience));
                self.requests.with_label_values(&[if text.is_ok() { "true" } else { "false" }]).inc();
                match text {
                    Ok(text) => {
                        let sample = exposition::parse(&text, Timestamp::now().as_millisecond());
                        points.write().apply(name, &sample);
                    }
                    Err(error) => {
                        tracing::error!(node = name, kubelet = authority, "failed to scrape node: {error:#}");
                    }
                }
            })
            .await;
        let age = resolution * SILENT.unsigned_abs();
        let since = Timestamp::now().as_millisecond() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let mut points = points.write();
        points.retain(since, |name| cluster.nodes.get(name).is_some());
        let (nodes, containers) = points.len();
        self.held.with_label_values(&["node"]).set(i64::try_from(nodes).unwrap_or(i64::MAX));
        self.held.with_label_values(&["container"]).set(i64::try_from(containers).unwrap_or(i64::MAX));
    }

    async fn ask(&self, authority: &str) -> anyhow::Result<String> {
        let request =
            http::Request::get(format!("https://{authority}/metrics/resource")).body(Body::empty())?;
        let sent = self.client.clone().oneshot(request).await;
        let response = sent.map_err(|error| anyhow::anyhow!(component::cause::whole(error.as_ref())))?;
        if !response.status().is_success() {
            bail!("request failed, status: {:?}", response.status().to_string());
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("reading the answer: {error}"))?;
        String::from_utf8(Vec::from(body.to_bytes())).context("the answer is no text")
    }
}
