//! Deployments.

use std::collections::BTreeMap;
use std::time::Duration;

use apimachinery::labels::Selector;
use informer::{Metadata, null_is_default};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Condition, Template, resource};

/// A deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: DeploymentSpec,
    /// What is.
    pub status: DeploymentStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    /// How many pods there should be.
    pub replicas: i32,
    /// How long a pod must be ready to count as available.
    pub min_ready_seconds: i64,
    /// Whether changes of the template wait.
    pub paused: bool,
    /// How many old replica sets are kept; `None` keeps all.
    pub revision_history_limit: Option<i32>,
    /// How long a rollout may stand still; `None` for ever.
    pub progress_deadline_seconds: Option<i32>,
    /// How old pods give way to new ones.
    pub strategy: Strategy,
    /// The selector in its wire form, which new replica sets take over.
    #[serde(rename = "selector")]
    pub label_selector: Value,
    /// What the pods look like.
    pub template: Template,
}

impl DeploymentSpec {
    /// Returns the selector that pods are matched with.
    pub fn selector(&self) -> Selector {
        Selector::from_label_selector(&self.label_selector).unwrap_or_else(|_| Selector::nothing())
    }
}

impl Default for DeploymentSpec {
    fn default() -> Self {
        DeploymentSpec {
            replicas: 1,
            min_ready_seconds: 0,
            paused: false,
            revision_history_limit: Some(10),
            progress_deadline_seconds: Some(600),
            strategy: Strategy::default(),
            label_selector: Value::Null,
            template: Template::default(),
        }
    }
}

/// How old pods give way to new ones.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "WireStrategy")]
pub enum Strategy {
    /// All old pods end before the first new one starts.
    Recreate,
    /// Step by step.
    RollingUpdate {
        /// How many pods there may be above the number asked for.
        max_surge: IntOrString,
        /// How many pods may be missing.
        max_unavailable: IntOrString,
    },
}

impl Default for Strategy {
    fn default() -> Self {
        let quarter = || IntOrString::String("25%".to_owned());
        Strategy::RollingUpdate { max_surge: quarter(), max_unavailable: quarter() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStrategy {
    #[serde(rename = "type", default)]
    kind: String,
    rolling_update: Option<WireRollingUpdate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRollingUpdate {
    max_surge: Option<IntOrString>,
    max_unavailable: Option<IntOrString>,
}

impl From<WireStrategy> for Strategy {
    fn from(wire: WireStrategy) -> Strategy {
        if wire.kind == "Recreate" {
            return Strategy::Recreate;
        }
        let rolling =
            wire.rolling_update.unwrap_or(WireRollingUpdate { max_surge: None, max_unavailable: None });
        Strategy::RollingUpdate {
            max_surge: rolling.max_surge.unwrap_or_default(),
            max_unavailable: rolling.max_unavailable.unwrap_or_default(),
        }
    }
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// The generation that this was computed from.
    pub observed_generation: i64,
    /// How many pods there are.
    pub replicas: i32,
    /// How many are of the present template.
    pub updated_replicas: i32,
    /// How many are ready.
    pub ready_replicas: i32,
    /// How many have been ready for long enough.
    pub available_replicas: i32,
    /// How many are missing.
    pub unavailable_replicas: i32,
    /// How many are on their way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating_replicas: Option<i32>,
    /// How many names of replica sets were taken by others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// The conditions.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

resource!(Deployment, "apps", "v1", "Deployment", "deployments");

impl crate::ownership::Adopter for Deployment {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.spec.selector().matches_map(Some(labels))
    }
}

impl DeploymentSpec {
    /// Tells whether a rollout may only stand still for so long.
    pub fn has_deadline(&self) -> bool {
        self.progress_deadline_seconds.is_some_and(|seconds| seconds != i32::MAX)
    }

    /// Returns how long.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.progress_deadline_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0))
    }
}
