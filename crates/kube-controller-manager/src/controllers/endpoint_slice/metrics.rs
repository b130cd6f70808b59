//! What syncs of endpoint slices did, and how well endpoints are packed, under upstream's names.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use component::metrics::{
    Error, Histogram, HistogramVec, IntCounterVec, IntGauge, exponential_buckets, histogram_opts, opts,
    register_histogram, register_histogram_vec, register_int_counter_vec, register_int_gauge,
};
use controller_runtime::objects::EndpointSlice;
use controller_runtime::objects::endpoint_slice::{Endpoint, Port};

use super::packing::{FULL, Packing, identity};
use super::service_of;

/// Prometheus' own buckets, which upstream takes where it names none.
const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

struct Metrics {
    syncs: IntCounterVec,
    changes: IntCounterVec,
    added: Histogram,
    removed: Histogram,
    changed: HistogramVec,
    endpoints: IntGauge,
    slices: IntGauge,
    perfect: IntGauge,
}

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(|| register().ok());

fn register() -> Result<Metrics, Error> {
    let per_sync = |name: &str, help: &str| {
        register_histogram!(histogram_opts!(name, help, exponential_buckets(2.0, 2.0, 15)?))
    };
    Ok(Metrics {
        syncs: register_int_counter_vec!(
            opts!("endpoint_slice_controller_syncs", "Number of EndpointSlice syncs"),
            &["result"]
        )?,
        changes: register_int_counter_vec!(
            opts!("endpoint_slice_controller_changes", "Number of EndpointSlice changes"),
            &["operation"]
        )?,
        added: per_sync(
            "endpoint_slice_controller_endpoints_added_per_sync",
            "Number of endpoints added on each Service sync",
        )?,
        removed: per_sync(
            "endpoint_slice_controller_endpoints_removed_per_sync",
            "Number of endpoints removed on each Service sync",
        )?,
        changed: register_histogram_vec!(
            histogram_opts!(
                "endpoint_slice_controller_endpointslices_changed_per_sync",
                "Number of EndpointSlices changed on each Service sync",
                DEFAULT_BUCKETS.to_vec()
            ),
            &["topology", "traffic_distribution"]
        )?,
        endpoints: register_int_gauge!(
            "endpoint_slice_controller_endpoints_desired",
            "Number of endpoints desired"
        )?,
        slices: register_int_gauge!(
            "endpoint_slice_controller_num_endpoint_slices",
            "Number of EndpointSlices"
        )?,
        perfect: register_int_gauge!(
            "endpoint_slice_controller_desired_endpoint_slices",
            "Number of EndpointSlices that would exist with perfect endpoint allocation"
        )?,
    })
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// The slices are as they should be.
    Well,
    /// A request failed.
    Failed,
    /// What was written before is not yet seen.
    Stale,
}

/// Notes how a sync ended.
pub fn synced(result: Synced) {
    let Some(metrics) = &*METRICS else { return };
    let result = match result {
        Synced::Well => "success",
        Synced::Failed => "error",
        Synced::Stale => "stale",
    };
    metrics.syncs.with_label_values(&[result]).inc();
}

/// Notes a write of a slice: `create`, `update` or `delete`.
pub fn changed(operation: &str) {
    if let Some(metrics) = &*METRICS {
        metrics.changes.with_label_values(&[operation]).inc();
    }
}

/// Notes what a sync of a service is to change.
pub fn packed(packing: &Packing, traffic_distribution: &str) {
    let Some(metrics) = &*METRICS else { return };
    let (added, removed) = moved(packing);
    metrics.added.observe(added as f64);
    metrics.removed.observe(removed as f64);
    let slices = packing.create.len() + packing.update.len() + packing.delete.len();
    // Hints by processors, which `Auto` stands for, are not given.
    metrics.changed.with_label_values(&["Disabled", traffic_distribution]).observe(slices as f64);
}

/// How many endpoints come to slices, and how many leave them.
fn moved(packing: &Packing) -> (usize, usize) {
    let names = |endpoints: &[Endpoint]| endpoints.iter().map(identity).collect::<HashSet<_>>();
    let mut added: usize = packing.create.iter().map(|slice| slice.endpoints.len()).sum();
    let mut removed: usize = packing.delete.iter().map(|slice| slice.endpoints.len()).sum();
    for (present, slice) in &packing.update {
        let (before, after) = (names(&present.endpoints), names(&slice.endpoints));
        added += after.difference(&before).count();
        removed += before.difference(&after).count();
    }
    (added, removed)
}

/// Notes how the endpoints of all services are packed.
pub fn held(slices: &[Arc<EndpointSlice>]) {
    let Some(metrics) = &*METRICS else { return };
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (slices, endpoints, perfect) = allocation(slices);
    metrics.slices.set(count(slices));
    metrics.endpoints.set(count(endpoints));
    metrics.perfect.set(count(perfect));
}

/// How many slices of this controller there are, with how many endpoints, and how few could hold them.
fn allocation(slices: &[Arc<EndpointSlice>]) -> (usize, usize, usize) {
    let mut groups: BTreeMap<(String, &str, Vec<&Port>), usize> = BTreeMap::new();
    let mut own = 0;
    for slice in slices {
        let Some(service) = service_of(slice) else { continue };
        own += 1;
        let mut ports: Vec<&Port> = slice.ports.iter().collect();
        ports.sort();
        *groups.entry((service.to_string(), &slice.address_type, ports)).or_default() +=
            slice.endpoints.len();
    }
    let perfect = groups.values().map(|endpoints| endpoints.div_ceil(FULL).max(1)).sum();
    (own, groups.values().sum(), perfect)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::packing::Slice;
    use super::*;

    fn slice(name: &str, manager: &str, addresses: &[u8]) -> Arc<EndpointSlice> {
        let endpoints: Vec<_> =
            addresses.iter().map(|last| json!({"addresses": [format!("10.0.0.{last}")]})).collect();
        let object = json!({
            "metadata": {"name": name, "namespace": "d", "labels": {
                "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": manager}},
            "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": endpoints,
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn syncs_are_told_by_what_they_change() {
        let own = "endpointslice-controller.k8s.io";
        let (present, gone) = (slice("a", own, &[1, 2, 3]), slice("b", own, &[9]));
        let content = |from: &EndpointSlice| Slice {
            address_type: from.address_type.clone(),
            ports: from.ports.clone(),
            endpoints: from.endpoints.clone(),
        };
        let packing = Packing {
            create: vec![content(&slice("c", own, &[7, 8]))],
            update: vec![(present, content(&slice("a", own, &[2, 3, 4])))],
            delete: vec![gone],
        };
        assert_eq!(moved(&packing), (3, 2));
        packed(&packing, "PreferClose");
        changed("create");
        synced(Synced::Stale);
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "endpoint_slice_controller_endpoints_added_per_sync_sum 3",
            "endpoint_slice_controller_endpoints_removed_per_sync_bucket{le=\"2\"} 1",
            "endpoint_slice_controller_endpointslices_changed_per_sync_sum{topology=\"Disabled\",traffic_distribution=\"PreferClose\"} 3",
            "endpoint_slice_controller_changes{operation=\"create\"} 1",
            "endpoint_slice_controller_syncs{result=\"stale\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }

    #[test]
    fn only_own_slices_are_counted_and_full_ones_are_best() {
        let own = "endpointslice-controller.k8s.io";
        let (many, few): (Vec<u8>, Vec<u8>) = ((0..100).collect(), (100..120).collect());
        let slices = [
            slice("a", own, &many),
            slice("b", own, &few[..10]),
            slice("c", own, &few[10..]),
            slice("d", "somebody", &few),
        ];
        assert_eq!(allocation(&slices), (3, 120, 2));
        assert_eq!(allocation(&[slice("empty", own, &[])]), (1, 0, 1));
        held(&slices);
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in ["num_endpoint_slices 3", "endpoints_desired 120", "desired_endpoint_slices 2"] {
            assert!(text.contains(&format!("endpoint_slice_controller_{line}\n")), "{line}\n{text}");
        }
    }
}
