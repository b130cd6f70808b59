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
use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::context::{Context, now};
use controller_runtime::objects::{Pod, ReplicaSet, ReplicaSetStatus, ReplicationController, Template};
use controller_runtime::ownership::{
    Adopter, BY_CONTROLLER, candidates, controller_reference, index_by_controller, owners_of_change, settle,
};
use informer::{Expectations, Key, Outcome, Store, WorkQueue, run_workers};

use crate::pod_control::{PodControl, observe};
use crate::pods::{Name, from_template};
use decision::{Decision, View, decide, with_failure};

mod decision;
mod metrics;
#[cfg(test)]
mod tests;

/// What replica sets and replication controllers have in common.
pub trait Replicas: Adopter {
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
    shell.pods.on_change(move |change| {
        observe::<K>(&on_pod.expectations, change);
        owners_of_change(&on_pod.sets, change).into_iter().for_each(|key| on_pod.queue.add(key));
    });
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
        metrics::chosen(view.pods, &delete, view.now);
        let control =
            PodControl { context: &self.context, expectations: &self.expectations, key: &key, owner: &*set };
        let failure = match (create, delete.is_empty()) {
            (0, true) => None,
            (0, false) => control.delete(&delete).await.err().map(|error| ("FailedDelete", error)),
            _ => {
                let template = set.template().value();
                let name = Name::Generated(set.name());
                let pod = from_template(&template, &controller_reference(&*set), set.namespace(), name);
                let made = control.create(create, |_| pod.clone()).await;
                made.error.map(|error| ("FailedCreate", error))
            }
        };
        let said = failure.as_ref().map(|(reason, error)| (*reason, whole(error)));
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
}
