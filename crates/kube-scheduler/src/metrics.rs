//! The scheduler's metrics under upstream's names.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use component::metrics::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, exponential_buckets,
    histogram_opts, opts, register_histogram, register_histogram_vec, register_int_counter,
    register_int_counter_vec, register_int_gauge_vec,
};

use crate::laps::{Laps, Point, Status, Stopwatch};

/// Of how many tries in a hundred the times of each plugin are taken, as upstream.
const SAMPLED: u32 = 10;

struct Metrics {
    points: HistogramVec,
    plugins: HistogramVec,
    incoming: IntCounterVec,
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
        points: register_histogram_vec!(
            histogram_opts!(
                "scheduler_framework_extension_point_duration_seconds",
                "Latency for running all plugins of a specific extension point.",
                exponential_buckets(0.0001, 2.0, 12)?
            ),
            &["extension_point", "profile", "status"]
        )?,
        plugins: register_histogram_vec!(
            histogram_opts!(
                "scheduler_plugin_execution_duration_seconds",
                "Duration for running a plugin at a specific extension point.",
                exponential_buckets(0.00001, 1.5, 20)?
            ),
            &["extension_point", "plugin", "status"]
        )?,
        incoming: register_int_counter_vec!(
            opts!(
                "scheduler_queue_incoming_pods_total",
                "Number of pods added to scheduling queues by event and queue type."
            ),
            &["event", "queue"]
        )?,
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

/// Notes how many pods came to each place of the queue since the start, by why.
pub fn incoming(counts: &[((&'static str, &'static str), u64)]) {
    let Some(metrics) = &*METRICS else { return };
    for ((queue, event), count) in counts {
        let counter = metrics.incoming.with_label_values(&[event, queue]);
        counter.inc_by(count.saturating_sub(counter.get()));
    }
}

/// Notes how long a profile took over a point.
pub fn point(profile: &str, point: Point, status: Status, took: Duration) {
    let Some(metrics) = &*METRICS else { return };
    let labels = [point.name(), profile, status.name()];
    metrics.points.with_label_values(&labels).observe(took.as_secs_f64());
}

/// Takes the times of one try. A plugin runs at many nodes, so what its times are counted by is looked up once.
#[derive(Default)]
pub struct Timer(RefCell<Vec<(Timed, Histogram)>>);

/// A plugin at a point, and how it came out.
type Timed = (&'static str, Point, Status);

impl Timer {
    /// What a try is told: the times of its points, and of some tries those of each plugin too. `chance` is below 100.
    pub fn laps(&self, chance: u32) -> Laps<'_> {
        Laps::told_to(self, chance < SAMPLED)
    }
}

impl Stopwatch for Timer {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn point(&self, profile: &str, at: Point, status: Status, took: Duration) {
        point(profile, at, status, took);
    }

    fn plugin(&self, plugin: &'static str, point: Point, status: Status, took: Duration) {
        let Some(metrics) = &*METRICS else { return };
        let (key, mut known) = ((plugin, point, status), self.0.borrow_mut());
        let took = took.as_secs_f64();
        if let Some((_, histogram)) = known.iter().find(|(known, _)| *known == key) {
            return histogram.observe(took);
        }
        let labels = [point.name(), plugin, status.name()];
        let histogram = metrics.plugins.with_label_values(&labels);
        histogram.observe(took);
        known.push((key, histogram));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_plugins_and_arrivals_are_told() {
        let timer = Timer::default();
        for chance in [9, 10] {
            let laps = timer.laps(chance);
            laps.point(laps.begin(), "timed", Point::Filter, Status::Success);
            for _ in 0..3 {
                laps.plugin(laps.begin_each(), "Own", Point::Filter, Status::Unschedulable);
            }
        }
        incoming(&[(("backoff", "NodeAdd"), 2)]);
        incoming(&[(("backoff", "NodeAdd"), 5)]);
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "scheduler_framework_extension_point_duration_seconds_count{extension_point=\"Filter\",profile=\"timed\",status=\"Success\"} 2",
            "scheduler_plugin_execution_duration_seconds_count{extension_point=\"Filter\",plugin=\"Own\",status=\"Unschedulable\"} 3",
            "scheduler_queue_incoming_pods_total{event=\"NodeAdd\",queue=\"backoff\"} 5",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }

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
