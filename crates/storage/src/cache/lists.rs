//! What lists cost: from where they were answered, and over how many objects.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Where a list's objects were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// etcd.
    Storage,
    /// All of the cache's objects, or those of a namespace.
    Cache,
    /// The cache's objects by their indexed field.
    Index,
}

/// What lists from one source have cost since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lists {
    /// How many there were.
    pub lists: u64,
    /// Objects that were read for them.
    pub fetched: u64,
    /// Objects that were held against what was asked for.
    pub evaluated: u64,
    /// Objects that were answered with.
    pub returned: u64,
}

/// The counters of one source.
#[derive(Debug, Default)]
pub(super) struct Counter {
    lists: AtomicU64,
    fetched: AtomicU64,
    evaluated: AtomicU64,
    returned: AtomicU64,
}

impl Counter {
    pub(super) fn add(&self, fetched: usize, evaluated: usize, returned: usize) {
        self.lists.fetch_add(1, Relaxed);
        self.fetched.fetch_add(fetched as u64, Relaxed);
        self.evaluated.fetch_add(evaluated as u64, Relaxed);
        self.returned.fetch_add(returned as u64, Relaxed);
    }

    pub(super) fn read(&self) -> Lists {
        Lists {
            lists: self.lists.load(Relaxed),
            fetched: self.fetched.load(Relaxed),
            evaluated: self.evaluated.load(Relaxed),
            returned: self.returned.load(Relaxed),
        }
    }
}
