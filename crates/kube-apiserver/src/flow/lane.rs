//! A level with its queues, and the requests that wait and run in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flow_control::level::WhenFull;
use flow_control::seats::{Bounds, Claim, Grant};
use flow_control::stats::Counts;
use flow_control::{Arrival, Level, Observed, Queues, Reason, RetryAfter, Schema, Ticket, Work};
use http::HeaderValue;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::waiting::{Details, Waiter};

/// A level at work.
#[derive(Debug)]
pub struct Lane {
    exempt: bool,
    /// The most that a request's width is measured by: read without the lock.
    nominal: AtomicU32,
    state: Mutex<State>,
}

/// What changes with every request.
#[derive(Debug)]
pub(super) struct State {
    pub(super) queues: Queues<Waiter>,
    pub(super) level: Level,
    pub(super) bounds: Bounds,
    pub(super) observed: Observed,
    pub(super) target: f64,
    pub(super) dispatched: u64,
    pub(super) refused: [u64; Reason::ALL.len()],
    retry: RetryAfter,
}

impl Lane {
    pub(super) fn new(level: Level, bounds: Bounds) -> Self {
        Self {
            exempt: level.is_exempt(),
            nominal: AtomicU32::new(bounds.nominal),
            state: Mutex::new(State {
                queues: Queues::new(level.when_full, bounds.nominal),
                level,
                bounds,
                observed: Observed::default(),
                target: f64::from(bounds.nominal),
                dispatched: 0,
                refused: [0; Reason::ALL.len()],
                retry: RetryAfter::default(),
            }),
        }
    }

    pub(super) fn is_exempt(&self) -> bool {
        self.exempt
    }

    pub(super) fn nominal(&self) -> u32 {
        self.nominal.load(Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn arrive(
        &self,
        now: Duration,
        flow: u64,
        work: Work,
        details: impl FnOnce() -> Box<Details>,
    ) -> (Arrival, Option<oneshot::Receiver<Ticket>>) {
        let mut receiver = None;
        let mut state = self.state.lock();
        let arrival = state.queues.arrive(now, flow, work, || {
            let (tell, told) = oneshot::channel();
            receiver = Some(told);
            Waiter { tell, details: details() }
        });
        match &arrival {
            Arrival::Runs(_) => state.dispatched += 1,
            Arrival::Waits { .. } => state.start_next(now),
            Arrival::Refused(_) => {}
        }
        (arrival, receiver)
    }

    pub(super) fn refuse(&self, now: Duration, reason: Reason) -> u32 {
        let mut state = self.state.lock();
        state.refused[reason as usize] += 1;
        let seats = state.queues.seat_limit();
        state.retry.refuse(now, seats)
    }

    fn leave(&self, now: Duration, id: u64) -> bool {
        let mut state = self.state.lock();
        let left = state.queues.leave(now, id);
        if left {
            // It may have been wide, and others wait behind it.
            state.start_next(now);
        }
        left
    }

    /// Ends a request; gives how long its seats stay taken, if they do.
    fn finish(&self, now: Duration, ticket: &Ticket) -> Option<Duration> {
        let mut state = self.state.lock();
        let held = state.queues.finish(now, ticket);
        if held.is_none() {
            state.start_next(now);
        }
        held
    }

    fn release(&self, now: Duration, ticket: &Ticket) {
        let mut state = self.state.lock();
        state.queues.release(now, ticket);
        state.start_next(now);
    }

    pub(super) fn configure(&self, now: Duration, level: Level, bounds: Bounds) {
        let mut state = self.state.lock();
        state.queues.configure(now, level.when_full, bounds.nominal);
        let limit = state.queues.seat_limit();
        let limit = if state.bounds == bounds { limit } else { limit.clamp(bounds.lowest, bounds.highest) };
        self.nominal.store(bounds.nominal, Ordering::Relaxed);
        (state.level, state.bounds) = (level, bounds);
        state.set_limit(now, limit);
    }

    pub(super) fn claim(&self, now: Duration) -> Claim {
        let mut state = self.state.lock();
        state.observed = state.queues.period(now);
        Claim { bounds: state.bounds, observed: state.observed, exempt: state.level.is_exempt() }
    }

    pub(super) fn grant(&self, now: Duration, grant: Grant) {
        let mut state = self.state.lock();
        state.target = grant.target;
        state.set_limit(now, grant.seats);
    }
}

impl State {
    fn set_limit(&mut self, now: Duration, limit: u32) {
        let started = self.queues.limit(now, limit);
        self.tell(started);
    }

    fn start_next(&mut self, now: Duration) {
        let started = self.queues.dispatch(now);
        self.tell(started);
    }

    /// Tells those that may run. Under the lock, so that one that gives up finds either its place or its ticket.
    fn tell(&mut self, started: Vec<(Waiter, Ticket)>) {
        self.dispatched += started.len() as u64;
        for (waiter, ticket) in started {
            // One that gave up has left its queue before its receiver went.
            let _ = waiter.tell.send(ticket);
        }
    }

    /// Whether requests may wait.
    pub(super) fn has_queues(&self) -> bool {
        matches!(self.level.when_full, WhenFull::Queue(_))
    }
}

/// A schema with the level that its requests belong to.
#[derive(Debug)]
pub struct Member {
    pub(super) schema: Schema,
    pub(super) lane: Arc<Lane>,
    pub(super) counts: Arc<Counts>,
    /// The schema's uid.
    pub schema_uid: Option<HeaderValue>,
    /// The level's uid.
    pub level_uid: Option<HeaderValue>,
}

impl Member {
    pub(super) fn new(schema: Schema, lane: Arc<Lane>, counts: Arc<Counts>) -> Self {
        let header = |uid: &str| HeaderValue::from_str(uid).ok().filter(|uid| !uid.is_empty());
        let schema_uid = header(&schema.uid);
        let level_uid = header(&lane.state().level.uid);
        Self { schema, lane, counts, schema_uid, level_uid }
    }
}

/// A request that runs, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    member: Arc<Member>,
    ticket: Ticket,
    origin: Instant,
    is_watch: bool,
    held: TaskTracker,
}

impl Permit {
    pub(super) fn new(
        member: Arc<Member>,
        ticket: Ticket,
        origin: Instant,
        is_watch: bool,
        held: TaskTracker,
    ) -> Self {
        Self { member, ticket, origin, is_watch, held }
    }

    /// The tasks that hold seats after their request.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.held
    }

    /// The schema and level that the request belongs to.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.origin.elapsed();
        let ran = now.saturating_sub(self.ticket.began);
        self.member.counts.ends(self.ticket.work.seats(), ran, self.is_watch);
        let Some(held) = self.member.lane.finish(now, &self.ticket) else { return };
        let (lane, ticket, origin) = (self.member.lane.clone(), self.ticket, self.origin);
        self.held.spawn(async move {
            tokio::time::sleep(held).await;
            lane.release(origin.elapsed(), &ticket);
        });
    }
}

/// A request that waits. When it is dropped it leaves its queue.
pub(super) struct Pending {
    member: Arc<Member>,
    id: u64,
    work: Work,
    origin: Instant,
    arrived: Duration,
    told: oneshot::Receiver<Ticket>,
    over: bool,
}

impl Pending {
    pub(super) fn new(
        member: Arc<Member>,
        id: u64,
        work: Work,
        origin: Instant,
        arrived: Duration,
        told: oneshot::Receiver<Ticket>,
    ) -> Self {
        Self { member, id, work, origin, arrived, told, over: false }
    }

    /// Waits until the request may run.
    pub(super) async fn told(&mut self) -> Option<Ticket> {
        let ticket = (&mut self.told).await.ok();
        if ticket.is_some() {
            self.end();
        }
        ticket
    }

    /// Gives up, unless the request may run by now.
    pub(super) fn leave(&mut self) -> Option<Ticket> {
        if self.over {
            return None;
        }
        self.end();
        if self.member.lane.leave(self.origin.elapsed(), self.id) {
            return None;
        }
        self.told.try_recv().ok()
    }

    /// How long it has waited.
    pub(super) fn waited(&self) -> Duration {
        self.origin.elapsed().saturating_sub(self.arrived)
    }

    fn end(&mut self) {
        self.over = true;
        self.member.counts.waits_no_more(self.work.seats());
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let now = self.origin.elapsed();
        match self.leave() {
            // It was to run just when its client went away.
            Some(ticket) => {
                if let Some(held) = self.member.lane.finish(now, &ticket) {
                    tracing::debug!(?held, "seats of a request that never ran are freed at once");
                    self.member.lane.release(now, &ticket);
                }
            }
            None => {
                self.member.counts.refuses(Reason::Cancelled, self.waited());
                self.member.lane.state().refused[Reason::Cancelled as usize] += 1;
            }
        }
    }
}
