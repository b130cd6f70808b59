//! The shell: the loop that tries pods and carries out what was decided, without waiting for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::cause::whole;
use component::events::{Kind, Recorder};
use component::{Runtime, client, leader, pages, serve};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use informer::Store;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::Config;
use crate::core::{Core, Nomination, Outcome};
use crate::laps::{Point, Status};
use crate::metrics::{Ended, Timer};
use crate::plugins::volume_binding::Step;
use crate::pod::Pod;
use crate::preemption::Victims;
use crate::watch::{Shared, Watches};
use crate::{api, binding, metrics, resources};

/// Requests under way at once; more pods wait in the queue, so that a slow server bounds what is assumed.
const UNDER_WAY: usize = 256;
/// How often long-parked pods are looked for (upstream's value).
const FLUSH: Duration = Duration::from_secs(30);

/// Starts the scheduler.
pub async fn start(runtime: Runtime, config: Config) -> anyhow::Result<()> {
    pages::show_configuration("componentconfig", config.shown());
    component::features::tell(crate::features::GATES);
    let client = client::connect(&config.connection.connection("kube-scheduler")).await?;
    let pods: Store<Pod> = Store::new();
    if let Some(address) = config.serving.address() {
        let own = config.connection.connection("kube-scheduler");
        let reviewer = config.review.client(&own, &client).await?;
        let known = pods.clone();
        let endpoints = serve::Endpoints::secure(reviewer, config.serving.identity()?, &config.review)?
            .with_metrics(resources::PATH, move || resources::text(&known.list()));
        serve::serve(&runtime, address, endpoints).await?;
    }
    let shared = Shared {
        core: Arc::new(Mutex::new(Core::new(config.profiles.clone(), config.backoff))),
        changed: Arc::new(Notify::new()),
        bells: Arc::default(),
        pods,
    };
    let core = shared.core.clone();
    component::metrics::before_reading(move || {
        let mut core = core.lock();
        metrics::pending(core.queue().counts());
        metrics::incoming(core.queue().incoming());
    });
    let recorder = Recorder::start(&runtime, client.clone(), "default-scheduler", None);
    let seen = Watches::start(&runtime, &client, &shared);
    let owner = runtime.clone();
    runtime.spawn("scheduling", async move {
        let shutdown = owner.shutdown();
        let leading =
            leader::run(&owner, client.clone(), "kube-scheduler", &config.leader_election, || async {
                let latch = owner.latch("informer-sync");
                seen.await;
                latch.open();
                Loop { client, shared, recorder }.run().await;
                Ok(())
            });
        tokio::select! {
            result = leading => result,
            () = shutdown.cancelled() => Ok(()),
        }
    });
    Ok(())
}

/// A pod that was given a node.
struct Assigned {
    pod: Arc<Pod>,
    node: Box<str>,
    began: Instant,
    /// Since when only its claims keep it from being bound.
    chosen: Instant,
    /// How often it was tried, and since when it waited.
    waited: (u32, Instant),
}

/// What came of a request.
enum Done {
    /// What the pod's claims need was written, or could not be.
    Chosen {
        assigned: Assigned,
        result: Result<Vec<Step>, String>,
        patience: Duration,
    },
    /// The pod's claims have their volumes, or will not get them; none if nobody wants that any more.
    Claimed {
        assigned: Assigned,
        result: Option<Result<(), String>>,
    },
    Bound {
        assigned: Assigned,
        result: Result<(), kube::Error>,
    },
    Reported,
}

type UnderWay = FuturesUnordered<BoxFuture<'static, Done>>;

/// What the loop does next.
enum Next {
    Tried(Option<Outcome>, Instant),
    /// Nothing is ready before then.
    Idle(Option<Instant>),
}

struct Loop {
    client: Client,
    shared: Shared,
    recorder: Recorder,
}

impl Loop {
    async fn run(self) {
        let mut under_way = UnderWay::new();
        // Pods whose claims others see to, which may take minutes: they must not keep other pods from being tried.
        let mut waiting = UnderWay::new();
        let mut flush = tokio::time::interval(FLUSH);
        loop {
            let next_wake = match self.next(under_way.len()) {
                Next::Tried(outcome, began) => {
                    if let Some(outcome) = outcome {
                        self.carry_out(outcome, began, &mut under_way);
                    }
                    // Requests and watches get their turn between any two decisions.
                    tokio::task::yield_now().await;
                    while let Some(Some(done)) = under_way.next().now_or_never() {
                        self.done(done, &mut under_way, &mut waiting);
                    }
                    while let Some(Some(done)) = waiting.next().now_or_never() {
                        self.done(done, &mut under_way, &mut waiting);
                    }
                    continue;
                }
                Next::Idle(next_wake) => next_wake,
            };
            let rested = async {
                match next_wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = rested => {}
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    self.done(done, &mut under_way, &mut waiting);
                }
                Some(done) = waiting.next(), if !waiting.is_empty() => {
                    self.done(done, &mut under_way, &mut waiting);
                }
                _ = flush.tick() => self.shared.core.lock().queue().flush(Instant::now()),
            }
        }
    }

    /// Tries the next pod, if there is one and room for its request.
    fn next(&self, under_way: usize) -> Next {
        let mut core = self.shared.core.lock();
        let began = Instant::now();
        core.queue().wake_rested(began);
        if core.queue().has_active() && under_way < UNDER_WAY {
            let timer = Timer::default();
            let laps = timer.laps(rand::random_range(0..100));
            let outcome = core.try_next(began, &mut |below| rand::random_range(0..below.max(1)), laps);
            drop(core);
            if let Some(Outcome::Wait { pod, victims, preempts, .. }) = &outcome {
                metrics::tried(&pod.scheduler_name, Ended::Unschedulable, began.elapsed());
                if *preempts {
                    metrics::preempted(victims.as_ref().map(|victims| victims.pods.len()));
                }
            }
            return Next::Tried(outcome, began);
        }
        metrics::pending(core.queue().counts());
        Next::Idle(core.queue().next_wake())
    }

    fn carry_out(&self, outcome: Outcome, began: Instant, under_way: &mut UnderWay) {
        let client = self.client.clone();
        match outcome {
            Outcome::Bind { pod, node, claims, patience, waited } => {
                let assigned = Assigned { pod, node, began, chosen: Instant::now(), waited };
                if claims.is_empty() {
                    return self.bind(assigned, under_way);
                }
                under_way.push(Box::pin(async move {
                    let result = binding::write(&client, claims).await;
                    Done::Chosen { assigned, result, patience }
                }));
            }
            Outcome::Wait { pod, misfit, victims, nomination, outranked, preempts: _ } => {
                let message = misfit.to_string();
                tracing::debug!(pod = pod.full_name(), message, "no node will do");
                self.recorder.record(reference(&pod), Kind::Warning, "FailedScheduling", message.as_str());
                let promised = match &nomination {
                    Nomination::Stays => pod.nominated_node.as_deref(),
                    Nomination::Given(node) => Some(&**node),
                    Nomination::Void => None,
                };
                let is_said = pod.unschedulable_message.as_deref() == Some(message.as_str())
                    && pod.nominated_node.as_deref() == promised;
                if is_said && victims.is_none() {
                    return;
                }
                let recorder = self.recorder.clone();
                under_way.push(Box::pin(async move {
                    make_room(&client, &recorder, &pod, victims, outranked).await;
                    let now = Timestamp::now();
                    let reported = api::report_unschedulable(&client, &pod, &message, &nomination, now).await;
                    if let Err(error) = reported {
                        tracing::debug!(pod = pod.full_name(), error = %whole(&error), "cannot write the pod's condition");
                    }
                    Done::Reported
                }));
            }
        }
    }

    fn bind(&self, assigned: Assigned, under_way: &mut UnderWay) {
        let client = self.client.clone();
        metrics::point(
            &assigned.pod.scheduler_name,
            Point::PreBind,
            Status::Success,
            assigned.chosen.elapsed(),
        );
        under_way.push(Box::pin(async move {
            let began = Instant::now();
            let result = api::bind(&client, &assigned.pod, &assigned.node).await;
            let status = if result.is_ok() { Status::Success } else { Status::Error };
            metrics::point(&assigned.pod.scheduler_name, Point::Bind, status, began.elapsed());
            Done::Bound { assigned, result }
        }));
    }

    fn done(&self, done: Done, under_way: &mut UnderWay, waiting: &mut UnderWay) {
        match done {
            Done::Reported => {}
            Done::Chosen { assigned, result: Ok(claims), patience } => {
                let shared = self.shared.clone();
                waiting.push(Box::pin(async move {
                    let result = binding::wait(&shared, &assigned.pod.uid, &claims, patience).await;
                    Done::Claimed { assigned, result }
                }));
            }
            Done::Claimed { assigned, result: Some(Ok(())) } => self.bind(assigned, under_way),
            Done::Chosen { assigned, result: Err(why), .. }
            | Done::Claimed { assigned, result: Some(Err(why)) } => self.not_claimed(&assigned, &why),
            Done::Claimed { result: None, .. } => {}
            Done::Bound { assigned, result } => self.bound(&assigned, result),
        }
    }

    fn not_claimed(&self, assigned: &Assigned, why: &str) {
        let Assigned { pod, node, .. } = assigned;
        metrics::point(&pod.scheduler_name, Point::PreBind, Status::Error, assigned.chosen.elapsed());
        self.shared.core.lock().not_bound(&pod.uid, Instant::now());
        metrics::tried(&pod.scheduler_name, Ended::Failed, assigned.began.elapsed());
        tracing::warn!(
            pod = pod.full_name(),
            node = &**node,
            why,
            "the pod's claims were not bound, will try again"
        );
        let message = format!("running PreBind plugin \"VolumeBinding\": binding volumes: {why}");
        self.recorder.record(reference(pod), Kind::Warning, "FailedScheduling", message);
    }

    fn bound(&self, assigned: &Assigned, result: Result<(), kube::Error>) {
        let Assigned { pod, node, began, chosen: _, waited: (tries, since) } = assigned;
        match result {
            Ok(()) => {
                self.shared.core.lock().bound(&pod.uid);
                metrics::tried(&pod.scheduler_name, Ended::Scheduled, began.elapsed());
                metrics::scheduled(*tries, since.elapsed());
                tracing::info!(pod = pod.full_name(), node = &**node, took = ?began.elapsed(), "bound");
                let message = format!("Successfully assigned {} to {node}", pod.full_name());
                self.recorder.record(reference(pod), Kind::Normal, "Scheduled", message);
            }
            Err(error) => {
                let gone = matches!(&error, kube::Error::Api(status) if status.code == 404);
                let mut core = self.shared.core.lock();
                core.not_bound(&pod.uid, Instant::now());
                if gone {
                    // The watch tells of the deletion, perhaps later than this answer.
                    core.queue().remove(&pod.uid);
                    return;
                }
                drop(core);
                metrics::tried(&pod.scheduler_name, Ended::Failed, began.elapsed());
                tracing::warn!(pod = pod.full_name(), node = &**node, error = %whole(&error), "binding failed, will try again");
                self.recorder.record(
                    reference(pod),
                    Kind::Warning,
                    "FailedScheduling",
                    format!("binding rejected: {}", whole(&error)),
                );
            }
        }
    }
}

/// Removes the pods that must go for another, and takes back what was promised to others in its stead.
async fn make_room(
    client: &Client,
    recorder: &Recorder,
    pod: &Pod,
    victims: Option<Victims>,
    outranked: Vec<Arc<Pod>>,
) {
    let now = Timestamp::now();
    if let Some(victims) = &victims {
        for victim in victims.pods.iter().filter(|victim| !victim.deleting) {
            match api::evict(client, victim, &pod.scheduler_name, now).await {
                Ok(()) => {
                    let message = format!("Preempted by pod {} on node {}", pod.uid, victims.node);
                    recorder.record(reference(victim), Kind::Normal, "Preempted", message);
                }
                Err(error) => {
                    tracing::warn!(pod = victim.full_name(), error = %whole(&error), "cannot remove a pod for a higher one")
                }
            }
        }
    }
    for other in outranked {
        if let Err(error) = api::void_nomination(client, &other).await {
            tracing::warn!(pod = other.full_name(), error = %whole(&error), "cannot take back the promise of a node");
        }
    }
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: Some(pod.namespace.to_string()),
        name: Some(pod.name.to_string()),
        uid: Some(pod.uid.to_string()),
        ..ObjectReference::default()
    }
}
