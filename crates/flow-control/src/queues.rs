//! The queues of a level: fair queuing in seats, by virtual time.
//!
//! Each queue has a virtual time at which its next request would start if all queues were served side by side, a seat
//! at a time. The request that would so end first is taken next. What a request will take is guessed when it is taken,
//! and put right when it has ended. A queue in which nothing waits or runs has no state, so only others are kept.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::demand::{Demand, Observed};
use crate::held::Held;
use crate::level::{Queuing, WhenFull};
use crate::work::Work;

/// How long a request is taken to run before it has, in seconds, as upstream.
const GUESS: f64 = 0.003;

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its queue is full.
    QueueFull,
    /// The seats are taken, and the level has no queues.
    ConcurrencyLimit,
    /// It waited too long.
    TimeOut,
    /// Its client went away.
    Cancelled,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::QueueFull, Self::ConcurrencyLimit, Self::TimeOut, Self::Cancelled];

    /// The value of the label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::ConcurrencyLimit => "concurrency-limit",
            Self::TimeOut => "time-out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a request that runs gives back when it has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticket {
    queue: Option<u32>,
    /// What it takes.
    pub work: Work,
    /// When it began to run.
    pub began: Duration,
}

/// What becomes of a request that arrives.
#[derive(Debug, PartialEq)]
pub enum Arrival {
    /// It runs.
    Runs(Ticket),
    /// It waits under this number in a queue that is so long with it.
    Waits {
        /// Its number.
        id: u64,
        /// How many wait in its queue.
        length: usize,
    },
    /// It is turned away.
    Refused(Reason),
}

/// One that waits.
#[derive(Debug)]
pub struct Waiting<W> {
    /// Its number.
    pub id: u64,
    /// What it takes.
    pub work: Work,
    /// When it came.
    pub arrived: Duration,
    /// Whom to tell.
    pub waiter: W,
}

#[derive(Debug)]
struct Queue<W> {
    waiting: VecDeque<Waiting<W>>,
    /// Seat-seconds of those that wait.
    work: f64,
    executing: u32,
    seats: u32,
    /// Seat-seconds that those that run are taken to need.
    underway: f64,
    /// The virtual time at which its next request starts.
    next: f64,
}

/// Bounds of shares of a level's seats that are wanted, as upstream.
pub const WANTED: [f64; 12] = [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.8, 4.0, 6.0];
/// Bounds of shares of a level's seats that are taken, as upstream.
pub const TAKEN: [f64; 13] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];
/// Bounds of shares of the requests that may wait or run, as upstream.
pub const REQUESTS: [f64; 10] = [0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0];

/// How much of a level was used for how long.
#[derive(Debug)]
pub struct Used {
    /// Seats that are wanted, of the nominal ones.
    pub wanted: Held<12>,
    /// Seats that are taken, of those there are.
    pub taken: Held<13>,
    /// Requests that wait, of those that may.
    pub waiting: Held<10>,
    /// Requests that run, of as many as there are seats.
    pub executing: Held<10>,
}

/// How far a level's fair queuing has come, in virtual time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// At the last change.
    pub changed: f64,
    /// At the last start of a request.
    pub dispatched: f64,
    /// At which the request that started last started in its queue.
    pub latest: f64,
    /// The least and the most at which the first request of a queue starts.
    pub next: Option<(f64, f64)>,
    /// The same, less what runs of the queue.
    pub discounted: Option<(f64, f64)>,
}

/// How many requests may wait.
fn room(when_full: WhenFull) -> u32 {
    match when_full {
        WhenFull::Run | WhenFull::Reject => 0,
        WhenFull::Queue(Queuing { dealer, length }) => {
            dealer.queues().saturating_mul(u32::try_from(length).unwrap_or(u32::MAX))
        }
    }
}

/// The queues of a level.
#[derive(Debug)]
pub struct Queues<W> {
    when_full: WhenFull,
    limit: u32,
    queues: BTreeMap<u32, Queue<W>>,
    executing: u32,
    seats: u32,
    waiting: u32,
    waiting_seats: u32,
    last_id: u64,
    /// The queue that was served last: queues whose requests would end at the same time take turns.
    served: u32,
    virtual_time: f64,
    at: Duration,
    dispatched_at: f64,
    latest: f64,
    demand: Demand,
    /// How much was used for how long.
    pub used: Used,
    /// How often the next request could not start because it takes more seats than were free.
    pub unaccommodated: u64,
}

impl<W> Queues<W> {
    /// Empty queues over so many seats.
    pub fn new(when_full: WhenFull, limit: u32) -> Self {
        Self {
            when_full,
            limit,
            queues: BTreeMap::new(),
            executing: 0,
            seats: 0,
            waiting: 0,
            waiting_seats: 0,
            last_id: 0,
            served: 0,
            virtual_time: 0.0,
            at: Duration::ZERO,
            dispatched_at: 0.0,
            latest: 0.0,
            demand: Demand::default(),
            used: Used {
                wanted: Held::new(&WANTED, limit),
                taken: Held::new(&TAKEN, limit),
                waiting: Held::new(&REQUESTS, room(when_full)),
                executing: Held::new(&REQUESTS, limit),
            },
            unaccommodated: 0,
        }
    }

    /// Changes what becomes of requests when seats are taken. Those that wait go on waiting where they are.
    pub fn configure(&mut self, now: Duration, when_full: WhenFull, nominal: u32) {
        self.when_full = when_full;
        self.used.waiting.limit(now, room(when_full));
        self.used.wanted.limit(now, nominal);
    }

    /// Changes the number of seats, and gives those that run now.
    pub fn limit(&mut self, now: Duration, limit: u32) -> Vec<(W, Ticket)> {
        self.advance(now);
        self.limit = limit;
        self.used.taken.limit(now, limit);
        self.used.executing.limit(now, limit);
        self.dispatch(now)
    }

    /// How many seats there are.
    pub fn seat_limit(&self) -> u32 {
        self.limit
    }

    /// A request of a flow arrives. `waiter` is called when it must wait.
    pub fn arrive(&mut self, now: Duration, flow: u64, work: Work, waiter: impl FnOnce() -> W) -> Arrival {
        let queuing = match self.when_full {
            WhenFull::Run => return Arrival::Runs(self.run_unqueued(now, work)),
            WhenFull::Reject if self.has_room(work) => return Arrival::Runs(self.run_unqueued(now, work)),
            WhenFull::Reject => return Arrival::Refused(Reason::ConcurrencyLimit),
            WhenFull::Queue(queuing) => queuing,
        };
        self.advance(now);
        let index = self.lightest(queuing, flow);
        let start = self.virtual_time;
        let queue = self.queues.entry(index).or_insert_with(|| Queue {
            waiting: VecDeque::new(),
            work: 0.0,
            executing: 0,
            seats: 0,
            underway: 0.0,
            next: start,
        });
        if self.waiting == 0 && work.seats() + self.seats <= self.limit {
            return Arrival::Runs(self.start(now, index, work));
        }
        let length = queue.waiting.len() + 1;
        if length > queuing.length {
            return Arrival::Refused(Reason::QueueFull);
        }
        self.last_id += 1;
        let id = self.last_id;
        queue.work += work.amount(GUESS);
        queue.waiting.push_back(Waiting { id, work, arrived: now, waiter: waiter() });
        self.waiting += 1;
        self.waiting_seats += work.seats();
        self.measure(now);
        Arrival::Waits { id, length }
    }

    /// Those that may run now. To be asked after an arrival that waits: seats may be free for it.
    pub fn dispatch(&mut self, now: Duration) -> Vec<(W, Ticket)> {
        let mut started = Vec::new();
        while self.waiting > 0 {
            let Some(index) = self.next() else { break };
            let Some(queue) = self.queues.get_mut(&index) else { break };
            let Some(first) = queue.waiting.front() else { break };
            let work = first.work;
            if !self.has_room(work) {
                self.unaccommodated += 1;
                break;
            }
            let Some(queue) = self.queues.get_mut(&index) else { break };
            let Some(first) = queue.waiting.pop_front() else { break };
            queue.work -= work.amount(GUESS);
            self.waiting -= 1;
            self.waiting_seats -= work.seats();
            self.served = index;
            let ticket = self.start(now, index, work);
            started.push((first.waiter, ticket));
        }
        started
    }

    /// A request has ended. Gives how long its seats stay taken, when they do; then [`Queues::release`] is due.
    pub fn finish(&mut self, now: Duration, ticket: &Ticket) -> Option<Duration> {
        self.advance(now);
        self.executing -= 1;
        if let Some(index) = ticket.queue
            && let Some(queue) = self.queues.get_mut(&index)
        {
            let ran = now.saturating_sub(ticket.began).as_secs_f64();
            queue.next += ticket.work.amount(ran) - ticket.work.amount(GUESS);
            queue.executing -= 1;
            queue.underway -= ticket.work.amount(GUESS);
        }
        self.used.executing.set(now, self.executing);
        if ticket.work.lasts.is_zero() {
            self.free(now, ticket);
            None
        } else {
            Some(ticket.work.lasts)
        }
    }

    /// Frees the seats that a request held for what it set off.
    pub fn release(&mut self, now: Duration, ticket: &Ticket) {
        self.advance(now);
        self.free(now, ticket);
    }

    /// Takes one that waits out of its queue; says whether it was still there.
    pub fn leave(&mut self, now: Duration, id: u64) -> bool {
        self.advance(now);
        for (index, queue) in &mut self.queues {
            let Some(place) = queue.waiting.iter().position(|waiting| waiting.id == id) else { continue };
            let Some(gone) = queue.waiting.remove(place) else { continue };
            queue.work -= gone.work.amount(GUESS);
            self.waiting -= 1;
            self.waiting_seats -= gone.work.seats();
            let index = *index;
            self.forget_idle(index);
            self.measure(now);
            return true;
        }
        false
    }

    /// Ends a period of demand.
    pub fn period(&mut self, now: Duration) -> Observed {
        self.demand.period(now)
    }

    /// How far fair queuing has come.
    pub fn progress(&self) -> Progress {
        let bounds = |of: fn(&Queue<W>) -> f64| {
            let waiting = self.queues.values().filter(|queue| !queue.waiting.is_empty()).map(of);
            waiting.fold(None, |bounds: Option<(f64, f64)>, next| {
                let (least, most) = bounds.unwrap_or((next, next));
                Some((least.min(next), most.max(next)))
            })
        };
        Progress {
            changed: self.virtual_time,
            dispatched: self.dispatched_at,
            latest: self.latest,
            next: bounds(|queue| queue.next),
            discounted: bounds(|queue| queue.next - queue.underway),
        }
    }

    /// Numbers for those who look inside.
    pub fn counts(&self) -> Counts {
        Counts {
            active: self.queues.values().filter(|queue| !queue.waiting.is_empty()).count(),
            waiting: self.waiting,
            executing: self.executing,
            seats: self.seats,
        }
    }

    /// Each queue that is not idle: index, what waits, executing, seats, virtual time of its next.
    pub fn each(&self) -> impl Iterator<Item = (u32, &VecDeque<Waiting<W>>, u32, u32, f64)> {
        self.queues
            .iter()
            .map(|(index, queue)| (*index, &queue.waiting, queue.executing, queue.seats, queue.next))
    }

    fn run_unqueued(&mut self, now: Duration, work: Work) -> Ticket {
        self.executing += 1;
        self.seats += work.seats();
        self.measure(now);
        Ticket { queue: None, work, began: now }
    }

    /// Whether a request may start; one that is wider than all seats together starts when it is alone.
    fn has_room(&self, work: Work) -> bool {
        self.seats + work.seats() <= self.limit || self.seats == 0
    }

    fn start(&mut self, now: Duration, index: u32, work: Work) -> Ticket {
        if let Some(queue) = self.queues.get_mut(&index) {
            queue.executing += 1;
            queue.seats += work.seats();
            queue.underway += work.amount(GUESS);
            self.latest = queue.next;
            queue.next += work.amount(GUESS);
        }
        self.dispatched_at = self.virtual_time;
        self.executing += 1;
        self.seats += work.seats();
        self.measure(now);
        Ticket { queue: Some(index), work, began: now }
    }

    fn free(&mut self, now: Duration, ticket: &Ticket) {
        self.seats -= ticket.work.seats();
        if let Some(index) = ticket.queue {
            if let Some(queue) = self.queues.get_mut(&index) {
                queue.seats -= ticket.work.seats();
            }
            self.forget_idle(index);
        }
        self.measure(now);
    }

    fn forget_idle(&mut self, index: u32) {
        let idle = |queue: &Queue<W>| queue.waiting.is_empty() && queue.executing == 0 && queue.seats == 0;
        if self.queues.get(&index).is_some_and(idle) {
            self.queues.remove(&index);
        }
    }

    /// Of a flow's queues the one in which the least work waits.
    fn lightest(&self, queuing: Queuing, flow: u64) -> u32 {
        let (hand, size) = queuing.dealer.deal(flow);
        let mut best = (hand[0], f64::INFINITY);
        for index in &hand[..size] {
            let work = self.queues.get(index).map_or(0.0, |queue| queue.work);
            if work < best.1 {
                best = (*index, work);
            }
        }
        best.0
    }

    /// The queue whose first request would end first.
    fn next(&self) -> Option<u32> {
        let mut best: Option<(u32, f64)> = None;
        let after = self.queues.range(self.served.saturating_add(1)..);
        for (index, queue) in after.chain(self.queues.range(..=self.served)) {
            let Some(first) = queue.waiting.front() else { continue };
            let ends = queue.next + first.work.amount(GUESS);
            if best.is_none_or(|(_, earliest)| ends < earliest) {
                best = Some((*index, ends));
            }
        }
        best.map(|(index, _)| index)
    }

    /// Virtual time goes as fast as each queue would be served if all were served side by side.
    fn advance(&mut self, now: Duration) {
        let lasted = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        if !self.queues.is_empty() {
            let served = f64::from((self.seats + self.waiting_seats).min(self.limit));
            self.virtual_time += lasted * served / self.queues.len() as f64;
        }
    }

    fn measure(&mut self, now: Duration) {
        let wanted = self.seats + self.waiting_seats;
        self.demand.set(now, wanted);
        self.used.wanted.set(now, wanted);
        self.used.taken.set(now, self.seats);
        self.used.waiting.set(now, self.waiting);
        self.used.executing.set(now, self.executing);
    }
}

/// Numbers for those who look inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Queues in which requests wait.
    pub active: usize,
    /// Requests that wait.
    pub waiting: u32,
    /// Requests that run.
    pub executing: u32,
    /// Seats that are taken.
    pub seats: u32,
}
