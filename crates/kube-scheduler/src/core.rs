//! The scheduler's memory: the snapshot with assumed pods, the queue, and what watches change in them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::framework::{Event, Misfit};
use crate::laps::{Laps, Point, Status};
use crate::node::Node;
use crate::plugins::volume_binding::{self, Progress, Step};
use crate::pod::Pod;
use crate::preemption::{self, Budget, NoRoom, Victims};
use crate::queue::{Backoff, Queue, Waiting};
use crate::schedule::{Nominations, Profile, decide};
use crate::snapshot::{Snapshot, Surroundings};

/// What came of trying a pod.
#[derive(Debug)]
pub enum Outcome {
    /// It was assumed on the node and is to be bound there.
    Bind {
        /// The pod.
        pod: Arc<Pod>,
        /// The node.
        node: Box<str>,
        /// What is to become of its claims before.
        claims: Vec<Step>,
        /// How long that may take.
        patience: Duration,
        /// How often it was tried, and since when it waited.
        waited: (u32, Instant),
    },
    /// No node will do; it waits.
    Wait {
        /// The pod.
        pod: Arc<Pod>,
        /// Why.
        misfit: Box<Misfit>,
        /// The lower pods to be removed for it, if that would help.
        victims: Option<Victims>,
        /// What becomes of the node it was promised.
        nomination: Nomination,
        /// Lower pods that were promised the same node, and are no more.
        outranked: Vec<Arc<Pod>>,
        /// Whether it was looked for lower pods.
        preempts: bool,
    },
}

/// What becomes of the node that a waiting pod is promised (`nominatedNodeName`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nomination {
    /// Nothing changes.
    Stays,
    /// It is promised this one.
    Given(Box<str>),
    /// It is promised none any more.
    Void,
}

/// The memory. All methods are quick and without I/O; a lock around it is held for one decision at most.
pub struct Core {
    profiles: Vec<Profile>,
    snapshot: Snapshot,
    queue: Queue,
    nominations: Nominations,
    /// The node of each known pod that has one, bound or assumed.
    placed: HashMap<Box<str>, Box<str>>,
    /// Pods that were assumed and whose binding the watch has not shown yet.
    assumed: HashMap<Box<str>, Arc<Pod>>,
    /// Pods on nodes that are not known (yet).
    homeless: HashMap<Box<str>, HashMap<Box<str>, Arc<Pod>>>,
    budgets: Vec<Arc<Budget>>,
    start: usize,
}

impl Core {
    /// Makes an empty memory.
    pub fn new(profiles: Vec<Profile>, backoff: Backoff) -> Self {
        Core {
            profiles,
            snapshot: Snapshot::default(),
            queue: Queue::new(backoff),
            nominations: Nominations::new(),
            placed: HashMap::new(),
            assumed: HashMap::new(),
            homeless: HashMap::new(),
            budgets: Vec::new(),
            start: 0,
        }
    }

    /// The nodes and pods as they are known.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The queue.
    pub fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Takes in a pod's new version.
    pub fn apply_pod(&mut self, pod: Arc<Pod>, now: Instant) {
        if pod.terminal {
            return self.delete_pod(&pod.uid, now);
        }
        if let Some(node) = pod.node_name.clone() {
            self.queue.remove(&pod.uid);
            self.forget_nomination(&pod.uid);
            let was_assumed = self.assumed.remove(&pod.uid).is_some();
            self.forget_volumes(&pod, now);
            let before = self.placed.get(&pod.uid).cloned();
            let is_known = before.is_some() && !was_assumed;
            if let Some(before) = before.filter(|before| *before != node) {
                self.displace(&pod.uid, &before);
            }
            self.place(pod.clone(), &node);
            let event = Event::PodPlaced(&pod);
            let label = if is_known { "AssignedPodUpdate" } else { event.label() };
            self.happened_as(event, label, now);
            return;
        }
        // The binding is under way; its result, not this older version, says what comes.
        if self.assumed.contains_key(&pod.uid) {
            return;
        }
        let Some(profile) =
            self.profiles.iter().find(|profile| profile.scheduler_name == *pod.scheduler_name)
        else {
            return;
        };
        if pod.deleting {
            self.queue.remove(&pod.uid);
            self.forget_nomination(&pod.uid);
            return;
        }
        let gated = profile.gates.iter().any(|plugin| plugin.gate(&pod).is_some());
        match &pod.nominated_node {
            Some(node) => self.nominate(pod.clone(), &node.clone()),
            // Someone took the promise back. A version from before it was given says nothing.
            None if self.queue.pod(&pod.uid).is_some_and(|known| known.nominated_node.is_some()) => {
                self.forget_nomination(&pod.uid);
            }
            None => {}
        }
        self.queue.add(pod, gated, now);
    }

    /// Forgets a pod.
    pub fn delete_pod(&mut self, uid: &str, now: Instant) {
        let waiting = self.queue.remove(uid);
        let nominated = self.forget_nomination(uid);
        if let Some(assumed) = self.assumed.remove(uid) {
            self.forget_volumes(&assumed, now);
        }
        let Some(node) = self.placed.remove(uid) else {
            // The room promised to it is free again.
            if let Some(pod) = waiting.filter(|_| nominated) {
                self.happened(Event::PodGone(&pod), now);
            }
            return;
        };
        if let Some(pod) = self.displace(uid, &node) {
            self.happened(Event::PodGone(&pod), now);
        }
    }

    /// Takes in a node's new version.
    pub fn apply_node(&mut self, node: Arc<Node>, now: Instant) {
        let old = self.snapshot.node(&node.name).map(|info| info.node.clone());
        self.snapshot.set_node(node.clone());
        match old {
            None => {
                for pod in self.homeless.remove(&node.name).into_iter().flat_map(HashMap::into_values) {
                    self.snapshot.change(&node.name, |info| info.add(pod));
                }
                self.happened(Event::NodeAdded(&node), now);
            }
            Some(old) if !old.is_equivalent(&node) => {
                self.happened(Event::NodeChanged { old: &old, new: &node }, now);
            }
            Some(_) => {}
        }
    }

    /// Forgets a node; its pods are remembered until they go.
    pub fn delete_node(&mut self, name: &str) {
        if let Some(info) = self.snapshot.remove_node(name)
            && !info.pods.is_empty()
        {
            self.homeless.entry(name.into()).or_default().extend(info.pods);
        }
    }

    /// Changes what is around the nodes.
    pub fn change_surroundings(
        &mut self,
        event: Option<Event<'_>>,
        now: Instant,
        change: impl FnOnce(&mut Surroundings),
    ) {
        change(Arc::make_mut(&mut self.snapshot.around));
        if let Some(event) = event {
            self.happened(event, now);
        }
    }

    /// Replaces the disruption budgets.
    pub fn set_budgets(&mut self, budgets: Vec<Arc<Budget>>) {
        self.budgets = budgets;
    }

    /// Tries the next pod.
    pub fn try_next(
        &mut self,
        now: Instant,
        random: &mut dyn FnMut(usize) -> usize,
        laps: Laps<'_>,
    ) -> Option<Outcome> {
        let Waiting { pod, attempts, since, .. } = self.queue.take(now)?;
        let profile = self.profiles.iter().find(|profile| profile.scheduler_name == *pod.scheduler_name)?;
        let profile_patience = profile.bind_timeout;
        match decide(profile, &pod, &self.snapshot, &self.nominations, &mut self.start, random, laps) {
            Ok(node) => {
                let (claims, patience) = self.assume_volumes(&pod, &node, profile_patience);
                let assumed = Arc::new(pod.on(&node));
                self.forget_nomination(&pod.uid);
                self.assumed.insert(pod.uid.clone(), pod.clone());
                self.place(assumed, &node);
                Some(Outcome::Bind { pod, node, claims, patience, waited: (attempts, since) })
            }
            Err(mut misfit) => {
                let mut victims = None;
                let mut nomination = Nomination::Stays;
                let mut outranked = Vec::new();
                let preempts = profile.preempts;
                if preempts {
                    let began = laps.begin();
                    let attempt = preemption::preempt(
                        profile,
                        &pod,
                        &self.snapshot,
                        &self.nominations,
                        &misfit,
                        &self.budgets,
                    );
                    let status = if attempt.is_ok() { Status::Success } else { Status::Unschedulable };
                    laps.point(began, &profile.scheduler_name, Point::PostFilter, status);
                    match attempt {
                        Ok(found) => {
                            outranked = self.outrank(&pod, &found.node);
                            self.nominate(pod.clone(), &found.node);
                            nomination = Nomination::Given(found.node.clone());
                            victims = Some(found);
                        }
                        Err(NoRoom::NoNodes) => {}
                        Err(NoRoom::NotEligible(why)) => misfit.preemption = Some(why.to_owned()),
                        Err(NoRoom::NoCandidate(why)) => {
                            misfit.preemption = Some(why);
                            self.forget_nomination(&pod.uid);
                            nomination = Nomination::Void;
                        }
                    }
                }
                self.queue.park(&pod.uid, misfit.plugins.clone());
                Some(Outcome::Wait { pod, misfit, victims, nomination, outranked, preempts })
            }
        }
    }

    /// Takes in that a binding succeeded. The watch will show it too; whichever comes first counts.
    pub fn bound(&mut self, uid: &str) {
        self.queue.remove(uid);
    }

    /// Takes in that a binding failed: the room is free again, and the pod is tried again.
    pub fn not_bound(&mut self, uid: &str, now: Instant) {
        let Some(assumed) = self.assumed.remove(uid) else { return };
        self.forget_volumes(&assumed, now);
        if let Some(node) = self.placed.remove(uid)
            && let Some(pod) = self.displace(uid, &node)
        {
            self.happened(Event::PodGone(&pod), now);
        }
        self.queue.rest(uid, now);
    }

    /// Looks how far the claims of an assumed pod have come; none if the pod is gone or was bound by somebody else.
    pub fn progress(&self, uid: &str, claims: &[Step]) -> Option<Progress> {
        self.assumed.get(uid)?;
        let node = self.snapshot.node(self.placed.get(uid)?);
        let node = node.map(|info| &*info.node);
        Some(volume_binding::progress(claims, &self.snapshot.around.volumes, node))
    }

    fn assume_volumes(&mut self, pod: &Pod, node: &str, patience: Option<Duration>) -> (Vec<Step>, Duration) {
        let (Some(patience), Some(info)) = (patience, self.snapshot.node(node)) else {
            return (Vec::new(), Duration::ZERO);
        };
        let claims = volume_binding::plan(pod, &self.snapshot.around.volumes, &info.node);
        if !claims.is_empty() {
            let choices: Vec<_> =
                claims.iter().map(|step| (step.claim.clone(), step.choice.clone())).collect();
            Arc::make_mut(&mut self.snapshot.around).volumes.assume(&pod.uid, choices);
        }
        (claims, patience)
    }

    fn forget_volumes(&mut self, pod: &Pod, now: Instant) {
        if !pod.claims.is_empty() && Arc::make_mut(&mut self.snapshot.around).volumes.forget(&pod.uid) {
            self.happened(Event::Volumes("PersistentVolumeUpdate"), now);
        }
    }

    fn place(&mut self, pod: Arc<Pod>, node: &str) {
        self.placed.insert(pod.uid.clone(), node.into());
        if !self.snapshot.change(node, |info| info.add(pod.clone())) {
            self.homeless.entry(node.into()).or_default().insert(pod.uid.clone(), pod);
        }
    }

    fn displace(&mut self, uid: &str, node: &str) -> Option<Arc<Pod>> {
        let mut removed = None;
        if !self.snapshot.change(node, |info| removed = info.remove(uid))
            && let Some(pods) = self.homeless.get_mut(node)
        {
            removed = pods.remove(uid);
            if pods.is_empty() {
                self.homeless.remove(node);
            }
        }
        removed
    }

    fn nominate(&mut self, pod: Arc<Pod>, node: &str) {
        self.forget_nomination(&pod.uid);
        self.nominations.entry(node.into()).or_default().push(pod);
    }

    /// Takes the promise of a node back from lower pods: it may not hold any more.
    fn outrank(&mut self, pod: &Pod, node: &str) -> Vec<Arc<Pod>> {
        let Some(promised) = self.nominations.get_mut(node) else { return Vec::new() };
        promised.extract_if(.., |other| other.priority < pod.priority).collect()
    }

    fn forget_nomination(&mut self, uid: &str) -> bool {
        let mut found = false;
        self.nominations.retain(|_, pods| {
            let before = pods.len();
            pods.retain(|pod| *pod.uid != *uid);
            found |= pods.len() < before;
            !pods.is_empty()
        });
        found
    }

    /// Wakes the waiting pods that an event may help.
    fn happened(&mut self, event: Event<'_>, now: Instant) {
        self.happened_as(event, event.label(), now);
    }

    fn happened_as(&mut self, event: Event<'_>, label: &'static str, now: Instant) {
        let profiles = &self.profiles;
        self.queue.changed(now, label, |waiting| {
            if waiting.refused_by.is_empty() {
                return true;
            }
            let profile =
                profiles.iter().find(|profile| profile.scheduler_name == *waiting.pod.scheduler_name);
            profile.is_some_and(|profile| {
                profile
                    .filters
                    .iter()
                    .filter(|plugin| waiting.refused_by.contains(plugin.name()))
                    .any(|plugin| plugin.may_help(event, &waiting.pod))
            })
        });
    }
}
