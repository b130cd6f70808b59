//! The server's metrics under CoreDNS' names.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    HistogramVec, IntCounter, IntCounterVec, IntGauge, exponential_buckets, histogram_opts, opts,
    register_histogram_vec, register_int_counter, register_int_counter_vec, register_int_gauge,
};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::message::Transport;

struct Metrics {
    requests: Option<IntCounterVec>,
    responses: Option<IntCounterVec>,
    duration: Option<HistogramVec>,
    hits: Option<IntCounter>,
    misses: Option<IntCounter>,
    entries: Option<IntGauge>,
    rejected: Option<IntCounter>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    requests: register_int_counter_vec!(
        opts!("coredns_dns_requests_total", "Counter of DNS requests made per zone, protocol and family."),
        &["server", "zone", "proto", "family", "type"]
    )
    .ok(),
    responses: register_int_counter_vec!(
        opts!("coredns_dns_responses_total", "Counter of response status codes."),
        &["server", "zone", "rcode"]
    )
    .ok(),
    duration: exponential_buckets(0.000_25, 2.0, 16).ok().and_then(|buckets| {
        register_histogram_vec!(
            histogram_opts!(
                "coredns_dns_request_duration_seconds",
                "Histogram of the time (in seconds) each request took per zone.",
                buckets
            ),
            &["server", "zone"]
        )
        .ok()
    }),
    hits: register_int_counter!("coredns_cache_hits_total", "The count of cache hits.").ok(),
    misses: register_int_counter!("coredns_cache_misses_total", "The count of cache misses.").ok(),
    entries: register_int_gauge!("coredns_cache_entries", "The number of elements in the cache.").ok(),
    rejected: register_int_counter!(
        "coredns_forward_max_concurrent_rejects_total",
        "Counter of the number of queries rejected because the concurrent queries were at maximum."
    )
    .ok(),
});

/// The label that tells CoreDNS' server blocks apart; here there is one.
const SERVER: &str = "dns://:53";

/// Whose names were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// The cluster's, its addresses included.
    Cluster,
    /// Others'.
    Elsewhere,
}

/// One request, answered.
pub struct Answered {
    /// Whose names were asked for.
    pub zone: Zone,
    /// How it came.
    pub transport: Transport,
    /// Who asked.
    pub peer: IpAddr,
    /// What for.
    pub kind: RecordType,
    /// The low bits of the response code.
    pub code: u8,
    /// How long it took.
    pub took: Duration,
}

/// Notes an answer. The labels come from fixed sets, so that askers cannot make new series.
pub fn answered(answered: Answered) {
    let zone = match answered.zone {
        Zone::Cluster => "cluster",
        Zone::Elsewhere => ".",
    };
    let proto = match answered.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    let family = match answered.peer {
        IpAddr::V4(_) => "1",
        IpAddr::V6(_) => "2",
    };
    if let Some(requests) = &METRICS.requests {
        requests.with_label_values(&[SERVER, zone, proto, family, kind(answered.kind)]).inc();
    }
    if let Some(responses) = &METRICS.responses {
        responses.with_label_values(&[SERVER, zone, code(answered.code)]).inc();
    }
    if let Some(duration) = &METRICS.duration {
        duration.with_label_values(&[SERVER, zone]).observe(answered.took.as_secs_f64());
    }
}

/// Notes a look into the cache.
pub fn cached(hit: bool) {
    let counter = if hit { &METRICS.hits } else { &METRICS.misses };
    if let Some(counter) = counter {
        counter.inc();
    }
}

/// Notes how many replies the cache holds.
pub fn cache_size(entries: usize) {
    if let Some(gauge) = &METRICS.entries {
        gauge.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}

/// Notes a request that found every slot taken.
pub fn rejected() {
    if let Some(rejected) = &METRICS.rejected {
        rejected.inc();
    }
}

fn kind(kind: RecordType) -> &'static str {
    match kind {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::CNAME => "CNAME",
        RecordType::HTTPS => "HTTPS",
        RecordType::MX => "MX",
        RecordType::NS => "NS",
        RecordType::PTR => "PTR",
        RecordType::SOA => "SOA",
        RecordType::SRV => "SRV",
        RecordType::TXT => "TXT",
        _ => "other",
    }
}

fn code(low: u8) -> &'static str {
    match ResponseCode::from(0, low) {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        _ => "other",
    }
}
