//! Growing pauses between attempts at a peer that does not answer.

use std::time::{Duration, Instant};

/// Doubles the pause from a first value to a limit, each with up to as much again of jitter, and starts over after
/// a time without failures. The defaults are those of upstream's reflectors, but for the limit of 30 s: a cluster whose
/// control plane was off should not wait half a minute more, and watches of a process that wake one another ask seldom.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    reset_after: Duration,
    next: Duration,
    last_failure: Option<Instant>,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new(Duration::from_millis(800), Duration::from_secs(8), Duration::from_secs(120))
    }
}

impl Backoff {
    /// Starts at `first`, stops growing at `limit`, forgets failures older than `reset_after`.
    pub fn new(first: Duration, limit: Duration, reset_after: Duration) -> Backoff {
        Backoff { first, limit, reset_after, next: first, last_failure: None }
    }

    /// Returns how long to wait after a failure at `now`; `jitter` lies between 0 and 1.
    pub fn failed(&mut self, now: Instant, jitter: f64) -> Duration {
        if self.last_failure.is_some_and(|last| now.saturating_duration_since(last) > self.reset_after) {
            self.next = self.first;
        }
        self.last_failure = Some(now);
        let pause = self.next;
        self.next = (self.next * 2).min(self.limit);
        pause + pause.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_starts_over_after_quiet() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        let pauses: Vec<u64> = (0..8).map(|_| backoff.failed(start, 0.0).as_millis() as u64).collect();
        assert_eq!(pauses, [800, 1600, 3200, 6400, 8000, 8000, 8000, 8000]);
        assert_eq!(backoff.failed(start + Duration::from_secs(121), 1.0), Duration::from_millis(1600));
    }
}
