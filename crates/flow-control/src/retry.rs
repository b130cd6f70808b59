//! When a client that was turned away should come again: later, the more are turned away.

use std::time::Duration;

/// The longest a client is sent away.
const LONGEST: u32 = 32;

/// What `Retry-After` says.
#[derive(Debug, Clone)]
pub struct RetryAfter {
    seconds: u32,
    since: Duration,
    refused: u64,
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self { seconds: 1, since: Duration::ZERO, refused: 0 }
    }
}

impl RetryAfter {
    /// Counts a request that is turned away, and says in how many seconds it should come again.
    ///
    /// When more are turned away within the time than there are seats to serve them, those that come again find the
    /// same: the time doubles. When far fewer are, it falls.
    pub fn refuse(&mut self, now: Duration, seats: u32) -> u32 {
        let window = Duration::from_secs(u64::from(self.seconds));
        let passed = now.saturating_sub(self.since);
        if passed >= window {
            let (many, few) = (u64::from(seats.max(1)), u64::from(seats.max(2)) / 2);
            if passed >= window * 8 {
                self.seconds = 1;
            } else if self.refused > many {
                self.seconds = (self.seconds * 2).min(LONGEST);
            } else if self.refused < few {
                self.seconds = (self.seconds / 2).max(1);
            }
            (self.since, self.refused) = (now, 0);
        }
        self.refused += 1;
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_doubles_while_too_many_are_turned_away_and_falls_afterwards() {
        let mut retry = RetryAfter::default();
        let mut said = Vec::new();
        for tenth in 0..400 {
            let now = Duration::from_millis(tenth * 100);
            for _ in 0..10 {
                said.push(retry.refuse(now, 5));
            }
        }
        assert_eq!((said[0], *said.last().unwrap()), (1, 32));
        assert!(said.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(retry.refuse(Duration::from_secs(4000), 5), 1);
    }
}
