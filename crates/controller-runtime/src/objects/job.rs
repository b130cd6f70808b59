//! Jobs.

use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use informer::{Metadata, null_is_default};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use super::{Condition, Template, label_selector, resource};

/// A job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: JobSpec,
    /// What is.
    pub status: JobStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    /// How many pods run at a time.
    pub parallelism: Option<i32>,
    /// How many must succeed; `None`: one, and then no more are started.
    pub completions: Option<i32>,
    /// How long the job may run.
    pub active_deadline_seconds: Option<i64>,
    /// How many pods may fail.
    pub backoff_limit: Option<i32>,
    /// How often each index may fail.
    pub backoff_limit_per_index: Option<i32>,
    /// How many indexes may fail.
    pub max_failed_indexes: Option<i32>,
    /// What a failure of a pod means.
    pub pod_failure_policy: Option<FailurePolicy>,
    /// When the job counts as succeeded before all have.
    pub success_policy: Option<SuccessPolicy>,
    /// Which pods belong.
    #[serde(deserialize_with = "label_selector")]
    pub selector: Selector,
    /// What the pods look like.
    pub template: Template,
    /// How long the job is kept after its end.
    pub ttl_seconds_after_finished: Option<i64>,
    /// `Indexed` or `NonIndexed`.
    pub completion_mode: String,
    /// Whether no pods should run.
    pub suspend: bool,
    /// Whether a pod on its way out is replaced before its end.
    pub pod_replacement_policy: String,
    /// Who else cares for the job.
    pub managed_by: Option<String>,
}

impl Default for JobSpec {
    fn default() -> Self {
        JobSpec {
            parallelism: None,
            completions: None,
            active_deadline_seconds: None,
            backoff_limit: None,
            backoff_limit_per_index: None,
            max_failed_indexes: None,
            pod_failure_policy: None,
            success_policy: None,
            selector: Selector::nothing(),
            template: Template::default(),
            ttl_seconds_after_finished: None,
            completion_mode: String::new(),
            suspend: false,
            pod_replacement_policy: String::new(),
            managed_by: None,
        }
    }
}

/// What a failure of a pod means; the first rule that matches counts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FailurePolicy {
    /// The rules.
    #[serde(deserialize_with = "null_is_default")]
    pub rules: Vec<FailureRule>,
}

/// A rule about failures.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailureRule {
    /// `FailJob`, `FailIndex`, `Ignore` or `Count`.
    pub action: String,
    /// Matches by how containers ended.
    pub on_exit_codes: Option<OnExitCodes>,
    /// Matches by conditions of the pod.
    #[serde(deserialize_with = "null_is_default")]
    pub on_pod_conditions: Vec<OnPodCondition>,
}

/// Matches by how containers ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnExitCodes {
    /// Only this container.
    pub container_name: Option<String>,
    /// `In` or `NotIn`.
    pub operator: String,
    /// The codes.
    #[serde(deserialize_with = "null_is_default")]
    pub values: Vec<i32>,
}

/// Matches by a condition of the pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OnPodCondition {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status.
    pub status: String,
}

/// When a job counts as succeeded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SuccessPolicy {
    /// The rules; one is enough.
    #[serde(deserialize_with = "null_is_default")]
    pub rules: Vec<SuccessRule>,
}

/// A rule about success.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SuccessRule {
    /// The indexes that count.
    pub succeeded_indexes: Option<String>,
    /// How many of them must succeed.
    pub succeeded_count: Option<i32>,
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// The conditions.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// When the job was taken up.
    pub start_time: Option<Time>,
    /// When it succeeded.
    pub completion_time: Option<Time>,
    /// Pods that run or wait to.
    pub active: i32,
    /// Pods that succeeded and are counted.
    pub succeeded: i32,
    /// Pods that failed and are counted.
    pub failed: i32,
    /// Pods on their way out.
    pub terminating: Option<i32>,
    /// Pods that are ready.
    pub ready: Option<i32>,
    /// The indexes that succeeded, as `0,2-4`.
    pub completed_indexes: String,
    /// The indexes that failed for good.
    pub failed_indexes: Option<String>,
    /// Pods that have ended and are not yet in the counts.
    #[serde(deserialize_with = "null_is_default")]
    pub uncounted_terminated_pods: Uncounted,
}

/// Pods that have ended and are not yet in the counts: each is counted when its finalizer is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Uncounted {
    /// Uids of those that succeeded.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub succeeded: Vec<String>,
    /// Uids of those that failed.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

resource!(Job, "batch", "v1", "Job", "jobs");

impl crate::ownership::Adopter for Job {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.spec.selector.matches_map(Some(labels))
    }
}

impl Job {
    /// Tells whether pods have indexes.
    pub fn is_indexed(&self) -> bool {
        self.spec.completion_mode == "Indexed"
    }

    /// Tells whether the job has ended, well or badly.
    pub fn is_finished(&self) -> bool {
        self.end().is_some()
    }

    /// Returns the condition that says how the job ended.
    pub fn end(&self) -> Option<&Condition> {
        let ended = |condition: &&Condition| {
            condition.status == "True" && matches!(&*condition.kind, "Complete" | "Failed")
        };
        self.status.conditions.iter().find(ended)
    }
}
