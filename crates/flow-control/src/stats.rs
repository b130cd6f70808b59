//! Counters that cost an atomic addition, and histograms over fixed bounds.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::queues::Reason;

/// Bounds of durations, in seconds, as upstream.
pub const DURATIONS: [f64; 13] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
/// Bounds of the lengths of queues, as upstream.
pub const LENGTHS: [f64; 8] = [0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
/// Bounds of seats, as upstream.
pub const SEATS: [f64; 7] = [1.0, 2.0, 4.0, 10.0, 25.0, 50.0, 100.0];

/// Bounds of the numbers of watchers, as upstream.
pub const WATCHERS: [f64; 6] = [0.0, 1.0, 10.0, 100.0, 1000.0, 10_000.0];

/// A histogram over fixed bounds.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [f64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    /// The sum in millionths.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// Nothing observed.
    pub fn new(bounds: &'static [f64; N]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { bounds, counts, above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound);
        bucket.map_or(&self.above, |bucket| &self.counts[bucket]).fetch_add(1, Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Relaxed);
    }

    /// Writes the lines of the metric; none while nothing was observed.
    pub fn write(&self, out: &mut String, name: &str, labels: &str) {
        let counts = self.counts.each_ref().map(|count| count.load(Relaxed));
        let total = counts.iter().sum::<u64>() + self.above.load(Relaxed);
        if total == 0 {
            return;
        }
        let mut so_far = 0;
        for (bound, count) in self.bounds.iter().zip(counts) {
            so_far += count;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {so_far}");
        }
        let sum = self.sum.load(Relaxed) as f64 / 1e6;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {total}");
    }
}

/// What is counted of the requests of a schema.
#[derive(Debug)]
pub struct Counts {
    /// Requests that began to run.
    pub dispatched: AtomicU64,
    /// Requests that were turned away, by [`Reason`].
    pub refused: [AtomicU64; Reason::ALL.len()],
    /// Requests that run now.
    pub executing: AtomicI64,
    /// Their seats.
    pub executing_seats: AtomicI64,
    /// Requests that wait now.
    pub waiting: AtomicI64,
    /// Their seats.
    pub waiting_seats: AtomicI64,
    /// How long those waited that ran in the end.
    pub waited: Histogram<13>,
    /// How long those waited that did not.
    pub waited_in_vain: Histogram<13>,
    /// How long reads ran.
    pub ran: Histogram<13>,
    /// How long watches took to begin.
    pub began: Histogram<13>,
    /// The lengths of queues after a request was put into one.
    pub lengths: Histogram<8>,
    /// The seats of requests.
    pub seats: Histogram<7>,
    /// The watchers that are told of what requests change.
    pub watchers: Histogram<6>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            dispatched: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            executing: AtomicI64::new(0),
            executing_seats: AtomicI64::new(0),
            waiting: AtomicI64::new(0),
            waiting_seats: AtomicI64::new(0),
            waited: Histogram::new(&DURATIONS),
            waited_in_vain: Histogram::new(&DURATIONS),
            ran: Histogram::new(&DURATIONS),
            began: Histogram::new(&DURATIONS),
            lengths: Histogram::new(&LENGTHS),
            seats: Histogram::new(&SEATS),
            watchers: Histogram::new(&WATCHERS),
        }
    }
}

impl Counts {
    /// A request begins to run after it waited so long.
    pub fn begins(&self, seats: u32, waited: Duration) {
        self.dispatched.fetch_add(1, Relaxed);
        self.executing.fetch_add(1, Relaxed);
        self.executing_seats.fetch_add(i64::from(seats), Relaxed);
        self.waited.observe(waited.as_secs_f64());
    }

    /// A request has run for so long.
    pub fn ends(&self, seats: u32, ran: Duration, is_watch: bool) {
        self.executing.fetch_sub(1, Relaxed);
        self.executing_seats.fetch_sub(i64::from(seats), Relaxed);
        if is_watch { &self.began } else { &self.ran }.observe(ran.as_secs_f64());
    }

    /// A request begins to wait in a queue that is so long with it.
    pub fn waits(&self, seats: u32, length: usize) {
        self.waiting.fetch_add(1, Relaxed);
        self.waiting_seats.fetch_add(i64::from(seats), Relaxed);
        self.lengths.observe(length as f64);
    }

    /// A request waits no more.
    pub fn waits_no_more(&self, seats: u32) {
        self.waiting.fetch_sub(1, Relaxed);
        self.waiting_seats.fetch_sub(i64::from(seats), Relaxed);
    }

    /// A request is turned away.
    pub fn refuses(&self, reason: Reason, waited: Duration) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
        self.waited_in_vain.observe(waited.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_written_cumulatively() {
        let histogram = Histogram::new(&SEATS);
        let mut text = String::new();
        histogram.write(&mut text, "m", "a=\"b\"");
        assert_eq!(text, "");
        for value in [1.0, 3.0, 200.0] {
            histogram.observe(value);
        }
        histogram.write(&mut text, "m", "a=\"b\"");
        assert!(text.starts_with(
            "m_bucket{a=\"b\",le=\"1\"} 1\nm_bucket{a=\"b\",le=\"2\"} 1\nm_bucket{a=\"b\",le=\"4\"} 2\n"
        ));
        assert!(
            text.ends_with("m_bucket{a=\"b\",le=\"+Inf\"} 3\nm_sum{a=\"b\"} 204\nm_count{a=\"b\"} 3\n"),
            "{text}"
        );
    }
}
