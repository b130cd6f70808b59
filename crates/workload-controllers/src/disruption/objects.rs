//! Disruption budgets.

use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use controller_runtime::objects::{Condition, label_selector};
use controller_runtime::resource;
use informer::{Metadata, null_is_default};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

/// A budget.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodDisruptionBudget {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: BudgetSpec,
    /// What is.
    pub status: BudgetStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetSpec {
    /// How many pods must stay.
    pub min_available: Option<IntOrString>,
    /// How many pods may be away.
    pub max_unavailable: Option<IntOrString>,
    /// Which pods are meant.
    #[serde(deserialize_with = "label_selector")]
    pub selector: Selector,
}

impl Default for BudgetSpec {
    fn default() -> Self {
        BudgetSpec { min_available: None, max_unavailable: None, selector: Selector::nothing() }
    }
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    /// The generation that this was computed from.
    pub observed_generation: i64,
    /// Pods whose eviction was granted and that are not gone yet, with the time of the grant.
    #[serde(deserialize_with = "null_is_default")]
    pub disrupted_pods: BTreeMap<String, Time>,
    /// How many more evictions are granted now.
    pub disruptions_allowed: i32,
    /// How many pods are healthy.
    pub current_healthy: i32,
    /// How many pods must be.
    pub desired_healthy: i32,
    /// How many pods there should be.
    pub expected_pods: i32,
    /// The conditions.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

resource!(PodDisruptionBudget, "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets");
