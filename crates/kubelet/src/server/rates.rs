//! Processor use: the difference between two counts over the time between them.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Counts closer together than this say little, as the kernel charges time in ticks; the last rate is told again.
const APART: i64 = 5_000;

/// The last counts and rates, by cgroup.
#[derive(Debug, Default)]
pub(super) struct Rates {
    known: Mutex<HashMap<String, Rate>>,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    /// When the count was taken, in milliseconds since the epoch.
    at: i64,
    cpu_nanos: u64,
    nano_cores: Option<u64>,
}

impl Rate {
    fn next(known: Option<Rate>, at: i64, cpu_nanos: u64) -> Rate {
        match known {
            Some(known) if at - known.at < APART && cpu_nanos >= known.cpu_nanos => known,
            Some(known) if cpu_nanos >= known.cpu_nanos => {
                let used = u128::from(cpu_nanos - known.cpu_nanos) * 1000;
                let nano_cores = u64::try_from(used / u128::from((at - known.at).unsigned_abs())).ok();
                Rate { at, cpu_nanos, nano_cores }
            }
            // The first count, or that of another cgroup in the same place.
            _ => Rate { at, cpu_nanos, nano_cores: None },
        }
    }
}

impl Rates {
    /// Takes the counts of one time, and gives the rates in the same order. What is not among them is forgotten.
    pub(super) fn take<'a>(
        &self,
        at: i64,
        counts: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Vec<Option<u64>> {
        let mut known = self.known.lock();
        let mut now = HashMap::with_capacity(known.len());
        let mut rates = Vec::new();
        for (cgroup, cpu_nanos) in counts {
            let rate = Rate::next(known.get(cgroup).copied(), at, cpu_nanos);
            rates.push(rate.nano_cores);
            now.insert(cgroup.to_owned(), rate);
        }
        *known = now;
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_taken_over_five_seconds_at_least() {
        let rates = Rates::default();
        let take = |at, cpu_nanos| rates.take(at, [("/a", cpu_nanos)])[0];
        assert_eq!(take(0, 1_000_000_000), None);
        assert_eq!(take(1_000, 1_500_000_000), None, "too soon");
        assert_eq!(take(10_000, 3_000_000_000), Some(200_000_000), "over the ten seconds since the first");
        assert_eq!(take(11_000, 9_000_000_000), Some(200_000_000), "told again");
        assert_eq!(take(20_000, 1), None, "another cgroup in the same place");
        assert_eq!(rates.take(30_000, [("/b", 0)]), [None]);
        assert_eq!(take(40_000, 1), None, "was forgotten");
    }
}
