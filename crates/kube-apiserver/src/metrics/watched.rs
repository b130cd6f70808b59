//! Events on their way to watchers: how many there are and how large, at the cost of two additions each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;
use schema::Resource;

/// Upstream's bounds, in bytes: each is twice the one before.
const BOUNDS: [u64; 8] = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072];

/// The events of one version of a resource.
#[derive(Debug, Default)]
pub struct Events {
    /// By the first bound that is large enough; the last are larger than all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    bytes: AtomicU64,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// How many events are no larger than each bound.
    pub up_to: Vec<(u64, u64)>,
    /// How many there are.
    pub count: u64,
    /// How large they are together.
    pub bytes: u64,
}

impl Events {
    /// Counts one of this size.
    pub fn sent(&self, size: usize) {
        let doubled = (size.saturating_sub(1) / 1024).checked_ilog2().map_or(0, |log| log as usize + 1);
        self.counts[doubled.min(BOUNDS.len())].fetch_add(1, Relaxed);
        self.bytes.fetch_add(size as u64, Relaxed);
    }

    fn read(&self) -> Sizes {
        let mut count = 0;
        let mut up_to = Vec::with_capacity(BOUNDS.len());
        for (bound, counted) in BOUNDS.into_iter().zip(&self.counts) {
            count += counted.load(Relaxed);
            up_to.push((bound, count));
        }
        count += self.counts[BOUNDS.len()].load(Relaxed);
        Sizes { up_to, count, bytes: self.bytes.load(Relaxed) }
    }
}

/// Group, version and resource.
type Name = [Box<str>; 3];

/// The events of all resources that were ever watched.
#[derive(Debug, Default)]
pub struct Watched(RwLock<Vec<(Name, Arc<Events>)>>);

impl Watched {
    /// The counters of a resource; to be asked once for each.
    pub fn of(&self, row: &Resource) -> Arc<Events> {
        let name = [&*row.group, &*row.version, &*row.plural];
        let mut all = self.0.write();
        let known = all.iter().find(|(known, _)| known.iter().map(|part| &**part).eq(name));
        if let Some((_, events)) = known {
            return events.clone();
        }
        let events = Arc::new(Events::default());
        all.push((name.map(Box::from), events.clone()));
        events
    }

    /// All of them.
    pub fn read(&self) -> Vec<(Name, Sizes)> {
        self.0.read().iter().map(|(name, events)| (name.clone(), events.read())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_by_the_first_bound_that_holds_them() {
        for (size, expected) in [
            (0, Some(1024)),
            (1024, Some(1024)),
            (1025, Some(2048)),
            (2048, Some(2048)),
            (2049, Some(4096)),
            (131_072, Some(131_072)),
            (131_073, None),
            (5_000_000, None),
        ] {
            let events = Events::default();
            events.sent(size);
            let found = events.read();
            let bound = found.up_to.iter().find(|(_, count)| *count == 1).map(|(bound, _)| *bound);
            assert_eq!((bound, found.count, found.bytes), (expected, 1, size as u64), "{size}");
        }
    }
}
