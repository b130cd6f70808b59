//! For how long a number was which share of its limit: histograms over time, which upstream observes every nanosecond.

use std::fmt::Write;
use std::time::Duration;

/// A histogram of a number's share of a limit, weighed by how long it was so.
#[derive(Debug, Clone)]
pub struct Held<const N: usize> {
    bounds: &'static [f64; N],
    /// The largest number within each bound.
    most: [u32; N],
    limit: f64,
    nanos: [u64; N],
    above: u64,
    /// The sum of all shares, one for each nanosecond.
    sum: f64,
    number: u32,
    since: Duration,
}

impl<const N: usize> Held<N> {
    /// Nothing of this limit, from time zero on.
    pub fn new(bounds: &'static [f64; N], limit: u32) -> Self {
        let mut held = Self {
            bounds,
            most: [0; N],
            limit: 1.0,
            nanos: [0; N],
            above: 0,
            sum: 0.0,
            number: 0,
            since: Duration::ZERO,
        };
        held.limit(Duration::ZERO, limit);
        held
    }

    /// Changes the limit.
    pub fn limit(&mut self, now: Duration, limit: u32) {
        self.advance(now);
        self.limit = f64::from(limit.max(1));
        self.most = self.bounds.map(|bound| (bound * self.limit) as u32);
    }

    /// The number is this from now on.
    pub fn set(&mut self, now: Duration, number: u32) {
        // Most requests of a level change nothing of some of what is held of it.
        if self.number != number {
            self.advance(now);
            self.number = number;
        }
    }

    fn advance(&mut self, now: Duration) {
        let lasted = now.saturating_sub(self.since).as_nanos() as u64;
        self.since = self.since.max(now);
        let bucket = self.most.iter().position(|most| self.number <= *most);
        *bucket.map_or(&mut self.above, |bucket| &mut self.nanos[bucket]) += lasted;
        self.sum += lasted as f64 * f64::from(self.number) / self.limit;
    }

    /// Writes the lines of the metric as it is now.
    pub fn write(&self, now: Duration, out: &mut String, name: &str, labels: &str) {
        let mut held = self.clone();
        held.advance(now);
        let mut so_far = 0;
        for (bound, nanos) in held.bounds.iter().zip(held.nanos) {
            so_far += nanos;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {so_far}");
        }
        let total = so_far + held.above;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {total}", held.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_weighed_by_how_long_they_lasted() {
        let nanos = Duration::from_nanos;
        let mut held = Held::new(&[0.0, 0.5, 1.0], 4);
        held.set(nanos(10), 2);
        held.set(nanos(15), 2);
        held.set(nanos(30), 6);
        held.limit(nanos(35), 12);
        let mut text = String::new();
        held.write(nanos(135), &mut text, "m", "a=\"b\"");
        // Ten of nothing, twenty of a half, five of one and a half, a hundred of a half.
        assert_eq!(
            text,
            "m_bucket{a=\"b\",le=\"0\"} 10\nm_bucket{a=\"b\",le=\"0.5\"} 130\nm_bucket{a=\"b\",le=\"1\"} 130\n\
             m_bucket{a=\"b\",le=\"+Inf\"} 135\nm_sum{a=\"b\"} 67.5\nm_count{a=\"b\"} 135\n"
        );
    }
}
