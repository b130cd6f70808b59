//! Daemon sets.

use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use informer::{Metadata, null_is_default};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use super::{Condition, Template, label_selector, resource};

/// A daemon set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DaemonSet {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: DaemonSetSpec,
    /// What is.
    pub status: DaemonSetStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetSpec {
    /// Which pods belong.
    #[serde(deserialize_with = "label_selector")]
    pub selector: Selector,
    /// What the pods look like.
    pub template: Template,
    /// How old pods give way to new ones.
    pub update_strategy: DaemonUpdate,
    /// How long a pod must be ready to count as available.
    pub min_ready_seconds: i64,
    /// How many old revisions are kept.
    pub revision_history_limit: Option<i32>,
}

impl Default for DaemonSetSpec {
    fn default() -> Self {
        DaemonSetSpec {
            selector: Selector::nothing(),
            template: Template::default(),
            update_strategy: DaemonUpdate::default(),
            min_ready_seconds: 0,
            revision_history_limit: Some(10),
        }
    }
}

/// How old pods give way to new ones.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonUpdate {
    /// `RollingUpdate` or `OnDelete`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The limits of a rolling update.
    pub rolling_update: Option<DaemonRollingUpdate>,
}

/// The limits of a rolling update.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonRollingUpdate {
    /// How many nodes may be without an available pod.
    pub max_unavailable: Option<IntOrString>,
    /// On how many nodes the new pod may run beside the old one.
    pub max_surge: Option<IntOrString>,
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetStatus {
    /// Nodes that should have a pod and have one.
    pub current_number_scheduled: i32,
    /// Nodes that should have none and have one.
    pub number_misscheduled: i32,
    /// Nodes that should have a pod.
    pub desired_number_scheduled: i32,
    /// Nodes whose pod is ready.
    pub number_ready: i32,
    /// The generation that this was computed from.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Nodes whose pod is of the present template.
    #[serde(skip_serializing_if = "is_zero_32")]
    pub updated_number_scheduled: i32,
    /// Nodes whose pod has been ready for long enough.
    #[serde(skip_serializing_if = "is_zero_32")]
    pub number_available: i32,
    /// Nodes that lack such a pod.
    #[serde(skip_serializing_if = "is_zero_32")]
    pub number_unavailable: i32,
    /// How many names of revisions were taken by others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// The conditions.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_zero_32(number: &i32) -> bool {
    *number == 0
}

resource!(DaemonSet, "apps", "v1", "DaemonSet", "daemonsets");

impl crate::ownership::Adopter for DaemonSet {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.spec.selector.matches_map(Some(labels))
    }
}
