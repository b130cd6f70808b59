//! What the server counts, under upstream's names.

pub mod access;
pub mod admission;
mod told;
mod watched;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::admission::Operation;
use ::admission::review::{Check, Step};

use anyhow::Context as _;
use authz::Decision;
use component::metrics::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, exponential_buckets,
    histogram_opts, opts, register_histogram_vec, register_int_counter, register_int_counter_vec,
    register_int_gauge_vec,
};
use parking_lot::RwLock;
use schema::Resource;
use storage::Observer;

use self::admission::{Admissions, Called};
use self::watched::{Events, Sizes, Watched};
use crate::http::RequestInfo;
use crate::registry::Entry;
use crate::server::Server;
use crate::streaming::Streaming;

/// Upstream's buckets of request durations.
const DURATIONS: [f64; 26] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0,
];

/// Upstream's buckets of durations that service levels are judged by.
const SLI_DURATIONS: [f64; 21] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// What a request counts as.
#[derive(Clone)]
pub struct Route {
    /// The resource that it is for, if it is for one that is served.
    pub entry: Option<Arc<Entry>>,
    key: Key,
}

/// What tells requests for one resource apart in the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    verb: &'static str,
    /// The position among the resource's subresources.
    subresource: Option<usize>,
    scope: &'static str,
    dry_run: bool,
}

impl Route {
    /// Reads what a request counts as. Names that come from outside become labels only when they are of
    /// something that is served.
    pub fn of(entry: Option<Arc<Entry>>, info: &RequestInfo, dry_run: bool) -> Self {
        let verb = match info.verb {
            "get" => "GET",
            "list" => "LIST",
            "watch" => "WATCH",
            "create" | "post" => "POST",
            "update" | "put" => "PUT",
            "patch" => "PATCH",
            "delete" => "DELETE",
            "deletecollection" => "DELETECOLLECTION",
            _ => "other",
        };
        let Some(entry) = entry else {
            return Self { entry: None, key: Key { verb, subresource: None, scope: "", dry_run: false } };
        };
        let subresource = entry.row.subresources.iter().position(|sub| sub.name == info.subresource);
        let streams = Streaming::serves(&info.resource, &info.subresource) && info.subresource != "log";
        let scope = match (info.name.is_empty(), info.namespace.is_empty()) {
            (false, _) => "resource",
            (true, true) => "cluster",
            (true, false) => "namespace",
        };
        let verb = if streams { "CONNECT" } else { verb };
        Self { entry: Some(entry), key: Key { verb, subresource, scope, dry_run } }
    }

    /// The values of verb, dry_run, group, version, resource, subresource, scope and component.
    fn labels(&self) -> [&str; 8] {
        let row = self.entry.as_ref().map(|entry| &entry.row);
        let sub = row.zip(self.key.subresource).and_then(|(row, index)| row.subresources.get(index));
        [
            self.key.verb,
            if self.key.dry_run { "All" } else { "" },
            row.map_or("", |row| &row.group),
            row.map_or("", |row| &row.version),
            row.map_or("", |row| &row.plural),
            sub.map_or("", |sub| sub.name),
            self.key.scope,
            "apiserver",
        ]
    }
}

/// The counters of a resource's requests: finding them by their labels costs more than all other bookkeeping of a
/// request, so those that were found are kept with the resource.
#[derive(Default)]
pub struct Known {
    requests: RwLock<Vec<(Key, Arc<Counters>)>>,
    events: OnceLock<Arc<Events>>,
}

struct Counters {
    duration: Histogram,
    sli: Histogram,
    sizes: Histogram,
    by_code: RwLock<Vec<(u16, IntCounter)>>,
}

/// The server's counters.
pub struct Metrics {
    shared: Arc<Shared>,
    /// Of requests that are not for resources.
    others: Known,
    admissions: Admissions,
}

impl Metrics {
    /// Registers the counters; a second server in the same process shares the first one's.
    pub fn shared() -> anyhow::Result<Arc<Shared>> {
        static SHARED: std::sync::OnceLock<Arc<Shared>> = std::sync::OnceLock::new();
        if let Some(shared) = SHARED.get() {
            return Ok(shared.clone());
        }
        let shared = Arc::new(Shared::register()?);
        Ok(SHARED.get_or_init(|| shared).clone())
    }

    /// Counters over shared registrations, and the admission plugins that are on.
    pub fn new(shared: Arc<Shared>, plugins: &[&'static str]) -> Self {
        Self { shared, others: Known::default(), admissions: Admissions::new(plugins) }
    }

    fn counters(&self, route: &Route) -> Arc<Counters> {
        let known = route.entry.as_ref().map_or(&self.others, |entry| &entry.counters);
        if let Some((_, found)) = known.requests.read().iter().find(|(key, _)| *key == route.key) {
            return found.clone();
        }
        let duration = self.shared.durations.with_label_values(&route.labels());
        self.note_deprecation(route);
        let [verb, _, group, version, resource, subresource, scope, component] = route.labels();
        let labels = [verb, group, version, resource, subresource, scope, component];
        let sizes = self.shared.sizes.with_label_values(&labels);
        let sli = self.shared.slis.with_label_values(&labels);
        let counters = Arc::new(Counters { duration, sli, sizes, by_code: RwLock::default() });
        known.requests.write().push((route.key, counters.clone()));
        counters
    }

    /// Notes that somebody asked for what is on its way out.
    fn note_deprecation(&self, route: &Route) {
        let Some(row) = route.entry.as_ref().map(|entry| &entry.row) else { return };
        if kinds::deprecation::warning(&row.group, &row.version, &row.kind).is_some() {
            let removed = kinds::deprecation::removed_release(&row.group, &row.version, &row.kind);
            let [_, _, group, version, resource, subresource, ..] = route.labels();
            let labels = [group, version, resource, subresource, removed];
            self.shared.deprecated.with_label_values(&labels).set(1);
        }
    }

    /// Counts a finished request, and the size of its answer where that is known.
    pub fn finished(&self, route: &Route, code: u16, took: Duration, size: Option<u64>) {
        let counters = self.counters(route);
        if !matches!(route.key.verb, "WATCH" | "CONNECT") {
            counters.duration.observe(took.as_secs_f64());
            counters.sli.observe(took.as_secs_f64());
        }
        if let Some(size) = size.filter(|_| matches!(route.key.verb, "GET" | "LIST")) {
            counters.sizes.observe(size as f64);
        }
        if let Some((_, counter)) = counters.by_code.read().iter().find(|(known, _)| *known == code) {
            counter.inc();
            return;
        }
        let code_text = code.to_string();
        let [verb, dry_run, group, version, resource, subresource, scope, component] = route.labels();
        let counter = self.shared.requests.with_label_values(&[
            verb,
            dry_run,
            group,
            version,
            resource,
            subresource,
            scope,
            component,
            &code_text,
        ]);
        counter.inc();
        counters.by_code.write().push((code, counter));
    }

    /// Counts a request that is under way, until the guard is dropped.
    pub fn entered(&self, mutating: bool) -> Open {
        Open::new(self.shared.inflight.with_label_values(&[if mutating { "mutating" } else { "readOnly" }]))
    }

    /// Counts how a request's user came to be known, if anybody, and how long that took.
    pub fn authenticated(&self, user: Option<&str>, took: Duration) {
        self.shared.access.authenticated(user, took);
    }

    /// Counts what authorisers said, and how long that took.
    pub fn authorized(&self, decision: &Decision, took: Duration) {
        self.shared.access.authorized(decision, took);
    }

    /// Counts how long a plugin, by its place among those that are on, took over a step.
    pub fn plugin_ran(&self, place: usize, step: Step, operation: Operation, took: Duration, refused: bool) {
        self.admissions.ran(&self.shared.admission, place, step, operation, took, refused);
    }

    /// Counts how long a step took with all its plugins and webhooks.
    pub fn stepped(&self, step: Step, operation: Operation, took: Duration, refused: bool) {
        self.admissions.stepped(&self.shared.admission, step, operation, took, refused);
    }

    /// Counts how a webhook answered.
    pub fn webhook_called(&self, called: Called<'_>) {
        self.shared.admission.called(called);
    }

    /// Counts what a validating policy came to.
    pub fn policy_checked(&self, check: Check<'_>, took: Duration) {
        self.shared.admission.checked(check, took);
    }

    /// Counts a client with whom no TLS was agreed on.
    pub fn handshake_failed(&self) {
        self.shared.handshake_errors.inc();
    }

    /// Counts an open watch, until the guard is dropped.
    pub fn watch_opened(&self, entry: &Entry) -> Watching {
        let events = entry.counters.events.get_or_init(|| self.shared.watched.of(&entry.row));
        Watching { events: events.clone(), _open: self.watch_is_open(&entry.row) }
    }

    /// The events that watchers were sent, by group, version and resource.
    fn watched(&self) -> Vec<([Box<str>; 3], Sizes)> {
        self.shared.watched.read()
    }

    fn watch_is_open(&self, row: &Resource) -> Open {
        Open::new(self.shared.long_running.with_label_values(&[
            "WATCH",
            &row.group,
            &row.version,
            &row.plural,
            "",
            if row.namespaced { "namespace" } else { "cluster" },
            "apiserver",
        ]))
    }

    /// Counts a request that the server gave up or refused to begin.
    pub fn terminated(&self, route: &Route, code: u16) {
        let code = code.to_string();
        let [verb, _, group, version, resource, subresource, scope, component] = route.labels();
        self.shared
            .terminations
            .with_label_values(&[verb, group, version, resource, subresource, scope, component, &code])
            .inc();
    }

    /// What the store tells of its calls to etcd. One call may be for all resources, as the watch's first list is, so the
    /// labels that upstream has for them stay empty.
    pub fn etcd_observer(&self) -> Observer {
        let (etcd, counts, errors) =
            (self.shared.etcd.clone(), self.shared.etcd_requests.clone(), self.shared.etcd_errors.clone());
        Arc::new(move |told| {
            let (group, resource) = told
                .resource
                .map_or(("", ""), |resource| (resource.group.as_str(), resource.plural.as_str()));
            let labels = [told.operation, group, resource];
            etcd.with_label_values(&labels).observe(told.took.as_secs_f64());
            counts.with_label_values(&labels).inc();
            if !told.well {
                errors.with_label_values(&labels).inc();
            }
        })
    }
}

/// The registered metrics of the process.
pub struct Shared {
    requests: IntCounterVec,
    durations: HistogramVec,
    sizes: HistogramVec,
    inflight: IntGaugeVec,
    long_running: IntGaugeVec,
    terminations: IntCounterVec,
    etcd: HistogramVec,
    etcd_requests: IntCounterVec,
    etcd_errors: IntCounterVec,
    slis: HistogramVec,
    watched: Watched,
    handshake_errors: IntCounter,
    deprecated: IntGaugeVec,
    access: access::Shared,
    admission: admission::Shared,
}

const ROUTE: [&str; 8] =
    ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"];
const ROUTE_AND_CODE: [&str; 9] =
    ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code"];

impl Shared {
    fn register() -> anyhow::Result<Self> {
        let register = || -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
            Ok(Self {
                access: access::Shared::register()?,
                admission: admission::Shared::register()?,
                handshake_errors: register_int_counter!(
                    "apiserver_tls_handshake_errors_total",
                    "Number of requests dropped with 'TLS handshake error from' error"
                )?,
                deprecated: register_int_gauge_vec!(
                    opts!(
                        "apiserver_requested_deprecated_apis",
                        "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release."
                    ),
                    &["group", "version", "resource", "subresource", "removed_release"]
                )?,
                slis: register_histogram_vec!(
                    histogram_opts!(
                        "apiserver_request_sli_duration_seconds",
                        "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
                        SLI_DURATIONS.to_vec()
                    ),
                    &["verb", "group", "version", "resource", "subresource", "scope", "component"]
                )?,
                watched: Watched::default(),
                requests: register_int_counter_vec!(
                    opts!(
                        "apiserver_request_total",
                        "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code."
                    ),
                    &ROUTE_AND_CODE
                )?,
                durations: register_histogram_vec!(
                    histogram_opts!(
                        "apiserver_request_duration_seconds",
                        "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
                        DURATIONS.to_vec()
                    ),
                    &ROUTE
                )?,
                sizes: register_histogram_vec!(
                    histogram_opts!(
                        "apiserver_response_sizes",
                        "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
                        exponential_buckets(1000.0, 10.0, 7)?
                    ),
                    &["verb", "group", "version", "resource", "subresource", "scope", "component"]
                )?,
                inflight: register_int_gauge_vec!(
                    opts!(
                        "apiserver_current_inflight_requests",
                        "Maximal number of currently used inflight request limit of this apiserver per request kind in last second."
                    ),
                    &["request_kind"]
                )?,
                long_running: register_int_gauge_vec!(
                    opts!(
                        "apiserver_longrunning_requests",
                        "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way."
                    ),
                    &["verb", "group", "version", "resource", "subresource", "scope", "component"]
                )?,
                terminations: register_int_counter_vec!(
                    opts!(
                        "apiserver_request_terminations_total",
                        "Number of requests which apiserver terminated in self-defense."
                    ),
                    &["verb", "group", "version", "resource", "subresource", "scope", "component", "code"]
                )?,
                etcd: register_histogram_vec!(
                    histogram_opts!(
                        "etcd_request_duration_seconds",
                        "Etcd request latency in seconds for each operation and object type.",
                        vec![
                            0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0,
                            6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0
                        ]
                    ),
                    &["operation", "group", "resource"]
                )?,
                etcd_requests: register_int_counter_vec!(
                    opts!("etcd_requests_total", "Etcd request counts for each operation and object type."),
                    &["operation", "group", "resource"]
                )?,
                etcd_errors: register_int_counter_vec!(
                    opts!(
                        "etcd_request_errors_total",
                        "Etcd failed request counts for each operation and object type."
                    ),
                    &["operation", "group", "resource"]
                )?,
            })
        };
        register().map_err(|error| anyhow::anyhow!("{error}")).context("registering metrics")
    }
}

/// A watch that is counted while it lasts, and its events.
pub struct Watching {
    events: Arc<Events>,
    _open: Open,
}

impl Watching {
    /// Counts an event of this size that is on its way to the client.
    pub fn sent(&self, size: usize) {
        self.events.sent(size);
    }
}

/// Something that is counted while it lasts.
pub struct Open(IntGauge);

impl Open {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All metrics in Prometheus' text format.
pub async fn text(server: &Server) -> Vec<u8> {
    let told = told::text(server).await;
    let mut text = component::metrics::text();
    text.extend_from_slice(told.as_bytes());
    text
}
