//! What to do about a job: which pods to create and delete, what to count, whether it has ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::objects::job::{Job, JobStatus};
use controller_runtime::objects::{Condition, Pod, find, is_true};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::policy::{Failure, judge, met};
use super::{FINALIZER, indexes};
use crate::pods::rank_for_deletion;

/// The most pods created or deleted in one go; upstream's value.
const BURST: usize = 500;
/// The first wait after a failure, and the longest; upstream's values.
const FIRST_WAIT: u64 = 10;
const LONGEST_WAIT: u64 = 600;
/// The label and annotation with a pod's completion index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The annotation with how often a pod's index had failed when the pod was made.
pub const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// The annotation with how many of these failures did not count.
pub const INDEX_IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// What is known of a job.
pub struct View<'a> {
    /// The job.
    pub job: &'a Job,
    /// Its pods.
    pub pods: &'a [Arc<Pod>],
    /// Whether earlier writes were seen, so that counting is safe.
    pub may_act: bool,
    /// The failures in a row so far.
    pub failures: Failures,
    /// The time.
    pub now: Timestamp,
}

/// The failures of a job's pods since one last succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub last: Option<Timestamp>,
}

impl Failures {
    /// Returns how long the next pod must still wait.
    fn wait(self, now: Timestamp) -> Option<Duration> {
        let exponent = self.count.checked_sub(1)?;
        let wait = FIRST_WAIT.saturating_mul(1 << exponent.min(16)).min(LONGEST_WAIT);
        let elapsed = Duration::try_from(now.duration_since(self.last?)).unwrap_or_default();
        Duration::from_secs(wait).checked_sub(elapsed).filter(|left| !left.is_zero())
    }
}

/// A pod to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPod {
    /// Its completion index.
    pub index: Option<i32>,
    /// How often the index has failed, and how many of that did not count; with a limit for each index only.
    pub failures: Option<(i32, i32)>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Decision {
    /// Pods to create.
    pub create: Vec<NewPod>,
    /// Pods to delete.
    pub delete: Vec<Arc<Pod>>,
    /// Pods that lose their finalizer once the status is written.
    pub release: Vec<Arc<Pod>>,
    /// The status to write.
    pub status: JobStatus,
    /// The failures in a row once the status is written.
    pub failures: Failures,
    /// Events: whether a warning, reason, message.
    pub events: Vec<(bool, String, String)>,
    /// When to look again without a change.
    pub look_again: Option<Duration>,
}

/// Decides.
pub fn decide(view: &View<'_>) -> Decision {
    let job = view.job;
    let mut decision =
        Decision { status: job.status.clone(), failures: view.failures, ..Decision::default() };
    if job.is_finished() {
        decision.release = view.pods.iter().filter(|pod| is_tracked(pod)).cloned().collect();
        return decision;
    }
    let tally = count(view, &mut decision);
    let active: Vec<Arc<Pod>> = view.pods.iter().filter(|pod| pod.is_active()).cloned().collect();
    let terminating = view.pods.iter().filter(|pod| pod.is_terminating()).count();
    note_start(view, &mut decision);
    let target = target(view, &tally, active.len(), &mut decision);
    let mut left_active = active.len();
    if target {
        decision.delete = active.clone();
        left_active = 0;
    } else if !job.metadata.is_deleting() {
        note_suspension(view, &mut decision);
        if view.may_act {
            manage(view, &tally, active.clone(), terminating, &mut decision);
            left_active = left_active + decision.create.len() - decision.delete.len();
        }
    }
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    decision.status.active = number(left_active);
    // A status never tells of more ready pods than active ones, so that those on their way out are neither.
    let stays = |pod: &Arc<Pod>| !decision.delete.iter().any(|gone| Arc::ptr_eq(gone, pod));
    let ready = active.iter().filter(|pod| pod.is_ready() && stays(pod)).count();
    decision.status.ready = Some(number(ready));
    let ending = active.len().saturating_sub(left_active) * usize::from(target);
    decision.status.terminating = Some(number(terminating + ending));
    finish(view, active.len() + terminating, &tally, &mut decision);
    decision
}

/// What has ended so far.
struct Tally {
    succeeded: i32,
    failed: i32,
    completed_indexes: BTreeSet<i32>,
    failed_indexes: BTreeSet<i32>,
    /// The last failed pod of each index, kept until its replacement has taken over the count.
    last_failed: BTreeMap<i32, Arc<Pod>>,
    /// Why the failure of a pod fails the job.
    fails_job: Option<String>,
    /// Whether something is still to be counted.
    pending: bool,
}

fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
}

fn index_of(pod: &Pod) -> Option<i32> {
    pod.metadata.annotations.get(INDEX)?.parse().ok().filter(|index| *index >= 0)
}

/// How often a pod's index had failed before it.
fn index_failures(pod: &Pod) -> (i32, i32) {
    let number =
        |name: &str| pod.metadata.annotations.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    (number(INDEX_FAILURES), number(INDEX_IGNORED))
}

/// A pod on its way out has failed too, unless it is only replaced after its end.
fn has_failed(job: &Job, pod: &Pod) -> bool {
    pod.status.phase == "Failed"
        || (job.spec.pod_replacement_policy != "Failed"
            && pod.metadata.is_deleting()
            && pod.status.phase != "Succeeded")
}

/// Moves pods through the three steps of counting: ended → uncounted (with the status) → without finalizer → counted.
fn count(view: &View<'_>, decision: &mut Decision) -> Tally {
    let job = view.job;
    let status = &mut decision.status;
    let completions = job.spec.completions.unwrap_or(i32::MAX);
    let tracked: HashMap<&str, &Arc<Pod>> = {
        let tracked = view.pods.iter().filter(|pod| is_tracked(pod));
        tracked.map(|pod| (&*pod.metadata.uid, pod)).collect()
    };
    let mut released: HashSet<String> = HashSet::new();
    let mut settle = |uids: &mut Vec<String>, counted: &mut i32| {
        uids.retain(|uid| match tracked.get(&**uid) {
            Some(pod) => {
                released.insert(uid.clone());
                decision.release.push(Arc::clone(pod));
                true
            }
            None => {
                *counted += 1;
                false
            }
        });
    };
    settle(&mut status.uncounted_terminated_pods.succeeded, &mut status.succeeded);
    settle(&mut status.uncounted_terminated_pods.failed, &mut status.failed);
    let mut tally = Tally {
        succeeded: 0,
        failed: 0,
        completed_indexes: indexes::parse(&status.completed_indexes, completions),
        failed_indexes: indexes::parse(status.failed_indexes.as_deref().unwrap_or_default(), completions),
        last_failed: BTreeMap::new(),
        fails_job: None,
        pending: false,
    };
    let mut ended: Vec<&Arc<Pod>> =
        tracked.into_values().filter(|pod| !released.contains(&pod.metadata.uid)).collect();
    ended.retain(|pod| pod.status.phase == "Succeeded" || has_failed(job, pod));
    ended.sort_by_key(|pod| (ended_at(pod, view.now), pod.metadata.name.clone()));
    let mut delayed = 0;
    for pod in ended {
        if pod.status.phase == "Succeeded" {
            decision.failures = Failures::default();
            if job.is_indexed() {
                // The index is enough to tell that it was counted.
                let index = index_of(pod).filter(|index| *index < completions);
                if let Some(index) = index.filter(|index| !tally.failed_indexes.contains(index)) {
                    tally.completed_indexes.insert(index);
                }
                decision.release.push(Arc::clone(pod));
            } else {
                status.uncounted_terminated_pods.succeeded.push(pod.metadata.uid.clone());
                decision.release.push(Arc::clone(pod));
            }
            continue;
        }
        let failure = judge(job.spec.pod_failure_policy.as_ref(), pod);
        if let Failure::FailsJob(message) = &failure {
            tally.fails_job.get_or_insert_with(|| message.clone());
        }
        let ignored = failure == Failure::Ignored;
        if !ignored {
            let last = ended_at(pod, view.now);
            decision.failures.count = decision.failures.count.saturating_add(1);
            decision.failures.last = decision.failures.last.max(Some(last));
        }
        let index = index_of(pod).filter(|index| *index < completions);
        if let (Some(limit), Some(index)) = (job.spec.backoff_limit_per_index, index) {
            let (failures, _) = index_failures(pod);
            let has_failed = failure == Failure::FailsIndex || (!ignored && failures + 1 > limit);
            if has_failed && !tally.completed_indexes.contains(&index) {
                tally.failed_indexes.insert(index);
            } else if !has_failed
                && !tally.completed_indexes.contains(&index)
                && !is_replaced(view, index, pod)
            {
                tally.last_failed.insert(index, Arc::clone(pod));
                delayed += i32::from(!ignored);
                // The failures of an index are its own: they do not hold up the others.
                decision.failures.count = decision.failures.count.saturating_sub(u32::from(!ignored));
                continue;
            }
        }
        if !ignored {
            status.uncounted_terminated_pods.failed.push(pod.metadata.uid.clone());
        }
        decision.release.push(Arc::clone(pod));
    }
    if job.spec.backoff_limit_per_index.is_some() {
        decision.failures = Failures::default();
        status.failed_indexes = Some(indexes::format(&tally.failed_indexes));
    }
    let uncounted = &status.uncounted_terminated_pods;
    let length = |uids: &[String]| i32::try_from(uids.len()).unwrap_or(i32::MAX);
    tally.pending = !uncounted.succeeded.is_empty() || !uncounted.failed.is_empty();
    tally.failed = status.failed + length(&uncounted.failed) + delayed;
    tally.succeeded = if job.is_indexed() {
        status.completed_indexes = indexes::format(&tally.completed_indexes);
        status.succeeded = i32::try_from(tally.completed_indexes.len()).unwrap_or(i32::MAX);
        status.succeeded
    } else {
        status.succeeded + length(&uncounted.succeeded)
    };
    tally
}

/// Tells whether a younger pod of the same index knows of this one's failure.
fn is_replaced(view: &View<'_>, index: i32, failed: &Pod) -> bool {
    let (failures, _) = index_failures(failed);
    view.pods.iter().any(|pod| {
        pod.metadata.uid != failed.metadata.uid && index_of(pod) == Some(index) && {
            let (later, ignored) = index_failures(pod);
            later + ignored > failures + index_failures(failed).1
        }
    })
}

fn ended_at(pod: &Pod, now: Timestamp) -> Timestamp {
    let ends = pod
        .status
        .container_statuses
        .iter()
        .filter_map(|status| status.state.terminated.as_ref()?.finished_at.as_ref().map(|time| time.0));
    ends.max()
        .or_else(|| pod.metadata.deletion_timestamp.as_ref().map(|time| time.0))
        .map_or(now, |time| time.min(now))
}

fn note_start(view: &View<'_>, decision: &mut Decision) {
    let status = &mut decision.status;
    if view.job.spec.suspend {
        // A suspended job has not begun: its deadline counts from its resumption.
        status.start_time = None;
    } else if status.start_time.is_none() {
        status.start_time = Some(Time(view.now));
    }
    if let (Some(start), Some(deadline), false) =
        (&status.start_time, view.job.spec.active_deadline_seconds, view.job.spec.suspend)
    {
        let left = start.0.as_second() + deadline - view.now.as_second();
        let left = u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_secs);
        decision.look_again = left;
    }
}

/// Tells whether the end is decided, and notes it: it is carried out once no pod is left.
fn target(view: &View<'_>, tally: &Tally, active: usize, decision: &mut Decision) -> bool {
    let conditions = &decision.status.conditions;
    if is_true(conditions, "FailureTarget") || is_true(conditions, "SuccessCriteriaMet") {
        return true;
    }
    let Some((kind, reason, message)) = judge_end(view, tally, active, &decision.status) else {
        return false;
    };
    decision.status.conditions.push(condition(kind, reason, message, view.now));
    true
}

fn judge_end(
    view: &View<'_>,
    tally: &Tally,
    active: usize,
    status: &JobStatus,
) -> Option<(&'static str, &'static str, String)> {
    let job = view.job;
    let limit = job.spec.backoff_limit.unwrap_or(6);
    let failed = |reason, message: &str| Some(("FailureTarget", reason, message.to_owned()));
    if let Some(message) = &tally.fails_job {
        return failed("PodFailurePolicy", message);
    }
    if tally.failed > limit || restarted_too_often(view, limit) {
        return failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    if let (Some(start), Some(deadline), false) =
        (&status.start_time, job.spec.active_deadline_seconds, job.spec.suspend)
        && view.now.as_second() - start.0.as_second() >= deadline
    {
        return failed("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    let completions = job.spec.completions.unwrap_or(i32::MAX);
    if job.spec.backoff_limit_per_index.is_some() {
        let failed_indexes = i32::try_from(tally.failed_indexes.len()).unwrap_or(i32::MAX);
        if job.spec.max_failed_indexes.is_some_and(|most| failed_indexes > most) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            return failed("MaxFailedIndexesExceeded", message);
        }
        if failed_indexes > 0 && failed_indexes + tally.succeeded >= completions {
            return failed("FailedIndexes", "Job has failed indexes");
        }
    }
    if let Some(rule) = met(job.spec.success_policy.as_ref(), &tally.completed_indexes, completions) {
        return Some(("SuccessCriteriaMet", "SuccessPolicy", format!("Matched rules at index {rule}")));
    }
    let complete = match job.spec.completions {
        None => tally.succeeded > 0 && active == 0,
        Some(completions) => tally.succeeded >= completions && active == 0,
    };
    let message = "Reached expected number of succeeded pods".to_owned();
    complete.then_some(("SuccessCriteriaMet", "CompletionsReached", message))
}

/// Containers that are started again in place count as failures too.
fn restarted_too_often(view: &View<'_>, limit: i32) -> bool {
    let template = view.job.spec.template.value();
    if template["spec"]["restartPolicy"] != "OnFailure" {
        return false;
    }
    let pods = view.pods.iter().filter(|pod| matches!(&*pod.status.phase, "Running" | "Pending"));
    let statuses =
        pods.flat_map(|pod| pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses));
    let restarts: i32 = statuses.map(|status| status.restart_count).fold(0, i32::saturating_add);
    if limit == 0 { restarts > 0 } else { restarts >= limit }
}

fn condition(kind: &str, reason: &str, message: String, now: Timestamp) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message,
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
        ..Condition::default()
    }
}

fn note_suspension(view: &View<'_>, decision: &mut Decision) {
    let suspended = is_true(&decision.status.conditions, "Suspended");
    if suspended == view.job.spec.suspend {
        return;
    }
    let conditions = &mut decision.status.conditions;
    let known = find(conditions, "Suspended").is_some();
    conditions.retain(|condition| condition.kind != "Suspended");
    if view.job.spec.suspend {
        conditions.push(condition("Suspended", "JobSuspended", "Job suspended".to_owned(), view.now));
        decision.events.push((false, "Suspended".to_owned(), "Job suspended".to_owned()));
    } else if known {
        let mut resumed = condition("Suspended", "JobResumed", "Job resumed".to_owned(), view.now);
        resumed.status = "False".to_owned();
        conditions.push(resumed);
        decision.events.push((false, "Resumed".to_owned(), "Job resumed".to_owned()));
    }
}

fn manage(
    view: &View<'_>,
    tally: &Tally,
    mut active: Vec<Arc<Pod>>,
    terminating: usize,
    decision: &mut Decision,
) {
    let job = view.job;
    let parallelism = usize::try_from(job.spec.parallelism.unwrap_or(1)).unwrap_or(0);
    if job.spec.suspend {
        decision.delete = active;
        return;
    }
    let failed_indexes = i32::try_from(tally.failed_indexes.len()).unwrap_or(i32::MAX);
    let wanted = match job.spec.completions {
        None if tally.succeeded > 0 => active.len(),
        None => parallelism,
        Some(completions) => {
            let left = completions.saturating_sub(tally.succeeded).saturating_sub(failed_indexes);
            usize::try_from(left).unwrap_or(0).min(parallelism)
        }
    };
    if job.is_indexed() {
        decision.delete = superfluous(tally, &mut active, job.spec.completions.unwrap_or(i32::MAX));
    }
    if active.len() > wanted {
        let surplus = (active.len() - wanted).min(BURST);
        rank_for_deletion(&mut active, &HashMap::new(), view.now);
        decision.delete.extend(active.drain(..surplus));
        return;
    }
    let held = if job.spec.pod_replacement_policy == "Failed" { terminating } else { 0 };
    let missing = wanted.saturating_sub(active.len() + held).min(BURST);
    if missing == 0 {
        return;
    }
    if let Some(wait) = decision.failures.wait(view.now) {
        decision.look_again = Some(decision.look_again.map_or(wait, |other| other.min(wait)));
        return;
    }
    decision.create = if job.is_indexed() {
        pending_indexes(view, tally, &active, missing, decision)
    } else {
        vec![NewPod::default(); missing]
    };
}

/// Takes out active pods whose index is done, failed or taken by another pod.
fn superfluous(tally: &Tally, active: &mut Vec<Arc<Pod>>, completions: i32) -> Vec<Arc<Pod>> {
    active.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let mut taken = BTreeSet::new();
    let (kept, superfluous) = active.drain(..).partition(|pod: &Arc<Pod>| {
        index_of(pod).is_some_and(|index| {
            index < completions
                && !tally.completed_indexes.contains(&index)
                && !tally.failed_indexes.contains(&index)
                && taken.insert(index)
        })
    });
    *active = kept;
    superfluous
}

/// Returns pods for the lowest indexes that have none.
fn pending_indexes(
    view: &View<'_>,
    tally: &Tally,
    active: &[Arc<Pod>],
    missing: usize,
    decision: &mut Decision,
) -> Vec<NewPod> {
    let mut taken: BTreeSet<i32> = active.iter().filter_map(|pod| index_of(pod)).collect();
    if view.job.spec.pod_replacement_policy == "Failed" {
        taken.extend(view.pods.iter().filter(|pod| pod.is_terminating()).filter_map(|pod| index_of(pod)));
    }
    let mut create = Vec::new();
    let all = 0..view.job.spec.completions.unwrap_or(0);
    let free = all.filter(|index| {
        !taken.contains(index)
            && !tally.completed_indexes.contains(index)
            && !tally.failed_indexes.contains(index)
    });
    for index in free {
        if create.len() == missing {
            break;
        }
        let failures = view.job.spec.backoff_limit_per_index.map(|_| match tally.last_failed.get(&index) {
            None => (0, 0),
            Some(pod) => {
                let (failures, ignored) = index_failures(pod);
                let is_ignored = judge(view.job.spec.pod_failure_policy.as_ref(), pod) == Failure::Ignored;
                (failures + i32::from(!is_ignored), ignored + i32::from(is_ignored))
            }
        });
        if let (Some((count, _)), Some(pod)) = (failures, tally.last_failed.get(&index)) {
            let own =
                Failures { count: u32::try_from(count).unwrap_or(0), last: Some(ended_at(pod, view.now)) };
            if let Some(wait) = own.wait(view.now) {
                decision.look_again = Some(decision.look_again.map_or(wait, |other| other.min(wait)));
                continue;
            }
        }
        create.push(NewPod { index: Some(index), failures });
    }
    create
}

/// Ends the job once its end is decided, no pod is left and all are counted.
fn finish(view: &View<'_>, left: usize, tally: &Tally, decision: &mut Decision) {
    if left > 0 || tally.pending {
        return;
    }
    let conditions = &mut decision.status.conditions;
    let decided = |kind: &str| find(conditions, kind).filter(|condition| condition.status == "True").cloned();
    let (kind, target) = match (decided("FailureTarget"), decided("SuccessCriteriaMet")) {
        (Some(target), _) => ("Failed", target),
        (None, Some(target)) => ("Complete", target),
        (None, None) => return,
    };
    conditions.push(condition(kind, &target.reason, target.message.clone(), view.now));
    // What has ended has begun, even where it never came to a pod.
    decision.status.start_time.get_or_insert(Time(view.now));
    if kind == "Complete" {
        decision.status.completion_time = Some(Time(view.now));
        decision.events.push((false, "Completed".to_owned(), "Job completed".to_owned()));
    } else {
        decision.events.push((true, target.reason, target.message));
    }
    decision.look_again = None;
}
