//! What the kubelet counts, under upstream's names.

mod starts;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use component::metrics::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, exponential_buckets, histogram_opts, opts,
    register_histogram, register_histogram_vec, register_int_counter, register_int_counter_vec,
};

pub use starts::{has_started, start_times};

/// Prometheus' own buckets, which upstream takes where it names none.
pub const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upstream's buckets of how long pods take to start.
const STARTS: [f64; 25] = [
    0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0,
    480.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0,
];

struct Metrics {
    operations: IntCounterVec,
    operation_errors: IntCounterVec,
    operation_durations: HistogramVec,
    starts: Histogram,
    starts_sli: Histogram,
    starts_total: Histogram,
    steps: HistogramVec,
    worker_starts: Histogram,
    evictions: IntCounterVec,
    pods: IntCounter,
    pod_errors: IntCounter,
    containers: IntCounterVec,
    container_errors: IntCounterVec,
}

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(|| register().ok());

fn register() -> Result<Metrics, Error> {
    let counters =
        |name: &str, help: &str, labels: &[&str]| register_int_counter_vec!(opts!(name, help), labels);
    let histogram = |name: &str, help: &str, buckets: &[f64]| {
        register_histogram!(histogram_opts!(name, help, buckets.to_vec()))
    };
    Ok(Metrics {
        operations: counters(
            "kubelet_runtime_operations_total",
            "Cumulative number of runtime operations by operation type.",
            &["operation_type"],
        )?,
        operation_errors: counters(
            "kubelet_runtime_operations_errors_total",
            "Cumulative number of runtime operation errors by operation type.",
            &["operation_type"],
        )?,
        operation_durations: register_histogram_vec!(
            histogram_opts!(
                "kubelet_runtime_operations_duration_seconds",
                "Duration in seconds of runtime operations. Broken down by operation type.",
                exponential_buckets(0.005, 2.5, 14)?
            ),
            &["operation_type"]
        )?,
        starts: histogram(
            "kubelet_pod_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            &STARTS,
        )?,
        starts_sli: histogram(
            "kubelet_pod_start_sli_duration_seconds",
            "Duration in seconds to start a pod, excluding time to pull images and run init containers, measured from pod creation timestamp to when all its containers are reported as started and observed via watch",
            &STARTS,
        )?,
        starts_total: histogram(
            "kubelet_pod_start_total_duration_seconds",
            "Duration in seconds to start a pod since creation, including time to pull images and run init containers, measured from pod creation timestamp to when all its containers are reported as started and observed via watch",
            &STARTS,
        )?,
        steps: register_histogram_vec!(
            histogram_opts!(
                "kubelet_pod_worker_duration_seconds",
                "Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync",
                DEFAULT_BUCKETS.to_vec()
            ),
            &["operation_type"]
        )?,
        worker_starts: histogram(
            "kubelet_pod_worker_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod to starting a worker.",
            &DEFAULT_BUCKETS,
        )?,
        evictions: counters(
            "kubelet_evictions",
            "Cumulative number of pod evictions by eviction signal",
            &["eviction_signal"],
        )?,
        pods: register_int_counter!("kubelet_started_pods_total", "Cumulative number of pods started")?,
        pod_errors: register_int_counter!(
            "kubelet_started_pods_errors_total",
            "Cumulative number of errors when starting pods"
        )?,
        containers: counters(
            "kubelet_started_containers_total",
            "Cumulative number of containers started",
            &["container_type"],
        )?,
        container_errors: counters(
            "kubelet_started_containers_errors_total",
            "Cumulative number of errors when starting containers",
            &["code", "container_type"],
        )?,
    })
}

/// Counts calls to the runtime.
pub fn runtime_observer() -> cri::Observer {
    Arc::new(|operation, took, well| {
        let Some(metrics) = &*METRICS else { return };
        metrics.operations.with_label_values(&[operation]).inc();
        metrics.operation_durations.with_label_values(&[operation]).observe(took.as_secs_f64());
        if !well {
            metrics.operation_errors.with_label_values(&[operation]).inc();
        }
    })
}

/// Notes that a pod runs, so long after it was first seen.
pub fn pod_runs(after: Duration) {
    if let Some(metrics) = &*METRICS {
        metrics.starts.observe(after.as_secs_f64());
    }
}

/// Notes that all containers of a pod have started: how long that took since it was made, and how much of that is for the
/// kubelet to be judged by.
pub fn pod_started(total: Duration, sli: Duration) {
    if let Some(metrics) = &*METRICS {
        metrics.starts_total.observe(total.as_secs_f64());
        metrics.starts_sli.observe(sli.as_secs_f64());
    }
}

/// What a worker's step was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The pod is new here.
    Create,
    /// The pod has changed.
    Update,
    /// Something else may have.
    Sync,
    /// It is to end.
    Kill,
}

/// Notes how long a worker's step took.
pub fn worked(step: Step, took: Duration) {
    let Some(metrics) = &*METRICS else { return };
    let operation = match step {
        Step::Create => "create",
        Step::Update => "update",
        Step::Sync => "sync",
        Step::Kill => "kill",
    };
    metrics.steps.with_label_values(&[operation]).observe(took.as_secs_f64());
}

/// Notes that a pod's worker begins, so long after the pod was first seen.
pub fn worker_begins(after: Duration) {
    if let Some(metrics) = &*METRICS {
        metrics.worker_starts.observe(after.as_secs_f64());
    }
}

/// Notes that a pod is evicted because of this signal.
pub fn evicted(signal: &str) {
    if let Some(metrics) = &*METRICS {
        metrics.evictions.with_label_values(&[signal]).inc();
    }
}

/// Notes that a sandbox was made for a pod, or could not be.
pub fn sandbox_made(well: bool) {
    let Some(metrics) = &*METRICS else { return };
    metrics.pods.inc();
    metrics.containers.with_label_values(&["podsandbox"]).inc();
    if !well {
        metrics.pod_errors.inc();
        metrics.container_errors.with_label_values(&["CreatePodSandboxError", "podsandbox"]).inc();
    }
}

/// Notes that a container of a kind is started; `failed` says what kept it from that.
pub fn container_started(kind: crate::pod::Kind, failed: Option<&str>) {
    use crate::pod::Kind;
    let Some(metrics) = &*METRICS else { return };
    let kind = match kind {
        Kind::Init | Kind::Sidecar => "init_container",
        Kind::Regular => "container",
        Kind::Ephemeral => "ephemeral_container",
    };
    metrics.containers.with_label_values(&[kind]).inc();
    if let Some(code) = failed {
        metrics.container_errors.with_label_values(&[code, kind]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Kind;

    #[test]
    fn what_happens_is_told() {
        let observe = runtime_observer();
        observe("version", Duration::from_millis(10), true);
        observe("version", Duration::from_millis(10), false);
        pod_runs(Duration::from_secs(3));
        pod_started(Duration::from_secs(7), Duration::from_secs(2));
        worked(Step::Create, Duration::from_millis(1));
        worker_begins(Duration::from_millis(1));
        evicted("memory.available");
        sandbox_made(true);
        sandbox_made(false);
        container_started(Kind::Sidecar, None);
        container_started(Kind::Regular, Some("ErrImagePull"));
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "kubelet_runtime_operations_total{operation_type=\"version\"} 2",
            "kubelet_runtime_operations_errors_total{operation_type=\"version\"} 1",
            "kubelet_runtime_operations_duration_seconds_bucket{operation_type=\"version\",le=\"0.0125\"} 2",
            "kubelet_pod_start_duration_seconds_sum 3",
            "kubelet_pod_start_total_duration_seconds_sum 7",
            "kubelet_pod_start_sli_duration_seconds_bucket{le=\"2\"} 1",
            "kubelet_pod_worker_duration_seconds_count{operation_type=\"create\"} 1",
            "kubelet_pod_worker_start_duration_seconds_count 1",
            "kubelet_evictions{eviction_signal=\"memory.available\"} 1",
            "kubelet_started_pods_total 2",
            "kubelet_started_pods_errors_total 1",
            "kubelet_started_containers_total{container_type=\"init_container\"} 1",
            "kubelet_started_containers_errors_total{code=\"ErrImagePull\",container_type=\"container\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
