//! Cron jobs.

use informer::{Metadata, null_is_default};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::resource;

/// A cron job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CronJob {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: CronJobSpec,
    /// What is.
    pub status: CronJobStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    /// When, as `minute hour day month weekday`.
    pub schedule: String,
    /// Whose clock; UTC if none is named.
    pub time_zone: Option<String>,
    /// How late a job may start.
    pub starting_deadline_seconds: Option<i64>,
    /// `Allow`, `Forbid` or `Replace`.
    pub concurrency_policy: String,
    /// Whether no jobs are started.
    pub suspend: bool,
    /// What the jobs look like.
    pub job_template: Value,
    /// How many that succeeded are kept.
    pub successful_jobs_history_limit: Option<usize>,
    /// How many that failed are kept.
    pub failed_jobs_history_limit: Option<usize>,
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobStatus {
    /// Jobs that run.
    #[serde(deserialize_with = "null_is_default")]
    pub active: Vec<ObjectReference>,
    /// When a job was last due and started.
    pub last_schedule_time: Option<Time>,
    /// When a job last succeeded.
    pub last_successful_time: Option<Time>,
}

resource!(CronJob, "batch", "v1", "CronJob", "cronjobs");
