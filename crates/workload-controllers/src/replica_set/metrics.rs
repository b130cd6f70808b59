//! How old the pods are that go, beside the youngest, under upstream's name.

use std::sync::{Arc, LazyLock};

use component::metrics::{Histogram, exponential_buckets, histogram_opts, register_histogram};
use controller_runtime::objects::Pod;
use jiff::Timestamp;

/// `None` if the registry refused it, which a second registry in one process may.
static RATIO: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    let options = histogram_opts!(
        "replicaset_controller_sorting_deletion_age_ratio",
        "The ratio of chosen deleted pod's ages to the current youngest pod's age (at the time). Should be <2. The intent of this metric is to measure the rough efficacy of the LogarithmicScaleDown feature gate's effect on the sorting (and deletion) of pods when a replicaset scales down. This only considers Ready pods when calculating and reporting.",
        exponential_buckets(0.25, 2.0, 6).ok()?
    );
    register_histogram!(options).ok()
});

/// Notes which of a set's pods go.
pub fn chosen(pods: &[Arc<Pod>], going: &[Arc<Pod>], now: Timestamp) {
    if let Some(ratio) = &*RATIO {
        ratios(pods, going, now).into_iter().for_each(|value| ratio.observe(value));
    }
}

/// The ages of those that go and are ready, each over that of the youngest that is.
fn ratios(pods: &[Arc<Pod>], going: &[Arc<Pod>], now: Timestamp) -> Vec<f64> {
    let age = |pod: &Arc<Pod>| {
        let made = pod.metadata.creation_timestamp.as_ref().filter(|_| pod.is_ready())?.0;
        Some(now.duration_since(made).as_secs_f64())
    };
    let ready = pods.iter().filter(|pod| pod.is_active()).filter_map(age);
    let youngest = ready.fold(f64::INFINITY, f64::min);
    if !(youngest > 0.0 && youngest.is_finite()) {
        return Vec::new();
    }
    going.iter().filter_map(age).map(|age| age / youngest).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_are_told_beside_the_youngest_ready_pods() {
        let pod = |minute: u32, ready: &str| -> Arc<Pod> {
            let object = json!({
                "metadata": {"name": "p", "creationTimestamp": format!("2026-01-01T00:{minute:02}:00Z")},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
            });
            Arc::new(serde_json::from_value(object).unwrap())
        };
        let now = "2026-01-01T00:40:00Z".parse().unwrap();
        let pods = [pod(0, "True"), pod(20, "True"), pod(35, "False")];
        assert_eq!(ratios(&pods, &pods, now), [2.0, 1.0]);
        assert_eq!(ratios(&pods[2..], &pods[2..], now), [0.0; 0]);
        chosen(&pods, &pods[..1], now);
        let text = String::from_utf8(component::metrics::text()).unwrap();
        assert!(text.contains("replicaset_controller_sorting_deletion_age_ratio_sum 2\n"), "{text}");
    }
}
