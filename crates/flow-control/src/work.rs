//! How much of the server a request takes: seats while it runs, and seats for what its change sets off.

use std::time::Duration;

/// The widest a request may be: one that waits for many seats leaves those that are free meanwhile unused.
const WIDEST: u32 = 10;
/// No request takes more than this share of its level, for the same reason.
const SHARE: f64 = 0.15;
/// How many objects of a list take one seat. A list is a concatenation of bytes that are there.
const OBJECTS_PER_SEAT: u64 = 1000;
/// From how many watchers on a change takes seats after it is answered: below it costs less than to keep count.
const WATCHERS_PER_SEAT: u64 = 1000;
/// What it takes to hand one event to one watcher.
const PER_WATCHER: Duration = Duration::from_micros(10);

/// The work of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Seats while the request runs.
    pub initial: u32,
    /// Seats for what it sets off.
    pub after: u32,
    /// How long the latter are taken.
    pub lasts: Duration,
    /// How many watchers are told of what it changes, if it changes anything.
    pub watchers: Option<u32>,
}

impl Work {
    /// One seat while it runs.
    pub const ONE: Self = Self { initial: 1, after: 0, lasts: Duration::ZERO, watchers: None };

    /// A list that looks at this many objects.
    pub fn list(objects: u64) -> Self {
        let seats = objects.div_ceil(OBJECTS_PER_SEAT).clamp(1, u64::from(WIDEST));
        Self { initial: seats as u32, ..Self::ONE }
    }

    /// A change that this many watchers are told of.
    pub fn change(watchers: u64) -> Self {
        let told = watchers.min(u64::from(u32::MAX)) as u32;
        if watchers < WATCHERS_PER_SEAT {
            return Self { watchers: Some(told), ..Self::ONE };
        }
        let seats = watchers.div_ceil(WATCHERS_PER_SEAT).min(u64::from(WIDEST)) as u32;
        let all = PER_WATCHER.saturating_mul(told);
        Self { initial: 1, after: seats, lasts: all / seats, watchers: Some(told) }
    }

    /// The same work, in no more seats than a request of a level may take.
    pub fn within(self, nominal: u32) -> Self {
        let widest = ((f64::from(nominal) * SHARE) as u32).clamp(1, WIDEST);
        let after = self.after.min(widest);
        let lasts = if after == 0 { Duration::ZERO } else { self.lasts * self.after / after };
        Self { initial: self.initial.min(widest), after, lasts, ..self }
    }

    /// The seats that are taken all along.
    pub fn seats(self) -> u32 {
        self.initial.max(self.after)
    }

    /// Seat-seconds, when it runs for this many seconds.
    pub fn amount(self, runs: f64) -> f64 {
        f64::from(self.initial) * runs + f64::from(self.after) * self.lasts.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_grows_with_objects_and_watchers_up_to_a_share_of_the_level() {
        for (work, nominal, expected) in [
            (Work::list(0), 600, (1, 0, 0)),
            (Work::list(1000), 600, (1, 0, 0)),
            (Work::list(5500), 600, (6, 0, 0)),
            (Work::list(1_000_000), 600, (10, 0, 0)),
            (Work::list(5500), 20, (3, 0, 0)),
            (Work::list(5500), 0, (1, 0, 0)),
            (Work::change(10), 600, (1, 0, 0)),
            (Work::change(2000), 600, (1, 2, 10)),
            (Work::change(50_000), 600, (1, 10, 50)),
            (Work::change(2000), 5, (1, 1, 20)),
        ] {
            let work = work.within(nominal);
            assert_eq!((work.initial, work.after, work.lasts.as_millis()), expected);
        }
    }
}
