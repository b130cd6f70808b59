//! Workers that take keys from a queue and reconcile them.

use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use component::cause::whole;
use tracing::{debug, info, warn};

use crate::WorkQueue;

/// What a reconcile asks for when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more until the next change.
    Done,
    /// Another look after this time; earlier failures are forgotten.
    After(Duration),
    /// Another look soon, later with each such answer in a row; for waits that are not errors.
    Again,
}

/// Why a reconcile failed.
pub trait Failure: std::error::Error + 'static {
    /// Tells whether the object had changed since it was read: a store that lags, or somebody else's write at the
    /// same time. That belongs to ordinary use and heals itself with the next try.
    fn is_conflict(&self) -> bool;
}

/// How many failures in a row are not worth a line in the log at its usual level: most heal with the next event.
const PATIENCE: u32 = 3;

/// Reconciles keys until the queue is closed, at most `workers` at a time, all in the calling task.
///
/// A failed key is logged and comes again later with each failure in a row.
pub async fn run_workers<K, E, F, Fut>(name: &str, queue: &WorkQueue<K>, workers: usize, reconcile: F)
where
    K: Clone + Eq + Hash + Display,
    E: Failure,
    F: Fn(K) -> Fut,
    Fut: Future<Output = Result<Outcome, E>>,
{
    let worker = async || {
        while let Some(key) = queue.next().await {
            match reconcile(key.clone()).await {
                Ok(Outcome::Done) => queue.forget(&key),
                Ok(Outcome::After(delay)) => {
                    queue.forget(&key);
                    queue.add_after(key.clone(), delay);
                }
                Ok(Outcome::Again) => queue.add_rate_limited(key.clone()),
                Err(error) => {
                    let reason = whole(&error);
                    match (error.is_conflict(), queue.failures(&key) < PATIENCE) {
                        (true, true) => debug!(controller = name, %key, %reason, "conflict, will retry"),
                        (true, false) => info!(controller = name, %key, %reason, "conflict, will retry"),
                        (false, true) => {
                            debug!(controller = name, %key, %reason, "reconcile failed, will retry")
                        }
                        (false, false) => {
                            warn!(controller = name, %key, %reason, "reconcile failed, will retry")
                        }
                    }
                    queue.add_rate_limited(key.clone());
                }
            }
            queue.done(&key);
        }
    };
    futures::future::join_all((0..workers.max(1)).map(|_| worker())).await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    impl Failure for std::io::Error {
        fn is_conflict(&self) -> bool {
            false
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retries_failures_and_honours_requested_delays() {
        let queue = WorkQueue::new("test");
        queue.add("a");
        let seen = RefCell::new(Vec::new());
        let start = tokio::time::Instant::now();
        run_workers("test", &queue, 2, |key: &'static str| {
            let attempt = {
                let mut seen = seen.borrow_mut();
                seen.push(start.elapsed().as_millis());
                seen.len()
            };
            if attempt == 4 {
                queue.close();
            }
            async move {
                match attempt {
                    1 | 2 => Err(std::io::Error::other(key)),
                    3 => Ok(Outcome::After(Duration::from_secs(1))),
                    _ => Ok(Outcome::Done),
                }
            }
        })
        .await;
        assert_eq!(*seen.borrow(), [0, 5, 15, 1015]);
    }
}
