//! The scheduler's metrics under upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    HistogramVec, IntCounterVec, IntGaugeVec, exponential_buckets, histogram_opts, opts,
    register_histogram_vec, register_int_counter_vec, register_int_gauge_vec,
};

struct Metrics {
    attempts: Option<IntCounterVec>,
    durations: Option<HistogramVec>,
    pending: Option<IntGaugeVec>,
}

const PROFILE: &str = "default-scheduler";

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    attempts: register_int_counter_vec!(
        opts!("scheduler_schedule_attempts_total", "Number of attempts to schedule pods, by the result."),
        &["profile", "result"]
    )
    .ok(),
    durations: exponential_buckets(0.0001, 2.0, 18).ok().and_then(|buckets| {
        register_histogram_vec!(
            histogram_opts!(
                "scheduler_scheduling_attempt_duration_seconds",
                "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
                buckets
            ),
            &["profile", "result"]
        )
        .ok()
    }),
    pending: register_int_gauge_vec!(
        opts!("scheduler_pending_pods", "Number of pending pods, by the queue type."),
        &["queue"]
    )
    .ok(),
});

/// Notes that a pod was tried.
pub fn attempt(placed: bool, took: Duration) {
    let result = if placed { "scheduled" } else { "unschedulable" };
    if let Some(attempts) = &METRICS.attempts {
        attempts.with_label_values(&[PROFILE, result]).inc();
    }
    if let Some(durations) = METRICS.durations.as_ref().filter(|_| !placed) {
        durations.with_label_values(&[PROFILE, result]).observe(took.as_secs_f64());
    }
}

/// Notes that a pod was bound, so long after its try began.
pub fn bound(took: Duration) {
    if let Some(durations) = &METRICS.durations {
        durations.with_label_values(&[PROFILE, "scheduled"]).observe(took.as_secs_f64());
    }
}

/// Notes how many pods wait: active, resting, parked, gated.
pub fn pending(counts: [usize; 4]) {
    if let Some(pending) = &METRICS.pending {
        for (queue, count) in ["active", "backoff", "unschedulable", "gated"].into_iter().zip(counts) {
            pending.with_label_values(&[queue]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
