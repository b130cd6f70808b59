//! The work queue: keys to look at, each once, after its delay, never in two hands.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use metrics::QueueMetrics;

mod metrics;
#[cfg(test)]
mod tests;

/// How long a key waits after each failure in a row: `base * 2^failures`, at most `limit`.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// The wait after the first failure.
    pub base: Duration,
    /// The longest wait.
    pub limit: Duration,
}

impl Default for RateLimit {
    /// Upstream's default for controllers: 5 ms to 1000 s.
    fn default() -> Self {
        RateLimit { base: Duration::from_millis(5), limit: Duration::from_secs(1000) }
    }
}

impl RateLimit {
    fn after(&self, failures: u32) -> Duration {
        let factor = 2f64.powi(failures.min(64) as i32);
        Duration::try_from_secs_f64(self.base.as_secs_f64() * factor)
            .map_or(self.limit, |wait| wait.min(self.limit))
    }
}

/// A queue of keys.
///
/// Guarantees: a key that is waiting is not added twice; a key that is in someone's hands is handed out again only
/// after [`WorkQueue::done`], and then only if it was added meanwhile; keys come out in the order in which they
/// became due. The queue never holds more entries than there are distinct keys.
///
/// Cheap to clone; all clones are the same queue.
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    /// Wakes one waiter for each key that became ready or for an earlier deadline.
    wake: Notify,
    limit: RateLimit,
    metrics: QueueMetrics,
}

struct State<K> {
    ready: VecDeque<(K, Instant)>,
    /// Keys that must be handed out: those in `ready`, and those added while in hand.
    dirty: HashSet<K>,
    in_hand: HashMap<K, Instant>,
    /// Deadlines; an entry counts only while `delayed` holds the same deadline for its key.
    deadlines: BinaryHeap<Reverse<Deadline<K>>>,
    delayed: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
    sequence: u64,
    closed: bool,
}

struct Deadline<K> {
    at: Instant,
    sequence: u64,
    key: K,
}

impl<K> PartialEq for Deadline<K> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}
impl<K> Eq for Deadline<K> {}
impl<K> PartialOrd for Deadline<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Deadline<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        WorkQueue { shared: Arc::clone(&self.shared) }
    }
}

impl<K> fmt::Debug for WorkQueue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue").finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    /// Makes an empty queue; `name` is the `name` label of its `workqueue_*` metrics.
    pub fn new(name: &'static str) -> WorkQueue<K> {
        WorkQueue::with_limit(name, RateLimit::default())
    }

    /// Makes an empty queue with waits of its own after failures.
    pub fn with_limit(name: &'static str, limit: RateLimit) -> WorkQueue<K> {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            in_hand: HashMap::new(),
            deadlines: BinaryHeap::new(),
            delayed: HashMap::new(),
            failures: HashMap::new(),
            sequence: 0,
            closed: false,
        };
        let metrics = QueueMetrics::new(name);
        WorkQueue {
            shared: Arc::new(Shared { state: Mutex::new(state), wake: Notify::new(), limit, metrics }),
        }
    }

    /// Adds a key to look at now.
    pub fn add(&self, key: K) {
        let mut state = self.shared.state.lock();
        if self.enqueue(&mut state, key) {
            drop(state);
            self.shared.wake.notify_one();
        }
    }

    /// Adds a key to look at after a while; of two waits for one key the shorter counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let mut state = self.shared.state.lock();
        if state.closed {
            return;
        }
        let now = Instant::now();
        // A delay beyond what the clock can hold is a delay of a year.
        let at = now.checked_add(delay).unwrap_or(now + Duration::from_secs(31_536_000));
        if state.delayed.get(&key).is_some_and(|earlier| *earlier <= at) {
            return;
        }
        state.sequence += 1;
        let sequence = state.sequence;
        state.delayed.insert(key.clone(), at);
        state.deadlines.push(Reverse(Deadline { at, sequence, key }));
        // Superseded deadlines stay in the heap until due; rebuilding it now and then keeps it proportional.
        if state.deadlines.len() > 2 * state.delayed.len() + 64 {
            let live = std::mem::take(&mut state.deadlines);
            state.deadlines = live
                .into_iter()
                .filter(|Reverse(deadline)| state.delayed.get(&deadline.key) == Some(&deadline.at))
                .collect();
        }
        let earliest = state.deadlines.peek().is_some_and(|Reverse(first)| first.sequence == sequence);
        drop(state);
        if earliest {
            self.shared.wake.notify_one();
        }
    }

    /// Adds a key after a failure, later with each failure in a row.
    pub fn add_rate_limited(&self, key: K) {
        let delay = {
            let mut state = self.shared.state.lock();
            let failures = state.failures.entry(key.clone()).or_insert(0);
            let delay = self.shared.limit.after(*failures);
            *failures = failures.saturating_add(1);
            delay
        };
        self.shared.metrics.retried();
        self.add_after(key, delay);
    }

    /// Forgets the failures of a key.
    pub fn forget(&self, key: &K) {
        self.shared.state.lock().failures.remove(key);
    }

    /// Returns how often in a row a key has failed.
    pub fn failures(&self, key: &K) -> u32 {
        self.shared.state.lock().failures.get(key).copied().unwrap_or(0)
    }

    /// Waits for the next key; `None` once the queue is closed. The taker owes a [`WorkQueue::done`].
    pub async fn next(&self) -> Option<K> {
        loop {
            let woken = self.shared.wake.notified();
            let deadline = {
                let mut state = self.shared.state.lock();
                if state.closed {
                    return None;
                }
                let now = Instant::now();
                self.promote(&mut state, now);
                if let Some((key, since)) = state.ready.pop_front() {
                    state.dirty.remove(&key);
                    state.in_hand.insert(key.clone(), now);
                    self.shared.metrics.taken(since, now, state.ready.len());
                    // A permit of Notify covers one waiter only: pass it on while there is more.
                    if !state.ready.is_empty() || !state.deadlines.is_empty() {
                        self.shared.wake.notify_one();
                    }
                    return Some(key);
                }
                state.deadlines.peek().map(|Reverse(first)| first.at)
            };
            match deadline {
                Some(at) => tokio::select! {
                    () = woken => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => woken.await,
            }
        }
    }

    /// Gives a key back; if it was added meanwhile it is ready again.
    pub fn done(&self, key: &K) {
        let mut state = self.shared.state.lock();
        let Some(since) = state.in_hand.remove(key) else { return };
        let now = Instant::now();
        self.shared.metrics.finished(since, now);
        if state.dirty.contains(key) && !state.closed {
            state.ready.push_back((key.clone(), now));
            self.shared.metrics.depth(state.ready.len());
            drop(state);
            self.shared.wake.notify_one();
        }
    }

    /// Closes the queue: nothing is added any more, and every taker gets `None`.
    pub fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_waiters();
        self.shared.wake.notify_one();
    }

    /// Returns how many keys are ready, in hand excluded, delayed excluded.
    pub fn len(&self) -> usize {
        self.shared.state.lock().ready.len()
    }

    /// Tells whether no key is ready.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn enqueue(&self, state: &mut State<K>, key: K) -> bool {
        if state.closed || !state.dirty.insert(key.clone()) {
            return false;
        }
        self.shared.metrics.added();
        if state.in_hand.contains_key(&key) {
            return false;
        }
        state.ready.push_back((key, Instant::now()));
        self.shared.metrics.depth(state.ready.len());
        true
    }

    fn promote(&self, state: &mut State<K>, now: Instant) {
        while state.deadlines.peek().is_some_and(|Reverse(first)| first.at <= now) {
            let Some(Reverse(due)) = state.deadlines.pop() else { return };
            if state.delayed.get(&due.key) == Some(&due.at) {
                state.delayed.remove(&due.key);
                self.enqueue(state, due.key);
            }
        }
    }
}
