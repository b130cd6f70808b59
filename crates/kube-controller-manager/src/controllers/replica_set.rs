//! Replica sets and replication controllers.
//!
//! Keeps true: as many active pods match the selector as `replicas` says.
//! Woken by: changes of the set and of pods it owns or could adopt; time, for `minReadySeconds`.
//! Reads: replica sets, pods.
//! Writes: pods, owner references of pods, the set's status.
//! Gives up when: never; a refused creation is said in the condition `ReplicaFailure` and tried again with back-off.

use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::labels::Selector;
use component::cause::whole;
use informer::{Change, Expectations, Key, Outcome, Store, WorkQueue, run_workers};
use serde_json::Value;

use super::Running;
use crate::api::path::{path_of, resource_path};
use crate::api::{Delete, Error};
use crate::batch::slow_start;
use crate::context::{Context, now};
use crate::objects::{Pod, ReplicaSet, ReplicaSetStatus, ReplicationController, Resource, Template};
use crate::ownership::{BY_CONTROLLER, candidates, controller_reference, index_by_controller, settle};
use crate::pods::{Name, from_template};
use decision::{Decision, View, decide, with_failure};

mod decision;
#[cfg(test)]
mod tests;

/// What replica sets and replication controllers have in common.
pub trait Replicas: Resource {
    /// How many pods there should be.
    fn replicas(&self) -> i32;
    /// Which pods belong.
    fn selector(&self) -> &Selector;
    /// What new pods look like.
    fn template(&self) -> &Template;
    /// How long a pod must be ready to count as available.
    fn min_ready_seconds(&self) -> i64;
    /// The status last written.
    fn status(&self) -> &ReplicaSetStatus;
}

impl Replicas for ReplicaSet {
    fn replicas(&self) -> i32 {
        self.spec.replicas
    }
    fn selector(&self) -> &Selector {
        &self.spec.selector
    }
    fn template(&self) -> &Template {
        &self.spec.template
    }
    fn min_ready_seconds(&self) -> i64 {
        self.spec.min_ready_seconds
    }
    fn status(&self) -> &ReplicaSetStatus {
        &self.status
    }
}

impl Replicas for ReplicationController {
    fn replicas(&self) -> i32 {
        self.spec.replicas
    }
    fn selector(&self) -> &Selector {
        &self.spec.selector
    }
    fn template(&self) -> &Template {
        &self.spec.template
    }
    fn min_ready_seconds(&self) -> i64 {
        self.spec.min_ready_seconds
    }
    fn status(&self) -> &ReplicaSetStatus {
        &self.status
    }
}

/// Starts the controller of replica sets.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.replica_sets;
    Some(run::<ReplicaSet>(context, "replicaset", workers))
}

/// Starts the controller of replication controllers.
pub fn start_replication_controllers(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.replication_controllers;
    Some(run::<ReplicationController>(context, "replicationmanager", workers))
}

fn run<K: Replicas>(context: Context, name: &'static str, workers: usize) -> Running {
    let shell = Arc::new(Shell::<K> {
        sets: context.stores.of(),
        pods: context.stores.of(),
        queue: WorkQueue::new(name),
        expectations: Expectations::new(),
        context,
    });
    index_by_controller(&shell.sets);
    index_by_controller(&shell.pods);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_set = Arc::clone(&shell);
    shell.sets.on_change(move |change| on_set.queue.add(change.object().key()));
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| on_pod.pod_changed(change));
    Box::pin(async move {
        shell.sets.ready().await;
        shell.pods.ready().await;
        run_workers(name, &shell.queue, workers, |key| shell.reconcile(key)).await;
    })
}

struct Shell<K> {
    context: Context,
    sets: Store<K>,
    pods: Store<Pod>,
    queue: WorkQueue<Key>,
    expectations: Expectations,
}

impl<K: Replicas> Shell<K> {
    fn pod_changed(&self, change: &Change<'_, Pod>) {
        match change {
            Change::Applied { old, new } => {
                let owner = self.owner(new);
                if let Some(before) = old.and_then(|old| self.owner(old))
                    && owner.as_ref() != Some(&before)
                {
                    self.queue.add(before);
                }
                match owner {
                    Some(owner) => {
                        if new.metadata.is_deleting() {
                            self.expectations.deletion_observed(&owner, &new.metadata.uid);
                        }
                        if old.is_none() && !new.metadata.is_deleting() {
                            self.expectations.creation_observed(&owner);
                        }
                        self.queue.add(owner);
                    }
                    None if new.metadata.controller().is_none() => {
                        let labels_changed = old.is_none_or(|old| {
                            old.metadata.labels != new.metadata.labels || old.metadata.controller().is_some()
                        });
                        if labels_changed && !new.metadata.is_deleting() {
                            self.wake_adopters(new);
                        }
                    }
                    None => {}
                }
            }
            Change::Deleted(pod) => {
                if let Some(owner) = self.owner(pod) {
                    self.expectations.deletion_observed(&owner, &pod.metadata.uid);
                    self.queue.add(owner);
                }
            }
        }
    }

    /// Returns the key of the set that controls a pod, whether or not the store has the set yet.
    fn owner(&self, pod: &Pod) -> Option<Key> {
        let owner = pod.metadata.controller()?;
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        (owner.kind == K::KIND && group == K::GROUP).then(|| Key::new(&pod.metadata.namespace, &owner.name))
    }

    fn wake_adopters(&self, pod: &Pod) {
        for set in self.sets.in_namespace(&pod.metadata.namespace) {
            if set.selector().matches_map(Some(&pod.metadata.labels)) {
                self.queue.add(set.key());
            }
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(set) = self.sets.get(key.as_str()) else {
            self.expectations.forget(&key);
            return Ok(Outcome::Done);
        };
        // Asked before the pods are read: what is seen after this can only be newer.
        let may_act = self.expectations.satisfied(&key) && !set.metadata().is_deleting();
        let candidates = candidates(&self.pods, set.metadata());
        let pods = settle(&self.context.api, &*set, set.selector(), candidates).await?;
        let on_node = self.pods_of_siblings(&set);
        let view = View { set: &*set, pods: &pods, on_node: &on_node, may_act, now: now() };
        let Decision { create, delete, status, look_again } = decide(&view);
        let failure = match (create, delete.is_empty()) {
            (0, true) => None,
            (0, false) => self.delete(&key, &set, &delete).await.map(|error| ("FailedDelete", error)),
            _ => self.create(&key, &set, create).await.map(|error| ("FailedCreate", error)),
        };
        let said = failure.as_ref().map(|(reason, error)| (*reason, error.to_string()));
        // A set that was not acted on keeps what was said before.
        let status = if may_act { with_failure(status, said, now()) } else { status };
        if status != *set.status() {
            match self.context.api.update_counted_status(&*set, &decision::wire(&status)).await {
                Err(error) if error.is_not_found() => return Ok(Outcome::Done),
                other => other?,
            }
        }
        match failure {
            Some((_, error)) => Err(error),
            None => Ok(look_again.map_or(Outcome::Done, Outcome::After)),
        }
    }

    /// Counts, node by node, the active pods of all sets that share this set's owner: a rollout thins out crowds.
    fn pods_of_siblings(&self, set: &K) -> HashMap<String, usize> {
        let mut on_node = HashMap::new();
        let siblings: Vec<String> = match set.metadata().controller() {
            Some(owner) => {
                let siblings = self.sets.by_index(BY_CONTROLLER, &owner.uid);
                siblings.iter().map(|sibling| sibling.uid().to_owned()).collect()
            }
            None => vec![set.uid().to_owned()],
        };
        for uid in siblings {
            for pod in self.pods.by_index(BY_CONTROLLER, &uid) {
                if pod.is_active() {
                    *on_node.entry(pod.spec.node_name.clone()).or_insert(0) += 1;
                }
            }
        }
        on_node
    }

    async fn create(&self, key: &Key, set: &K, count: usize) -> Option<Error> {
        let template = set.template().value();
        let namespace = set.namespace();
        let name = Name::Generated(set.name());
        let pod = from_template(&template, &controller_reference(set), namespace, name);
        let path = resource_path::<Pod>(namespace);
        self.expectations.expect_creations(key, count);
        let batches = slow_start(count, || async {
            let created = self.context.api.create(&path, &pod).await;
            match created {
                Ok(created) => {
                    let name = created["metadata"]["name"].as_str().unwrap_or_default();
                    self.context.normal(set, "SuccessfulCreate", format!("Created pod: {name}"));
                    Ok(())
                }
                Err(error) => {
                    self.expectations.creation_observed(key);
                    Err(error)
                }
            }
        })
        .await;
        for _ in 0..batches.skipped {
            self.expectations.creation_observed(key);
        }
        // A namespace on its way out takes nothing more, and the set will go with it.
        let error = batches.error.filter(|error| !error.is_namespace_terminating())?;
        self.context.warning(set, "FailedCreate", format!("Error creating: {}", whole(&error)));
        Some(error)
    }

    async fn delete(&self, key: &Key, set: &K, pods: &[Arc<Pod>]) -> Option<Error> {
        self.expectations.expect_deletions(key, pods.iter().map(|pod| pod.metadata.uid.clone()));
        let deletions = pods.iter().map(|pod| async move {
            let result = self.context.api.delete(&path_of(&**pod), Delete::default()).await;
            self.deleted(key, set, pod, result)
        });
        futures::future::join_all(deletions).await.into_iter().flatten().next()
    }

    fn deleted(&self, key: &Key, set: &K, pod: &Pod, result: Result<Value, Error>) -> Option<Error> {
        match result {
            Ok(_) => {
                self.context.normal(set, "SuccessfulDelete", format!("Deleted pod: {}", pod.metadata.name));
                None
            }
            Err(error) => {
                self.expectations.deletion_observed(key, &pod.metadata.uid);
                if error.is_not_found() {
                    return None;
                }
                self.context.warning(set, "FailedDelete", format!("Error deleting: {}", whole(&error)));
                Some(error)
            }
        }
    }
}
