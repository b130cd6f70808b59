//! How far the caches have come in etcd's history, and who waits for a revision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Error;

/// The revision up to which every cache has applied everything.
#[derive(Debug, Default)]
pub struct Progress {
    reached: AtomicI64,
    compacted: AtomicI64,
    waiting: Mutex<BTreeMap<i64, Vec<oneshot::Sender<()>>>>,
}

impl Progress {
    /// The revision that all caches have reached.
    pub fn reached(&self) -> i64 {
        self.reached.load(Ordering::Acquire)
    }

    /// The revision before which etcd has forgotten everything, or is about to: what is older must not be answered,
    /// even if a cache still could, since clients rely on being told.
    pub fn compacted(&self) -> i64 {
        self.compacted.load(Ordering::Acquire)
    }

    /// Notes what servers agreed to compact.
    pub(crate) fn compact(&self, revision: i64) {
        self.compacted.fetch_max(revision, Ordering::AcqRel);
    }

    /// Notes that all caches have reached a revision and wakes those who waited for it.
    pub(crate) fn reach(&self, revision: i64) {
        self.reached.store(revision, Ordering::SeqCst);
        let ready = {
            let mut waiting = self.waiting.lock();
            match waiting.first_key_value() {
                Some((first, _)) if *first <= revision => {
                    let later = waiting.split_off(&(revision + 1));
                    std::mem::replace(&mut *waiting, later)
                }
                _ => return,
            }
        };
        for waiter in ready.into_values().flatten() {
            // Whoever stopped waiting has dropped the other end.
            let _ = waiter.send(());
        }
    }

    /// Waits until all caches have reached a revision.
    pub async fn wait(&self, revision: i64, patience: Duration) -> Result<(), Error> {
        if self.reached() >= revision {
            return Ok(());
        }
        let reached = {
            let mut waiting = self.waiting.lock();
            // `reach` stores before it takes the lock, so one of the two sees the other.
            if self.reached.load(Ordering::SeqCst) >= revision {
                return Ok(());
            }
            let (sender, receiver) = oneshot::channel();
            waiting.entry(revision).or_default().push(sender);
            receiver
        };
        match tokio::time::timeout(patience, reached).await {
            Ok(_) => Ok(()),
            Err(_) => {
                self.forget_abandoned();
                Err(Error::Timeout)
            }
        }
    }

    fn forget_abandoned(&self) {
        self.waiting.lock().retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn wakes_exactly_those_whose_revision_is_reached() {
        let progress = Arc::new(Progress::default());
        let wait = |revision| {
            let progress = progress.clone();
            tokio::spawn(async move { progress.wait(revision, Duration::from_secs(10)).await.is_ok() })
        };
        let (early, late) = (wait(5), wait(6));
        tokio::task::yield_now().await;
        progress.reach(5);
        assert!(early.await.unwrap());
        assert!(!late.is_finished());
        progress.reach(9);
        assert!(late.await.unwrap());
        assert!(progress.wait(9, Duration::ZERO).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_in_time_and_leaves_nothing_behind() {
        let progress = Progress::default();
        assert!(matches!(progress.wait(1, Duration::from_secs(3)).await, Err(Error::Timeout)));
        assert!(progress.waiting.lock().is_empty());
    }
}
