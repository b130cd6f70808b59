//! Pods that wait for a node: ready to be tried, resting after a failure, or waiting for something to change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pod::Pod;

/// How long a pod waits for a change before it is tried again all the same (upstream's value).
const FLUSH_AFTER: Duration = Duration::from_secs(300);

/// How long pods rest between tries.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure; doubled with each further one.
    pub initial: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { initial: Duration::from_secs(1), most: Duration::from_secs(10) }
    }
}

impl Backoff {
    fn after(self, attempts: u32) -> Duration {
        self.initial.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(self.most)
    }
}

/// Why a pod came to where it is in the queue, as upstream names it.
mod event {
    pub(super) const ADDED: &str = "UnschedulablePodAdd";
    pub(super) const UPDATED: &str = "UnschedulablePodUpdate";
    pub(super) const LABELLED: &str = "UnschedulablePodUpdatePodLabel";
    pub(super) const SCALED_DOWN: &str = "UnschedulablePodUpdatePodScaleDown";
    pub(super) const TOLERATES: &str = "UnschedulablePodUpdatePodToleration";
    pub(super) const UNGATED: &str = "UnschedulablePodUpdatePodSchedulingGatesEliminated";
    pub(super) const FAILED: &str = "ScheduleAttemptFailure";
    pub(super) const RESTED: &str = "BackoffComplete";
    pub(super) const FORGOTTEN: &str = "UnschedulableTimeout";
}

/// What a new version of a waiting pod changes.
fn update(old: &Pod, new: &Pod) -> &'static str {
    let is_less = |old: i64, new: i64| new < old;
    let (before, after) = (&old.requests, &new.requests);
    if old.labels != new.labels {
        event::LABELLED
    } else if is_less(before.milli_cpu, after.milli_cpu) || is_less(before.memory, after.memory) {
        event::SCALED_DOWN
    } else if old.wants().tolerations.len() != new.wants().tolerations.len() {
        event::TOLERATES
    } else {
        event::UPDATED
    }
}

/// A waiting pod.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The pod.
    pub pod: Arc<Pod>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it came.
    pub since: Instant,
    /// Who refused it last; empty means an error, after which any change is worth a try.
    pub refused_by: BTreeSet<&'static str>,
    last_try: Instant,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active(u64),
    Backoff(Instant, u64),
    /// Until something changes.
    Parked,
    /// Until its gates are lifted.
    Gated,
    /// Taken out to be tried.
    Taken,
}

/// The queue. One pod is in one place at a time.
#[derive(Debug, Default)]
pub struct Queue {
    backoff: Backoff,
    pods: HashMap<Box<str>, Waiting>,
    /// The highest priority first, then who came first.
    active: BTreeMap<(Reverse<i32>, u64), Box<str>>,
    resting: BTreeMap<(Instant, u64), Box<str>>,
    sequence: u64,
    /// How many pods came to each place, by why.
    incoming: Vec<((&'static str, &'static str), u64)>,
}

impl Queue {
    /// Makes an empty queue.
    pub fn new(backoff: Backoff) -> Self {
        Queue { backoff, ..Queue::default() }
    }

    /// Adds a pod that is new, or gives it its new version: one that differs where it matters is tried at once.
    pub fn add(&mut self, pod: Arc<Pod>, gated: bool, now: Instant) {
        let uid = pod.uid.clone();
        let Some(waiting) = self.pods.get_mut(&uid) else {
            let since = now;
            let place = Place::Gated;
            let waiting =
                Waiting { pod, attempts: 0, since, refused_by: BTreeSet::new(), last_try: now, place };
            self.pods.insert(uid.clone(), waiting);
            if gated {
                self.comes("unschedulable", event::ADDED);
            } else {
                self.activate(&uid, event::ADDED);
            }
            return;
        };
        let equivalent = waiting.pod.is_equivalent(&pod);
        let rank_changed = waiting.pod.priority != pod.priority;
        let place = waiting.place;
        let event = update(&waiting.pod, &pod);
        waiting.pod = pod;
        match place {
            Place::Gated if !gated => self.activate(&uid, event::UNGATED),
            Place::Parked if !equivalent => self.wake(&uid, now, event),
            Place::Active(_) if rank_changed => self.line_up(&uid),
            Place::Active(_) | Place::Backoff(..) | Place::Parked | Place::Gated | Place::Taken => {}
        }
    }

    /// Forgets a pod.
    pub fn remove(&mut self, uid: &str) -> Option<Arc<Pod>> {
        self.leave(uid);
        self.pods.remove(uid).map(|waiting| waiting.pod)
    }

    /// Takes the next pod out to be tried. It stays known until it is removed or put back.
    pub fn take(&mut self, now: Instant) -> Option<Waiting> {
        self.wake_rested(now);
        let (_, uid) = self.active.pop_first()?;
        let waiting = self.pods.get_mut(&uid)?;
        waiting.place = Place::Taken;
        waiting.attempts += 1;
        waiting.last_try = now;
        Some(waiting.clone())
    }

    /// Puts a pod back that was refused: it waits for a change that may help.
    pub fn park(&mut self, uid: &str, refused_by: BTreeSet<&'static str>) {
        if let Some(waiting) = self.pods.get_mut(uid) {
            waiting.refused_by = refused_by;
            waiting.place = Place::Parked;
            self.comes("unschedulable", event::FAILED);
        }
    }

    /// Puts a pod back after an error: it rests and is tried again.
    pub fn rest(&mut self, uid: &str, now: Instant) {
        if let Some(waiting) = self.pods.get_mut(uid) {
            waiting.refused_by.clear();
            self.wake(uid, now, event::FAILED);
        }
    }

    /// Wakes the parked pods for which `helps` says that a change may help; `event` is upstream's name of the change.
    pub fn changed(&mut self, now: Instant, event: &'static str, mut helps: impl FnMut(&Waiting) -> bool) {
        let woken: Vec<Box<str>> = self
            .pods
            .iter()
            .filter(|(_, waiting)| waiting.place == Place::Parked && helps(waiting))
            .map(|(uid, _)| uid.clone())
            .collect();
        woken.iter().for_each(|uid| self.wake(uid, now, event));
    }

    /// Wakes the pods that have been parked for long.
    pub fn flush(&mut self, now: Instant) {
        self.changed(now, event::FORGOTTEN, |waiting| now.duration_since(waiting.last_try) >= FLUSH_AFTER);
    }

    /// A waiting pod, as last seen.
    pub fn pod(&self, uid: &str) -> Option<&Arc<Pod>> {
        self.pods.get(uid).map(|waiting| &waiting.pod)
    }

    /// Tells whether a pod is ready to be tried.
    pub fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// When the next resting pod is ready.
    pub fn next_wake(&self) -> Option<Instant> {
        self.resting.keys().next().map(|(at, _)| *at)
    }

    /// Counts pods: active, resting, parked, gated.
    pub fn counts(&self) -> [usize; 4] {
        let count = |place| self.pods.values().filter(|waiting| waiting.place == place).count();
        [self.active.len(), self.resting.len(), count(Place::Parked), count(Place::Gated)]
    }

    /// How many pods came to each place since the start: the place and why, as upstream names both.
    pub fn incoming(&self) -> &[((&'static str, &'static str), u64)] {
        &self.incoming
    }

    fn comes(&mut self, place: &'static str, event: &'static str) {
        match self.incoming.iter_mut().find(|(known, _)| *known == (place, event)) {
            Some((_, count)) => *count += 1,
            None => self.incoming.push(((place, event), 1)),
        }
    }

    /// Makes the resting pods ready whose rest is over.
    pub fn wake_rested(&mut self, now: Instant) {
        while let Some(((at, _), _)) = self.resting.first_key_value() {
            if *at > now {
                break;
            }
            if let Some((_, uid)) = self.resting.pop_first() {
                self.activate(&uid, event::RESTED);
            }
        }
    }

    fn wake(&mut self, uid: &str, now: Instant, event: &'static str) {
        self.leave(uid);
        let Some(waiting) = self.pods.get_mut(uid) else { return };
        let ready = waiting.last_try + self.backoff.after(waiting.attempts);
        if waiting.attempts == 0 || ready <= now {
            self.activate(uid, event);
        } else {
            self.sequence += 1;
            waiting.place = Place::Backoff(ready, self.sequence);
            self.resting.insert((ready, self.sequence), uid.into());
            self.comes("backoff", event);
        }
    }

    fn activate(&mut self, uid: &str, event: &'static str) {
        self.line_up(uid);
        self.comes("active", event);
    }

    /// Puts a pod among those that are ready, by its rank.
    fn line_up(&mut self, uid: &str) {
        self.leave(uid);
        let Some(waiting) = self.pods.get_mut(uid) else { return };
        self.sequence += 1;
        waiting.place = Place::Active(self.sequence);
        self.active.insert((Reverse(waiting.pod.priority), self.sequence), uid.into());
    }

    fn leave(&mut self, uid: &str) {
        match self.pods.get(uid).map(|waiting| waiting.place) {
            // Its priority may have changed since it was put there, so it is found by its place in line.
            Some(Place::Active(sequence)) => self.active.retain(|(_, known), _| *known != sequence),
            Some(Place::Backoff(at, sequence)) => {
                self.resting.remove(&(at, sequence));
            }
            Some(Place::Parked | Place::Gated | Place::Taken) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amounts::Amounts;
    use crate::pod::Wants;

    fn pod(name: &str, priority: i32) -> Arc<Pod> {
        Arc::new(Pod { uid: name.into(), name: name.into(), priority, ..Pod::default() })
    }

    fn taken(queue: &mut Queue, now: Instant) -> Option<String> {
        queue.take(now).map(|waiting| waiting.pod.name.to_string())
    }

    #[test]
    fn the_highest_priority_goes_first_then_who_came_first() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for (name, priority) in [("a", 0), ("b", 10), ("c", 0)] {
            queue.add(pod(name, priority), false, now);
        }
        let order: Vec<_> = std::iter::from_fn(|| taken(&mut queue, now)).collect();
        assert_eq!(order, ["b", "a", "c"]);
    }

    #[test]
    fn a_refused_pod_waits_for_what_helps_and_rests_longer_each_time() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), false, start);
        let mut now = start;
        for expected in [1, 2, 4, 8, 10, 10] {
            assert_eq!(taken(&mut queue, now).as_deref(), Some("a"));
            queue.park("a", ["NodeResourcesFit"].into());
            queue.changed(now, "NodeAdd", |waiting| waiting.refused_by.contains("NodePorts"));
            assert_eq!(queue.next_wake(), None, "that did not help");
            queue.changed(now, "NodeAdd", |waiting| waiting.refused_by.contains("NodeResourcesFit"));
            assert_eq!(queue.next_wake(), Some(now + Duration::from_secs(expected)));
            assert_eq!(taken(&mut queue, now), None);
            now += Duration::from_secs(expected);
        }
    }

    #[test]
    fn a_change_after_the_rest_is_over_makes_a_pod_ready_at_once() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), false, now);
        queue.take(now);
        queue.park("a", BTreeSet::new());
        let later = now + Duration::from_secs(2);
        queue.changed(later, "NodeAdd", |_| true);
        assert!(queue.has_active());
    }

    #[test]
    fn parked_pods_are_tried_again_after_five_minutes() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), false, now);
        queue.take(now);
        queue.park("a", ["NodeName"].into());
        queue.flush(now + Duration::from_secs(299));
        assert!(!queue.has_active());
        queue.flush(now + Duration::from_secs(300));
        assert!(queue.has_active());
    }

    #[test]
    fn gated_pods_are_not_tried_until_the_gates_are_lifted() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), true, now);
        queue.changed(now, "NodeAdd", |_| true);
        assert_eq!(taken(&mut queue, now), None);
        queue.add(pod("a", 0), false, now);
        assert_eq!(taken(&mut queue, now).as_deref(), Some("a"));
    }

    #[test]
    fn whoever_comes_is_counted_by_place_and_reason() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), false, now);
        queue.add(pod("a", 9), false, now);
        queue.add(pod("gated", 0), true, now);
        queue.add(pod("gated", 0), false, now);
        queue.take(now);
        queue.park("a", ["NodeName"].into());
        queue.changed(now, "NodeUpdateNodeLabel", |_| true);
        queue.take(now + Duration::from_secs(1));
        queue.take(now + Duration::from_secs(1));
        queue.rest("a", now + Duration::from_secs(1));
        queue.park("gated", BTreeSet::new());
        queue.flush(now + Duration::from_secs(400));
        assert_eq!(
            queue.incoming(),
            [
                (("active", "UnschedulablePodAdd"), 1),
                (("unschedulable", "UnschedulablePodAdd"), 1),
                (("active", "UnschedulablePodUpdatePodSchedulingGatesEliminated"), 1),
                (("unschedulable", "ScheduleAttemptFailure"), 2),
                (("backoff", "NodeUpdateNodeLabel"), 1),
                (("active", "BackoffComplete"), 1),
                (("backoff", "ScheduleAttemptFailure"), 1),
                (("active", "UnschedulableTimeout"), 1),
            ]
        );
    }

    #[test]
    fn a_new_versions_change_is_named() {
        let old = Pod { requests: Amounts { memory: 2, ..Amounts::default() }, ..Pod::default() };
        let tolerant = Wants { tolerations: vec![Default::default()], ..Wants::default() };
        for (new, expected) in [
            (Pod { labels: [("a".into(), "b".into())].into(), ..old.clone() }, event::LABELLED),
            (
                Pod { requests: Amounts { memory: 1, ..Amounts::default() }, ..old.clone() },
                event::SCALED_DOWN,
            ),
            (Pod { requests: Amounts { memory: 3, ..Amounts::default() }, ..old.clone() }, event::UPDATED),
            (Pod { wants: Some(Box::new(tolerant)), ..old.clone() }, event::TOLERATES),
        ] {
            assert_eq!(update(&old, &new), expected);
        }
    }

    #[test]
    fn a_removed_pod_is_gone_from_everywhere() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), false, now);
        queue.add(pod("b", 5), false, now);
        queue.take(now);
        queue.rest("b", now);
        queue.remove("a");
        queue.remove("b");
        assert_eq!(queue.counts(), [0; 4]);
        assert_eq!(taken(&mut queue, now + Duration::from_secs(60)), None);
    }
}
