//! The pods of this node: one worker each, found by uid, by name and by container.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    kubelet::Kubelet,
    metrics,
    observed::Observed,
    plan::Health,
    pod::{self, PodRef},
    probe::tally::Tallies,
    status::{self, Verdict},
    worker,
};

/// What a pod's worker is told.
#[derive(Debug, Clone)]
pub enum Order {
    /// Run this pod; a deletion timestamp on it means: end it.
    Run(Arc<Pod>),
    /// The pod is gone from where it came from: end it.
    Gone(Arc<Pod>),
}

impl Order {
    /// The pod as last seen.
    pub fn pod(&self) -> &Arc<Pod> {
        match self {
            Self::Run(pod) | Self::Gone(pod) => pod,
        }
    }

    /// Tells whether the pod is to end.
    pub fn ends(&self) -> bool {
        matches!(self, Self::Gone(_)) || pod::is_deleting(self.pod())
    }
}

/// What a worker and the rest of the kubelet know of a pod together.
pub struct PodState {
    /// Its names.
    pub names: PodRef,
    /// Wakes the worker.
    pub wake: Notify,
    /// Wakes the writer of its status: the API now has a place for it.
    pub shown: Notify,
    /// Wakes the writer of its status: someone else has written over it.
    pub contradicted: Notify,
    /// The newest resourceVersion of the pod that someone else has written over; 0 for none.
    pub contradicted_at: AtomicU64,
    /// The node has let it in: it counts when the next one asks.
    pub admitted: AtomicBool,
    /// The pod with what the node grants of it, once its worker has looked.
    pub granted: Mutex<Option<Arc<Pod>>>,
    /// It asks for more than there is now.
    resize_deferred: AtomicBool,
    /// Something its volumes are made of has changed.
    pub volumes_changed: AtomicBool,
    /// What the runtime last said.
    pub observed: Mutex<Observed>,
    /// What the probes say, by container id.
    pub health: Mutex<BTreeMap<String, Health>>,
    /// The status last computed.
    pub status: Mutex<PodStatus>,
    /// Containers that the runtime said have ended.
    pub ended: Mutex<HashSet<String>>,
    /// What the node has decided against the pod.
    pub verdict: Mutex<Option<Verdict>>,
    /// The uid under which the API knows the pod: a static pod's mirror has one of its own.
    pub api_uid: Mutex<Option<String>>,
    /// When a static pod gets its next mirror at the earliest.
    pub mirror_due: Mutex<Option<Instant>>,
    /// When this kubelet first saw it.
    pub seen: Instant,
    /// How long its images have kept it waiting.
    pub pulling: Mutex<Duration>,
    /// Whether the API has shown that all its containers have started.
    start_shown: AtomicBool,
    /// What came of its probes.
    pub probed: Mutex<Tallies>,
    /// The claims whose volumes are set up, and where, except those that are folders of the node.
    pub claims: Mutex<Vec<(String, PathBuf)>>,
}

impl PodState {
    /// What is known of a pod that was just seen.
    fn new(pod: &Pod) -> Self {
        let api_uid = (!pod::is_static(pod)).then(|| pod::uid(pod).to_owned());
        // One that ran before this kubelet began, or that the API does not start, says nothing of it.
        let started = pod::is_static(pod) || pod.status.as_ref().is_some_and(metrics::has_started);
        Self {
            names: PodRef::of(pod),
            wake: Notify::new(),
            shown: Notify::new(),
            contradicted: Notify::new(),
            contradicted_at: AtomicU64::new(0),
            admitted: AtomicBool::new(false),
            granted: Mutex::default(),
            resize_deferred: AtomicBool::new(false),
            volumes_changed: AtomicBool::new(false),
            observed: Mutex::default(),
            health: Mutex::default(),
            status: Mutex::new(pod.status.clone().unwrap_or_default()),
            ended: Mutex::default(),
            verdict: Mutex::default(),
            api_uid: Mutex::new(api_uid),
            mirror_due: Mutex::default(),
            seen: Instant::now(),
            pulling: Mutex::default(),
            start_shown: AtomicBool::new(started),
            probed: Mutex::default(),
            claims: Mutex::default(),
        }
    }

    /// Notes whether it waits for more than there is.
    pub fn set_resize_deferred(&self, deferred: bool) {
        self.resize_deferred.store(deferred, Ordering::Release);
    }

    /// Takes note of what the API shows. Where someone else has taken back a condition, it is written again: a pod
    /// that was marked as not ready while its node was not heard of is as ready as it was.
    pub fn compare(&self, shown: &Pod) {
        let Some(status) = &shown.status else { return };
        if metrics::has_started(status) && !self.start_shown.swap(true, Ordering::AcqRel) {
            let times = metrics::start_times(shown, Timestamp::now(), *self.pulling.lock());
            if let Some((total, sli)) = times {
                metrics::pod_started(total, sli);
            }
        }
        if podrules::conditions::is_terminal(shown) || !status::contradicts(status, &self.status.lock()) {
            return;
        }
        self.contradicted_at.fetch_max(pod::version(shown), Ordering::AcqRel);
        self.contradicted.notify_one();
    }
}

struct Handle {
    orders: watch::Sender<Order>,
    state: Arc<PodState>,
}

/// All pods of this node.
#[derive(Default)]
pub struct Pods {
    workers: Mutex<HashMap<String, Handle>>,
    /// Pods whose worker is done while the API still shows them (a finalizer holds them).
    done: Mutex<HashSet<String>>,
    containers: Mutex<HashMap<String, String>>,
    kubelet: Mutex<Weak<Kubelet>>,
    /// Held while one pod is let in, so that two do not take the same room.
    pub gate: Mutex<()>,
}

impl Pods {
    /// Tells the set whose pods it holds. Until then no worker starts.
    pub fn attach(&self, kubelet: &Arc<Kubelet>) {
        *self.kubelet.lock() = Arc::downgrade(kubelet);
    }

    /// A pod is new or has changed.
    pub fn apply(&self, pod: Arc<Pod>) {
        self.order(Order::Run(pod));
    }

    /// A pod is gone from its source.
    pub fn remove(&self, pod: Arc<Pod>) {
        self.done.lock().remove(pod::uid(&pod));
        if self.workers.lock().contains_key(pod::uid(&pod)) {
            self.order(Order::Gone(pod));
        }
    }

    /// Ends a pod that only the runtime knows of.
    pub fn end_orphan(&self, pod: Arc<Pod>) {
        self.order(Order::Gone(pod));
    }

    fn order(&self, order: Order) {
        let uid = pod::uid(order.pod()).to_owned();
        if self.done.lock().contains(&uid) {
            return;
        }
        let mut workers = self.workers.lock();
        if let Some(handle) = workers.get(&uid) {
            if let Order::Run(pod) = &order
                && !pod::is_static(pod)
            {
                handle.state.compare(pod);
            }
            handle.orders.send_replace(order);
            return;
        }
        let Some(kubelet) = self.kubelet.lock().upgrade() else { return };
        let state = Arc::new(PodState::new(order.pod()));
        let (orders, receiver) = watch::channel(order);
        workers.insert(uid, Handle { orders, state: Arc::clone(&state) });
        worker::spawn(kubelet, state, receiver);
    }

    /// A worker has nothing left to do. Answers false when an order came meanwhile: then it goes on.
    pub fn finished(&self, uid: &str, seen: &watch::Receiver<Order>, still_in_api: bool) -> bool {
        let mut workers = self.workers.lock();
        if seen.has_changed().unwrap_or(false) {
            return false;
        }
        workers.remove(uid);
        if still_in_api {
            self.done.lock().insert(uid.to_owned());
        }
        self.containers.lock().retain(|_, owner| owner != uid);
        Self::wake_those(&workers);
        true
    }

    /// Wakes the pod a container or sandbox belongs to, because it has ended.
    pub fn container_ended(&self, id: &str) {
        let Some(uid) = self.containers.lock().get(id).cloned() else { return };
        if let Some(handle) = self.workers.lock().get(&uid) {
            handle.state.ended.lock().insert(id.to_owned());
            handle.state.wake.notify_one();
        }
    }

    /// Remembers whose containers and sandboxes these are.
    pub fn claim<'a>(&self, uid: &str, ids: impl Iterator<Item = &'a str>) {
        let mut containers = self.containers.lock();
        for id in ids {
            if !containers.contains_key(id) {
                containers.insert(id.to_owned(), uid.to_owned());
            }
        }
    }

    /// Has a pod's volumes brought up to date.
    pub fn volumes_changed(&self, uid: &str) {
        if let Some(handle) = self.workers.lock().get(uid) {
            handle.state.volumes_changed.store(true, Ordering::Release);
            handle.state.wake.notify_one();
        }
    }

    /// Wakes the pods that wait for more than there was: there may be more now.
    pub fn wake_deferred(&self) {
        Self::wake_those(&self.workers.lock());
    }

    fn wake_those(workers: &HashMap<String, Handle>) {
        let deferred = workers.values().filter(|handle| handle.state.resize_deferred.load(Ordering::Acquire));
        deferred.for_each(|handle| handle.state.wake.notify_one());
    }

    /// Wakes every worker.
    pub fn wake_all(&self) {
        self.workers.lock().values().for_each(|handle| handle.state.wake.notify_one());
    }

    /// Lists all pods with what is known of them.
    pub fn list(&self) -> Vec<(Arc<Pod>, Arc<PodState>)> {
        let workers = self.workers.lock();
        let each = workers
            .values()
            .map(|handle| (Arc::clone(handle.orders.borrow().pod()), Arc::clone(&handle.state)));
        each.collect()
    }

    /// The pods the node has let in, with what it grants them, and those it found running, but for this one. One of which nothing runs any more
    /// and nothing will has given its place back.
    pub fn admitted(&self, but: &str) -> Vec<Arc<Pod>> {
        let workers = self.workers.lock();
        let all = workers.values().filter_map(|handle| {
            let (order, state) = (handle.orders.borrow(), &handle.state);
            let observed = state.observed.lock();
            let let_in = state.admitted.load(Ordering::Acquire) || !observed.sandboxes.is_empty();
            let ends = order.ends()
                || state.verdict.lock().is_some()
                || matches!(state.status.lock().phase.as_deref(), Some("Succeeded" | "Failed"));
            let counts = let_in && state.names.uid != but && (!ends || observed.is_alive());
            counts.then(|| {
                let granted = state.granted.lock().clone();
                granted.unwrap_or_else(|| Arc::clone(order.pod()))
            })
        });
        all.collect()
    }

    /// Finds a pod by uid.
    pub fn by_uid(&self, uid: &str) -> Option<(Arc<Pod>, Arc<PodState>)> {
        let workers = self.workers.lock();
        let handle = workers.get(uid)?;
        Some((Arc::clone(handle.orders.borrow().pod()), Arc::clone(&handle.state)))
    }

    /// Finds a pod by namespace and name: the one that is there, and before it none of the same name that is only still
    /// ending.
    pub fn by_name(&self, namespace: &str, name: &str) -> Option<(Arc<Pod>, Arc<PodState>)> {
        let workers = self.workers.lock();
        let named = workers
            .values()
            .filter(|handle| handle.state.names.namespace == namespace && handle.state.names.name == name);
        let there = named.max_by_key(|handle| {
            let order = handle.orders.borrow();
            (matches!(*order, Order::Run(_)), handle.state.seen)
        })?;
        Some((Arc::clone(there.orders.borrow().pod()), Arc::clone(&there.state)))
    }

    /// Finds a static pod whose manifest is there by namespace and name. One that is only still ending is none.
    pub fn static_pod(&self, namespace: &str, name: &str) -> Option<(Arc<Pod>, Arc<PodState>)> {
        self.workers.lock().values().find_map(|handle| {
            let order = handle.orders.borrow();
            let names = &handle.state.names;
            let found = names.namespace == namespace
                && names.name == name
                && !order.ends()
                && pod::is_static(order.pod());
            found.then(|| (Arc::clone(order.pod()), Arc::clone(&handle.state)))
        })
    }

    /// Tells whether a worker has this pod.
    pub fn contains(&self, uid: &str) -> bool {
        self.workers.lock().contains_key(uid)
    }

    /// Ends a pod by the node's own decision.
    pub fn condemn(&self, uid: &str, verdict: Verdict) {
        if let Some(handle) = self.workers.lock().get(uid) {
            handle.state.verdict.lock().get_or_insert(verdict);
            handle.state.wake.notify_one();
        }
    }

    /// How many pods there are.
    pub fn len(&self) -> usize {
        self.workers.lock().len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
