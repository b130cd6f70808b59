//! The proxy's metrics under upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    HistogramVec, IntCounterVec, IntGaugeVec, exponential_buckets, histogram_opts, opts,
    register_histogram_vec, register_int_counter_vec, register_int_gauge_vec,
};

struct Metrics {
    sync: Option<HistogramVec>,
    full: Option<HistogramVec>,
    partial: Option<HistogramVec>,
    last: Option<IntGaugeVec>,
    rules: Option<IntGaugeVec>,
    failures: Option<IntCounterVec>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let histogram = |name: &str, help: &str| {
        let buckets = exponential_buckets(0.001, 2.0, 15).ok()?;
        register_histogram_vec!(histogram_opts!(name, help, buckets), &["ip_family"]).ok()
    };
    Metrics {
        sync: histogram("kubeproxy_sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds"),
        full: histogram(
            "kubeproxy_sync_full_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for full resyncs",
        ),
        partial: histogram(
            "kubeproxy_sync_partial_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for partial resyncs",
        ),
        last: register_int_gauge_vec!(
            opts!(
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                "The last time proxy rules were successfully synced"
            ),
            &["ip_family"]
        )
        .ok(),
        rules: register_int_gauge_vec!(
            opts!(
                "kubeproxy_sync_proxy_rules_iptables_total",
                "Total number of iptables rules owned by kube-proxy"
            ),
            &["ip_family", "table"]
        )
        .ok(),
        failures: register_int_counter_vec!(
            opts!(
                "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
                "Cumulative proxy iptables restore failures"
            ),
            &["ip_family"]
        )
        .ok(),
    }
});

const FAMILY: &str = "IPv4";

/// Notes a sync that succeeded.
pub fn synced(took: Duration, full: bool, rules: usize, now: i64) {
    let metrics = &*METRICS;
    let kind = if full { &metrics.full } else { &metrics.partial };
    for histogram in [&metrics.sync, kind].into_iter().flatten() {
        histogram.with_label_values(&[FAMILY]).observe(took.as_secs_f64());
    }
    if let Some(last) = &metrics.last {
        last.with_label_values(&[FAMILY]).set(now);
    }
    if let Some(gauge) = &metrics.rules {
        gauge.with_label_values(&[FAMILY, "nat"]).set(i64::try_from(rules).unwrap_or(i64::MAX));
    }
}

/// Notes a sync that failed.
pub fn failed() {
    if let Some(failures) = &METRICS.failures {
        failures.with_label_values(&[FAMILY]).inc();
    }
}
