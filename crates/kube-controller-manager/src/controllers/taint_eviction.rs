//! Eviction by taints.
//!
//! Keeps true: no pod stays on a node with a `NoExecute` taint for longer than it tolerates.
//! Woken by: changes of nodes' taints and of pods; time, when a toleration ends.
//! Reads: nodes, pods. Writes: the condition `DisruptionTarget` of pods, deletes pods.
//! Gives up when: the taint goes before the toleration ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Delete, Error, Patch};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::{Condition, Node, Pod};
use informer::{Change, Key, Object, Outcome, Store, WorkQueue, run_workers};
use k8s_openapi::api::core::v1::{Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parking_lot::Mutex;
use podrules::tolerations::{Stay, stay};
use serde_json::json;
use tokio::time::Instant;

use super::node_lifecycle::{BY_NODE, index_by_node};

mod metrics;

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let shell = Arc::new(Shell {
        nodes: context.stores.of(),
        pods: context.stores.of(),
        tainted: Mutex::default(),
        queue: WorkQueue::new("taint_eviction_controller"),
        context,
    });
    index_by_node(&shell.pods);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| on_node.node_changed(change));
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| {
        let pod = change.object();
        let matters = match change {
            Change::Applied { old, new } => {
                !new.spec.node_name.is_empty()
                    && old.is_none_or(|old| {
                        old.spec.node_name != new.spec.node_name
                            || old.spec.tolerations != new.spec.tolerations
                    })
            }
            Change::Deleted(_) => true,
        };
        if matters {
            on_pod.queue.add(pod.key());
        }
    });
    Some(Box::pin(async move {
        shell.nodes.ready().await;
        shell.pods.ready().await;
        run_workers("taint-eviction", &shell.queue, 8, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    nodes: Store<Node>,
    pods: Store<Pod>,
    /// Since when a pod has been on a tainted node, by our own clock; by key and uid.
    tainted: Mutex<HashMap<Key, (String, Instant)>>,
    queue: WorkQueue<Key>,
}

/// What happens to a pod.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    Waits(Duration),
    /// It should have gone so long ago.
    Goes(Duration),
}

impl Shell {
    fn node_changed(&self, change: &Change<'_, Node>) {
        let Change::Applied { old, new } = change else { return };
        let evicting = |node: &Node| -> Vec<Taint> {
            node.spec.taints.iter().filter(|taint| taint.effect == "NoExecute").cloned().collect()
        };
        let taints = evicting(new);
        if old.map_or(taints.is_empty(), |old| evicting(old) == taints) {
            return;
        }
        self.pods.by_index(BY_NODE, &new.metadata.name).iter().for_each(|pod| self.queue.add(pod.key()));
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(pod) = self.pods.get(key.as_str()).filter(|pod| !pod.metadata.is_deleting()) else {
            self.tainted.lock().remove(&key);
            return Ok(Outcome::Done);
        };
        let taints =
            self.nodes.get(&pod.spec.node_name).map(|node| node.spec.taints.clone()).unwrap_or_default();
        let since = {
            let mut tainted = self.tainted.lock();
            let evicting = taints.iter().any(|taint| taint.effect == "NoExecute");
            if !evicting {
                if tainted.remove(&key).is_some_and(|(uid, _)| uid == pod.metadata.uid) {
                    drop(tainted);
                    self.context.normal(
                        &*pod,
                        "TaintManagerEviction",
                        format!("Cancelling deletion of Pod {key}"),
                    );
                }
                return Ok(Outcome::Done);
            }
            let fresh = || (pod.metadata.uid.clone(), Instant::now());
            let entry = tainted.entry(key.clone()).or_insert_with(fresh);
            if entry.0 != pod.metadata.uid {
                *entry = fresh();
            }
            entry.1
        };
        match decide(&taints, &pod.spec.tolerations, since.elapsed()) {
            Fate::Stays => {
                // Nothing is pending for a pod that tolerates everything: its clock starts with the next taint.
                self.tainted.lock().remove(&key);
                Ok(Outcome::Done)
            }
            Fate::Waits(left) => Ok(Outcome::After(left)),
            Fate::Goes(late) => self.evict(&pod, late).await,
        }
    }

    async fn evict(&self, pod: &Pod, late: Duration) -> Result<Outcome, Error> {
        let (key, began) = (pod.key(), Instant::now());
        self.context.normal(pod, "TaintManagerEviction", format!("Marking for deletion Pod {key}"));
        let condition = Condition {
            kind: "DisruptionTarget".to_owned(),
            status: "True".to_owned(),
            reason: "DeletionByTaintManager".to_owned(),
            message: "Taint manager: deleting due to NoExecute taint".to_owned(),
            last_transition_time: Some(Time(now())),
            ..Condition::default()
        };
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}});
        let path = path_of(pod);
        let result = match self.context.api.patch(&format!("{path}/status"), Patch::Strategic, &patch).await {
            Err(error) => Err(error),
            Ok(_) => {
                let delete = Delete { uid: Some(&pod.metadata.uid), ..Delete::default() };
                self.context.api.delete(&path, delete).await.map(drop)
            }
        };
        match result {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(Outcome::Done),
            Err(error) => Err(error),
            Ok(()) => {
                metrics::deleted(late + began.elapsed());
                Ok(Outcome::Done)
            }
        }
    }
}

fn decide(taints: &[Taint], tolerations: &[Toleration], on_tainted_node_for: Duration) -> Fate {
    match stay(taints, tolerations) {
        Stay::Forever => Fate::Stays,
        Stay::Leave => Fate::Goes(on_tainted_node_for),
        Stay::Seconds(seconds) => {
            let tolerated = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            match tolerated.checked_sub(on_tainted_node_for) {
                Some(left) if !left.is_zero() => Fate::Waits(left),
                _ => Fate::Goes(on_tainted_node_for.saturating_sub(tolerated)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_stay_as_long_as_they_tolerate() {
        let taints: Vec<Taint> =
            serde_json::from_value(json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]))
                .unwrap();
        let tolerates = |seconds: Option<i64>| -> Vec<Toleration> {
            let mut toleration =
                json!({"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"});
            if let Some(seconds) = seconds {
                toleration["tolerationSeconds"] = seconds.into();
            }
            serde_json::from_value(json!([toleration])).unwrap()
        };
        let fate = |tolerations: &[Toleration], seconds: u64| {
            decide(&taints, tolerations, Duration::from_secs(seconds))
        };
        let late = |seconds| Fate::Goes(Duration::from_secs(seconds));
        assert_eq!(fate(&[], 0), late(0));
        assert_eq!(fate(&[], 5), late(5));
        assert_eq!(fate(&tolerates(None), 10_000), Fate::Stays);
        assert_eq!(fate(&tolerates(Some(300)), 100), Fate::Waits(Duration::from_secs(200)));
        assert_eq!(fate(&tolerates(Some(300)), 302), late(2));
        assert_eq!(fate(&tolerates(Some(0)), 0), late(0));
        assert_eq!(decide(&[], &[], Duration::ZERO), Fate::Stays);
    }
}
