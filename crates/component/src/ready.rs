//! Readiness as a set of latches: one for each thing waited for, and never back.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// All latches of a process. Ready when each one is open.
#[derive(Clone)]
pub struct Readiness {
    pending: Arc<Mutex<Vec<(String, bool)>>>,
    ready: Arc<watch::Sender<bool>>,
    /// Woken when a latch is added or opened.
    changed: Arc<Notify>,
}

/// One thing waited for. Dropping it without [`Latch::open`] leaves the process unready.
pub struct Latch {
    index: usize,
    readiness: Readiness,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { pending: Arc::default(), ready: Arc::new(watch::Sender::new(true)), changed: Arc::default() }
    }
}

impl Readiness {
    /// Adds a thing to wait for.
    pub fn latch(&self, name: impl Into<String>) -> Latch {
        let mut pending = self.pending.lock();
        pending.push((name.into(), false));
        self.ready.send_replace(false);
        self.changed.notify_one();
        Latch { index: pending.len() - 1, readiness: self.clone() }
    }

    /// Each latch's name and whether it is open.
    pub fn checks(&self) -> Vec<(String, bool)> {
        self.pending.lock().clone()
    }

    /// Whether every latch is open.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until a latch was added or opened since the last call. There is one caller: the process's supervisor.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until every latch is open.
    pub async fn wait(&self) {
        let mut ready = self.ready.subscribe();
        // The sender lives in self, so it cannot be gone.
        let _ = ready.wait_for(|ready| *ready).await;
    }
}

impl Latch {
    /// Says that what was waited for is there. Opening again does nothing.
    pub fn open(&self) {
        let mut pending = self.readiness.pending.lock();
        pending[self.index].1 = true;
        let ready = pending.iter().all(|(_, open)| *open);
        self.readiness.ready.send_replace(ready);
        self.readiness.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_when_every_latch_is_open() {
        let readiness = Readiness::default();
        let (pods, nodes) = (readiness.latch("pods"), readiness.latch("nodes"));
        pods.open();
        assert!(!readiness.is_ready());
        nodes.open();
        readiness.wait().await;
        assert_eq!(readiness.checks(), [("pods".to_owned(), true), ("nodes".to_owned(), true)]);
    }
}
