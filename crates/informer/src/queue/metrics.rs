//! Upstream's `workqueue_*` metrics of one queue.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use component::metrics::{
    GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, before_reading,
    exponential_buckets, histogram_opts, register_gauge_vec, register_histogram_vec,
    register_int_counter_vec, register_int_gauge_vec,
};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The metrics of all queues; `None` if the registry refused one, which a second registry in one process may.
static ALL: LazyLock<Option<All>> = LazyLock::new(All::register);

/// Since when each key is in somebody's hands: as many as there are workers.
type InHand = Mutex<Vec<Instant>>;

/// The queues that there are.
static QUEUES: Mutex<Vec<(&'static str, Weak<InHand>)>> = Mutex::new(Vec::new());

struct All {
    adds: IntCounterVec,
    retries: IntCounterVec,
    depth: IntGaugeVec,
    waited: HistogramVec,
    worked: HistogramVec,
}

impl All {
    fn register() -> Option<All> {
        let buckets = exponential_buckets(1e-8, 10.0, 10).ok()?;
        let unfinished = register_gauge_vec!(
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has done that is in progress and hasn't been observed by work_duration. Large values indicate stuck threads. One can deduce the number of stuck threads by observing the rate at which this increases.",
            &["name"]
        )
        .ok()?;
        let longest = register_gauge_vec!(
            "workqueue_longest_running_processor_seconds",
            "How many seconds has the longest running processor for workqueue been running.",
            &["name"]
        )
        .ok()?;
        before_reading(move || in_progress(&unfinished, &longest));
        Some(All {
            adds: register_int_counter_vec!(
                "workqueue_adds_total",
                "Total number of adds handled by workqueue",
                &["name"]
            )
            .ok()?,
            retries: register_int_counter_vec!(
                "workqueue_retries_total",
                "Total number of retries handled by workqueue",
                &["name"]
            )
            .ok()?,
            depth: register_int_gauge_vec!("workqueue_depth", "Current depth of workqueue", &["name"])
                .ok()?,
            waited: register_histogram_vec!(
                histogram_opts!(
                    "workqueue_queue_duration_seconds",
                    "How long in seconds an item stays in workqueue before being requested.",
                    buckets.clone()
                ),
                &["name"]
            )
            .ok()?,
            worked: register_histogram_vec!(
                histogram_opts!(
                    "workqueue_work_duration_seconds",
                    "How long in seconds processing an item from workqueue takes.",
                    buckets
                ),
                &["name"]
            )
            .ok()?,
        })
    }
}

/// Tells of the work that is under way.
fn in_progress(unfinished: &GaugeVec, longest: &GaugeVec) {
    let now = Instant::now();
    let mut seconds: HashMap<&'static str, (f64, f64)> = HashMap::new();
    QUEUES.lock().retain(|(name, queue)| {
        let (sum, most) = seconds.entry(name).or_default();
        let Some(queue) = queue.upgrade() else { return false };
        for since in queue.lock().iter() {
            let took = (now - *since).as_secs_f64();
            *sum += took;
            *most = most.max(took);
        }
        true
    });
    for (name, (sum, most)) in seconds {
        unfinished.with_label_values(&[name]).set(sum);
        longest.with_label_values(&[name]).set(most);
    }
}

pub(super) struct QueueMetrics {
    own: Option<Own>,
}

struct Own {
    adds: IntCounter,
    retries: IntCounter,
    depth: prometheus::IntGauge,
    waited: Histogram,
    worked: Histogram,
    in_hand: Arc<InHand>,
}

impl QueueMetrics {
    pub(super) fn new(name: &'static str) -> QueueMetrics {
        let in_hand = Arc::new(InHand::default());
        QUEUES.lock().push((name, Arc::downgrade(&in_hand)));
        let own = ALL.as_ref().map(|all| Own {
            in_hand,
            adds: all.adds.with_label_values(&[name]),
            retries: all.retries.with_label_values(&[name]),
            depth: all.depth.with_label_values(&[name]),
            waited: all.waited.with_label_values(&[name]),
            worked: all.worked.with_label_values(&[name]),
        });
        QueueMetrics { own }
    }

    pub(super) fn added(&self) {
        if let Some(own) = &self.own {
            own.adds.inc();
        }
    }

    pub(super) fn retried(&self) {
        if let Some(own) = &self.own {
            own.retries.inc();
        }
    }

    pub(super) fn depth(&self, depth: usize) {
        if let Some(own) = &self.own {
            own.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        }
    }

    /// Notes that a key was taken, which had been ready since then.
    pub(super) fn taken(&self, since: Instant, now: Instant, depth: usize) {
        if let Some(own) = &self.own {
            own.waited.observe((now - since).as_secs_f64());
            own.in_hand.lock().push(now);
        }
        self.depth(depth);
    }

    /// Notes that a key was given back, which had been taken then.
    pub(super) fn finished(&self, since: Instant, now: Instant) {
        if let Some(own) = &self.own {
            own.worked.observe((now - since).as_secs_f64());
            let mut in_hand = own.in_hand.lock();
            if let Some(at) = in_hand.iter().position(|taken| *taken == since) {
                in_hand.swap_remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_under_way_is_told_until_it_is_finished() {
        let queue = QueueMetrics::new("slow");
        let first = Instant::now();
        queue.taken(first, first, 0);
        tokio::time::advance(Duration::from_secs(5)).await;
        let second = Instant::now();
        queue.taken(second, second, 0);
        tokio::time::advance(Duration::from_secs(2)).await;
        let check = |expected: &str| {
            let text = String::from_utf8(component::metrics::text()).unwrap();
            assert!(text.contains(expected), "{expected}\n{text}");
        };
        check("workqueue_unfinished_work_seconds{name=\"slow\"} 9\n");
        check("workqueue_longest_running_processor_seconds{name=\"slow\"} 7\n");
        queue.finished(first, Instant::now());
        check("workqueue_longest_running_processor_seconds{name=\"slow\"} 2\n");
        drop(queue);
        check("workqueue_unfinished_work_seconds{name=\"slow\"} 0\n");
    }
}
