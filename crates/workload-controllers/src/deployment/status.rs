//! The numbers of a deployment's status.

use controller_runtime::objects::{Deployment, DeploymentStatus};
use serde_json::{Value, json};

use super::conditions;
use super::plan::{Rollout, View};
use super::proportion::fence;

/// Counts over the replica sets; the conditions other than `Available` stay as given.
pub fn count(view: &View<'_>, rollout: &Rollout<'_>, status: DeploymentStatus) -> DeploymentStatus {
    let deployment = view.deployment;
    let available = rollout.total(|set| set.available());
    let wanted = rollout.total(|set| set.replicas);
    let mut conditions = status.conditions;
    let is_available = available >= deployment.spec.replicas - fence(deployment).unavailable;
    conditions::set(&mut conditions, conditions::available(is_available, view.now));
    DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: rollout.total(|set| set.object.status.replicas),
        updated_replicas: rollout.new.map_or(0, |new| rollout.sets[new].object.status.replicas),
        ready_replicas: rollout.total(|set| set.object.status.ready_replicas),
        available_replicas: available,
        unavailable_replicas: (wanted - available).max(0),
        terminating_replicas: Some(rollout.total(|set| set.object.status.terminating_replicas.unwrap_or(0))),
        collision_count: status.collision_count,
        conditions,
    }
}

/// Tells whether the rollout has arrived.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let desired = deployment.spec.replicas;
    status.updated_replicas == desired
        && status.replicas == desired
        && status.available_replicas == desired
        && status.observed_generation >= deployment.metadata.generation
}

/// Returns the status as it is sent: what is zero or empty is left out.
pub fn wire(status: &DeploymentStatus) -> Value {
    let unless_zero = |number: i64| if number == 0 { Value::Null } else { number.into() };
    json!({
        "observedGeneration": unless_zero(status.observed_generation),
        "replicas": unless_zero(status.replicas.into()),
        "updatedReplicas": unless_zero(status.updated_replicas.into()),
        "readyReplicas": unless_zero(status.ready_replicas.into()),
        "availableReplicas": unless_zero(status.available_replicas.into()),
        "unavailableReplicas": unless_zero(status.unavailable_replicas.into()),
        "terminatingReplicas": status.terminating_replicas,
        "collisionCount": status.collision_count,
        "conditions": if status.conditions.is_empty() { Value::Null } else { json!(status.conditions) },
    })
}
