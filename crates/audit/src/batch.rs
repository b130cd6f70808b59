//! How events reach a sink: while the request waits, or gathered by a task of their own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::auditor::Sinks;
use crate::truncation::Truncation;

/// How events reach a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are gathered; when the buffer is full, events are lost and counted.
    Batch,
    /// The request waits until its event is written.
    Blocking,
}

/// How events are gathered, under the flags' names.
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// `--audit-*-batch-buffer-size`: how many events wait.
    pub buffer_size: usize,
    /// `--audit-*-batch-max-size`: how many are written at once.
    pub max_size: usize,
    /// `--audit-*-batch-max-wait`: how long the first of them waits for others.
    pub max_wait: Duration,
    /// `--audit-*-batch-throttle-qps` and `-burst`, where batches are held back.
    pub throttle: Option<(f64, usize)>,
    /// `--audit-*-truncate-enabled`: what is done with large events.
    pub truncation: Option<Truncation>,
}

/// A place that takes batches of events.
pub(crate) trait Write: Send + Sync + 'static {
    /// Upstream's name of such places, for metrics.
    fn name(&self) -> &'static str;
    /// Writes at once.
    fn write_now(&self, event: &Bytes);
    /// Writes a batch.
    fn write(&self, events: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

pub(crate) struct Sink {
    name: &'static str,
    way: Way,
    truncation: Option<Truncation>,
    lost: AtomicU64,
}

enum Way {
    Now(Arc<dyn Write>),
    Later(mpsc::Sender<Bytes>),
}

impl Sink {
    /// How many events never got there.
    pub(crate) fn lost(&self) -> (&'static str, u64) {
        (self.name, self.lost.load(Ordering::Relaxed))
    }

    pub(crate) fn send(&self, event: Bytes) {
        let event = match self.truncation {
            None => event,
            Some(truncation) => match truncation.fit(event) {
                Some(event) => event,
                None => return self.lose("an event is too large for the audit log"),
            },
        };
        match &self.way {
            Way::Now(write) => write.write_now(&event),
            Way::Later(sender) => {
                if sender.try_send(event).is_err() {
                    self.lose("audit buffer queue blocked: events are lost");
                }
            }
        }
    }

    /// Says so once in a while: what is lost must not fill the log too.
    fn lose(&self, why: &str) {
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        if lost.is_power_of_two() {
            tracing::error!(lost, "{why}");
        }
    }
}

/// A task that writes what was gathered, until there is nobody left to send.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Sinks {
    pub(crate) fn add(&mut self, write: Arc<dyn Write>, mode: Mode, batching: Batching) -> Option<Task> {
        let name = write.name();
        let (way, task): (Way, Option<Task>) = match mode {
            Mode::Blocking => (Way::Now(write), None),
            Mode::Batch => {
                let (sender, receiver) = mpsc::channel(batching.buffer_size.max(1));
                (Way::Later(sender), Some(Box::pin(gather(write, receiver, batching))))
            }
        };
        self.0.push(Sink { name, way, truncation: batching.truncation, lost: AtomicU64::new(0) });
        task
    }
}

async fn gather(write: Arc<dyn Write>, mut events: mpsc::Receiver<Bytes>, batching: Batching) {
    let most = batching.max_size.max(1);
    let largest = batching.truncation.map_or(usize::MAX, |truncation| truncation.max_batch);
    // What did not fit into a batch begins the next.
    let mut left = None;
    let mut throttle = batching.throttle.map(|(qps, burst)| Throttle::new(qps, burst));
    loop {
        let first = match left.take() {
            Some(event) => event,
            None => match events.recv().await {
                Some(event) => event,
                None => return,
            },
        };
        let mut size = first.len();
        let mut batch = vec![first];
        let deadline = tokio::time::Instant::now() + batching.max_wait;
        while batch.len() < most {
            match tokio::time::timeout_at(deadline, events.recv()).await {
                Ok(Some(event)) if size.saturating_add(event.len()) > largest => {
                    left = Some(event);
                    break;
                }
                Ok(Some(event)) => {
                    size += event.len();
                    batch.push(event);
                }
                Ok(None) | Err(_) => break,
            }
        }
        if let Some(throttle) = &mut throttle {
            tokio::time::sleep(throttle.next(Instant::now())).await;
        }
        write.write(batch).await;
    }
}

/// A bucket of tokens that fills steadily.
struct Throttle {
    qps: f64,
    burst: f64,
    tokens: f64,
    at: Option<Instant>,
}

impl Throttle {
    fn new(qps: f64, burst: usize) -> Self {
        let burst = burst.max(1) as f64;
        Self { qps: qps.max(0.001), burst, tokens: burst, at: None }
    }

    /// How long the next batch is held back.
    fn next(&mut self, now: Instant) -> Duration {
        let since = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.tokens = (self.tokens + since.as_secs_f64() * self.qps).min(self.burst) - 1.0;
        self.at = Some(now);
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.qps) }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Vec<Bytes>>>);

    impl Write for Kept {
        fn name(&self) -> &'static str {
            "kept"
        }

        fn write_now(&self, event: &Bytes) {
            self.0.lock().push(vec![event.clone()]);
        }
        fn write(&self, events: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            self.0.lock().push(events);
            Box::pin(async {})
        }
    }

    #[tokio::test(start_paused = true)]
    async fn batches_are_as_large_as_they_may_and_wait_no_longer_than_they_may() {
        let kept = Arc::new(Kept::default());
        let mut sinks = Sinks::default();
        let batching = Batching {
            buffer_size: 5,
            max_size: 2,
            max_wait: Duration::from_secs(30),
            throttle: None,
            truncation: None,
        };
        let task = sinks.add(kept.clone(), Mode::Batch, batching).unwrap();
        for number in 0..7u8 {
            sinks.0[0].send(Bytes::copy_from_slice(&[number]));
        }
        assert_eq!(sinks.0[0].lost.load(Ordering::Relaxed), 2, "the buffer is bounded");
        let start = tokio::time::Instant::now();
        let running = tokio::spawn(task);
        while kept.0.lock().len() < 3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(start.elapsed() >= Duration::from_secs(29), "the last waits for company");
        let sizes: Vec<usize> = kept.0.lock().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
        drop(sinks);
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_no_larger_than_it_may_be() {
        let kept = Arc::new(Kept::default());
        let mut sinks = Sinks::default();
        let batching = Batching {
            buffer_size: 10,
            max_size: 10,
            max_wait: Duration::from_secs(1),
            throttle: None,
            truncation: Some(Truncation { max_event: 100, max_batch: 25 }),
        };
        let task = sinks.add(kept.clone(), Mode::Batch, batching).unwrap();
        for size in [10, 10, 10, 30, 10, 200] {
            sinks.0[0].send(Bytes::from(vec![b'x'; size]));
        }
        assert_eq!(sinks.0[0].lost.load(Ordering::Relaxed), 1, "what is no event cannot be cut");
        drop(sinks);
        task.await;
        let sizes: Vec<usize> =
            kept.0.lock().iter().map(|batch| batch.iter().map(Bytes::len).sum()).collect();
        assert_eq!(sizes, [20, 10, 30, 10]);
    }

    #[test]
    fn a_throttle_lets_a_burst_through_and_then_holds_back() {
        let mut throttle = Throttle::new(10.0, 2);
        let now = Instant::now();
        let waits: Vec<u128> = (0..4).map(|_| throttle.next(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200]);
        assert_eq!(throttle.next(now + Duration::from_secs(10)).as_millis(), 0);
    }
}
