//! The proxy's metrics under upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    Error, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, exponential_buckets,
    histogram_opts, linear_buckets, opts, register_histogram_vec, register_int_counter,
    register_int_counter_vec, register_int_gauge, register_int_gauge_vec,
};

use crate::rules::WithoutLocal;
use crate::state::Counts;
use crate::sync::{Outcome, Written};

struct Metrics {
    sync: HistogramVec,
    full: HistogramVec,
    partial: HistogramVec,
    programming: HistogramVec,
    last: IntGaugeVec,
    queued: IntGaugeVec,
    rules: IntGaugeVec,
    written: IntGaugeVec,
    failures: IntCounterVec,
    partial_failures: IntCounterVec,
    without_local: IntGaugeVec,
    services: IntCounter,
    services_pending: IntGauge,
    endpoints: IntCounter,
    endpoints_pending: IntGauge,
    healthz: IntCounterVec,
    livez: IntCounterVec,
}

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(|| register().ok());

fn register() -> Result<Metrics, Error> {
    let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
        register_histogram_vec!(histogram_opts!(name, help, buckets), &["ip_family"])
    };
    let durations = || exponential_buckets(0.001, 2.0, 15);
    let gauges = |name: &str, help: &str, labels: &[&str]| register_int_gauge_vec!(opts!(name, help), labels);
    let counters =
        |name: &str, help: &str, labels: &[&str]| register_int_counter_vec!(opts!(name, help), labels);
    Ok(Metrics {
        sync: histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds",
            durations()?,
        )?,
        full: histogram(
            "kubeproxy_sync_full_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for full resyncs",
            durations()?,
        )?,
        partial: histogram(
            "kubeproxy_sync_partial_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for partial resyncs",
            durations()?,
        )?,
        programming: histogram(
            "kubeproxy_network_programming_duration_seconds",
            "In Cluster Network Programming Latency in seconds",
            programming_buckets()?,
        )?,
        last: gauges(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "The last time proxy rules were successfully synced",
            &["ip_family"],
        )?,
        queued: gauges(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
            "The last time a sync of proxy rules was queued",
            &["ip_family"],
        )?,
        rules: gauges(
            "kubeproxy_sync_proxy_rules_iptables_total",
            "Total number of iptables rules owned by kube-proxy",
            &["ip_family", "table"],
        )?,
        written: gauges(
            "kubeproxy_sync_proxy_rules_iptables_last",
            "Number of iptables rules written by kube-proxy in last sync",
            &["ip_family", "table"],
        )?,
        failures: counters(
            "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
            "Cumulative proxy iptables restore failures",
            &["ip_family"],
        )?,
        partial_failures: counters(
            "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
            "Cumulative proxy iptables partial restore failures",
            &["ip_family"],
        )?,
        without_local: gauges(
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            &["ip_family", "traffic_policy"],
        )?,
        services: register_int_counter!(
            "kubeproxy_sync_proxy_rules_service_changes_total",
            "Cumulative proxy rules Service changes"
        )?,
        services_pending: register_int_gauge!(
            "kubeproxy_sync_proxy_rules_service_changes_pending",
            "Pending proxy rules Service changes"
        )?,
        endpoints: register_int_counter!(
            "kubeproxy_sync_proxy_rules_endpoint_changes_total",
            "Cumulative proxy rules Endpoint changes"
        )?,
        endpoints_pending: register_int_gauge!(
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
            "Pending proxy rules Endpoint changes"
        )?,
        healthz: counters(
            "kubeproxy_proxy_healthz_total",
            "Cumulative proxy healthz HTTP status",
            &["code"],
        )?,
        livez: counters("kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", &["code"])?,
    })
}

/// Upstream's: finer where the goal is.
fn programming_buckets() -> Result<Vec<f64>, Error> {
    let parts = [(0.25, 0.25, 2), (1.0, 1.0, 59), (60.0, 5.0, 12), (120.0, 30.0, 7)];
    let parts: Result<Vec<_>, _> =
        parts.into_iter().map(|(start, width, count)| linear_buckets(start, width, count)).collect();
    Ok(parts?.concat())
}

const FAMILY: &str = "IPv4";

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Notes that a sync is to be done.
pub fn queued(now: i64) {
    if let Some(metrics) = &*METRICS {
        metrics.queued.with_label_values(&[FAMILY]).set(now);
    }
}

/// Notes a sync that succeeded: what it did, and how many rules there are now.
pub fn synced(took: Duration, outcome: &Outcome, rules: usize, without_local: WithoutLocal, now: i64) {
    let Some(metrics) = &*METRICS else { return };
    let kind = if outcome.full { &metrics.full } else { &metrics.partial };
    for histogram in [&metrics.sync, kind] {
        histogram.with_label_values(&[FAMILY]).observe(took.as_secs_f64());
    }
    metrics.last.with_label_values(&[FAMILY]).set(now);
    metrics.rules.with_label_values(&[FAMILY, "nat"]).set(gauge(rules));
    let Written { filter, nat } = outcome.written;
    let WithoutLocal { internal, external } = without_local;
    for (table, count) in [("filter", filter), ("nat", nat)] {
        metrics.written.with_label_values(&[FAMILY, table]).set(gauge(count));
    }
    for (policy, count) in [("internal", internal), ("external", external)] {
        metrics.without_local.with_label_values(&[FAMILY, policy]).set(gauge(count));
    }
}

/// Notes how long after a change of endpoints the kernel knew of it.
pub fn programmed(took: Duration) {
    if let Some(metrics) = &*METRICS {
        metrics.programming.with_label_values(&[FAMILY]).observe(took.as_secs_f64());
    }
}

/// Notes a sync that failed.
pub fn failed(full: bool) {
    let Some(metrics) = &*METRICS else { return };
    metrics.failures.with_label_values(&[FAMILY]).inc();
    if !full {
        metrics.partial_failures.with_label_values(&[FAMILY]).inc();
    }
}

/// Notes how many changes were told of since the start, and how many wait.
pub fn changes(counts: Counts) {
    let Some(metrics) = &*METRICS else { return };
    for (counter, count) in [(&metrics.services, counts.services), (&metrics.endpoints, counts.endpoints)] {
        counter.inc_by(count.saturating_sub(counter.get()));
    }
    for (pending, count) in [
        (&metrics.services_pending, counts.pending_services),
        (&metrics.endpoints_pending, counts.pending_endpoints),
    ] {
        pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// Notes how somebody was answered who asked how the proxy is.
pub fn probed(path: &str, healthy: bool) {
    let Some(metrics) = &*METRICS else { return };
    let code = if healthy { "200" } else { "503" };
    match path {
        "/healthz" => metrics.healthz.with_label_values(&[code]).inc(),
        "/livez" => metrics.livez.with_label_values(&[code]).inc(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_changes_and_probes_are_told() {
        queued(5);
        let outcome = Outcome { full: true, written: Written { filter: 1, nat: 2 }, ..Outcome::default() };
        synced(Duration::from_millis(3), &outcome, 7, WithoutLocal { internal: 3, external: 4 }, 6);
        programmed(Duration::from_millis(300));
        failed(true);
        failed(false);
        changes(Counts { services: 4, endpoints: 2, pending_services: 0, pending_endpoints: 1 });
        changes(Counts { services: 5, endpoints: 2, pending_services: 1, pending_endpoints: 0 });
        probed("/healthz", false);
        probed("/livez", true);
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"} 5",
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 6",
            "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1",
            "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv4\",table=\"nat\"} 7",
            "kubeproxy_sync_proxy_rules_iptables_last{ip_family=\"IPv4\",table=\"nat\"} 2",
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"external\"} 4",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.25\"} 0",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.5\"} 1",
            "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"300\"} 1",
            "kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family=\"IPv4\"} 2",
            "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family=\"IPv4\"} 1",
            "kubeproxy_sync_proxy_rules_service_changes_total 5",
            "kubeproxy_sync_proxy_rules_service_changes_pending 1",
            "kubeproxy_sync_proxy_rules_endpoint_changes_total 2",
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending 0",
            "kubeproxy_proxy_healthz_total{code=\"503\"} 1",
            "kubeproxy_proxy_livez_total{code=\"200\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
