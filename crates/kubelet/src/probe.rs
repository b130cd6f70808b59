//! Probes: one task for each probe of each running container, and what they have found so far.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use component::events::Kind as EventKind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::task::{AbortHandle, JoinSet};

use crate::{
    event::container_event,
    kubelet::Kubelet,
    observed::{Observed, State},
    plan::{Failed, Health},
    pod::{self, Kind},
    pods::PodState,
};

pub mod check;
pub mod tally;

use tally::Found;

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A container that fails is started again.
    Liveness,
    /// A container that fails gets no traffic.
    Readiness,
    /// Until it passes the others do not run.
    Startup,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }
}

/// The probe tasks of one pod. Dropping it ends them.
#[derive(Default)]
pub struct Probes {
    tasks: HashMap<(String, Purpose), AbortHandle>,
    running: JoinSet<()>,
}

impl Probes {
    /// Ends all tasks.
    pub fn stop(&mut self) {
        self.tasks.clear();
        self.running.abort_all();
    }

    /// Starts the probes of containers that have begun to run, and ends those of containers that no longer do.
    pub fn sync(
        &mut self,
        kubelet: &Arc<Kubelet>,
        state: &Arc<PodState>,
        pod: &Arc<Pod>,
        observed: &Observed,
    ) {
        while self.running.try_join_next().is_some() {}
        let running = |id: &str| {
            observed
                .containers
                .iter()
                .any(|container| container.id == id && container.state == State::Running)
        };
        self.tasks.retain(|(id, _), task| {
            let keep = running(id);
            if !keep {
                task.abort();
            }
            keep
        });
        state.health.lock().retain(|id, _| running(id));
        for (kind, container) in pod::containers(pod) {
            if matches!(kind, Kind::Init | Kind::Ephemeral) {
                continue;
            }
            let Some(current) =
                observed.current(&container.name).filter(|current| current.state == State::Running)
            else {
                continue;
            };
            state.health.lock().entry(current.id.clone()).or_insert_with(|| initial(&container));
            let probes = [
                (Purpose::Startup, &container.startup_probe),
                (Purpose::Liveness, &container.liveness_probe),
                (Purpose::Readiness, &container.readiness_probe),
            ];
            for (purpose, probe) in probes {
                let Some(probe) = probe else { continue };
                let key = (current.id.clone(), purpose);
                if self.tasks.contains_key(&key) {
                    continue;
                }
                let prober = Prober {
                    kubelet: Arc::clone(kubelet),
                    state: Arc::clone(state),
                    pod: Arc::clone(pod),
                    container: container.clone(),
                    id: current.id.clone(),
                    started_at: current.started_at.unwrap_or_else(Timestamp::now),
                    purpose,
                    probe: probe.clone(),
                };
                self.tasks.insert(key, self.running.spawn(prober.run()));
            }
        }
    }
}

/// What is known of a container before its first probe: without a probe for it, all is well.
fn initial(container: &Container) -> Health {
    let started = container.startup_probe.is_none();
    Health { started, ready: started && container.readiness_probe.is_none(), failed: None }
}

struct Prober {
    kubelet: Arc<Kubelet>,
    state: Arc<PodState>,
    pod: Arc<Pod>,
    container: Container,
    id: String,
    started_at: Timestamp,
    purpose: Purpose,
    probe: Probe,
}

/// Successes or failures in a row, and the state they have led to.
#[derive(Debug, Default)]
struct Streak {
    good: i32,
    bad: i32,
}

impl Streak {
    /// Takes in a result. Answers the state it leads to once a threshold is reached.
    fn take(&mut self, good: bool, success_threshold: i32, failure_threshold: i32) -> Option<bool> {
        if good {
            (self.good, self.bad) = (self.good.saturating_add(1), 0);
            (self.good >= success_threshold).then_some(true)
        } else {
            (self.good, self.bad) = (0, self.bad.saturating_add(1));
            (self.bad >= failure_threshold).then_some(false)
        }
    }
}

impl Prober {
    async fn run(self) {
        let seconds = |given: Option<i32>, default: i32| {
            let given = given.filter(|given| *given > 0).unwrap_or(default);
            Duration::from_secs(u64::from(given.unsigned_abs()))
        };
        let period = seconds(self.probe.period_seconds, 10);
        let timeout = seconds(self.probe.timeout_seconds, 1);
        let success_threshold = self.probe.success_threshold.unwrap_or(1).max(1);
        let failure_threshold = self.probe.failure_threshold.unwrap_or(3).max(1);
        let delay = Duration::from_secs(
            u64::try_from(self.probe.initial_delay_seconds.unwrap_or_default()).unwrap_or(0),
        );
        let age = Duration::try_from(Timestamp::now().duration_since(self.started_at)).unwrap_or_default();
        tokio::time::sleep(delay.saturating_sub(age)).await;
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut streak = Streak::default();
        loop {
            ticks.tick().await;
            let started = self.state.health.lock().get(&self.id).is_some_and(|health| health.started);
            match self.purpose {
                Purpose::Startup if started => return,
                Purpose::Liveness | Purpose::Readiness if !started => continue,
                _ => {}
            }
            let good = self.once(timeout).await;
            match streak.take(good, success_threshold, failure_threshold) {
                Some(verdict) if self.conclude(verdict) => return,
                _ => {}
            }
        }
    }

    async fn once(&self, timeout: Duration) -> bool {
        let ip = {
            let status = self.state.status.lock();
            let own = status.pod_ip.clone();
            own.or_else(|| {
                self.state.observed.lock().sandbox().and_then(|sandbox| sandbox.ips.first().cloned())
            })
        };
        let target = check::Target {
            runtime: &*self.kubelet.runtime,
            container_id: &self.id,
            container: &self.container,
            ip: ip.as_deref().unwrap_or_default(),
        };
        let kind = EventKind::Warning;
        let began = Instant::now();
        let result = check::run(&self.probe, &target, timeout).await;
        let found = match &result {
            Ok(()) => Found::Successful,
            Err(why) if why.errored => Found::Unknown,
            Err(_) => Found::Failed,
        };
        let key = (self.container.name.clone(), self.purpose);
        self.state.probed.lock().entry(key).or_default().add(found, began.elapsed());
        match result {
            Ok(()) => true,
            Err(why) => {
                let word = match why.errored {
                    true => "errored",
                    false => "failed",
                };
                let message = format!("{} probe {word}: {}", self.purpose.as_str(), why.message);
                container_event(
                    &self.kubelet.recorder,
                    &self.pod,
                    &self.container.name,
                    kind,
                    "Unhealthy",
                    message,
                );
                // A probe that could not be carried out says nothing about the container.
                why.errored && self.purpose != Purpose::Readiness && self.was_good()
            }
        }
    }

    fn was_good(&self) -> bool {
        self.state.health.lock().get(&self.id).is_some_and(|health| health.started && health.failed.is_none())
    }

    /// Notes what a threshold was reached for, and wakes the worker when that is news. Answers whether this prober
    /// is done.
    fn conclude(&self, verdict: bool) -> bool {
        let mut health = self.state.health.lock();
        let Some(health) = health.get_mut(&self.id) else { return true };
        let before = health.clone();
        let done = match (self.purpose, verdict) {
            (Purpose::Liveness, true) => false,
            (Purpose::Liveness, false) => {
                health.failed = Some(Failed::Liveness);
                true
            }
            (Purpose::Startup, true) => {
                health.started = true;
                health.ready = self.container.readiness_probe.is_none();
                true
            }
            (Purpose::Startup, false) => {
                health.failed = Some(Failed::Startup);
                true
            }
            (Purpose::Readiness, ready) => {
                health.ready = ready;
                false
            }
        };
        if *health != before {
            self.state.wake.notify_one();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_count_in_a_row() {
        let mut streak = Streak::default();
        let mut take = |good| streak.take(good, 2, 3);
        assert_eq!([take(true), take(true), take(true)], [None, Some(true), Some(true)]);
        assert_eq!([take(false), take(false)], [None, None]);
        assert_eq!([take(true), take(false), take(false), take(false)], [None, None, None, Some(false)]);
    }
}
