//! How long to wait before something that keeps failing is tried again; per key, with upstream's arithmetic.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// How long something must do well until its failures are forgotten, whatever the limit is; upstream's.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Delays by key: the first try is free, then the delay doubles up to the limit. A key is forgotten when it has done
/// well for ten minutes.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: SignedDuration,
    limit: SignedDuration,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    delay: SignedDuration,
    updated: Timestamp,
}

/// A wait that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The whole delay.
    pub delay: SignedDuration,
    /// What is left of it.
    pub remaining: SignedDuration,
}

impl Backoff {
    /// The back-off of crashing containers and of failing pulls: 10 s to 5 min.
    pub fn new(limit: SignedDuration) -> Self {
        Self { first: SignedDuration::from_secs(10).min(limit), limit, entries: BTreeMap::new() }
    }

    fn entry(&self, key: &str, failed_at: Timestamp) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| failed_at.duration_since(entry.updated) <= FORGOTTEN_AFTER)
    }

    /// Tells what is left to wait for a key whose last failure was at `failed_at`.
    pub fn waiting(&self, key: &str, failed_at: Timestamp, now: Timestamp) -> Option<Waiting> {
        let entry = self.entry(key, failed_at)?;
        let remaining = entry.delay - now.duration_since(failed_at);
        remaining.is_positive().then_some(Waiting { delay: entry.delay, remaining })
    }

    /// Notes that a key is tried again after a failure at `failed_at`.
    pub fn advance(&mut self, key: &str, failed_at: Timestamp, now: Timestamp) {
        let delay = self.entry(key, failed_at).map_or(self.first, |entry| (entry.delay * 2).min(self.limit));
        self.entries.insert(key.to_owned(), Entry { delay, updated: now });
    }

    /// Forgets a key that does well.
    pub fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn delays_double_to_the_limit() {
        let mut backoff = Backoff::new(SignedDuration::from_secs(300));
        let mut now = 0;
        let mut delays = Vec::new();
        for _ in 0..8 {
            let failed = at(now);
            match backoff.waiting("c", failed, failed) {
                Some(waiting) => {
                    delays.push(waiting.delay.as_secs());
                    now += waiting.remaining.as_secs();
                }
                None => delays.push(0),
            }
            assert_eq!(backoff.waiting("c", failed, at(now)), None);
            backoff.advance("c", failed, at(now));
            now += 1;
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn ten_good_minutes_start_over() {
        let mut backoff = Backoff::new(SignedDuration::from_secs(300));
        backoff.advance("c", at(0), at(0));
        backoff.advance("c", at(10), at(10));
        assert_eq!(backoff.waiting("c", at(11), at(12)).unwrap().delay.as_secs(), 20);
        assert_eq!(backoff.waiting("c", at(611), at(611)), None);
        backoff.advance("c", at(611), at(611));
        assert_eq!(backoff.waiting("c", at(612), at(612)).unwrap().delay.as_secs(), 10);
    }

    #[test]
    fn a_lower_limit_is_no_shorter_memory() {
        let mut backoff = Backoff::new(SignedDuration::from_secs(5));
        backoff.advance("c", at(0), at(0));
        assert_eq!(backoff.waiting("c", at(600), at(600)).unwrap().delay.as_secs(), 5);
        assert_eq!(backoff.waiting("c", at(601), at(601)), None);
    }

    #[test]
    fn keys_do_not_share() {
        let mut backoff = Backoff::new(SignedDuration::from_secs(300));
        backoff.advance("a", at(0), at(0));
        assert_eq!(backoff.waiting("b", at(1), at(1)), None);
    }
}
