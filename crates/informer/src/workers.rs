//! Workers that take keys from a queue and reconcile them.

use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use tracing::{debug, warn};

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

/// Reconciles keys until the queue is closed, at most `workers` at a time, all in the calling task.
///
/// A failed key is logged and comes again later with each failure in a row.
pub async fn run_workers<K, E, F, Fut>(name: &str, queue: &WorkQueue<K>, workers: usize, reconcile: F)
where
    K: Clone + Eq + Hash + Display,
    E: Display,
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
                    // The first failures are mostly conflicts with a store that lags; they heal themselves.
                    if queue.failures(&key) < 3 {
                        debug!(controller = name, %key, %error, "reconcile failed, will retry");
                    } else {
                        warn!(controller = name, %key, %error, "reconcile failed, will retry");
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
                    1 | 2 => Err(format!("no {key}")),
                    3 => Ok(Outcome::After(Duration::from_secs(1))),
                    _ => Ok(Outcome::Done),
                }
            }
        })
        .await;
        assert_eq!(*seen.borrow(), [0, 5, 15, 1015]);
    }
}
