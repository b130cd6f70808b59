//! Stateful sets.
//!
//! Keeps true: pods of consecutive numbers, each with its own claims, made and removed in order, replaced from the
//! highest number down.
//! Woken by: changes of stateful sets, of their pods and revisions; time, for `minReadySeconds`.
//! Reads: stateful sets, pods, controller revisions. Writes: pods, claims, revisions, owner references, the status.
//! Gives up when: never; in order means that a pod that does not become ready holds up those after it.

use std::sync::Arc;

use component::cause::whole;
use controller_runtime::Running;
use controller_runtime::api::path::{path_of, resource_path};
use controller_runtime::api::{Delete, Error, Patch};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::controller_revision::ControllerRevision;
use controller_runtime::objects::stateful_set::{StatefulSet, StatefulSetStatus};
use controller_runtime::objects::{Pod, Template};
use controller_runtime::ownership::{
    candidates, controller_key, index_by_controller, owners_of_change, settle,
};
use informer::{Key, Object, Outcome, Store, WorkQueue, run_workers};
use serde_json::{Value, json};

use crate::history::{self, Owner, Present};
use decision::{Decision, NewPod, View, decide};

mod decision;
mod new_pod;
#[cfg(test)]
mod tests;

/// The label with the name of a pod's revision, and with the hash on the revision itself.
const REVISION: &str = "controller-revision-hash";
/// The label with the hash on a revision.
const HASH: &str = "controller.kubernetes.io/hash";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.stateful_sets;
    let shell = Arc::new(Shell {
        sets: context.stores.of(),
        pods: context.stores.of(),
        revisions: context.stores.of(),
        queue: WorkQueue::new("statefulset"),
        context,
    });
    index_by_controller(&shell.pods);
    index_by_controller(&shell.revisions);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_set = Arc::clone(&shell);
    shell.sets.on_change(move |change| on_set.queue.add(change.object().key()));
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| {
        owners_of_change(&on_pod.sets, change).into_iter().for_each(|key| on_pod.queue.add(key));
    });
    let on_revision = Arc::clone(&shell);
    shell.revisions.on_change(move |change| {
        controller_key::<StatefulSet, _>(&**change.object())
            .into_iter()
            .for_each(|owner| on_revision.queue.add(owner));
    });
    Some(Box::pin(async move {
        shell.sets.ready().await;
        shell.pods.ready().await;
        shell.revisions.ready().await;
        run_workers("statefulset", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    sets: Store<StatefulSet>,
    pods: Store<Pod>,
    revisions: Store<ControllerRevision>,
    queue: WorkQueue<Key>,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(set) = self.sets.get(key.as_str()) else { return Ok(Outcome::Done) };
        match self.sync(&set).await {
            Err(error) if error.is_not_found() || error.is_namespace_terminating() => Ok(Outcome::Done),
            other => other,
        }
    }

    async fn sync(&self, set: &StatefulSet) -> Result<Outcome, Error> {
        let api = &self.context.api;
        let known = candidates(&self.revisions, &set.metadata);
        let revisions = settle(api, set, &set.spec.selector, known).await?;
        // A name alone makes no pod a member: it must also be called as one.
        let mut pods = candidates(&self.pods, &set.metadata);
        pods.retain(|pod| set.ordinal(&pod.metadata.name).is_some());
        let pods = settle(api, set, &set.spec.selector, pods).await?;
        if set.metadata.is_deleting() {
            return Ok(Outcome::Done);
        }
        let owner = Owner {
            object: set,
            template: &set.spec.template,
            collisions: set.status.collision_count,
            hash_label: HASH,
        };
        let Present::Found { name: update, .. } = history::settle(api, &owner, &revisions).await? else {
            let collisions = set.status.collision_count.unwrap_or(0) + 1;
            api.update_status(set, &json!({"collisionCount": collisions})).await?;
            return Ok(Outcome::Again);
        };
        let before = revisions.iter().find(|one| one.metadata.name == set.status.current_revision);
        let current = before.map_or(&update, |revision| &revision.metadata.name);
        let decision = decide(&View { set, pods: &pods, current, update: &update, now: now() });
        let current_template =
            before.map_or_else(|| set.spec.template.clone(), |revision| history::template(revision));
        let carried_out = self.carry_out(set, &decision, &current_template, current, &update).await;
        // What could not be made must not count; the next change of a pod corrects the rest.
        if carried_out.is_ok() && decision.status != set.status {
            api.update_counted_status(set, &wire(&decision.status)).await?;
        }
        carried_out?;
        let used = |one: &ControllerRevision| {
            let name = &one.metadata.name;
            name == current
                || *name == update
                || pods.iter().any(|pod| pod.metadata.labels.get(REVISION) == Some(name))
        };
        history::delete(api, &history::surplus(&revisions, set.spec.revision_history_limit, used)).await?;
        Ok(decision.look_again.map_or(Outcome::Done, Outcome::After))
    }

    async fn carry_out(
        &self,
        set: &StatefulSet,
        decision: &Decision,
        current_template: &Template,
        current: &str,
        update: &str,
    ) -> Result<(), Error> {
        for new in &decision.create {
            let (template, revision) = match new {
                NewPod { updated: true, .. } => (&set.spec.template, update),
                NewPod { updated: false, .. } => (current_template, current),
            };
            self.create_claims(set, new.ordinal).await?;
            let pod = new_pod::object(set, &template.value(), revision, new.ordinal);
            self.create_pod(set, &pod).await?;
        }
        for pod in &decision.relabel {
            let labels = new_pod::identity(set, &pod.metadata.name);
            let patch = json!({"metadata": {"uid": pod.metadata.uid, "labels": labels}});
            self.context.api.patch(&path_of(&**pod), Patch::Merge, &patch).await?;
        }
        for pod in &decision.condemn {
            self.condemn_claims(set, pod).await?;
        }
        for pod in decision.condemn.iter().chain(&decision.delete) {
            self.delete(set, pod).await?;
        }
        Ok(())
    }

    async fn create_pod(&self, set: &StatefulSet, pod: &Value) -> Result<(), Error> {
        let (set_name, name) = (&set.metadata.name, pod["metadata"]["name"].as_str().unwrap_or_default());
        match self.context.api.create(&resource_path::<Pod>(&set.metadata.namespace), pod).await {
            Ok(_) => {
                let message = format!("create Pod {name} in StatefulSet {set_name} successful");
                self.context.normal(set, "SuccessfulCreate", message);
                Ok(())
            }
            // The store has not seen it yet.
            Err(error) if error.is_already_exists() => Ok(()),
            Err(error) => {
                let message =
                    format!("create Pod {name} in StatefulSet {set_name} failed error: {}", whole(&error));
                self.context.warning(set, "FailedCreate", message);
                Err(error)
            }
        }
    }

    async fn create_claims(&self, set: &StatefulSet, ordinal: i32) -> Result<(), Error> {
        let (set_name, pod_name) = (&set.metadata.name, set.pod_name(ordinal));
        for claim in new_pod::claims(set, ordinal) {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims", set.metadata.namespace);
            match self.context.api.create(&path, &claim).await {
                Ok(_) => {
                    let message =
                        format!("create Claim {name} Pod {pod_name} in StatefulSet {set_name} success");
                    self.context.normal(set, "SuccessfulCreate", message);
                }
                Err(error) if error.is_already_exists() => {}
                Err(error) => {
                    let message = format!(
                        "create Claim {name} for Pod {pod_name} in StatefulSet {set_name} failed error: {}",
                        whole(&error)
                    );
                    self.context.warning(set, "FailedCreate", message);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Makes the claims of a pod that is scaled away go with it, if the set asks for that.
    async fn condemn_claims(&self, set: &StatefulSet, pod: &Pod) -> Result<(), Error> {
        let retention = set.spec.persistent_volume_claim_retention_policy.as_ref();
        let (Some("Delete"), Some(ordinal)) =
            (retention.map(|retention| &*retention.when_scaled), set.ordinal(&pod.metadata.name))
        else {
            return Ok(());
        };
        for template in &set.spec.volume_claim_templates {
            let name = new_pod::claim_name(set, template, ordinal);
            let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims/{name}", set.metadata.namespace);
            let mut claim = match self.context.api.get(&path).await {
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid});
            match claim["metadata"]["ownerReferences"].as_array_mut() {
                Some(owners) if owners.iter().any(|one| one["uid"] == *pod.metadata.uid) => continue,
                Some(owners) => owners.push(owner),
                None => claim["metadata"]["ownerReferences"] = json!([owner]),
            }
            self.context.api.update(&path, &claim).await?;
        }
        Ok(())
    }

    async fn delete(&self, set: &StatefulSet, pod: &Pod) -> Result<(), Error> {
        let delete = Delete { uid: Some(&pod.metadata.uid), ..Delete::default() };
        let (set_name, name) = (&set.metadata.name, &pod.metadata.name);
        match self.context.api.delete(&path_of(pod), delete).await {
            Ok(_) => {
                let message = format!("delete Pod {name} in StatefulSet {set_name} successful");
                self.context.normal(set, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => {
                let message =
                    format!("delete Pod {name} in StatefulSet {set_name} failed error: {}", whole(&error));
                self.context.warning(set, "FailedDelete", message);
                Err(error)
            }
        }
    }
}

/// Returns the status as it is sent: what is zero or empty is left out, except `replicas` and `availableReplicas`.
fn wire(status: &StatefulSetStatus) -> Value {
    let unless_zero = |number: i64| if number == 0 { Value::Null } else { number.into() };
    json!({
        "observedGeneration": unless_zero(status.observed_generation),
        "replicas": status.replicas,
        "readyReplicas": unless_zero(status.ready_replicas.into()),
        "currentReplicas": unless_zero(status.current_replicas.into()),
        "updatedReplicas": unless_zero(status.updated_replicas.into()),
        "currentRevision": status.current_revision,
        "updateRevision": status.update_revision,
        "collisionCount": status.collision_count.or(Some(0)),
        "availableReplicas": status.available_replicas,
    })
}
