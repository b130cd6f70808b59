//! What becomes of jobs and their pods, under upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::{
    Error, HistogramVec, IntCounterVec, exponential_buckets, histogram_opts, opts, register_histogram_vec,
    register_int_counter_vec,
};
use controller_runtime::objects::job::{Job, JobStatus};

struct Metrics {
    syncs: IntCounterVec,
    durations: HistogramVec,
    jobs: IntCounterVec,
    pods: IntCounterVec,
}

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(|| register().ok());

fn register() -> Result<Metrics, Error> {
    Ok(Metrics {
        syncs: register_int_counter_vec!(
            opts!("job_controller_job_syncs_total", "The number of job syncs"),
            &["completion_mode", "result", "action"]
        )?,
        durations: register_histogram_vec!(
            histogram_opts!(
                "job_controller_job_sync_duration_seconds",
                "The time it took to sync a job",
                exponential_buckets(0.004, 2.0, 15)?
            ),
            &["completion_mode", "result", "action"]
        )?,
        jobs: register_int_counter_vec!(
            opts!("job_controller_jobs_finished_total", "The number of finished jobs"),
            &["completion_mode", "result", "reason"]
        )?,
        pods: register_int_counter_vec!(
            opts!(
                "job_controller_job_pods_finished_total",
                "The number of finished Pods that are fully tracked"
            ),
            &["completion_mode", "result"]
        )?,
    })
}

/// What a sync did, under upstream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Pods were made.
    Created,
    /// Pods were removed.
    Deleted,
    /// Ended pods were counted.
    Tracked,
    /// None of these.
    Looked,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "pods_created",
            Self::Deleted => "pods_deleted",
            Self::Tracked => "tracking",
            Self::Looked => "reconciling",
        }
    }
}

fn mode(job: &Job) -> &'static str {
    if job.is_indexed() { "Indexed" } else { "NonIndexed" }
}

/// Notes a sync of a job.
pub fn synced(job: &Job, action: Action, well: bool, took: Duration) {
    let Some(metrics) = &*METRICS else { return };
    let labels = [mode(job), if well { "success" } else { "error" }, action.name()];
    metrics.syncs.with_label_values(&labels).inc();
    metrics.durations.with_label_values(&labels).observe(took.as_secs_f64());
}

/// Notes what a status that was written says more than the one before.
pub fn written(job: &Job, now: &JobStatus) {
    let Some(metrics) = &*METRICS else { return };
    let before = &job.status;
    for (result, more) in
        [("succeeded", now.succeeded - before.succeeded), ("failed", now.failed - before.failed)]
    {
        if let Ok(more) = u64::try_from(more)
            && more > 0
        {
            metrics.pods.with_label_values(&[mode(job), result]).inc_by(more);
        }
    }
    for (kind, result) in [("Complete", "succeeded"), ("Failed", "failed")] {
        let ended = |status: &JobStatus| {
            let conditions = status.conditions.iter();
            conditions.filter(|condition| condition.kind == kind && condition.status == "True").count() > 0
        };
        if ended(now) && !ended(before) {
            let condition = now.conditions.iter().find(|condition| condition.kind == kind);
            let reason = condition.map_or("", |condition| &condition.reason);
            metrics.jobs.with_label_values(&[mode(job), result, reason]).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_new_in_a_status_is_counted_once() {
        let job: Job = serde_json::from_value(json!({
            "metadata": {"name": "j"}, "spec": {"completionMode": "Indexed"}, "status": {"succeeded": 1}}))
        .unwrap();
        let now: JobStatus = serde_json::from_value(json!({"succeeded": 3, "failed": 1, "conditions": [
            {"type": "Complete", "status": "True", "reason": "CompletionsReached"}]}))
        .unwrap();
        written(&job, &now);
        written(&Job { status: now.clone(), ..job.clone() }, &now);
        synced(&job, Action::Tracked, true, Duration::from_millis(5));
        let text = String::from_utf8(component::metrics::text()).unwrap();
        for line in [
            "job_controller_job_pods_finished_total{completion_mode=\"Indexed\",result=\"succeeded\"} 2",
            "job_controller_job_pods_finished_total{completion_mode=\"Indexed\",result=\"failed\"} 1",
            "job_controller_jobs_finished_total{completion_mode=\"Indexed\",reason=\"CompletionsReached\",result=\"succeeded\"} 1",
            "job_controller_job_syncs_total{action=\"tracking\",completion_mode=\"Indexed\",result=\"success\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
