//! Waiting for conditions, never for times.

use std::future::Future;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Asks again and again until the answer is `Ok`, for forty seconds at most: a machine that others share may stand
/// still for ten; then panics with the last `Err`.
pub async fn eventually<T, E, F>(ask: impl FnMut() -> F) -> T
where
    E: std::fmt::Debug,
    F: Future<Output = Result<T, E>>,
{
    eventually_within(Duration::from_secs(40), ask).await
}

/// As [`eventually`], with another limit: for what is looked at only now and then.
pub async fn eventually_within<T, E, F>(limit: Duration, mut ask: impl FnMut() -> F) -> T
where
    E: std::fmt::Debug,
    F: Future<Output = Result<T, E>>,
{
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(state) if start.elapsed() > limit => {
                panic!("still not so after {:?}: {state:?}", start.elapsed())
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on, for processes that cannot be told to choose one.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
