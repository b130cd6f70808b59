//! The conditions of a deployment: available, progressing, and why replicas fail.

use std::time::Duration;

use controller_runtime::objects::{Condition, Deployment, DeploymentStatus, find};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::plan::{Rollout, View};
use super::status::is_complete;

const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// Returns the condition about progress.
pub fn progress(conditions: &[Condition]) -> Option<&Condition> {
    find(conditions, PROGRESSING)
}

/// Makes a condition about progress.
pub fn progressing(status: &str, reason: &str, message: impl Into<String>, now: Timestamp) -> Condition {
    condition(PROGRESSING, status, reason, message.into(), now)
}

/// Makes the condition about availability.
pub fn available(is_available: bool, now: Timestamp) -> Condition {
    let (status, reason, message) = if is_available {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    condition("Available", status, reason, message.to_owned(), now)
}

fn condition(kind: &str, status: &str, reason: &str, message: String, now: Timestamp) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: Some(Time(now)),
        last_update_time: Some(Time(now)),
        ..Condition::default()
    }
}

/// Sets a condition unless it says the same already; the transition time changes only with the status.
pub fn set(conditions: &mut Vec<Condition>, mut condition: Condition) {
    if let Some(present) = find(conditions, &condition.kind) {
        if present.status == condition.status && present.reason == condition.reason {
            return;
        }
        if present.status == condition.status {
            condition.last_transition_time = present.last_transition_time.clone();
        }
    }
    remove(conditions, &condition.kind);
    conditions.push(condition);
}

fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| condition.kind != kind);
}

/// Notes that a rollout was paused or resumed, so that the time in between does not count against the deadline.
pub fn note_pause(deployment: &Deployment, conditions: &mut Vec<Condition>, now: Timestamp) {
    if !deployment.spec.has_deadline() {
        return;
    }
    let reason = progress(conditions).map(|condition| &*condition.reason);
    let paused = reason == Some("DeploymentPaused");
    if reason == Some(TIMED_OUT) || paused == deployment.spec.paused {
        return;
    }
    let noted = if deployment.spec.paused {
        progressing("Unknown", "DeploymentPaused", "Deployment is paused", now)
    } else {
        progressing("Unknown", "DeploymentResumed", "Deployment is resumed", now)
    };
    set(conditions, noted);
}

/// Judges whether the rollout is complete, moves or stands still; returns when to look again.
///
/// `created` names the replica set that this very step creates.
pub fn judge_progress(
    view: &View<'_>,
    rollout: &Rollout<'_>,
    created: Option<&str>,
    mut status: DeploymentStatus,
) -> (DeploymentStatus, Option<Duration>) {
    let deployment = view.deployment;
    if !deployment.spec.has_deadline() {
        remove(&mut status.conditions, PROGRESSING);
    }
    let present = progress(&status.conditions).cloned();
    let arrived = status.replicas == status.updated_replicas
        && present.as_ref().is_some_and(|condition| condition.reason == NEW_AVAILABLE);
    if deployment.spec.has_deadline() && !arrived {
        let set_name = created.or_else(|| rollout.new.map(|new| &*rollout.sets[new].object.metadata.name));
        let subject = match set_name {
            Some(name) => format!("ReplicaSet {name:?}"),
            None => format!("Deployment {:?}", deployment.metadata.name),
        };
        if is_complete(deployment, &status) {
            let message = format!("{subject} has successfully progressed.");
            set(&mut status.conditions, progressing("True", NEW_AVAILABLE, message, view.now));
        } else if has_moved(&deployment.status, &status) {
            let mut moved =
                progressing("True", "ReplicaSetUpdated", format!("{subject} is progressing."), view.now);
            if let Some(present) = present.as_ref().filter(|present| present.status == "True") {
                moved.last_transition_time = present.last_transition_time.clone();
            }
            // Set in any case: the time of the update is what the deadline counts from.
            remove(&mut status.conditions, PROGRESSING);
            status.conditions.push(moved);
        } else if timed_out(view, &status) {
            let message = format!("{subject} has timed out progressing.");
            set(&mut status.conditions, progressing("False", TIMED_OUT, message, view.now));
        }
    }
    let newest_first = rollout.new.into_iter().chain(rollout.old());
    let failure =
        newest_first.filter_map(|index| find(&rollout.sets[index].object.status.conditions, REPLICA_FAILURE));
    match failure.into_iter().next() {
        Some(failure) => {
            let mut told = failure.clone();
            told.last_update_time = Some(Time(view.now));
            set(&mut status.conditions, told);
        }
        None => remove(&mut status.conditions, REPLICA_FAILURE),
    }
    let look_again = next_look(view, &status);
    (status, look_again)
}

/// Tells whether more pods are of the new template, ready or available, or fewer of the old.
fn has_moved(before: &DeploymentStatus, now: &DeploymentStatus) -> bool {
    now.updated_replicas > before.updated_replicas
        || now.replicas - now.updated_replicas < before.replicas - before.updated_replicas
        || now.ready_replicas > before.ready_replicas
        || now.available_replicas > before.available_replicas
}

fn timed_out(view: &View<'_>, status: &DeploymentStatus) -> bool {
    let Some(condition) = progress(&status.conditions) else { return false };
    match &*condition.reason {
        NEW_AVAILABLE => false,
        TIMED_OUT => true,
        _ => left(view, condition).is_none(),
    }
}

/// The time left until the deadline.
fn left(view: &View<'_>, condition: &Condition) -> Option<Duration> {
    let since = condition.last_update_time.as_ref().map_or(view.now, |time| time.0);
    let elapsed = Duration::try_from(view.now.duration_since(since)).unwrap_or_default();
    view.deployment.spec.deadline().checked_sub(elapsed).filter(|left| !left.is_zero())
}

/// A rollout that moves no more must be looked at once its deadline is over.
fn next_look(view: &View<'_>, status: &DeploymentStatus) -> Option<Duration> {
    let condition = progress(&status.conditions)?;
    let waits = view.deployment.spec.has_deadline()
        && !is_complete(view.deployment, status)
        && !matches!(&*condition.reason, NEW_AVAILABLE | TIMED_OUT);
    if !waits {
        return None;
    }
    left(view, condition).map(|left| left + Duration::from_secs(1))
}
