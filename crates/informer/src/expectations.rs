//! The writes that a controller still has to see in its store before it may count again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Key;

/// After this time the watch is taken to have lost the event and the store is trusted again; upstream's value.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Counts, for each key, the creations and deletions that were asked for but not yet seen.
///
/// Set the expectation before the write, lower it when the watch shows the object or when the write failed, and act
/// on a key only while it is satisfied.
#[derive(Debug, Default)]
pub struct Expectations {
    pending: Mutex<HashMap<Key, Pending>>,
}

#[derive(Debug)]
struct Pending {
    creations: usize,
    /// Uids of objects on their way out, so that a deletion seen twice counts once.
    deletions: HashSet<String>,
    since: Instant,
}

impl Expectations {
    /// Makes an empty set of expectations.
    pub fn new() -> Expectations {
        Expectations::default()
    }

    /// Expects so many more creations.
    pub fn expect_creations(&self, key: &Key, count: usize) {
        self.with(key, |pending| pending.creations += count);
    }

    /// Expects the objects with these uids to go.
    pub fn expect_deletions(&self, key: &Key, uids: impl IntoIterator<Item = String>) {
        self.with(key, |pending| pending.deletions.extend(uids));
    }

    /// Records that a creation was seen, or that it failed and will not be seen.
    pub fn creation_observed(&self, key: &Key) {
        self.lower(key, |pending| pending.creations = pending.creations.saturating_sub(1));
    }

    /// Records that a deletion was seen, or that it failed and will not be seen.
    pub fn deletion_observed(&self, key: &Key, uid: &str) {
        self.lower(key, |pending| {
            pending.deletions.remove(uid);
        });
    }

    /// Tells whether everything expected was seen, or was waited for too long.
    pub fn satisfied(&self, key: &Key) -> bool {
        self.pending.lock().get(key).is_none_or(|pending| pending.since.elapsed() > TIMEOUT)
    }

    /// Forgets a key.
    pub fn forget(&self, key: &Key) {
        self.pending.lock().remove(key);
    }

    fn with(&self, key: &Key, change: impl FnOnce(&mut Pending)) {
        let mut all = self.pending.lock();
        let fresh = || Pending { creations: 0, deletions: HashSet::new(), since: Instant::now() };
        let pending = all.entry(key.clone()).or_insert_with(fresh);
        if pending.since.elapsed() > TIMEOUT {
            *pending = fresh();
        }
        pending.since = Instant::now();
        change(pending);
        if pending.creations == 0 && pending.deletions.is_empty() {
            all.remove(key);
        }
    }

    fn lower(&self, key: &Key, change: impl FnOnce(&mut Pending)) {
        let mut all = self.pending.lock();
        if let Some(pending) = all.get_mut(key) {
            change(pending);
            if pending.creations == 0 && pending.deletions.is_empty() {
                all.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_satisfied_once_everything_was_seen() {
        let expectations = Expectations::new();
        let key = Key::new("default", "web");
        assert!(expectations.satisfied(&key));
        expectations.expect_creations(&key, 2);
        expectations.expect_deletions(&key, ["u1".to_owned()]);
        expectations.creation_observed(&key);
        expectations.creation_observed(&key);
        expectations.creation_observed(&key);
        assert!(!expectations.satisfied(&key));
        expectations.deletion_observed(&key, "u1");
        expectations.deletion_observed(&key, "u1");
        assert!(expectations.satisfied(&key));
    }

    #[tokio::test(start_paused = true)]
    async fn trusts_the_store_again_after_five_minutes() {
        let expectations = Expectations::new();
        let key = Key::new("default", "web");
        expectations.expect_creations(&key, 1);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(!expectations.satisfied(&key));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(expectations.satisfied(&key));
        expectations.expect_creations(&key, 1);
        expectations.creation_observed(&key);
        assert!(expectations.satisfied(&key), "an expectation that timed out is not added to");
    }
}
