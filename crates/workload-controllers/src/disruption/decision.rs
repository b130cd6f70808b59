//! How many disruptions a budget allows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::objects::{Condition, Pod, find};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::objects::{BudgetStatus, PodDisruptionBudget};
use crate::deployment::proportion::{Rounding, resolve};

/// How long a granted eviction is waited for before the pod counts again; upstream's value.
const DELETION: i64 = 2 * 60;
const ALLOWED: &str = "DisruptionAllowed";

/// How many pods the controllers of a budget's pods want, by the uid of the outermost controller.
pub type Scales = HashMap<String, i32>;

/// What is known of a budget.
pub struct View<'a> {
    /// The budget.
    pub budget: &'a PodDisruptionBudget,
    /// The pods it selects.
    pub pods: &'a [Arc<Pod>],
    /// What their controllers want, or why that cannot be known.
    pub scales: &'a Result<Scales, String>,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub struct Decision {
    /// The status.
    pub status: BudgetStatus,
    /// Why the pods could not be counted.
    pub failure: Option<String>,
    /// Pods that were to be evicted and still live.
    pub overdue: Vec<Arc<Pod>>,
    /// When a granted eviction is no longer waited for.
    pub look_again: Option<Duration>,
}

/// Decides.
pub fn decide(view: &View<'_>) -> Decision {
    let View { budget, pods, now, .. } = view;
    let (mut overdue, mut look_again) = (Vec::new(), None);
    let mut disrupted = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !pod.metadata.is_deleting()) {
        let Some(granted) = budget.status.disrupted_pods.get(&pod.metadata.name) else { continue };
        let left = granted.0.as_second() + DELETION - now.as_second();
        match u64::try_from(left).ok().filter(|left| *left > 0) {
            None => overdue.push(Arc::clone(pod)),
            Some(left) => {
                disrupted.insert(pod.metadata.name.clone(), granted.clone());
                let left = Duration::from_secs(left);
                look_again = Some(look_again.map_or(left, |other: Duration| other.min(left)));
            }
        }
    }
    let mut status = budget.status.clone();
    status.observed_generation = budget.metadata.generation;
    let failure = match expected(view) {
        Err(why) => {
            status.disruptions_allowed = 0;
            set(&mut status, "False", "SyncFailed", &why, *now);
            Some(why)
        }
        Ok((expected, desired)) => {
            let healthy = pods.iter().filter(|pod| {
                pod.is_ready() && !pod.metadata.is_deleting() && !disrupted.contains_key(&pod.metadata.name)
            });
            status.current_healthy = count(healthy.count());
            status.desired_healthy = desired;
            status.expected_pods = expected;
            status.disrupted_pods = disrupted;
            let allowed = if expected > 0 { (status.current_healthy - desired).max(0) } else { 0 };
            status.disruptions_allowed = allowed;
            let (value, reason) =
                if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
            set(&mut status, value, reason, "", *now);
            None
        }
    };
    Decision { status, failure, overdue, look_again }
}

/// Returns how many pods there should be, and how many of them must be healthy.
fn expected(view: &View<'_>) -> Result<(i32, i32), String> {
    let spec = &view.budget.spec;
    let pods = count(view.pods.len());
    let scale = || {
        let scales = view.scales.as_ref().map_err(Clone::clone)?;
        Ok::<i32, String>(scales.values().fold(0, |sum: i32, one| sum.saturating_add(*one)))
    };
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(away), _) => {
            let expected = scale()?;
            Ok((expected, (expected - resolve(away, expected, Rounding::Up)).max(0)))
        }
        // A plain number needs no controllers: it also serves pods that have none.
        (None, Some(IntOrString::Int(stay))) => Ok((pods, (*stay).max(0))),
        (None, Some(stay)) => {
            let expected = scale()?;
            Ok((expected, resolve(stay, expected, Rounding::Up)))
        }
        (None, None) => Ok((pods, 0)),
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Sets the condition; its time changes only with what it says.
fn set(status: &mut BudgetStatus, value: &str, reason: &str, message: &str, now: Timestamp) {
    let present = find(&status.conditions, ALLOWED);
    let since =
        present.filter(|present| present.status == value).and_then(|one| one.last_transition_time.clone());
    let condition = Condition {
        kind: ALLOWED.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(status.observed_generation),
        last_transition_time: since.or(Some(Time(now))),
        ..Condition::default()
    };
    status.conditions.retain(|one| one.kind != ALLOWED);
    status.conditions.push(condition);
}
