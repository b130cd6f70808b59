//! Cron jobs.
//!
//! Keeps true: a job is started for each time of the schedule, as the concurrency policy allows; old ones are removed.
//! Woken by: changes of cron jobs and their jobs; time, at the next time of the schedule.
//! Reads: cron jobs, jobs. Writes: jobs, the status.
//! Gives up when: the schedule or its time zone cannot be read, which an event says; a time missed by more than
//! `startingDeadlineSeconds` is not made up for.

use std::sync::Arc;

use component::cause::whole;
use controller_runtime::Running;
use controller_runtime::api::path::{path_of, resource_path};
use controller_runtime::api::{Delete, Error, Propagation};
use controller_runtime::context::{Context, now, reference};
use controller_runtime::objects::Resource;
use controller_runtime::objects::cron_job::{CronJob, CronJobStatus};
use controller_runtime::objects::job::Job;
use controller_runtime::ownership::{
    BY_CONTROLLER, controller_key, controller_reference, index_by_controller,
};
use informer::{Change, Key, Object, Outcome, Store, WorkQueue, run_workers};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

mod decision;
mod metrics;
mod schedule;

pub use schedule::Schedule;

/// The annotation with the time for which a job was started.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.cron_jobs;
    let shell = Arc::new(Shell {
        cron_jobs: context.stores.of(),
        jobs: context.stores.of(),
        queue: WorkQueue::new("cronjob"),
        context,
    });
    index_by_controller(&shell.jobs);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_cron_job = Arc::clone(&shell);
    shell.cron_jobs.on_change(move |change| on_cron_job.queue.add(change.object().key()));
    let on_job = Arc::clone(&shell);
    shell.jobs.on_change(move |change: &Change<'_, Job>| {
        controller_key::<CronJob, _>(&**change.object()).into_iter().for_each(|key| on_job.queue.add(key));
    });
    Some(Box::pin(async move {
        shell.cron_jobs.ready().await;
        shell.jobs.ready().await;
        run_workers("cronjob", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    cron_jobs: Store<CronJob>,
    jobs: Store<Job>,
    queue: WorkQueue<Key>,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(cron_job) = self.cron_jobs.get(key.as_str()) else { return Ok(Outcome::Done) };
        match self.sync(&cron_job).await {
            Err(error) if error.is_not_found() || error.is_namespace_terminating() => Ok(Outcome::Done),
            other => other,
        }
    }

    async fn sync(&self, cron_job: &CronJob) -> Result<Outcome, Error> {
        let mut jobs = self.jobs.by_index(BY_CONTROLLER, &cron_job.metadata.uid);
        jobs.sort_by_key(|job| job.metadata.creation_timestamp.as_ref().map(|time| time.0));
        let mut status = self.settle_active(cron_job, &jobs).await?;
        if cron_job.metadata.is_deleting() {
            return self.write(cron_job, &status).await.map(|()| Outcome::Done);
        }
        self.remove_old(cron_job, &jobs).await?;
        let again =
            if cron_job.spec.suspend { None } else { self.schedule(cron_job, &jobs, &mut status).await? };
        self.write(cron_job, &status).await?;
        Ok(again.map_or(Outcome::Done, Outcome::After))
    }

    async fn write(&self, cron_job: &CronJob, status: &CronJobStatus) -> Result<(), Error> {
        if *status == cron_job.status {
            return Ok(());
        }
        let active = if status.active.is_empty() { Value::Null } else { json!(status.active) };
        let wire = json!({
            "active": active,
            "lastScheduleTime": status.last_schedule_time,
            "lastSuccessfulTime": status.last_successful_time,
        });
        self.context.api.update_status(cron_job, &wire).await
    }

    /// Takes jobs that have ended or are gone out of the list of active ones, and strangers into it.
    async fn settle_active(&self, cron_job: &CronJob, jobs: &[Arc<Job>]) -> Result<CronJobStatus, Error> {
        let mut status = cron_job.status.clone();
        let listed = |status: &CronJobStatus, job: &Job| {
            status.active.iter().any(|one| one.uid.as_ref() == Some(&job.metadata.uid))
        };
        for job in jobs {
            let name = &job.metadata.name;
            match job.end() {
                Some(end) => {
                    if listed(&status, job) {
                        status.active.retain(|one| one.uid.as_ref() != Some(&job.metadata.uid));
                        let message = format!("Saw completed job: {name}, condition: {}", end.kind);
                        self.context.normal(cron_job, "SawCompletedJob", message);
                    }
                    let completed = job.status.completion_time.clone().filter(|_| end.kind == "Complete");
                    if completed > status.last_successful_time {
                        status.last_successful_time = completed;
                    }
                }
                None if !listed(&status, job) => {
                    // Started by an earlier pass whose status was not written.
                    let is_known = jobs_are_named_by_time(cron_job, job);
                    if !is_known {
                        let message =
                            format!("Saw a job that the controller did not create or forgot: {name}");
                        self.context.warning(cron_job, "UnexpectedJob", message);
                    } else {
                        status.active.push(reference(&**job));
                    }
                }
                None => {}
            }
        }
        let mut kept = Vec::new();
        for one in std::mem::take(&mut status.active) {
            let known = jobs.iter().any(|job| one.uid.as_ref() == Some(&job.metadata.uid));
            if known || self.lives(cron_job, one.name.as_deref().unwrap_or_default()).await? {
                kept.push(one);
            } else {
                let name = one.name.unwrap_or_default();
                self.context.normal(cron_job, "MissingJob", format!("Active job went missing: {name}"));
            }
        }
        status.active = kept;
        Ok(status)
    }

    /// Tells whether a job exists that the store may not have seen yet.
    async fn lives(&self, cron_job: &CronJob, name: &str) -> Result<bool, Error> {
        let path = format!("{}/{name}", resource_path::<Job>(&cron_job.metadata.namespace));
        match self.context.api.get_metadata(&path).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove_old(&self, cron_job: &CronJob, jobs: &[Arc<Job>]) -> Result<(), Error> {
        let limits = [
            ("Complete", cron_job.spec.successful_jobs_history_limit.unwrap_or(3)),
            ("Failed", cron_job.spec.failed_jobs_history_limit.unwrap_or(1)),
        ];
        for (kind, limit) in limits {
            let ended: Vec<_> =
                jobs.iter().filter(|job| job.end().is_some_and(|end| end.kind == kind)).collect();
            for job in ended.iter().take(ended.len().saturating_sub(limit)) {
                self.delete(cron_job, job).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, cron_job: &CronJob, job: &Job) -> Result<(), Error> {
        let delete = Delete {
            uid: Some(&job.metadata.uid),
            propagation: Some(Propagation::Background),
            ..Delete::default()
        };
        match self.context.api.delete(&path_of(job), delete).await {
            Ok(_) => {
                let message = format!("Deleted job {}", job.metadata.name);
                self.context.normal(cron_job, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => {
                self.context.warning(cron_job, "FailedDelete", format!("Deleted job: {}", whole(&error)));
                Err(error)
            }
        }
    }

    async fn schedule(
        &self,
        cron_job: &CronJob,
        jobs: &[Arc<Job>],
        status: &mut CronJobStatus,
    ) -> Result<Option<std::time::Duration>, Error> {
        let spec = &cron_job.spec;
        let Some(schedule) = Schedule::parse(&spec.schedule) else {
            let message = format!("unparseable schedule: {:?}", spec.schedule);
            self.context.warning(cron_job, "UnparseableSchedule", message);
            return Ok(None);
        };
        let zone = match &spec.time_zone {
            None => TimeZone::UTC,
            Some(name) => match TimeZone::get(name) {
                Ok(zone) => zone,
                Err(_) => {
                    let message = format!("invalid timeZone: {name:?}: unknown time zone {name}");
                    self.context.warning(cron_job, "UnknownTimeZone", message);
                    return Ok(None);
                }
            },
        };
        let due = decision::due(cron_job, &schedule, &zone, now());
        if due.too_many {
            let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.context.warning(cron_job, "TooManyMissedTimes", message);
        }
        if let Some(missed) = due.missed {
            let message = format!("Missed scheduled time to start a job: {missed}");
            self.context.warning(cron_job, "MissSchedule", message);
        }
        if let Some(time) = due.start {
            self.start_job(cron_job, jobs, status, time, &zone).await?;
        }
        Ok(due.look_again)
    }

    async fn start_job(
        &self,
        cron_job: &CronJob,
        jobs: &[Arc<Job>],
        status: &mut CronJobStatus,
        time: Timestamp,
        zone: &TimeZone,
    ) -> Result<(), Error> {
        match &*cron_job.spec.concurrency_policy {
            "Forbid" if !status.active.is_empty() => {
                let message =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.context.normal(cron_job, "JobAlreadyActive", message);
                return Ok(());
            }
            "Replace" => {
                for one in std::mem::take(&mut status.active) {
                    if let Some(job) = jobs.iter().find(|job| one.uid.as_ref() == Some(&job.metadata.uid)) {
                        self.delete(cron_job, job).await?;
                    }
                }
            }
            _ => {}
        }
        let object = job(cron_job, time, zone);
        let path = resource_path::<Job>(&cron_job.metadata.namespace);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match self.context.api.create(&path, &object).await {
            Ok(created) => {
                let created: Job =
                    serde_json::from_value(created).map_err(|error| Error::Malformed(error.to_string()))?;
                self.context.normal(cron_job, "SuccessfulCreate", format!("Created job {name}"));
                metrics::made(time, now());
                status.active.push(reference(&created));
            }
            // An earlier pass made it; the store will show it.
            Err(error) if error.is_already_exists() => {}
            Err(error) => {
                self.context.warning(
                    cron_job,
                    "FailedCreate",
                    format!("Error creating job: {}", whole(&error)),
                );
                return Err(error);
            }
        }
        status.last_schedule_time = Some(Time(time));
        Ok(())
    }
}

/// The name of the job for a time: the same time never makes two.
fn job_name(cron_job: &CronJob, time: Timestamp) -> String {
    format!("{}-{}", cron_job.metadata.name, time.as_second() / 60)
}

fn jobs_are_named_by_time(cron_job: &CronJob, job: &Job) -> bool {
    let number =
        job.metadata.name.strip_prefix(&*cron_job.metadata.name).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn job(cron_job: &CronJob, time: Timestamp, zone: &TimeZone) -> Value {
    let template = &cron_job.spec.job_template;
    let local = time.to_zoned(zone.clone());
    let text = if *zone == TimeZone::UTC {
        apimachinery::time::rfc3339(time)
    } else {
        local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    };
    let mut annotations = template["metadata"]["annotations"].clone();
    annotations[SCHEDULED] = text.into();
    let labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    json!({
        "apiVersion": Job::api_version(),
        "kind": Job::KIND,
        "metadata": {
            "name": job_name(cron_job, time),
            "namespace": cron_job.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [controller_reference(cron_job)],
        },
        "spec": template["spec"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_its_time() {
        let cron_job: CronJob =
            serde_json::from_value(json!({"metadata": {"name": "nightly", "namespace": "a", "uid": "c"},
            "spec": {"jobTemplate": {"metadata": {"labels": {"app": "x"}}, "spec": {"parallelism": 2}}}}))
            .unwrap();
        let time = "2026-01-01T00:05:00Z".parse().unwrap();
        let object = job(&cron_job, time, &TimeZone::UTC);
        assert_eq!(object["metadata"]["name"], format!("nightly-{}", 1_767_225_900 / 60));
        assert_eq!(object["metadata"]["annotations"][SCHEDULED], "2026-01-01T00:05:00Z");
        assert_eq!(object["spec"], json!({"parallelism": 2}));
        assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "CronJob");
        let made: Job = serde_json::from_value(object).unwrap();
        assert!(jobs_are_named_by_time(&cron_job, &made));
    }
}
