//! Disruption budgets.
//!
//! Keeps true: a budget's status says how many of its pods may be evicted now.
//! Woken by: changes of budgets and of the pods they select; time, while granted evictions are waited for.
//! Reads: budgets, pods, the controllers of pods. Writes: the status of budgets.
//! Gives up when: never; pods whose controller is unknown are said in the condition `DisruptionAllowed`.

mod decision;
mod objects;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::context::{Context, now};
use controller_runtime::objects::stateful_set::StatefulSet;
use controller_runtime::objects::{Deployment, Pod, ReplicaSet, ReplicationController, Resource};
use controller_runtime::ownership::controller_key;
use informer::{Change, Key, Object as _, Outcome, Store, WorkQueue, run_workers};
use serde_json::json;

use decision::{Decision, Scales, View, decide};
use objects::PodDisruptionBudget;

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let shell = Arc::new(Shell {
        budgets: context.stores.of(),
        pods: context.stores.of(),
        owners: Owners {
            deployments: context.stores.of(),
            replica_sets: context.stores.of(),
            replication_controllers: context.stores.of(),
            stateful_sets: context.stores.of(),
        },
        queue: WorkQueue::new("disruption"),
        context,
    });
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_budget = Arc::clone(&shell);
    shell.budgets.on_change(move |change| on_budget.queue.add(change.object().key()));
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| on_pod.pod_changed(change));
    // What a controller wants changes the budgets of its pods, also where no pod has changed yet.
    let wake = |shell: &Arc<Shell>| {
        let shell = Arc::clone(shell);
        move |namespace: &str| {
            shell.budgets.in_namespace(namespace).iter().for_each(|budget| shell.queue.add(budget.key()));
        }
    };
    let on_set = wake(&shell);
    shell.owners.stateful_sets.on_change(move |change| {
        if replicas_changed(change, |set| set.spec.replicas) {
            on_set(change.object().namespace());
        }
    });
    let on_deployment = wake(&shell);
    shell.owners.deployments.on_change(move |change| {
        if replicas_changed(change, |deployment| deployment.spec.replicas) {
            on_deployment(change.object().namespace());
        }
    });
    Some(Box::pin(async move {
        shell.budgets.ready().await;
        shell.pods.ready().await;
        shell.owners.ready().await;
        run_workers("disruption", &shell.queue, 1, |key| shell.reconcile(key)).await;
    }))
}

fn replicas_changed<K>(change: &Change<'_, K>, replicas: impl Fn(&K) -> i32) -> bool {
    match change {
        Change::Applied { old: Some(old), new } => replicas(old) != replicas(new),
        Change::Applied { old: None, .. } | Change::Deleted(_) => true,
    }
}

struct Shell {
    context: Context,
    budgets: Store<PodDisruptionBudget>,
    pods: Store<Pod>,
    owners: Owners,
    queue: WorkQueue<Key>,
}

impl Shell {
    fn pod_changed(&self, change: &Change<'_, Pod>) {
        let pod = change.object();
        let before = match change {
            Change::Applied { old, .. } => old.map(|old| &old.metadata.labels),
            Change::Deleted(_) => None,
        };
        for budget in self.budgets.in_namespace(&pod.metadata.namespace) {
            let selects = |labels| budget.spec.selector.matches_map(Some(labels));
            if selects(&pod.metadata.labels) || before.is_some_and(selects) {
                self.queue.add(budget.key());
            }
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(budget) = self.budgets.get(key.as_str()) else { return Ok(Outcome::Done) };
        let mut pods = self.pods.in_namespace(key.namespace());
        pods.retain(|pod| budget.spec.selector.matches_map(Some(&pod.metadata.labels)));
        if pods.is_empty() {
            self.context.normal(&*budget, "NoPods", "No matching pods found");
        }
        let scales = self.owners.scales(&pods);
        let view = View { budget: &budget, pods: &pods, scales: &scales, now: now() };
        let Decision { status, failure, overdue, look_again } = decide(&view);
        for pod in overdue {
            let message = format!("Pod was expected by PDB {key} to be deleted but it wasn't");
            self.context.warning(&*pod, "NotDeleted", message);
        }
        if let Some(why) = failure {
            let message = format!("Failed to calculate the number of expected pods: {why}");
            self.context.warning(&*budget, "CalculateExpectedPodCountFailed", message);
        }
        if status != budget.status {
            match self.context.api.update_status(&*budget, &json!(status)).await {
                Err(error) if error.is_not_found() => return Ok(Outcome::Done),
                other => other?,
            }
        }
        Ok(look_again.map_or(Outcome::Done, Outcome::After))
    }
}

/// The controllers that say how many pods they want.
struct Owners {
    deployments: Store<Deployment>,
    replica_sets: Store<ReplicaSet>,
    replication_controllers: Store<ReplicationController>,
    stateful_sets: Store<StatefulSet>,
}

impl Owners {
    async fn ready(&self) {
        self.deployments.ready().await;
        self.replica_sets.ready().await;
        self.replication_controllers.ready().await;
        self.stateful_sets.ready().await;
    }

    /// Returns what the controllers of pods want. Pods without a controller count for nothing.
    fn scales(&self, pods: &[Arc<Pod>]) -> Result<Scales, String> {
        let mut scales = Scales::new();
        for pod in pods {
            let Some(controller) = pod.metadata.controller() else { continue };
            if scales.contains_key(&controller.uid) {
                continue;
            }
            let Some((uid, replicas)) = self.scale(pod) else {
                return Err(format!("found no controllers for pod {:?}", pod.metadata.name));
            };
            scales.insert(uid, replicas);
        }
        Ok(scales)
    }

    /// Returns the uid of the outermost controller of a pod, and how many pods it wants.
    fn scale(&self, pod: &Pod) -> Option<(String, i32)> {
        if let Some(set) = find(&self.replica_sets, pod) {
            return match find(&self.deployments, &*set) {
                Some(deployment) => Some((deployment.metadata.uid.clone(), deployment.spec.replicas)),
                None => Some((set.metadata.uid.clone(), set.spec.replicas)),
            };
        }
        if let Some(set) = find(&self.stateful_sets, pod) {
            return Some((set.metadata.uid.clone(), set.spec.replicas));
        }
        let controller = find(&self.replication_controllers, pod)?;
        Some((controller.metadata.uid.clone(), controller.spec.replicas))
    }
}

/// Returns the controller of an object, if it is of this type and still the very same.
fn find<O: Resource, K: Resource>(owners: &Store<O>, object: &K) -> Option<Arc<O>> {
    let key = controller_key::<O, K>(object)?;
    let uid = &object.metadata().controller()?.uid;
    owners.get(key.as_str()).filter(|owner| owner.uid() == uid)
}
