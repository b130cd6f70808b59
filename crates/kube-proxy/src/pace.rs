//! When the next sync may run.

use std::time::Duration;

/// How many times its own duration a sync is followed by rest.
const REST: u32 = 4;

/// How long to rest after a sync that took so long, before the next.
///
/// Upstream rests for `minSyncPeriod` whatever a sync costs, which delays the second of two changes by up to a
/// second. Here the rest is in proportion to the cost, `minSyncPeriod` its upper bound: a stream of changes takes a
/// fifth of one core at most, and a change after a quiet moment is never delayed.
pub fn rest(took: Duration, min_sync_period: Duration) -> Duration {
    (took * REST).min(min_sync_period)
}

/// How long to wait before trying again after so many failures in a row.
pub fn retry(failures: u32, sync_period: Duration) -> Duration {
    let exponential = Duration::from_millis(500).saturating_mul(1 << failures.min(10));
    exponential.min(sync_period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_is_in_proportion_and_bounded() {
        let ms = Duration::from_millis;
        assert_eq!(rest(ms(10), ms(1000)), ms(40));
        assert_eq!(rest(ms(900), ms(1000)), ms(1000));
        assert_eq!(rest(ms(10), ms(0)), ms(0));
    }

    #[test]
    fn retries_slow_down_to_the_sync_period() {
        assert_eq!(retry(1, Duration::from_secs(30)), Duration::from_secs(1));
        assert_eq!(retry(20, Duration::from_secs(30)), Duration::from_secs(30));
    }
}
