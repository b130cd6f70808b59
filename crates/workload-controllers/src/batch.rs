//! Slow start: many like requests in growing batches, so that a quota or a broken webhook is hit once, not 500 times.

use std::future::Future;

/// Runs `count` requests, numbered from 0, in batches of 1, 2, 4 …, each batch at once, and stops after a batch with a failure.
///
/// Returns how many succeeded, how many were never tried, and the first error.
pub async fn slow_start<E, F, Fut>(count: usize, request: F) -> Batches<E>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let mut batches = Batches { succeeded: 0, skipped: count, error: None };
    let mut size = 1;
    while batches.skipped > 0 && batches.error.is_none() {
        let batch = size.min(batches.skipped);
        let first = count - batches.skipped;
        batches.skipped -= batch;
        for result in futures::future::join_all((first..first + batch).map(&request)).await {
            match result {
                Ok(()) => batches.succeeded += 1,
                Err(error) => batches.error = batches.error.or(Some(error)),
            }
        }
        size *= 2;
    }
    batches
}

/// How far a slow start came.
#[derive(Debug, PartialEq, Eq)]
pub struct Batches<E> {
    /// Requests that succeeded.
    pub succeeded: usize,
    /// Requests that were not made because an earlier batch failed.
    pub skipped: usize,
    /// The first failure.
    pub error: Option<E>,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn check(count: usize, failing: usize) -> (usize, usize, usize) {
        let tried = Cell::new(0);
        let batches = slow_start(count, |number| {
            assert_eq!(number, tried.get());
            tried.set(tried.get() + 1);
            let result = if tried.get() >= failing { Err("refused") } else { Ok(()) };
            async move { result }
        })
        .await;
        (tried.get(), batches.succeeded, batches.skipped)
    }

    #[tokio::test]
    async fn stops_after_the_batch_that_failed() {
        assert_eq!(check(10, 100).await, (10, 10, 0));
        assert_eq!(check(10, 1).await, (1, 0, 9));
        assert_eq!(check(500, 3).await, (3, 2, 497));
        assert_eq!(check(500, 5).await, (7, 4, 493));
        assert_eq!(check(0, 1).await, (0, 0, 0));
    }
}
