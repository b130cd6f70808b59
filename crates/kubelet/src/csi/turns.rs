//! One thing at a time is done with a volume: the contract asks callers for that.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::layout::VolumeId;

/// Whose turn it is, by volume.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<VolumeId, Arc<Semaphore>>>);

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn(#[allow(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

impl Turns {
    /// Waits for the turn with a volume.
    pub async fn take(&self, id: &VolumeId) -> Turn {
        let semaphore = {
            let mut turns = self.0.lock();
            // Who holds a turn, or waits for it, holds its semaphore.
            turns.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            Arc::clone(turns.entry(id.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // Nobody closes it.
        Turn(semaphore.acquire_owned().await.ok())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_volume_is_in_one_hand_and_others_are_free() {
        let turns = Turns::default();
        let id = |handle: &str| VolumeId { driver: "d".into(), handle: handle.into() };
        let first = turns.take(&id("a")).await;
        assert!(turns.take(&id("a")).now_or_never().is_none());
        assert!(turns.take(&id("b")).now_or_never().is_some());
        drop(first);
        assert!(turns.take(&id("a")).now_or_never().is_some());
        assert!(turns.0.lock().len() <= 2);
    }
}
