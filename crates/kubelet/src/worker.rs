//! One pod's worker: looks at what is asked for and what the runtime holds, and carries out the plan.
//!
//! Keeps true: the runtime runs what the pod asks for, and the API shows it. Woken by: a change of the pod, an ended
//! container, a probe's verdict, a changed ConfigMap or Secret, time. Reads: its pod, the runtime. Writes: the runtime,
//! the pod's folder and cgroup, its status. Gives up when: the pod is gone and nothing of it is left.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use component::events::Kind as EventKind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::watch;

use crate::{
    admission,
    backoff::Backoff,
    event::{container_event, pod_event},
    eviction,
    kubelet::Kubelet,
    metrics::{self, Step},
    observed::{Observed, State, observe},
    plan::{self, Plan, backoff_key},
    pod::{self, Kind},
    pods::{Order, PodState},
    probe::Probes,
    resize::Resizing,
    status::{self, Stage, Verdict, Waiting},
    volume::MountedVolumes,
};

mod finish;
mod hook;
mod making;
mod message;
mod prepare;
mod resize;
mod start;
mod stop;
mod writer;

/// How long a worker rests when nothing wakes it: the safety net under the runtime's events.
const RELIST: Duration = Duration::from_secs(60);
/// How soon a worker tries again after the runtime failed it.
const RETRY: Duration = Duration::from_secs(2);

/// How soon a resize that failed is tried again.
const RESIZE_RETRY: Duration = Duration::from_secs(10);

/// What to do after a step.
enum Next {
    /// Look again at once.
    Now,
    /// Look again after this time, or when woken.
    Wait(Duration),
    /// Nothing of the pod is left.
    Done,
}

/// Labels or annotations.
type Pairs = Option<BTreeMap<String, String>>;

/// A pod's worker.
pub(crate) struct Worker {
    kubelet: Arc<Kubelet>,
    state: Arc<PodState>,
    orders: watch::Receiver<Order>,
    statuses: watch::Sender<writer::Wanted>,
    probes: Probes,
    backoff: Backoff,
    /// Why containers do not run, by name.
    waiting: BTreeMap<String, Waiting>,
    /// When a container that failed to start is tried again, by name.
    retries: BTreeMap<String, Timestamp>,
    volumes: Option<MountedVolumes>,
    volumes_refresh: Option<Instant>,
    /// The sandbox's configuration, needed again with each container.
    sandbox: Option<cri::v1::PodSandboxConfig>,
    /// Stopped for good, and cleaned up.
    stopped: bool,
    /// Let in by this node, or found already running on it.
    admitted: bool,
    /// The pod's labels and annotations that its volumes were made with.
    metadata: (Pairs, Pairs),
    /// How a resize stands.
    resizing: Resizing,
    /// The limits its cgroup was last given.
    limits: Option<cgroups::Limits>,
    /// What the runtime is making for it.
    making: Arc<making::Making>,
}

/// Starts a pod's worker.
pub(crate) fn spawn(kubelet: Arc<Kubelet>, state: Arc<PodState>, orders: watch::Receiver<Order>) {
    let (statuses, wanted) = watch::channel(writer::Wanted::default());
    // The writer minds the end of the process itself: what it is writing then it still writes.
    kubelet.process.spawn_transient(writer::run(Arc::clone(&kubelet), Arc::clone(&state), wanted));
    let owner = Arc::clone(&kubelet);
    let limit = SignedDuration::try_from(kubelet.settings.max_container_restart_period);
    let worker = Worker {
        backoff: Backoff::new(limit.unwrap_or(SignedDuration::from_mins(5))),
        kubelet,
        state,
        orders,
        statuses,
        probes: Probes::default(),
        waiting: BTreeMap::new(),
        retries: BTreeMap::new(),
        volumes: None,
        volumes_refresh: None,
        sandbox: None,
        stopped: false,
        admitted: false,
        metadata: (None, None),
        resizing: Resizing::default(),
        limits: None,
        making: Arc::default(),
    };
    owner.spawn(worker.run());
}

impl Worker {
    async fn run(mut self) {
        metrics::worker_begins(self.state.seen.elapsed());
        let mut is_new = true;
        loop {
            let changed = self.orders.has_changed().unwrap_or(false);
            let order = self.orders.borrow_and_update().clone();
            let step = match (std::mem::take(&mut is_new), changed) {
                _ if order.ends() => Step::Kill,
                (true, _) => Step::Create,
                (false, true) => Step::Update,
                (false, false) => Step::Sync,
            };
            let began = Instant::now();
            self.kubelet.objects.register(order.pod());
            self.note_metadata(order.pod());
            let next = {
                // A pod told to end does not wait for its image to come.
                let mut orders = self.orders.clone();
                let already_ending = order.ends();
                tokio::select! {
                    next = self.step(&order) => next,
                    () = told_to_end(&mut orders), if !already_ending => {
                        self.making.settled().await;
                        Next::Now
                    }
                }
            };
            metrics::worked(step, began.elapsed());
            match next {
                Next::Now => {}
                Next::Wait(limit) => tokio::select! {
                    () = self.state.wake.notified() => {}
                    changed = self.orders.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(limit) => {}
                },
                Next::Done => {
                    let in_api = matches!(order, Order::Run(_));
                    if self.kubelet.pods.finished(&self.state.names.uid, &self.orders, in_api) {
                        self.kubelet.objects.unregister(&self.state.names);
                        self.kubelet.tokens.forget(&self.state.names.uid);
                        self.kubelet.images.forget(&self.state.names.uid);
                        return;
                    }
                }
            }
        }
    }

    /// Has the volumes of the downward API follow the pod's labels and annotations.
    fn note_metadata(&mut self, pod: &Pod) {
        let metadata = (pod.metadata.labels.clone(), pod.metadata.annotations.clone());
        if metadata != self.metadata {
            self.metadata = metadata;
            self.state.volumes_changed.store(self.volumes.is_some(), Ordering::Release);
        }
    }

    async fn step(&mut self, order: &Order) -> Next {
        let pod = order.pod();
        let observed = match self.look().await {
            Ok(observed) => observed,
            Err(error) => {
                tracing::warn!(pod = %self.state.names.full(), %error, "cannot ask the runtime about a pod");
                return Next::Wait(RETRY);
            }
        };
        self.admit(order, &observed);
        self.judge(pod);
        let condemned = self.state.verdict.lock().is_some();
        let over = podrules::conditions::is_terminal(pod) || self.over_by_own_account();
        if order.ends() || condemned || over {
            return self.end(order, &observed).await;
        }
        let granted = self.granted(pod, &observed);
        self.sync(&granted, observed).await
    }

    /// Decides once whether the node takes the pod. One that has been running here is not asked again.
    fn admit(&mut self, order: &Order, observed: &Observed) {
        if std::mem::replace(&mut self.admitted, true) || order.ends() || !observed.sandboxes.is_empty() {
            return;
        }
        let (pod, kubelet) = (order.pod(), &self.kubelet);
        let _gate = kubelet.pods.gate.lock();
        let others = kubelet.pods.admitted(&self.state.names.uid);
        let (allocatable, node) = {
            let facts = kubelet.facts.read();
            (facts.allocatable.clone(), facts.node.clone())
        };
        let others = others.iter().map(|other| &**other);
        let pressure = *kubelet.pressure.borrow();
        let admitted = eviction::admit(pod, pressure).and_then(|()| {
            let sysctls = &kubelet.settings.allowed_unsafe_sysctls;
            admission::admit(pod, others, &allocatable, sysctls, node.as_deref())
        });
        match admitted {
            Ok(()) => self.state.admitted.store(true, Ordering::Release),
            Err(verdict) => {
                pod_event(
                    &kubelet.recorder,
                    pod,
                    EventKind::Warning,
                    &verdict.reason,
                    verdict.message.clone(),
                );
                *self.state.verdict.lock() = Some(verdict);
            }
        }
    }

    /// Tells whether the pod has come to its end by the status last computed.
    fn over_by_own_account(&self) -> bool {
        matches!(self.state.status.lock().phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Condemns a pod past its deadline.
    fn judge(&self, pod: &Pod) {
        let Some(left) = deadline(pod, &self.state.status.lock(), Timestamp::now()) else { return };
        if left.is_zero() {
            let verdict = Verdict::new(
                "DeadlineExceeded",
                "Pod was active on the node longer than the specified deadline",
            );
            let mut held = self.state.verdict.lock();
            if held.is_none() {
                pod_event(
                    &self.kubelet.recorder,
                    pod,
                    EventKind::Normal,
                    &verdict.reason,
                    verdict.message.clone(),
                );
                *held = Some(verdict);
            }
        }
    }

    /// Asks the runtime. When it said that a container has ended but still shows it running, it is asked again: its
    /// event can overtake its own books.
    async fn look(&mut self) -> Result<Observed, cri::Error> {
        let known = self.state.observed.lock().clone();
        let ended = std::mem::take(&mut *self.state.ended.lock());
        let mut pause = Duration::from_millis(4);
        loop {
            let mut observed = observe(&*self.kubelet.runtime, &self.state.names.uid, &known).await?;
            let stale = observed.running().any(|container| ended.contains(&container.id))
                || observed.sandboxes.iter().any(|sandbox| sandbox.ready && ended.contains(&sandbox.id));
            if stale && pause < Duration::from_secs(2) {
                tokio::time::sleep(pause).await;
                pause *= 2;
                continue;
            }
            message::read(&mut observed, &known, &self.kubelet.settings, &self.state.names).await;
            let ids = observed.sandboxes.iter().map(|sandbox| sandbox.id.as_str());
            let ids = ids.chain(observed.containers.iter().map(|container| container.id.as_str()));
            self.kubelet.pods.claim(&self.state.names.uid, ids);
            *self.state.observed.lock() = observed.clone();
            return Ok(observed);
        }
    }

    /// Brings a pod that is to run closer to what it asks for.
    async fn sync(&mut self, pod: &Arc<Pod>, observed: Observed) -> Next {
        let kubelet = Arc::clone(&self.kubelet);
        self.probes.sync(&kubelet, &self.state, pod, &observed);
        let plan = {
            let health = self.state.health.lock().clone();
            let now = Timestamp::now();
            plan::plan(&plan::View { pod, observed: &observed, health: &health, backoff: &self.backoff, now })
        };
        if plan.stop_pod && plan.sandbox.is_none() {
            // Everything it was to do is done.
            return self.end(&Order::Run(Arc::clone(pod)), &observed).await;
        }
        let acted = !plan.kill.is_empty() || plan.sandbox.is_some() || !plan.start.is_empty();
        if plan.sandbox.is_some() {
            // Seen in the API at once, while images come.
            self.publish(pod, &observed, Stage::Running);
        }
        if let Err(retry) = self.carry_out(pod, &observed, &plan).await {
            if let Ok(observed) = self.look().await {
                self.publish(pod, &observed, Stage::Running);
            }
            return Next::Wait(retry);
        }
        let observed = if acted {
            match self.look().await {
                Ok(observed) => observed,
                Err(_) => return Next::Wait(RETRY),
            }
        } else {
            observed
        };
        let observed = if plan.kill.is_empty() && self.resize(pod, &observed).await {
            // Done is what the runtime then says is done.
            let Ok(observed) = self.look().await else { return Next::Wait(RETRY) };
            self.note_resized(pod, &observed);
            observed
        } else {
            observed
        };
        self.probes.sync(&kubelet, &self.state, pod, &observed);
        self.publish(pod, &observed, Stage::Running);
        self.clean_traces(pod, &observed).await;
        if let Err(retry) = self.refresh_volumes(pod, &observed).await {
            return Next::Wait(retry);
        }
        // A start that was carried out may allow the next one (a sidecar, an init container already done).
        if acted && plan.kill.is_empty() && self.more_to_do(pod, &observed) {
            return Next::Now;
        }
        Next::Wait(self.rest(pod, &plan))
    }

    fn more_to_do(&self, pod: &Pod, observed: &Observed) -> bool {
        let health = self.state.health.lock().clone();
        let now = Timestamp::now();
        let next = plan::plan(&plan::View { pod, observed, health: &health, backoff: &self.backoff, now });
        next.stop_pod
            || next.start.iter().any(|start| self.retries.get(&start.name).is_none_or(|retry| *retry <= now))
    }

    async fn carry_out(&mut self, pod: &Arc<Pod>, observed: &Observed, plan: &Plan) -> Result<(), Duration> {
        if plan.stop_pod {
            self.stop_all(pod, observed, pod::grace(pod)).await;
        }
        if !plan.kill.is_empty() {
            self.kill(pod, observed, &plan.kill).await;
            // How they ended decides what comes next.
            self.state.wake.notify_one();
            return Ok(());
        }
        if let Some(attempt) = plan.sandbox {
            self.make_sandbox(pod, attempt).await?;
        } else if self.volumes.is_none() {
            // Adopted after a restart of the kubelet, or not set up in an earlier try.
            let ips = observed.sandbox().map(|sandbox| sandbox.ips.clone()).unwrap_or_default();
            let set_up = self.set_up_volumes(pod, &ips).await;
            if !plan.start.is_empty() {
                set_up?;
            }
        }
        for crash in &plan.waiting {
            self.note_crash(pod, crash);
        }
        self.waiting.retain(|name, waiting| {
            waiting.reason != "CrashLoopBackOff" || plan.waiting.iter().any(|crash| crash.name == *name)
        });
        let now = Timestamp::now();
        for start in &plan.start {
            if self.retries.get(&start.name).is_some_and(|retry| *retry > now) {
                continue;
            }
            if let Some(ended) = observed.latest(&start.name).filter(|latest| latest.state == State::Exited)
                && let Some((_, container)) = pod::container(pod, &start.name)
            {
                self.backoff.advance(&backoff_key(&container), ended.finished_at.unwrap_or(now), now);
            }
            match self.start(pod, start).await {
                Ok(()) => {
                    self.waiting.remove(&start.name);
                    self.retries.remove(&start.name);
                }
                Err(failure) => {
                    let retry = now.checked_add(failure.retry).unwrap_or(now);
                    self.retries.insert(start.name.clone(), retry);
                    self.waiting.insert(start.name.clone(), failure.waiting);
                    // Upstream goes on with the other containers; after an init container there are none.
                    if start.kind == Kind::Init {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn note_crash(&mut self, pod: &Pod, crash: &plan::CrashLoop) {
        let message = format!(
            "back-off {} restarting failed container={} pod={}",
            apimachinery::time::format_go_duration(crash.delay.as_secs() * 1_000_000_000),
            crash.name,
            self.state.names.full()
        );
        let waiting = Waiting { reason: "CrashLoopBackOff".into(), message };
        if self.waiting.get(&crash.name) != Some(&waiting) {
            container_event(
                &self.kubelet.recorder,
                pod,
                &crash.name,
                EventKind::Warning,
                "BackOff",
                format!(
                    "Back-off restarting failed container {} in pod {}",
                    crash.name,
                    self.state.names.full()
                ),
            );
            self.waiting.insert(crash.name.clone(), waiting);
        }
    }

    /// How long nothing needs to be looked at.
    fn rest(&self, pod: &Pod, plan: &Plan) -> Duration {
        let now = Timestamp::now();
        let mut rest = plan.wake.unwrap_or(RELIST).min(RELIST);
        for retry in self.retries.values() {
            rest = rest.min(Duration::try_from(retry.duration_since(now)).unwrap_or_default());
        }
        if let Some(left) = deadline(pod, &self.state.status.lock(), now) {
            rest = rest.min(left);
        }
        if self.resizing.error.is_some() {
            rest = rest.min(RESIZE_RETRY);
        }
        if let Some(refresh) = self.volumes_refresh {
            rest = rest.min(refresh.saturating_duration_since(Instant::now()));
        }
        // Never a busy loop, whatever a clock says.
        rest.max(Duration::from_millis(10))
    }

    /// Computes the status and has it written.
    fn publish(&self, pod: &Pod, observed: &Observed, stage: Stage) -> PodStatus {
        let computed = {
            let last = self.state.status.lock();
            let health = self.state.health.lock();
            let verdict = self.state.verdict.lock();
            let facts = self.kubelet.facts.read();
            status::compute(&status::View {
                pod,
                last: &last,
                observed,
                health: &health,
                waiting: &self.waiting,
                runtime_name: &self.kubelet.runtime_name,
                host_ips: &facts.host_ips,
                stage,
                verdict: verdict.as_ref(),
                resizing: &self.resizing,
                now: Timestamp::now(),
            })
        };
        let before = std::mem::replace(&mut *self.state.status.lock(), computed.clone());
        let is_running = computed.phase.as_deref() == Some("Running");
        if is_running && matches!(before.phase.as_deref(), None | Some("Pending")) {
            metrics::pod_runs(self.state.seen.elapsed());
        }
        let wanted = computed.clone();
        self.statuses.send_if_modified(|current| {
            let news = current.status.as_ref() != Some(&wanted);
            current.status = Some(wanted);
            news
        });
        computed
    }

    async fn refresh_volumes(&mut self, pod: &Arc<Pod>, observed: &Observed) -> Result<(), Duration> {
        let changed = self.state.volumes_changed.swap(false, Ordering::AcqRel);
        let due = self.volumes_refresh.is_some_and(|refresh| refresh <= Instant::now());
        if !changed && !due {
            return Ok(());
        }
        let ips = observed.sandbox().map(|sandbox| sandbox.ips.clone()).unwrap_or_default();
        self.set_up_volumes(pod, &ips).await
    }
}

/// What is left of a pod's time on the node, where it has a deadline.
fn deadline(pod: &Pod, status: &PodStatus, now: Timestamp) -> Option<Duration> {
    let limit = pod::spec(pod).active_deadline_seconds?;
    let started = status.start_time.as_ref()?.0;
    let end = started.checked_add(SignedDuration::from_secs(limit)).ok()?;
    Some(Duration::try_from(end.duration_since(now)).unwrap_or_default())
}

async fn told_to_end(orders: &mut watch::Receiver<Order>) {
    loop {
        if orders.changed().await.is_err() {
            // The set of pods is gone: so is this worker, soon.
            std::future::pending::<()>().await;
        }
        if orders.borrow().ends() {
            return;
        }
    }
}
