//! The scheduler's metrics under upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, exponential_buckets,
    histogram_opts, opts, register_histogram, register_histogram_vec, register_int_counter,
    register_int_counter_vec, register_int_gauge_vec,
};

struct Metrics {
    attempts: IntCounterVec,
    durations: HistogramVec,
    tries: Histogram,
    waits: HistogramVec,
    pending: IntGaugeVec,
    preemptions: IntCounter,
    victims: Histogram,
}

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(|| register().ok());

fn register() -> Result<Metrics, Error> {
    Ok(Metrics {
        attempts: register_int_counter_vec!(
            opts!(
                "scheduler_schedule_attempts_total",
                "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem."
            ),
            &["profile", "result"]
        )?,
        durations: register_histogram_vec!(
            histogram_opts!(
                "scheduler_scheduling_attempt_duration_seconds",
                "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
                exponential_buckets(0.001, 2.0, 15)?
            ),
            &["profile", "result"]
        )?,
        tries: register_histogram!(histogram_opts!(
            "scheduler_pod_scheduling_attempts",
            "Number of attempts to successfully schedule a pod.",
            exponential_buckets(1.0, 2.0, 5)?
        ))?,
        waits: register_histogram_vec!(
            histogram_opts!(
                "scheduler_pod_scheduling_sli_duration_seconds",
                "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve multiple scheduling attempts.",
                exponential_buckets(0.01, 2.0, 20)?
            ),
            &["attempts"]
        )?,
        pending: register_int_gauge_vec!(
            opts!(
                "scheduler_pending_pods",
                "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means number of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods that the scheduler attempted to schedule and failed; 'gated' is the number of unschedulable pods that the scheduler never attempted to schedule because they are gated."
            ),
            &["queue"]
        )?,
        preemptions: register_int_counter!(
            "scheduler_preemption_attempts_total",
            "Total preemption attempts in the cluster till now"
        )?,
        victims: register_histogram!(histogram_opts!(
            "scheduler_preemption_victims",
            "Number of selected preemption victims",
            exponential_buckets(1.0, 2.0, 7)?
        ))?,
    })
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The pod is bound.
    Scheduled,
    /// No node will do.
    Unschedulable,
    /// A request failed.
    Failed,
}

/// Notes how a try of a profile's ended, so long after it began.
pub fn tried(profile: &str, ended: Ended, took: Duration) {
    let Some(metrics) = &*METRICS else { return };
    let result = match ended {
        Ended::Scheduled => "scheduled",
        Ended::Unschedulable => "unschedulable",
        Ended::Failed => "error",
    };
    metrics.attempts.with_label_values(&[profile, result]).inc();
    metrics.durations.with_label_values(&[profile, result]).observe(took.as_secs_f64());
}

/// Notes that a pod has its node, after so many tries and so long after it came.
pub fn scheduled(tries: u32, waited: Duration) {
    let Some(metrics) = &*METRICS else { return };
    metrics.tries.observe(tries.into());
    // As upstream: many tries are one label.
    let label = if tries >= 15 { "15+".to_owned() } else { tries.to_string() };
    metrics.waits.with_label_values(&[&label]).observe(waited.as_secs_f64());
}

/// Notes that it was looked for lower pods to remove, and how many were found, if that helps.
pub fn preempted(victims: Option<usize>) {
    let Some(metrics) = &*METRICS else { return };
    metrics.preemptions.inc();
    if let Some(victims) = victims {
        metrics.victims.observe(victims as f64);
    }
}

/// Notes how many pods wait: active, resting, parked, gated.
pub fn pending(counts: [usize; 4]) {
    let Some(metrics) = &*METRICS else { return };
    for (queue, count) in ["active", "backoff", "unschedulable", "gated"].into_iter().zip(counts) {
        metrics.pending.with_label_values(&[queue]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_told_by_their_end() {
        tried("own", Ended::Unschedulable, Duration::from_millis(3));
        tried("own", Ended::Scheduled, Duration::from_millis(3));
        scheduled(2, Duration::from_secs(1));
        scheduled(20, Duration::from_secs(1));
        preempted(None);
        preempted(Some(3));
        pending([1, 2, 3, 4]);
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "scheduler_schedule_attempts_total{profile=\"own\",result=\"unschedulable\"} 1",
            "scheduler_scheduling_attempt_duration_seconds_count{profile=\"own\",result=\"scheduled\"} 1",
            "scheduler_pod_scheduling_attempts_sum 22",
            "scheduler_pod_scheduling_sli_duration_seconds_count{attempts=\"15+\"} 1",
            "scheduler_preemption_attempts_total 2",
            "scheduler_preemption_victims_sum 3",
            "scheduler_pending_pods{queue=\"gated\"} 4",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
