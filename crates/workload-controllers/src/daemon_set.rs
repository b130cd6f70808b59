//! Daemon sets.
//!
//! Keeps true: every node that the template fits has one pod of it, replaced as the strategy says.
//! Woken by: changes of daemon sets, of their pods and revisions, of nodes' labels and taints; time, after failures.
//! Reads: daemon sets, pods, nodes, controller revisions. Writes: pods, revisions, owner references, the status.
//! Gives up when: never; a pod that fails again and again is made anew with growing waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::context::{Context, now};
use controller_runtime::objects::controller_revision::ControllerRevision;
use controller_runtime::objects::daemon_set::DaemonSet;
use controller_runtime::objects::{Node, Pod};
use controller_runtime::ownership::{
    candidates, controller_key, controller_reference, index_by_controller, owners_of_change, settle,
};
use informer::{Change, Expectations, Key, Object, Outcome, Store, WorkQueue, run_workers};
use k8s_openapi::api::core::v1::PodSpec;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::history::{self, Owner, Present};
use crate::pod_control::{PodControl, observe};
use decision::{Decision, View, decide};

mod decision;
mod new_pod;
mod placement;
#[cfg(test)]
mod tests;

/// The label with the hash of a pod's revision.
const HASH: &str = "controller-revision-hash";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.daemon_sets;
    let shell = Arc::new(Shell {
        daemon_sets: context.stores.of(),
        pods: context.stores.of(),
        nodes: context.stores.of(),
        revisions: context.stores.of(),
        queue: WorkQueue::new("daemonset"),
        expectations: Expectations::new(),
        failures: Mutex::default(),
        context,
    });
    index_by_controller(&shell.pods);
    index_by_controller(&shell.revisions);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_set = Arc::clone(&shell);
    shell.daemon_sets.on_change(move |change| on_set.queue.add(change.object().key()));
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| {
        observe::<DaemonSet>(&on_pod.expectations, change);
        owners_of_change(&on_pod.daemon_sets, change).into_iter().for_each(|key| on_pod.queue.add(key));
    });
    let on_revision = Arc::clone(&shell);
    shell.revisions.on_change(move |change| {
        if let Some(owner) = controller_key::<DaemonSet, _>(&**change.object()) {
            on_revision.queue.add(owner);
        }
    });
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| {
        let matters = match change {
            Change::Applied { old: Some(old), new } => {
                old.metadata.labels != new.metadata.labels
                    || old.spec.taints != new.spec.taints
                    || old.spec.unschedulable != new.spec.unschedulable
            }
            Change::Applied { old: None, .. } | Change::Deleted(_) => true,
        };
        if matters {
            on_node.daemon_sets.keys().into_iter().for_each(|key| on_node.queue.add(key));
        }
    });
    Some(Box::pin(async move {
        shell.daemon_sets.ready().await;
        shell.pods.ready().await;
        shell.nodes.ready().await;
        shell.revisions.ready().await;
        run_workers("daemonset", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    daemon_sets: Store<DaemonSet>,
    pods: Store<Pod>,
    nodes: Store<Node>,
    revisions: Store<ControllerRevision>,
    queue: WorkQueue<Key>,
    expectations: Expectations,
    /// How often in a row a set's pod failed on a node, and until when no other is made.
    failures: Mutex<HashMap<(Key, String), (u32, Instant)>>,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(set) = self.daemon_sets.get(key.as_str()) else {
            self.expectations.forget(&key);
            self.failures.lock().retain(|(owner, _), _| *owner != key);
            return Ok(Outcome::Done);
        };
        if set.spec.selector.is_everything() {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            self.context.warning(&*set, "SelectingAll", message);
            return Ok(Outcome::Done);
        }
        if set.metadata.is_deleting() {
            return Ok(Outcome::Done);
        }
        match self.sync(&key, &set).await {
            Err(error) if error.is_not_found() || error.is_namespace_terminating() => Ok(Outcome::Done),
            other => other,
        }
    }

    async fn sync(&self, key: &Key, set: &DaemonSet) -> Result<Outcome, Error> {
        let api = &self.context.api;
        let may_act = self.expectations.satisfied(key);
        let known = candidates(&self.revisions, &set.metadata);
        let revisions = settle(api, set, &set.spec.selector, known).await?;
        let owner = Owner {
            object: set,
            template: &set.spec.template,
            collisions: set.status.collision_count,
            hash_label: HASH,
        };
        let Present::Found { hash, .. } = history::settle(api, &owner, &revisions).await? else {
            let collisions = set.status.collision_count.unwrap_or(0) + 1;
            api.update_status(set, &json!({"collisionCount": collisions})).await?;
            return Ok(Outcome::Again);
        };
        let pods = settle(api, set, &set.spec.selector, candidates(&self.pods, &set.metadata)).await?;
        let template = set.spec.template.value();
        let spec: PodSpec = serde_json::from_value(template["spec"].clone())
            .map_err(|error| Error::Malformed(format!("pod template: {error}")))?;
        let nodes = self.nodes.list();
        let decision =
            decide(&View { set, spec: &spec, nodes: &nodes, pods: &pods, hash: &hash, may_act, now: now() });
        let wait = self.carry_out(key, set, &template, &hash, &decision).await?;
        let used = |one: &ControllerRevision| {
            let name = history::hash(one, HASH);
            name == hash || pods.iter().any(|pod| pod.metadata.labels.get(HASH) == Some(&name))
        };
        history::delete(api, &history::surplus(&revisions, set.spec.revision_history_limit, used)).await?;
        if decision.status != set.status {
            api.update_counted_status(set, &wire(&decision.status)).await?;
        }
        let soonest = [wait, decision.look_again].into_iter().flatten().min();
        Ok(soonest.map_or(Outcome::Done, Outcome::After))
    }

    async fn carry_out(
        &self,
        key: &Key,
        set: &DaemonSet,
        template: &Value,
        hash: &str,
        decision: &Decision,
    ) -> Result<Option<std::time::Duration>, Error> {
        let mut delete = decision.delete.clone();
        let mut wait = None;
        for pod in &decision.failed {
            match self.failed(key, set, pod) {
                None => delete.push(Arc::clone(pod)),
                Some(left) => wait = Some(wait.map_or(left, |other: std::time::Duration| other.min(left))),
            }
        }
        let control =
            PodControl { context: &self.context, expectations: &self.expectations, key, owner: set };
        let (owner, nodes) = (controller_reference(set), &decision.create);
        let make = |number: usize| new_pod::object(set, template, &owner, &nodes[number], hash);
        let made = control.create(nodes.len(), make).await;
        control.delete(&delete).await?;
        made.error.map_or(Ok(wait), Err)
    }

    /// Tells how long a failed pod must stay before another one is made on its node; `None` if it may go now.
    fn failed(&self, key: &Key, set: &DaemonSet, pod: &Pod) -> Option<std::time::Duration> {
        let node = placement::node_of(pod).to_owned();
        if pod.status.phase == "Succeeded" {
            let message = format!(
                "Found succeeded daemon pod {} on node {node}, will try to delete it",
                pod.metadata.key()
            );
            self.context.normal(set, "SucceededDaemonPod", message);
            return None;
        }
        let now = Instant::now();
        let mut failures = self.failures.lock();
        let (count, until) = failures.entry((key.clone(), node.clone())).or_insert((0, now));
        if *until > now {
            return Some(*until - now);
        }
        // One second after the first failure, fifteen minutes at most; upstream's values.
        let pause =
            std::time::Duration::from_secs(1 << (*count).min(10)).min(std::time::Duration::from_secs(900));
        *count += 1;
        *until = now + pause;
        let message =
            format!("Found failed daemon pod {} on node {node}, will try to kill it", pod.metadata.key());
        self.context.warning(set, "FailedDaemonPod", message);
        None
    }
}

/// Returns the status as it is sent: fields that may be left out are removed when they are zero.
fn wire(status: &controller_runtime::objects::daemon_set::DaemonSetStatus) -> Value {
    let mut wire: BTreeMap<&str, Value> = [
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "conditions",
    ]
    .into_iter()
    .map(|name| (name, Value::Null))
    .collect();
    let present = json!(status);
    for (name, value) in present.as_object().into_iter().flatten() {
        wire.insert(name, value.clone());
    }
    json!(wire)
}
