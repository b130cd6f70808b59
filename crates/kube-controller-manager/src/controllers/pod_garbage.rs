//! Pods that nobody else removes.
//!
//! Keeps true: no pods stay bound to nodes that are gone, unscheduled pods on their way out go, and no more than
//! `--terminated-pod-gc-threshold` ended pods are kept.
//! Woken by: changes of pods and nodes; time, for the quarantine of a node that is gone.
//! Reads: pods, nodes. Writes: pods' status and deletes pods without grace.
//! Gives up when: a node thought gone is there after all.

use std::sync::Arc;
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::path::{named_path, path_of};
use controller_runtime::api::{Delete, Error, Patch};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::{Condition, Node, Pod};
use informer::{Change, Key, Object, Outcome, Store, WorkQueue, run_workers};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::node_lifecycle::{BY_NODE, index_by_node};

/// How long a node must be gone before its pods are; upstream's value.
const QUARANTINE: Duration = Duration::from_secs(40);
/// How soon after the threshold was passed the oldest ended pods go; upstream's period.
const SWEEP: Duration = Duration::from_secs(20);
/// The index value of ended pods.
const ENDED: &str = "ended";
const BY_END: &str = "end";
/// Marks a node whose pods will not come back even though it does not report.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    /// The pods of a node that may be gone.
    Node(String),
    /// A pod that may be removable by itself.
    Pod(Key),
    /// The number of ended pods.
    Ended,
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Work::Node(name) => write!(f, "pods of node {name}"),
            Work::Pod(key) => write!(f, "pod {key}"),
            Work::Ended => f.write_str("ended pods"),
        }
    }
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let shell = Arc::new(Shell {
        pods: context.stores.of(),
        nodes: context.stores.of(),
        queue: WorkQueue::new("pod_garbage_collector"),
        context,
    });
    index_by_node(&shell.pods);
    shell.pods.index(BY_END, |pod: &Pod| if pod.is_terminal() { vec![ENDED.to_owned()] } else { Vec::new() });
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| on_pod.pod_changed(change));
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| match change {
        Change::Deleted(node) => on_node.queue.add_after(Work::Node(node.metadata.name.clone()), QUARANTINE),
        Change::Applied { new, .. } => {
            if new.spec.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE) {
                on_node.queue.add(Work::Node(new.metadata.name.clone()));
            }
        }
    });
    Some(Box::pin(async move {
        shell.pods.ready().await;
        shell.nodes.ready().await;
        run_workers("pod-garbage-collector", &shell.queue, 2, |work| shell.reconcile(work)).await;
    }))
}

struct Shell {
    context: Context,
    pods: Store<Pod>,
    nodes: Store<Node>,
    queue: WorkQueue<Work>,
}

impl Shell {
    fn pod_changed(&self, change: &Change<'_, Pod>) {
        let Change::Applied { old, new } = change else { return };
        let node = &new.spec.node_name;
        if node.is_empty() {
            if new.metadata.is_deleting() {
                self.queue.add(Work::Pod(new.key()));
            }
        } else if old.is_none_or(|old| old.spec.node_name != *node) && self.nodes.get(node).is_none() {
            self.queue.add_after(Work::Node(node.clone()), QUARANTINE);
        }
        let threshold = usize::try_from(self.context.options.terminated_pod_gc_threshold).unwrap_or(0);
        let has_ended = new.is_terminal() && old.is_none_or(|old| !old.is_terminal());
        if has_ended && threshold > 0 && self.pods.by_index(BY_END, ENDED).len() > threshold {
            self.queue.add_after(Work::Ended, SWEEP);
        }
    }

    async fn reconcile(&self, work: Work) -> Result<Outcome, Error> {
        match work {
            Work::Node(name) => self.node_gone(&name).await?,
            Work::Pod(key) => {
                if let Some(pod) = self.pods.get(key.as_str())
                    && pod.metadata.is_deleting()
                    && pod.spec.node_name.is_empty()
                {
                    self.remove(&pod, None).await?;
                }
            }
            Work::Ended => {
                for pod in surplus(
                    self.pods.by_index(BY_END, ENDED),
                    self.context.options.terminated_pod_gc_threshold,
                ) {
                    self.remove(&pod, None).await?;
                }
            }
        }
        Ok(Outcome::Done)
    }

    async fn node_gone(&self, name: &str) -> Result<(), Error> {
        let pods = self.pods.by_index(BY_NODE, name);
        if pods.is_empty() {
            return Ok(());
        }
        if let Some(node) = self.nodes.get(name) {
            let is_out = node.spec.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE)
                && !controller_runtime::objects::is_true(&node.status.conditions, "Ready");
            for pod in pods.iter().filter(|pod| is_out && pod.metadata.is_deleting()) {
                self.remove(pod, None).await?;
            }
            return Ok(());
        }
        // The store may lag or the node may be new: only the server's word counts.
        match self.context.api.get_metadata(&named_path::<Node>("", name)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        for pod in pods {
            self.remove(&pod, Some("PodGC: node no longer exists")).await?;
        }
        Ok(())
    }

    /// Removes a pod without grace; one that has not ended is marked failed first.
    async fn remove(&self, pod: &Pod, disrupted: Option<&str>) -> Result<(), Error> {
        let path = path_of(pod);
        if !pod.is_terminal() {
            let mut status = json!({"phase": "Failed"});
            if let Some(message) = disrupted {
                let condition = Condition {
                    kind: "DisruptionTarget".to_owned(),
                    status: "True".to_owned(),
                    reason: "DeletionByPodGC".to_owned(),
                    message: message.to_owned(),
                    last_transition_time: Some(Time(now())),
                    ..Condition::default()
                };
                status["conditions"] = json!([condition]);
            }
            let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
            let patched = self.context.api.patch(&format!("{path}/status"), Patch::Strategic, &patch).await;
            ignore_gone(patched)?;
        }
        let delete =
            Delete { uid: Some(&pod.metadata.uid), grace_period_seconds: Some(0), ..Delete::default() };
        tracing::info!(pod = %pod.key(), node = %pod.spec.node_name, "removed a pod that nobody else would");
        ignore_gone(self.context.api.delete(&path, delete).await)
    }
}

fn ignore_gone(result: Result<serde_json::Value, Error>) -> Result<(), Error> {
    match result {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(()),
    }
}

/// Returns the ended pods beyond the threshold: evicted ones first, then the oldest.
fn surplus(mut ended: Vec<Arc<Pod>>, threshold: i32) -> Vec<Arc<Pod>> {
    let count = ended.len().saturating_sub(usize::try_from(threshold).unwrap_or(usize::MAX));
    ended.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (pod.status.reason != "Evicted", created, pod.metadata.name.clone())
    });
    ended.truncate(count);
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evicted_and_then_the_oldest_go_first() {
        let pod = |name: &str, hour: u8, reason: &str| -> Arc<Pod> {
            let pod = json!({"metadata": {"name": name, "creationTimestamp": format!("2026-01-01T{hour:02}:00:00Z")},
                "status": {"phase": "Failed", "reason": reason}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let pods = || {
            vec![pod("young", 9, ""), pod("old", 1, ""), pod("evicted", 8, "Evicted"), pod("older", 0, "")]
        };
        let names = |threshold: i32| -> Vec<String> {
            surplus(pods(), threshold).iter().map(|pod| pod.metadata.name.clone()).collect()
        };
        assert_eq!(names(1), ["evicted", "older", "old"]);
        assert_eq!(names(4), [""; 0]);
    }
}
