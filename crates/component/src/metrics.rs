//! Prometheus metrics: the process's registry, and the metrics every process has.

pub mod checks;
mod process;

use parking_lot::Mutex;
use prometheus::{Encoder as _, TextEncoder};
pub use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    exponential_buckets, histogram_opts, linear_buckets, opts, register_gauge_vec, register_histogram,
    register_histogram_vec, register_int_counter, register_int_counter_vec, register_int_gauge,
    register_int_gauge_vec,
};

/// The media type of [`text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type Update = Box<dyn Fn() + Send + Sync>;

static UPDATES: Mutex<Vec<Update>> = Mutex::new(Vec::new());

/// Has something done before the metrics are read, to bring up to date what nobody counts as it happens.
///
/// What is done must not wait, and must not call this function.
pub fn before_reading(update: impl Fn() + Send + Sync + 'static) {
    UPDATES.lock().push(Box::new(update));
}

/// All metrics of this process in Prometheus' text format.
pub fn text() -> Vec<u8> {
    process::update();
    for update in UPDATES.lock().iter() {
        update();
    }
    let mut buffer = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&prometheus::gather(), &mut buffer) {
        tracing::warn!(%error, "cannot encode metrics");
    }
    buffer
}
