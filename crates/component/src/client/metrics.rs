//! Upstream's `rest_client_*` metrics: what a component asks of the API server, and how long answers take.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Instant,
};

use http::{Method, Request, Response, header::CONTENT_LENGTH};
use hyper::body::Body;
use parking_lot::RwLock;
use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, histogram_opts, opts, register_histogram_vec,
    register_int_counter_vec,
};
use tower::{Layer, Service};

/// The metrics of all clients; `None` if the registry refused one.
static ALL: LazyLock<Option<All>> = LazyLock::new(|| All::register().ok());

struct All {
    requests: IntCounterVec,
    durations: HistogramVec,
    sent: HistogramVec,
    received: HistogramVec,
}

/// Upstream's buckets of sizes.
const SIZES: [f64; 12] = [
    64.0,
    256.0,
    512.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

impl All {
    fn register() -> Result<Self, prometheus::Error> {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            register_histogram_vec!(histogram_opts!(name, help, buckets.to_vec()), &["host", "verb"])
        };
        Ok(Self {
            requests: register_int_counter_vec!(
                opts!(
                    "rest_client_requests_total",
                    "Number of HTTP requests, partitioned by status code, method, and host."
                ),
                &["code", "host", "method"]
            )?,
            durations: histogram(
                "rest_client_request_duration_seconds",
                "Request latency in seconds. Broken down by verb, and host.",
                &[0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0],
            )?,
            sent: histogram(
                "rest_client_request_size_bytes",
                "Request size in bytes. Broken down by verb and host.",
                &SIZES,
            )?,
            received: histogram(
                "rest_client_response_size_bytes",
                "Response size in bytes. Broken down by verb and host.",
                &SIZES,
            )?,
        })
    }
}

/// Counts the requests to one host.
#[derive(Clone)]
pub(super) struct Counting {
    known: Arc<Known>,
}

/// The counters that were found by their labels: few, as there are few methods and codes.
struct Known {
    host: String,
    by_method: RwLock<Vec<(Method, Arc<Counters>)>>,
}

struct Counters {
    method: Method,
    duration: Histogram,
    sent: Histogram,
    received: Histogram,
    by_code: RwLock<Vec<(u16, IntCounter)>>,
}

impl Counting {
    /// Of the host that a client asks.
    pub(super) fn of(server: &http::Uri) -> Self {
        let host = server.authority().map(ToString::to_string).unwrap_or_default();
        Self { known: Arc::new(Known { host, by_method: RwLock::default() }) }
    }
}

impl Known {
    fn counters(&self, method: &Method) -> Option<Arc<Counters>> {
        if let Some((_, found)) = self.by_method.read().iter().find(|(known, _)| known == method) {
            return Some(found.clone());
        }
        let all = ALL.as_ref()?;
        let labels = [self.host.as_str(), method.as_str()];
        let counters = Arc::new(Counters {
            method: method.clone(),
            duration: all.durations.with_label_values(&labels),
            sent: all.sent.with_label_values(&labels),
            received: all.received.with_label_values(&labels),
            by_code: RwLock::default(),
        });
        self.by_method.write().push((method.clone(), counters.clone()));
        Some(counters)
    }

    /// Counts an answer; one that never came has no code, which upstream writes as `<error>`.
    fn answered(&self, counters: &Counters, code: Option<u16>) {
        let number = code.unwrap_or_default();
        if let Some((_, counter)) = counters.by_code.read().iter().find(|(known, _)| *known == number) {
            counter.inc();
            return;
        }
        let Some(all) = ALL.as_ref() else { return };
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        let labels = [code.as_str(), self.host.as_str(), counters.method.as_str()];
        let counter = all.requests.with_label_values(&labels);
        counter.inc();
        counters.by_code.write().push((number, counter));
    }
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, known: self.known.clone() }
    }
}

/// A client whose requests are counted.
#[derive(Clone)]
pub(super) struct Counted<S> {
    inner: S,
    known: Arc<Known>,
}

impl<S, B, C> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: Body,
    C: 'static,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let counters = self.known.counters(request.method());
        if let (Some(counters), Some(size)) = (&counters, request.body().size_hint().exact()) {
            counters.sent.observe(size as f64);
        }
        let known = self.known.clone();
        let begun = Instant::now();
        let answering = self.inner.call(request);
        Box::pin(async move {
            let answer = answering.await;
            if let Some(counters) = counters {
                counters.duration.observe(begun.elapsed().as_secs_f64());
                known.answered(&counters, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
                let length = answer.as_ref().ok().and_then(|answer| answer.headers().get(CONTENT_LENGTH));
                let length = length.and_then(|length| length.to_str().ok()?.parse::<u32>().ok());
                if let Some(length) = length {
                    counters.received.observe(f64::from(length));
                }
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_method_and_code() {
        let server = "https://10.96.0.1:6443/".parse().unwrap();
        let inner = service_fn(async |request: Request<Full<&'static [u8]>>| match request.uri().path() {
            "/gone" => Err("connection refused"),
            _ => Ok(Response::builder().status(201).header(CONTENT_LENGTH, 700).body(()).unwrap()),
        });
        let client = Counting::of(&server).layer(inner);
        for path in ["/a", "/b", "/gone"] {
            let body = Full::new(&b"0123456789"[..]);
            let request = Request::post(path).body(body).unwrap();
            let _ = client.clone().oneshot(request).await;
        }
        let text = String::from_utf8(crate::metrics::text()).unwrap();
        for line in [
            "rest_client_requests_total{code=\"201\",host=\"10.96.0.1:6443\",method=\"POST\"} 2",
            "rest_client_requests_total{code=\"<error>\",host=\"10.96.0.1:6443\",method=\"POST\"} 1",
            "rest_client_request_duration_seconds_count{host=\"10.96.0.1:6443\",verb=\"POST\"} 3",
            "rest_client_request_size_bytes_bucket{host=\"10.96.0.1:6443\",verb=\"POST\",le=\"64\"} 3",
            "rest_client_response_size_bytes_bucket{host=\"10.96.0.1:6443\",verb=\"POST\",le=\"512\"} 0",
            "rest_client_response_size_bytes_bucket{host=\"10.96.0.1:6443\",verb=\"POST\",le=\"1024\"} 2",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
