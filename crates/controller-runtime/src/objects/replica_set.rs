//! Replica sets, and replication controllers as the replica sets that they are.

use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use informer::{Metadata, null_is_default};
use serde::{Deserialize, Serialize};

use super::{Condition, Template, label_selector, map_selector, resource};

/// A replica set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReplicaSet {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: ReplicaSetSpec,
    /// What is.
    pub status: ReplicaSetStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetSpec {
    /// How many pods there should be.
    pub replicas: i32,
    /// How long a pod must be ready to count as available.
    pub min_ready_seconds: i64,
    /// Which pods belong to the set.
    #[serde(deserialize_with = "label_selector")]
    pub selector: Selector,
    /// What the pods look like.
    pub template: Template,
}

impl Default for ReplicaSetSpec {
    fn default() -> Self {
        let (selector, template) = (Selector::nothing(), Template::default());
        ReplicaSetSpec { replicas: 1, min_ready_seconds: 0, selector, template }
    }
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    /// How many pods there are.
    pub replicas: i32,
    /// How many carry all labels of the template.
    pub fully_labeled_replicas: i32,
    /// How many are ready.
    pub ready_replicas: i32,
    /// How many have been ready for long enough.
    pub available_replicas: i32,
    /// How many are on their way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating_replicas: Option<i32>,
    /// The generation that this was computed from.
    pub observed_generation: i64,
    /// The conditions.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

resource!(ReplicaSet, "apps", "v1", "ReplicaSet", "replicasets");

/// A replication controller.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReplicationController {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: ReplicationControllerSpec,
    /// What is.
    pub status: ReplicaSetStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicationControllerSpec {
    /// How many pods there should be.
    pub replicas: i32,
    /// How long a pod must be ready to count as available.
    pub min_ready_seconds: i64,
    /// Which pods belong to the controller.
    #[serde(deserialize_with = "map_selector")]
    pub selector: Selector,
    /// What the pods look like.
    pub template: Template,
}

impl Default for ReplicationControllerSpec {
    fn default() -> Self {
        let (selector, template) = (Selector::nothing(), Template::default());
        ReplicationControllerSpec { replicas: 1, min_ready_seconds: 0, selector, template }
    }
}

resource!(ReplicationController, "", "v1", "ReplicationController", "replicationcontrollers");

impl crate::ownership::Adopter for ReplicaSet {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.spec.selector.matches_map(Some(labels))
    }
}

impl crate::ownership::Adopter for ReplicationController {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.spec.selector.matches_map(Some(labels))
    }
}
