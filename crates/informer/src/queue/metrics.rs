//! Upstream's `workqueue_*` metrics of one queue.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, exponential_buckets, histogram_opts,
    register_histogram_vec, register_int_counter_vec, register_int_gauge_vec,
};

/// The metrics of all queues; `None` if the registry refused one, which a second registry in one process may.
static ALL: LazyLock<Option<All>> = LazyLock::new(All::register);

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

pub(super) struct QueueMetrics {
    own: Option<Own>,
}

struct Own {
    adds: IntCounter,
    retries: IntCounter,
    depth: prometheus::IntGauge,
    waited: Histogram,
    worked: Histogram,
}

impl QueueMetrics {
    pub(super) fn new(name: &'static str) -> QueueMetrics {
        let own = ALL.as_ref().map(|all| Own {
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

    pub(super) fn taken(&self, waited: Duration, depth: usize) {
        if let Some(own) = &self.own {
            own.waited.observe(waited.as_secs_f64());
        }
        self.depth(depth);
    }

    pub(super) fn finished(&self, worked: Duration) {
        if let Some(own) = &self.own {
            own.worked.observe(worked.as_secs_f64());
        }
    }
}
