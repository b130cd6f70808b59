//! Jobs.
//!
//! Keeps true: as many pods run as are still needed, until enough have succeeded or too many failed; each pod is
//! counted exactly once, by its finalizer.
//! Woken by: changes of jobs and their pods; time, for deadlines and waits after failures.
//! Reads: jobs, pods. Writes: pods, their finalizers and owner references, the job's status.
//! Gives up when: the job has ended, or someone else manages it (`spec.managedBy`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Error, Patch};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::Pod;
use controller_runtime::objects::job::{Job, JobStatus};
use controller_runtime::ownership::{
    BY_CONTROLLER, candidates, controller_key, controller_reference, index_by_controller, owners_of_change,
    settle,
};
use informer::{Change, Expectations, Key, Object, Outcome, Store, WorkQueue, run_workers};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::pod_control::{PodControl, observe};
use decision::{Decision, Failures, View, decide};

mod decision;
mod indexes;
mod metrics;
mod new_pod;
mod policy;

pub use indexes::parse as completed_indexes;
#[cfg(test)]
mod tests;

/// Keeps a pod until it is counted.
const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// The value of `spec.managedBy` that means this controller.
const MANAGER: &str = "kubernetes.io/job-controller";

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    /// A job.
    Job(Key),
    /// A pod with the finalizer but without a job.
    Orphan(Key),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Job(key) => write!(f, "{key}"),
            Work::Orphan(key) => write!(f, "pod {key} without a job"),
        }
    }
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.jobs;
    let shell = Arc::new(Shell {
        jobs: context.stores.of(),
        pods: context.stores.of(),
        queue: WorkQueue::new("job"),
        expectations: Expectations::new(),
        failures: Mutex::default(),
        context,
    });
    index_by_controller(&shell.pods);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_job = Arc::clone(&shell);
    shell.jobs.on_change(move |change| {
        let job = change.object();
        on_job.queue.add(Work::Job(job.key()));
        if let Change::Deleted(job) = change {
            for pod in on_job.pods.by_index(BY_CONTROLLER, &job.metadata.uid) {
                on_job.queue.add(Work::Orphan(pod.key()));
            }
        }
    });
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| on_pod.pod_changed(change));
    Some(Box::pin(async move {
        shell.jobs.ready().await;
        shell.pods.ready().await;
        run_workers("job", &shell.queue, workers, |work| shell.reconcile(work)).await;
    }))
}

struct Shell {
    context: Context,
    jobs: Store<Job>,
    pods: Store<Pod>,
    queue: WorkQueue<Work>,
    expectations: Expectations,
    /// Failures in a row, by job.
    failures: Mutex<HashMap<Key, Failures>>,
}

fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
}

impl Shell {
    fn pod_changed(&self, change: &Change<'_, Pod>) {
        observe::<Job>(&self.expectations, change);
        for key in owners_of_change(&self.jobs, change) {
            self.queue.add(Work::Job(key));
        }
        if let Change::Applied { new, .. } = change
            && is_tracked(new)
            && !self.has_job(new)
        {
            self.queue.add(Work::Orphan(new.key()));
        }
    }

    fn has_job(&self, pod: &Pod) -> bool {
        let Some(reference) = pod.metadata.controller() else { return false };
        let job = controller_key::<Job, _>(pod).and_then(|key| self.jobs.get(key.as_str()));
        job.is_some_and(|job| job.metadata.uid == reference.uid)
    }

    async fn reconcile(&self, work: Work) -> Result<Outcome, Error> {
        let key = match work {
            Work::Job(key) => key,
            Work::Orphan(key) => {
                let pod = self.pods.get(key.as_str());
                if let Some(pod) = pod.filter(|pod| is_tracked(pod) && !self.has_job(pod)) {
                    self.release(&pod).await?;
                }
                return Ok(Outcome::Done);
            }
        };
        let Some(job) = self.jobs.get(key.as_str()) else {
            self.expectations.forget(&key);
            self.failures.lock().remove(&key);
            return Ok(Outcome::Done);
        };
        if job.spec.managed_by.as_ref().is_some_and(|manager| manager != MANAGER) {
            return Ok(Outcome::Done);
        }
        let may_act = self.expectations.satisfied(&key) && !job.metadata.is_deleting();
        let candidates = candidates(&self.pods, &job.metadata);
        let pods = settle(&self.context.api, &*job, &job.spec.selector, candidates).await?;
        let failures = self.failures.lock().get(&key).copied().unwrap_or_default();
        let decision = decide(&View { job: &job, pods: &pods, may_act, failures, now: now() });
        let action = match &decision {
            Decision { create, .. } if !create.is_empty() => metrics::Action::Created,
            Decision { delete, .. } if !delete.is_empty() => metrics::Action::Deleted,
            Decision { release, .. } if !release.is_empty() => metrics::Action::Tracked,
            _ => metrics::Action::Looked,
        };
        let begun = Instant::now();
        let outcome = self.carry_out(&key, &job, decision).await;
        metrics::synced(&job, action, outcome.is_ok(), begun.elapsed());
        match outcome {
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            other => other,
        }
    }

    async fn carry_out(&self, key: &Key, job: &Job, mut decision: Decision) -> Result<Outcome, Error> {
        let control =
            PodControl { context: &self.context, expectations: &self.expectations, key, owner: job };
        let deleted = control.delete(&decision.delete).await;
        let (template, owner) = (job.spec.template.value(), controller_reference(job));
        let wanted = &decision.create;
        let make = |number: usize| new_pod::object(job, &template, &owner, &wanted[number]);
        let made = control.create(wanted.len(), make).await;
        decision.status.active -= i32::try_from(wanted.len() - made.count).unwrap_or(0);
        if decision.status != job.status {
            self.context.api.update_status(job, &wire(&decision.status)).await?;
            metrics::written(job, &decision.status);
            for (is_warning, reason, message) in decision.events {
                if is_warning {
                    self.context.warning(job, &reason, message);
                } else {
                    self.context.normal(job, &reason, message);
                }
            }
        }
        // Only now: a pod that fails to be counted is seen as new again and must count once.
        self.failures.lock().insert(key.clone(), decision.failures);
        let releases = decision.release.iter().map(|pod| self.release(pod));
        for released in futures::future::join_all(releases).await {
            released?;
        }
        deleted?;
        made.error.map_or(Ok(()), Err)?;
        Ok(decision.look_again.map_or(Outcome::Done, Outcome::After))
    }

    /// Takes the finalizer away.
    async fn release(&self, pod: &Pod) -> Result<(), Error> {
        let patch = json!({"metadata": {
            "uid": pod.metadata.uid, "$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
        match self.context.api.patch(&path_of(pod), Patch::Strategic, &patch).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() && !error.is_invalid() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns the status as it is sent: what is zero or empty is left out.
fn wire(status: &JobStatus) -> Value {
    let unless_zero = |number: i32| if number == 0 { Value::Null } else { number.into() };
    let unless_empty = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "conditions": if status.conditions.is_empty() { Value::Null } else { json!(status.conditions) },
        "startTime": status.start_time,
        "completionTime": status.completion_time,
        "active": unless_zero(status.active),
        "succeeded": unless_zero(status.succeeded),
        "failed": unless_zero(status.failed),
        "terminating": status.terminating,
        "ready": status.ready,
        "completedIndexes": unless_empty(&status.completed_indexes),
        "failedIndexes": status.failed_indexes,
        "uncountedTerminatedPods": status.uncounted_terminated_pods,
    })
}
