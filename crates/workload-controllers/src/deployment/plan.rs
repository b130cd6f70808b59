//! What to do about a deployment: one step of its rollout, and its status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::objects::{Deployment, DeploymentStatus, ReplicaSet, Strategy, Template};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use super::annotations::{DESIRED, HISTORY, MAXIMUM, REVISION, annotate, number, revision};
use super::proportion::fence;
use super::replica_sets::Set;
use super::{conditions, rolling, scale, status};

/// The label that tells the pods of a deployment's replica sets apart.
const HASH_LABEL: &str = "pod-template-hash";

/// What is known of a deployment, its replica sets apart.
pub struct View<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// The replica sets, with their changes.
    pub sets: Vec<Set>,
    /// The replica set to create.
    pub create: Option<NewReplicaSet>,
    /// Replica sets beyond the history limit.
    pub delete: Vec<Arc<ReplicaSet>>,
    /// The revision to note at the deployment, if another one is noted there.
    pub revision: Option<String>,
    /// The status to write.
    pub status: DeploymentStatus,
    /// When to look again without a change.
    pub look_again: Option<Duration>,
}

/// A replica set to create.
#[derive(Debug, Clone)]
pub struct NewReplicaSet {
    /// The name, from the deployment's and the template's hash.
    pub name: String,
    /// The template's hash.
    pub hash: String,
    /// How many pods it starts with.
    pub replicas: i32,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
    /// The seconds a pod must be ready.
    pub min_ready_seconds: i64,
    /// The deployment's selector.
    pub selector: Value,
    /// The deployment's template.
    pub template: Template,
}

impl NewReplicaSet {
    /// Returns the object to send.
    pub fn object(&self, namespace: &str, owner: &OwnerReference) -> Value {
        let mut template = self.template.value();
        let mut selector = self.selector.clone();
        template["metadata"]["labels"][HASH_LABEL] = self.hash.clone().into();
        selector["matchLabels"][HASH_LABEL] = self.hash.clone().into();
        let metadata = json!({
            "name": self.name,
            "namespace": namespace,
            "labels": template["metadata"]["labels"],
            "annotations": self.annotations,
            "ownerReferences": [owner],
        });
        json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": metadata,
            "spec": {"replicas": self.replicas, "minReadySeconds": self.min_ready_seconds,
                "selector": selector, "template": template},
        })
    }
}

/// Replica sets sorted into the one of the present template and the others, oldest first.
#[derive(Debug)]
pub struct Rollout<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// All replica sets.
    pub sets: Vec<Set>,
    /// Where the one of the present template is.
    pub new: Option<usize>,
}

impl Rollout<'_> {
    /// Returns where the replica sets of earlier templates are, oldest first.
    pub fn old(&self) -> Vec<usize> {
        (0..self.sets.len()).filter(|index| Some(*index) != self.new).collect()
    }

    /// Sums up over all replica sets.
    pub fn total(&self, of: impl Fn(&Set) -> i32) -> i32 {
        self.sets.iter().map(of).fold(0, i32::saturating_add)
    }

    /// Plans another number of pods for a set; tells whether that is a change.
    pub fn scale(&mut self, index: usize, replicas: i32) -> bool {
        if self.sets[index].replicas == replicas {
            return false;
        }
        let desired = self.deployment.spec.replicas;
        let maximum = desired.saturating_add(fence(self.deployment).surge);
        self.sets[index].scale(replicas, desired, maximum);
        true
    }
}

/// Plans one step.
pub fn plan(view: &View<'_>, mut sets: Vec<Set>) -> Plan {
    let deployment = view.deployment;
    sets.sort_by(|a, b| a.age_order().cmp(&b.age_order()));
    let new = sets.iter().position(|set| set.object.spec.template.is_same(&deployment.spec.template));
    let mut rollout = Rollout { deployment, sets, new };
    let mut plan = Plan { status: deployment.status.clone(), ..Plan::default() };
    if deployment.metadata.is_deleting() {
        return finish(view, rollout, plan);
    }
    conditions::note_pause(deployment, &mut plan.status.conditions, view.now);
    let scaling = rollout.sets.iter().any(|set| {
        let desired = number(&set.annotations, DESIRED);
        set.replicas > 0 && desired.is_some_and(|desired| desired != i64::from(deployment.spec.replicas))
    });
    if deployment.spec.paused || scaling {
        revise(view, &mut rollout, &mut plan);
        scale::scale(&mut rollout);
        if deployment.spec.paused {
            plan.delete = beyond_history(&rollout);
        }
        plan.status = status::count(view, &rollout, plan.status);
        return keep(rollout, plan);
    }
    match deployment.spec.strategy {
        Strategy::RollingUpdate { .. } => {
            if !revise(view, &mut rollout, &mut plan) {
                let replicas = rolling::new_set_size(&rollout);
                create(view, &rollout, &mut plan, replicas);
            } else if !rolling::scale_new(&mut rollout) {
                rolling::scale_old(&mut rollout);
            }
        }
        Strategy::Recreate => {
            let found = revise(view, &mut rollout, &mut plan);
            let mut scaled_down = false;
            for index in rollout.old() {
                scaled_down |= rollout.scale(index, 0);
            }
            let running = rollout.old().into_iter().any(|index| rollout.sets[index].unfinished_pods > 0);
            if !scaled_down && !running {
                if !found {
                    create(view, &rollout, &mut plan, deployment.spec.replicas);
                } else if let Some(new) = rollout.new {
                    rollout.scale(new, deployment.spec.replicas);
                }
            }
        }
    }
    if status::is_complete(deployment, &status::count(view, &rollout, plan.status.clone())) {
        plan.delete = beyond_history(&rollout);
    }
    finish(view, rollout, plan)
}

/// Adds status and deadline to what was planned.
fn finish(view: &View<'_>, rollout: Rollout<'_>, mut plan: Plan) -> Plan {
    let counted = status::count(view, &rollout, plan.status);
    if view.deployment.metadata.is_deleting() {
        plan.status = counted;
        return keep(rollout, plan);
    }
    let created = plan.create.as_ref().map(|new| &*new.name);
    let (status, look_again) = conditions::judge_progress(view, &rollout, created, counted);
    plan.status = status;
    plan.look_again = look_again;
    keep(rollout, plan)
}

fn keep(rollout: Rollout<'_>, mut plan: Plan) -> Plan {
    plan.sets = rollout.sets;
    plan
}

/// Gives the new replica set the next revision and the deployment's annotations; tells whether there is one.
fn revise(view: &View<'_>, rollout: &mut Rollout<'_>, plan: &mut Plan) -> bool {
    let deployment = view.deployment;
    let next = next_revision(rollout);
    let Some(new) = rollout.new else { return false };
    let set = &mut rollout.sets[new];
    annotate(&mut set.annotations, deployment, next);
    set.min_ready_seconds = deployment.spec.min_ready_seconds;
    note_revision(deployment, set.revision(), plan);
    if deployment.spec.has_deadline() && conditions::progress(&plan.status.conditions).is_none() {
        let message = format!("Found new replica set {:?}", set.object.metadata.name);
        let found = conditions::progressing("True", "FoundNewReplicaSet", message, view.now);
        conditions::set(&mut plan.status.conditions, found);
    }
    true
}

fn note_revision(deployment: &Deployment, present: i64, plan: &mut Plan) {
    if revision(&deployment.metadata.annotations) != present {
        plan.revision = Some(present.to_string());
    }
}

/// One more than the highest revision among the old replica sets.
fn next_revision(rollout: &Rollout<'_>) -> i64 {
    rollout.old().into_iter().map(|index| rollout.sets[index].revision()).max().unwrap_or(0) + 1
}

fn create(view: &View<'_>, rollout: &Rollout<'_>, plan: &mut Plan, replicas: i32) {
    let deployment = view.deployment;
    let hash = deployment.spec.template.hash(deployment.status.collision_count);
    let name = format!("{}-{hash}", deployment.metadata.name);
    let mut annotations = BTreeMap::new();
    let next = next_revision(rollout);
    annotate(&mut annotations, deployment, next);
    annotations.remove(HISTORY);
    annotations.insert(REVISION.to_owned(), next.to_string());
    let desired = deployment.spec.replicas;
    annotations.insert(DESIRED.to_owned(), desired.to_string());
    annotations.insert(MAXIMUM.to_owned(), desired.saturating_add(fence(deployment).surge).to_string());
    note_revision(deployment, next, plan);
    if deployment.spec.has_deadline() {
        let message = format!("Created new replica set {name:?}");
        let created = conditions::progressing("True", "NewReplicaSetCreated", message, view.now);
        conditions::set(&mut plan.status.conditions, created);
    }
    plan.create = Some(NewReplicaSet {
        name,
        hash,
        replicas,
        annotations,
        min_ready_seconds: deployment.spec.min_ready_seconds,
        selector: deployment.spec.label_selector.clone(),
        template: deployment.spec.template.clone(),
    });
}

/// Returns the old replica sets beyond the history limit, lowest revision first.
fn beyond_history(rollout: &Rollout<'_>) -> Vec<Arc<ReplicaSet>> {
    let limit = match rollout.deployment.spec.revision_history_limit {
        None | Some(i32::MAX) => return Vec::new(),
        Some(limit) => usize::try_from(limit).unwrap_or(0),
    };
    let mut old: Vec<&Set> = rollout.old().into_iter().map(|index| &rollout.sets[index]).collect();
    old.retain(|set| !set.object.metadata.is_deleting());
    old.sort_by_key(|set| set.revision());
    let surplus = old.len().saturating_sub(limit);
    let disposable = old.into_iter().take(surplus).filter(|set| {
        let (object, status) = (&set.object, &set.object.status);
        status.replicas == 0
            && set.replicas == 0
            && object.spec.replicas == 0
            && object.metadata.generation <= status.observed_generation
    });
    disposable.map(|set| Arc::clone(&set.object)).collect()
}
