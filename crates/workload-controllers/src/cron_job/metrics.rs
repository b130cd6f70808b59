//! How late jobs are made, under upstream's name.

use std::sync::LazyLock;

use component::metrics::{Histogram, exponential_buckets, histogram_opts, register_histogram};
use jiff::Timestamp;

/// `None` if the registry refused it, which a second registry in one process may.
static SKEW: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    let options = histogram_opts!(
        "cronjob_controller_job_creation_skew_duration_seconds",
        "Time between when a cronjob is scheduled to be run, and when the corresponding job is created",
        exponential_buckets(1.0, 2.0, 10).ok()?
    );
    register_histogram!(options).ok()
});

/// Notes that the job of a time was made.
pub fn made(time: Timestamp, now: Timestamp) {
    if let Some(skew) = &*SKEW {
        skew.observe(now.duration_since(time).as_secs_f64().max(0.0));
    }
}
