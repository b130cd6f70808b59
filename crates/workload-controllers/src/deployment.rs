//! Deployments.
//!
//! Keeps true: pods run the present template, in the number asked for, replaced as the strategy says.
//! Woken by: changes of the deployment and of replica sets it owns or could adopt; the end of an old pod (Recreate);
//! time, for the progress deadline.
//! Reads: deployments, replica sets, pods. Writes: replica sets, the deployment's revision annotation and status.
//! Gives up when: never; a rollout past its deadline is said in the condition `Progressing`.

use std::sync::Arc;

use component::cause::whole;
use controller_runtime::Running;
use controller_runtime::api::path::{named_path, path_of, resource_path};
use controller_runtime::api::{Delete, Error, Patch};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::{Deployment, Pod, ReplicaSet, Template};
use controller_runtime::ownership::{
    BY_CONTROLLER, candidates, controller_key, controller_reference, index_by_controller, owners_of_change,
    settle,
};
use informer::{Change, Key, Object, Outcome, Store, WorkQueue, run_workers};
use serde_json::{Value, json};

use plan::{NewReplicaSet, Plan, View, plan};
use replica_sets::Set;

mod annotations;
mod conditions;
mod plan;
pub mod proportion;
mod replica_sets;
mod rolling;
mod scale;
mod status;
#[cfg(test)]
mod tests;

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.deployments;
    let shell = Arc::new(Shell {
        deployments: context.stores.of(),
        replica_sets: context.stores.of(),
        pods: context.stores.of(),
        queue: WorkQueue::new("deployment"),
        context,
    });
    index_by_controller(&shell.replica_sets);
    index_by_controller(&shell.pods);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_deployment = Arc::clone(&shell);
    shell.deployments.on_change(move |change| on_deployment.queue.add(change.object().key()));
    let on_set = Arc::clone(&shell);
    shell.replica_sets.on_change(move |change| {
        owners_of_change(&on_set.deployments, change).into_iter().for_each(|key| on_set.queue.add(key));
    });
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| on_pod.pod_changed(change));
    Some(Box::pin(async move {
        shell.deployments.ready().await;
        shell.replica_sets.ready().await;
        shell.pods.ready().await;
        run_workers("deployment", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    deployments: Store<Deployment>,
    replica_sets: Store<ReplicaSet>,
    pods: Store<Pod>,
    queue: WorkQueue<Key>,
}

impl Shell {
    /// A rollout that recreates goes on when the last old pod has ended.
    fn pod_changed(&self, change: &Change<'_, Pod>) {
        let ended = match change {
            Change::Deleted(_) => true,
            Change::Applied { old, new } => new.is_terminal() && old.is_some_and(|old| !old.is_terminal()),
        };
        let pod = change.object();
        if ended
            && let Some(set) = pod.metadata.controller().filter(|owner| owner.kind == "ReplicaSet")
            && let Some(set) = self.replica_sets.find(&pod.metadata.namespace, &set.name)
            && let Some(owner) = controller_key::<Deployment, _>(&*set)
        {
            self.queue.add(owner);
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(deployment) = self.deployments.get(key.as_str()) else { return Ok(Outcome::Done) };
        let selector = deployment.spec.selector();
        if selector.is_everything() {
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.context.warning(&*deployment, "SelectingAll", message);
            return Ok(Outcome::Done);
        }
        let candidates = candidates(&self.replica_sets, &deployment.metadata);
        let owned = settle(&self.context.api, &*deployment, &selector, candidates).await?;
        let sets = owned.iter().map(|set| Set::new(Arc::clone(set), self.unfinished_pods(set))).collect();
        let now = now();
        let plan = plan(&View { deployment: &deployment, now }, sets);
        let again = plan.look_again;
        match self.carry_out(&deployment, plan).await {
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) => Err(error),
            Ok(()) => Ok(again.map_or(Outcome::Done, Outcome::After)),
        }
    }

    fn unfinished_pods(&self, set: &ReplicaSet) -> usize {
        self.pods.by_index(BY_CONTROLLER, &set.metadata.uid).iter().filter(|pod| !pod.is_terminal()).count()
    }

    async fn carry_out(&self, deployment: &Deployment, mut plan: Plan) -> Result<(), Error> {
        let api = &self.context.api;
        for set in plan.sets.iter().filter(|set| set.is_changed()) {
            let patch = set.patch();
            api.patch(&path_of(&*set.object), Patch::Merge, &patch).await?;
            if let Some(event) = set.scaling_event() {
                self.context.normal(deployment, "ScalingReplicaSet", event);
            }
        }
        if let Some(new) = plan.create.take() {
            self.create(deployment, &new, &mut plan).await?;
        }
        for set in &plan.delete {
            let delete = Delete { uid: Some(&set.metadata.uid), ..Delete::default() };
            match api.delete(&path_of(&**set), delete).await {
                Err(error) if error.is_not_found() => {}
                other => drop(other?),
            }
        }
        self.write_deployment(deployment, &plan).await
    }

    /// Creates the replica set of the present template. A name taken by a stranger is counted as a collision.
    async fn create(
        &self,
        deployment: &Deployment,
        new: &NewReplicaSet,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let namespace = &deployment.metadata.namespace;
        let object = new.object(namespace, &controller_reference(deployment));
        let api = &self.context.api;
        match api.create(&resource_path::<ReplicaSet>(namespace), &object).await {
            Ok(_) => {
                if new.replicas > 0 {
                    let message = format!("Scaled up replica set {} from 0 to {}", new.name, new.replicas);
                    self.context.normal(deployment, "ScalingReplicaSet", message);
                }
                Ok(())
            }
            Err(error) if error.is_already_exists() => {
                let live = api.get(&named_path::<ReplicaSet>(namespace, &new.name)).await?;
                if is_ours(&live, deployment, &new.template) {
                    return Ok(());
                }
                let collisions = deployment.status.collision_count.unwrap_or(0) + 1;
                api.update_status(deployment, &json!({"collisionCount": collisions})).await?;
                Err(error)
            }
            Err(error) if error.is_namespace_terminating() => Ok(()),
            Err(error) => {
                let message = format!("Failed to create new replica set {:?}: {}", new.name, whole(&error));
                self.context.warning(deployment, "ReplicaSetCreateError", &*message);
                if deployment.spec.has_deadline() {
                    conditions::set(
                        &mut plan.status.conditions,
                        conditions::progressing("False", "ReplicaSetCreateError", message, now()),
                    );
                    plan.revision = None;
                    self.write_deployment(deployment, plan).await?;
                }
                Err(error)
            }
        }
    }

    async fn write_deployment(&self, deployment: &Deployment, plan: &Plan) -> Result<(), Error> {
        let api = &self.context.api;
        let status = (plan.status != deployment.status).then(|| status::wire(&plan.status));
        let Some(revision) = &plan.revision else {
            return match status {
                Some(status) => api.update_status(deployment, &status).await,
                None => Ok(()),
            };
        };
        // Upstream writes the annotation together with the status, which the status endpoint lets through.
        api.modify(deployment, "status", |live| {
            let change = json!({annotations::REVISION: revision});
            let annotated = controller_runtime::api::merge(&mut live["metadata"]["annotations"], &change);
            let updated =
                status.is_some_and(|status| controller_runtime::api::merge(&mut live["status"], &status));
            annotated || updated
        })
        .await
    }
}

/// Tells whether a live replica set is the one that was to be created.
fn is_ours(live: &Value, deployment: &Deployment, template: &Template) -> bool {
    let owners = live["metadata"]["ownerReferences"].as_array();
    let controlled = owners
        .into_iter()
        .flatten()
        .any(|owner| owner["uid"] == *deployment.metadata.uid && owner["controller"] == true);
    controlled && Template::from(&live["spec"]["template"]).is_same(template)
}
