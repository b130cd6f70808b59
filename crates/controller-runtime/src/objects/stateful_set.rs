//! Stateful sets.

use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use informer::{Metadata, null_is_default};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Condition, Template, label_selector, resource};

/// A stateful set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: StatefulSetSpec,
    /// What is.
    pub status: StatefulSetStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// How many pods there should be.
    pub replicas: i32,
    /// Which pods belong.
    #[serde(deserialize_with = "label_selector")]
    pub selector: Selector,
    /// What the pods look like.
    pub template: Template,
    /// The claims that each pod has.
    #[serde(deserialize_with = "null_is_default")]
    pub volume_claim_templates: Vec<Value>,
    /// The service in whose domain the pods are named.
    pub service_name: String,
    /// `OrderedReady` or `Parallel`.
    pub pod_management_policy: String,
    /// How old pods give way to new ones.
    pub update_strategy: StatefulUpdate,
    /// How many old revisions are kept.
    pub revision_history_limit: Option<i32>,
    /// How long a pod must be ready to count as available.
    pub min_ready_seconds: i64,
    /// The numbers of the pods.
    pub ordinals: Option<Ordinals>,
    /// When claims go.
    pub persistent_volume_claim_retention_policy: Option<Retention>,
}

impl Default for StatefulSetSpec {
    fn default() -> Self {
        StatefulSetSpec {
            replicas: 1,
            selector: Selector::nothing(),
            template: Template::default(),
            volume_claim_templates: Vec::new(),
            service_name: String::new(),
            pod_management_policy: String::new(),
            update_strategy: StatefulUpdate::default(),
            revision_history_limit: Some(10),
            min_ready_seconds: 0,
            ordinals: None,
            persistent_volume_claim_retention_policy: None,
        }
    }
}

/// How old pods give way to new ones.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulUpdate {
    /// `RollingUpdate` or `OnDelete`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The limits of a rolling update.
    pub rolling_update: Option<StatefulRollingUpdate>,
}

/// The limits of a rolling update.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulRollingUpdate {
    /// Pods of lower numbers keep the old template.
    pub partition: i32,
    /// How many pods may be missing.
    pub max_unavailable: Option<IntOrString>,
}

/// The numbers of the pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    /// The first.
    pub start: i32,
}

/// When claims go: `Retain` or `Delete`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// When the set is deleted.
    pub when_deleted: String,
    /// When the set is scaled down.
    pub when_scaled: String,
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetStatus {
    /// The generation that this was computed from.
    pub observed_generation: i64,
    /// How many pods there are.
    pub replicas: i32,
    /// How many are ready.
    pub ready_replicas: i32,
    /// How many are of the current revision.
    pub current_replicas: i32,
    /// How many are of the update revision.
    pub updated_replicas: i32,
    /// The revision that the pods had before the update.
    pub current_revision: String,
    /// The revision of the present template.
    pub update_revision: String,
    /// How many names of revisions were taken by others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// The conditions.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// How many have been ready for long enough.
    pub available_replicas: i32,
}

resource!(StatefulSet, "apps", "v1", "StatefulSet", "statefulsets");

impl crate::ownership::Adopter for StatefulSet {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.spec.selector.matches_map(Some(labels))
    }
}

impl StatefulSet {
    /// Returns the number of the first pod.
    pub fn first_ordinal(&self) -> i32 {
        self.spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start)
    }

    /// Returns the name of the pod of a number.
    pub fn pod_name(&self, ordinal: i32) -> String {
        format!("{}-{ordinal}", self.metadata.name)
    }

    /// Returns the number in the name of a pod of this set.
    pub fn ordinal(&self, pod_name: &str) -> Option<i32> {
        let number = pod_name.strip_prefix(&*self.metadata.name)?.strip_prefix('-')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number.parse().ok()).flatten()
    }
}
