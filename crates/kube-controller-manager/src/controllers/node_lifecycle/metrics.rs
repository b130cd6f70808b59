//! How zones and their nodes fare, under upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    Error, GaugeVec, Histogram, IntCounterVec, IntGaugeVec, exponential_buckets, histogram_opts, opts,
    register_gauge_vec, register_histogram, register_int_counter_vec, register_int_gauge_vec,
};

struct Metrics {
    health: GaugeVec,
    size: IntGaugeVec,
    unhealthy: IntGaugeVec,
    evictions: IntCounterVec,
    node: Histogram,
    all: Histogram,
}

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(|| register().ok());

fn register() -> Result<Metrics, Error> {
    Ok(Metrics {
        health: register_gauge_vec!(
            opts!("node_collector_zone_health", "Gauge measuring percentage of healthy nodes per zone."),
            &["zone"]
        )?,
        size: register_int_gauge_vec!(
            opts!("node_collector_zone_size", "Gauge measuring number of registered Nodes per zones."),
            &["zone"]
        )?,
        unhealthy: register_int_gauge_vec!(
            opts!(
                "node_collector_unhealthy_nodes_in_zone",
                "Gauge measuring number of not Ready Nodes per zones."
            ),
            &["zone"]
        )?,
        evictions: register_int_counter_vec!(
            opts!(
                "node_collector_evictions_total",
                "Number of Node evictions that happened since current instance of NodeController started."
            ),
            &["zone"]
        )?,
        node: register_histogram!(histogram_opts!(
            "node_collector_update_node_health_duration_seconds",
            "Duration in seconds for NodeController to update the health of a single node.",
            exponential_buckets(0.001, 4.0, 8)?
        ))?,
        all: register_histogram!(histogram_opts!(
            "node_collector_update_all_nodes_health_duration_seconds",
            "Duration in seconds for NodeController to update the health of all nodes.",
            exponential_buckets(0.01, 4.0, 8)?
        ))?,
    })
}

/// Notes how many nodes a zone has, and how many of them are not ready.
pub fn zone(name: &str, size: usize, unhealthy: usize) {
    let Some(metrics) = &*METRICS else { return };
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    // As upstream: nothing is wrong with a zone that is gone.
    let healthy = if size == 0 { 100.0 } else { 100.0 * (size - unhealthy.min(size)) as f64 / size as f64 };
    metrics.health.with_label_values(&[name]).set(healthy);
    metrics.size.with_label_values(&[name]).set(count(size));
    metrics.unhealthy.with_label_values(&[name]).set(count(unhealthy));
    metrics.evictions.with_label_values(&[name]);
}

/// Notes that the pods of a node of a zone are to go.
pub fn evicted(zone: &str) {
    if let Some(metrics) = &*METRICS {
        metrics.evictions.with_label_values(&[zone]).inc();
    }
}

/// Notes how long it took to look at one node.
pub fn node_seen(took: Duration) {
    if let Some(metrics) = &*METRICS {
        metrics.node.observe(took.as_secs_f64());
    }
}

/// Notes how long it took to look at the health of all nodes.
pub fn all_seen(took: Duration) {
    if let Some(metrics) = &*METRICS {
        metrics.all.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_evictions_are_told() {
        zone("north", 4, 1);
        zone("gone", 0, 0);
        evicted("north");
        node_seen(Duration::from_millis(2));
        all_seen(Duration::from_millis(2));
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "node_collector_zone_health{zone=\"north\"} 75",
            "node_collector_zone_health{zone=\"gone\"} 100",
            "node_collector_zone_size{zone=\"north\"} 4",
            "node_collector_unhealthy_nodes_in_zone{zone=\"north\"} 1",
            "node_collector_evictions_total{zone=\"north\"} 1",
            "node_collector_evictions_total{zone=\"gone\"} 0",
            "node_collector_update_node_health_duration_seconds_count 1",
            "node_collector_update_all_nodes_health_duration_seconds_bucket{le=\"0.01\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
