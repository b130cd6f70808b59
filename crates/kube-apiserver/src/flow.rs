//! Room among the requests under way: by priority and fairness, or by two plain limits.

mod dumps;
mod keeper;
mod lane;
mod metrics;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use flow_control::seats::{self, Claim};
use flow_control::{Arrival, Level, Reason, Request, Schema, Work};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::dumps::PATH as DUMPS;
pub use self::keeper::{ensure, run};
pub use self::lane::Member;
pub use self::lane::Permit;
use self::lane::{Lane, Pending};
pub use self::waiting::Details;

/// Who is let in.
pub enum Gate {
    /// `--enable-priority-and-fairness`: by schemas and levels.
    Fair(Box<Flows>),
    /// Two plain limits.
    Limits(Limits),
}

/// A request that is under way, until it is dropped.
#[must_use]
#[allow(dead_code, reason = "permits are held for their Drop")]
pub enum Entered<'a> {
    /// By priority and fairness.
    Fair(Permit),
    /// Among the limited ones.
    Limited(SemaphorePermit<'a>),
    /// Nothing limits it.
    Free,
}

/// A request that is turned away, and when it should come again, in seconds.
#[derive(Debug)]
pub struct TurnedAway {
    /// Of the schema and level that the request belongs to, where there are any.
    pub member: Option<Arc<Member>>,
    /// Seconds.
    pub retry_after: u32,
}

impl Entered<'_> {
    /// The schema and level that the request belongs to.
    pub fn member(&self) -> Option<Arc<Member>> {
        match self {
            Self::Fair(permit) => Some(permit.member().clone()),
            Self::Limited(_) | Self::Free => None,
        }
    }

    /// Keeps the seats until the watch that they are for has begun. A client that does not read keeps others out no longer
    /// than any request may.
    pub fn hold_until(self, begun: CancellationToken, longest: Duration) {
        let Self::Fair(permit) = self else { return };
        permit.tasks().clone().spawn(async move {
            let _permit = permit;
            // Whichever comes first.
            let _ = tokio::time::timeout(longest, begun.cancelled()).await;
        });
    }
}

/// `--max-requests-inflight` and `--max-mutating-requests-inflight` without priority and fairness; 0 is no limit.
pub struct Limits {
    reads: Option<Semaphore>,
    writes: Option<Semaphore>,
}

impl Limits {
    /// So many reads and writes.
    pub fn new(reads: usize, writes: usize) -> Self {
        let room = |count: usize| (count > 0).then(|| Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { reads: room(reads), writes: room(writes) }
    }

    /// Lets a request in, or turns it away at once. Whoever may do everything is always let in, to mend the cluster.
    pub fn enter(&self, user_is_master: bool, is_write: bool) -> Result<Entered<'_>, TurnedAway> {
        match if is_write { &self.writes } else { &self.reads } {
            Some(room) if !user_is_master => match room.try_acquire() {
                Ok(permit) => Ok(Entered::Limited(permit)),
                Err(_) => Err(TurnedAway { member: None, retry_after: 1 }),
            },
            _ => Ok(Entered::Free),
        }
    }
}

/// The schemas in the order in which they match, and the levels by name.
#[derive(Default)]
struct Config {
    members: Vec<Arc<Member>>,
    lanes: BTreeMap<String, Arc<Lane>>,
}

/// Priority and fairness.
pub struct Flows {
    origin: Instant,
    /// The server's seats.
    total: u32,
    config: ArcSwap<Config>,
    /// Held while the configuration is changed.
    changing: Mutex<()>,
    /// The last fraction of what levels asked for that they got.
    fraction: Mutex<f64>,
    /// Seats that stay taken after their request.
    held: TaskTracker,
}

impl Flows {
    /// As a new cluster has it, until what is stored is read.
    pub fn new(total: u32) -> Self {
        let flows = Self {
            origin: Instant::now(),
            total: total.max(1),
            config: ArcSwap::default(),
            changing: Mutex::default(),
            fraction: Mutex::default(),
            held: TaskTracker::new(),
        };
        let schemas = flow_control::bootstrap::schemas();
        let levels = flow_control::bootstrap::levels();
        flows.configure(
            schemas.iter().filter_map(|made| Schema::read(&made.object)).collect(),
            levels.iter().filter_map(|made| Level::read(&made.object)).collect(),
        );
        flows
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Finds room for a request: at once, after a while in a queue, or not at all.
    pub async fn enter(
        &self,
        request: Request<'_>,
        is_watch: bool,
        patience: Duration,
        work: impl FnOnce() -> Work,
        details: impl FnOnce() -> Details,
    ) -> Result<Permit, TurnedAway> {
        let config = self.config.load();
        let found = config.members.iter().find(|member| member.schema.takes(&request));
        // The last schema takes everybody who has a name; whoever is none of its groups is treated as if it did.
        let Some(member) = found.or(config.members.last()).cloned() else {
            return Err(TurnedAway { member: None, retry_after: 1 });
        };
        drop(config);
        let lane = &member.lane;
        let now = self.now();
        let work = if lane.is_exempt() { Work::ONE } else { work().within(lane.nominal()) };
        member.counts.seats.observe(f64::from(work.seats()));
        if let Some(watchers) = work.watchers {
            member.counts.watchers.observe(f64::from(watchers));
        }
        let flow = member.schema.flow(&request);
        let (arrival, receiver) = lane.arrive(now, flow, work, || {
            let flow = member.schema.distinguisher(&request).to_owned();
            Box::new(Details { schema: member.schema.name.clone(), flow, ..details() })
        });
        let begin = |ticket, waited| {
            member.counts.begins(work.seats(), waited);
            Permit::new(member.clone(), ticket, self.origin, is_watch, self.held.clone())
        };
        let id = match (arrival, &receiver) {
            (Arrival::Runs(ticket), _) => return Ok(begin(ticket, Duration::ZERO)),
            (Arrival::Waits { id, length }, Some(_)) => {
                member.counts.waits(work.seats(), length);
                id
            }
            (Arrival::Waits { .. }, None) => {
                return Err(self.refuse(&member, Reason::Cancelled, Duration::ZERO));
            }
            (Arrival::Refused(reason), _) => return Err(self.refuse(&member, reason, Duration::ZERO)),
        };
        let Some(receiver) = receiver else { return Err(TurnedAway { member: None, retry_after: 1 }) };
        let mut pending = Pending::new(member.clone(), id, work, self.origin, now, receiver);
        let told = tokio::time::timeout(patience, pending.told()).await;
        match told.ok().flatten().or_else(|| pending.leave()) {
            Some(ticket) => Ok(begin(ticket, pending.waited())),
            None => Err(self.refuse(&member, Reason::TimeOut, pending.waited())),
        }
    }

    fn refuse(&self, member: &Arc<Member>, reason: Reason, waited: Duration) -> TurnedAway {
        member.counts.refuses(reason, waited);
        TurnedAway { member: Some(member.clone()), retry_after: member.lane.refuse(self.now(), reason) }
    }

    /// Takes these schemas and levels in the place of those before. Requests that wait go on waiting.
    pub fn configure(&self, mut schemas: Vec<Schema>, mut levels: Vec<Level>) {
        let _changing = self.changing.lock();
        for made in flow_control::bootstrap::levels().into_iter().filter(|made| made.mandatory) {
            levels.extend(
                Level::read(&made.object).filter(|level| levels.iter().all(|known| known.name != level.name)),
            );
        }
        for made in flow_control::bootstrap::schemas().into_iter().filter(|made| made.mandatory) {
            schemas.extend(
                Schema::read(&made.object)
                    .filter(|schema| schemas.iter().all(|known| known.name != schema.name)),
            );
        }
        schemas.sort_by(|one, other| one.order().cmp(&other.order()));
        let old = self.config.load();
        let now = self.now();
        let bounds = seats::bounds(self.total, &levels.iter().collect::<Vec<_>>());
        let lanes: BTreeMap<String, Arc<Lane>> = levels
            .into_iter()
            .zip(bounds)
            .map(|(level, bounds)| {
                let name = level.name.clone();
                let lane = match old.lanes.get(&name) {
                    Some(lane) => {
                        lane.configure(now, level, bounds);
                        lane.clone()
                    }
                    None => Arc::new(Lane::new(level, bounds)),
                };
                (name, lane)
            })
            .collect();
        let members = schemas
            .into_iter()
            .filter_map(|schema| {
                // One whose level is missing takes no request: its condition says so.
                let lane = lanes.get(&schema.level)?.clone();
                let known = old
                    .members
                    .iter()
                    .find(|known| known.schema.name == schema.name && Arc::ptr_eq(&known.lane, &lane));
                let counts = known.map_or_else(Arc::default, |known| known.counts.clone());
                Some(Arc::new(Member::new(schema, lane, counts)))
            })
            .collect();
        self.config.store(Arc::new(Config { members, lanes }));
    }

    /// Shares out the seats anew, by what each level asked for since the last time.
    pub fn share_out(&self) {
        let _changing = self.changing.lock();
        let config = self.config.load();
        let now = self.now();
        let claims: Vec<Claim> = config.lanes.values().map(|lane| lane.claim(now)).collect();
        let (grants, fraction) = seats::grant(&claims);
        *self.fraction.lock() = fraction;
        for (lane, grant) in config.lanes.values().zip(grants) {
            lane.grant(now, grant);
        }
    }
}

#[cfg(test)]
mod tests;
