//! Jobs that go after their time.
//!
//! Keeps true: a job with `ttlSecondsAfterFinished` goes so long after its end.
//! Woken by: changes of jobs; time, at the end of the wait.
//! Reads: jobs. Writes: deletes jobs, their pods first.
//! Gives up when: the time is taken back before it is over.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use component::metrics::{Histogram, exponential_buckets, histogram_opts, register_histogram};
use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Delete, Error, Propagation};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::job::Job;
use informer::{Key, Object, Outcome, Store, WorkQueue, run_workers};
use jiff::Timestamp;

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.ttl_after_finished;
    let jobs: Store<Job> = context.stores.of();
    let queue = WorkQueue::new("ttl_jobs_to_delete");
    context.stores.close_at_shutdown(&queue);
    let on_job = queue.clone();
    jobs.on_change(move |change| {
        if wait(change.object(), now()).is_some() {
            on_job.add(change.object().key());
        }
    });
    let shell = Arc::new((context, jobs));
    Some(Box::pin(async move {
        shell.1.ready().await;
        run_workers("ttl-after-finished", &queue, workers, |key| reconcile(&shell.0, &shell.1, key)).await;
    }))
}

async fn reconcile(context: &Context, jobs: &Store<Job>, key: Key) -> Result<Outcome, Error> {
    let Some(job) = jobs.get(key.as_str()) else { return Ok(Outcome::Done) };
    match wait(&job, now()) {
        None => return Ok(Outcome::Done),
        Some(left) if !left.is_zero() => return Ok(Outcome::After(left)),
        Some(_) => {}
    }
    let delete = Delete {
        uid: Some(&job.metadata.uid),
        // The time may have been changed since: then this version is gone and the next one is looked at.
        resource_version: Some(&job.metadata.resource_version),
        propagation: Some(Propagation::Foreground),
        ..Delete::default()
    };
    match context.api.delete(&path_of(&*job), delete).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        Err(_) => Ok(Outcome::Done),
        Ok(_) => {
            deleted(&job, now());
            Ok(Outcome::Done)
        }
    }
}

/// `None` if the registry refused it, which a second registry in one process may.
static LATE: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    let options = histogram_opts!(
        "ttl_after_finished_controller_job_deletion_duration_seconds",
        "The time it took to delete the job since it became eligible for deletion",
        exponential_buckets(0.1, 2.0, 14).ok()?
    );
    register_histogram!(options).ok()
});

/// Notes how long after its time a job went.
fn deleted(job: &Job, now: Timestamp) {
    let (Some(late), Some(due)) = (&*LATE, due(job)) else { return };
    late.observe(now.duration_since(due).as_secs_f64().max(0.0));
}

/// When a job's time is over.
fn due(job: &Job) -> Option<Timestamp> {
    let ttl = job.spec.ttl_seconds_after_finished?;
    let ended = job.end()?.last_transition_time.as_ref()?.0;
    Timestamp::from_second(ended.as_second().checked_add(ttl)?).ok()
}

/// Returns how long a job is still kept; `None` if for ever, or as long as it runs.
fn wait(job: &Job, now: Timestamp) -> Option<Duration> {
    let ttl = job.spec.ttl_seconds_after_finished?;
    if job.metadata.is_deleting() {
        return None;
    }
    let ended = job.end()?.last_transition_time.as_ref()?.0;
    let left = ended.as_second() + ttl - now.as_second();
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn how_late_a_job_goes_is_told() {
        let job: Job = serde_json::from_value(json!({
            "spec": {"ttlSecondsAfterFinished": 10},
            "status": {"conditions":
                [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        }))
        .unwrap();
        deleted(&job, "2026-01-01T00:00:13Z".parse().unwrap());
        let text = String::from_utf8(component::metrics::text()).unwrap();
        let series = "ttl_after_finished_controller_job_deletion_duration_seconds_sum 3\n";
        assert!(text.contains(series), "{text}");
    }

    #[test]
    fn only_jobs_that_have_ended_and_have_a_time_go() {
        let ended =
            json!([{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let left = |ttl: Value, conditions: Value| {
            let job = json!({"spec": {"ttlSecondsAfterFinished": ttl}, "status": {"conditions": conditions}});
            let job: Job = serde_json::from_value(job).unwrap();
            wait(&job, "2026-01-01T00:01:00Z".parse().unwrap()).map(|left| left.as_secs())
        };
        assert_eq!(left(json!(100), ended.clone()), Some(40));
        assert_eq!(left(json!(10), ended.clone()), Some(0));
        assert_eq!(left(Value::Null, ended), None);
        assert_eq!(left(json!(10), json!([])), None);
    }
}
