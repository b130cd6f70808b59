//! Which pods went because of taints, and how late, under upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    Error, Histogram, IntCounter, histogram_opts, register_histogram, register_int_counter,
};

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<(IntCounter, Histogram)>> = LazyLock::new(|| register().ok());

fn register() -> Result<(IntCounter, Histogram), Error> {
    let deletions = register_int_counter!(
        "taint_eviction_controller_pod_deletions_total",
        "Total number of Pods deleted by TaintEvictionController since its start."
    )?;
    let durations = register_histogram!(histogram_opts!(
        "taint_eviction_controller_pod_deletion_duration_seconds",
        "Latency, in seconds, between the time when a taint effect has been activated for the Pod and its deletion via TaintEvictionController.",
        vec![0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 120.0, 180.0, 240.0]
    ))?;
    Ok((deletions, durations))
}

/// Notes that a pod was deleted, so long after it should go.
pub fn deleted(late: Duration) {
    if let Some((deletions, durations)) = &*METRICS {
        deletions.inc();
        durations.observe(late.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_are_told_with_how_late_they_are() {
        deleted(Duration::from_secs(2));
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "taint_eviction_controller_pod_deletions_total 1",
            "taint_eviction_controller_pod_deletion_duration_seconds_bucket{le=\"1\"} 0",
            "taint_eviction_controller_pod_deletion_duration_seconds_bucket{le=\"2.5\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
