//! The health of nodes.
//!
//! Keeps true: a node that has been silent too long is marked unknown; taints follow conditions; pods of a node that
//! is not ready are not ready.
//! Woken by: changes of nodes; time, when a node's grace ends. Leases of nodes count as signs of life.
//! Reads: nodes, leases in `kube-node-lease`, pods. Writes: conditions and taints of nodes, `Ready` of pods.
//! Gives up when: no node at all is ready: then it is the network here that fails, and nobody is evicted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Error, Patch};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::{Lease, Node, Pod, Resource, find};
use informer::{Change, Key, Object, Outcome, Store, Watch, WorkQueue, run_workers};
use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use health::{Signs, judge};
use taints::{no_execute, no_schedule, replace};
use zones::{Permit, Zones};

mod health;
mod metrics;
mod taints;
mod zones;

/// The index of pods by node.
pub const BY_NODE: &str = "node";

/// Indexes pods by the node they are bound to.
pub fn index_by_node(pods: &Store<Pod>) {
    pods.index(BY_NODE, |pod: &Pod| vec![pod.spec.node_name.clone()]);
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let leases = Watch::resource(Lease::GROUP, Lease::VERSION, Lease::PLURAL, "kube-node-lease");
    let shell = Arc::new(Shell {
        nodes: context.stores.of(),
        pods: context.stores.of(),
        leases: context.stores.watch(leases),
        signs: Mutex::default(),
        zones: Mutex::new(Zones::new(&context.options)),
        queue: WorkQueue::new("node_lifecycle_controller"),
        context,
    });
    index_by_node(&shell.pods);
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| on_node.node_changed(change));
    let on_lease = Arc::clone(&shell);
    shell.leases.on_change(move |change| {
        if let Change::Applied { new, .. } = change {
            on_lease.renewed(&new.metadata.name, new.spec.renew_time.clone());
        }
    });
    Some(Box::pin(async move {
        shell.nodes.ready().await;
        shell.pods.ready().await;
        shell.leases.ready().await;
        run_workers("node-lifecycle", &shell.queue, 4, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    nodes: Store<Node>,
    pods: Store<Pod>,
    leases: Store<Lease>,
    signs: Mutex<HashMap<String, Watched>>,
    zones: Mutex<Zones>,
    queue: WorkQueue<Key>,
}

/// What was last heard of a node, by our own clock.
struct Watched {
    heard: Instant,
    heartbeat: Option<Time>,
    ready: Option<String>,
    renewed: Option<MicroTime>,
    /// Whether its pods were marked since it was last ready.
    pods_marked: bool,
}

impl Watched {
    fn new() -> Watched {
        Watched { heard: Instant::now(), heartbeat: None, ready: None, renewed: None, pods_marked: false }
    }
}

impl Shell {
    fn node_changed(&self, change: &Change<'_, Node>) {
        let node = change.object();
        let name = &node.metadata.name;
        match change {
            Change::Applied { old, .. } => {
                let mut signs = self.signs.lock();
                let watched = signs.entry(name.clone()).or_insert_with(Watched::new);
                let ready = find(&node.status.conditions, "Ready");
                let heartbeat = ready.and_then(|ready| ready.last_heartbeat_time.clone());
                let status = ready.map(|ready| ready.status.clone());
                if watched.heartbeat != heartbeat || watched.ready != status {
                    // What this controller itself wrote is no sign of life.
                    if status.as_deref() != Some("Unknown") {
                        watched.heard = Instant::now();
                    }
                    (watched.heartbeat, watched.ready) = (heartbeat, status.clone());
                }
                if status.as_deref() == Some("True") {
                    watched.pods_marked = false;
                }
                drop(signs);
                if old.is_none() {
                    let message = format!("Node {name} event: Registered Node {name} in Controller");
                    self.context.normal(&**node, "RegisteredNode", message);
                }
                self.queue.add(node.key());
            }
            Change::Deleted(_) => {
                self.signs.lock().remove(name);
                let message = format!("Node {name} event: Removing Node {name} from Controller");
                self.context.normal(&**node, "RemovingNode", message);
                // The state of the zone may have changed for the others.
                self.nodes.keys().into_iter().for_each(|key| self.queue.add(key));
            }
        }
    }

    /// Notes a sign of life; nothing else happens, the end of the node's grace is looked at when it comes.
    fn renewed(&self, node: &str, renewed: Option<MicroTime>) {
        let mut signs = self.signs.lock();
        let watched = signs.entry(node.to_owned()).or_insert_with(Watched::new);
        if watched.renewed != renewed {
            watched.renewed = renewed;
            watched.heard = Instant::now();
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(node) = self.nodes.get(key.as_str()) else { return Ok(Outcome::Done) };
        let began = Instant::now();
        let options = &self.context.options;
        let heard = self.signs.lock().get(key.name()).map_or_else(Instant::now, |watched| watched.heard);
        let signs = Signs {
            silent_for: heard.elapsed(),
            grace: options.node_monitor_grace_period,
            startup_grace: options.node_startup_grace_period,
        };
        let judgement = judge(&node, &signs, now());
        if let Some(conditions) = judgement.unknown {
            tracing::info!(node = %key, silent_for = ?signs.silent_for, "node does not report, its conditions are unknown");
            let status = json!({"conditions": conditions});
            self.context.api.update_status(&*node, &status).await?;
            let message = format!("Node {key} status is now: NodeNotReady");
            self.context.normal(&*node, "NodeNotReady", message);
            metrics::node_seen(began.elapsed());
            // The change of the node comes back and brings taints and pods along.
            return Ok(Outcome::Done);
        }
        let wait = self.taint(&node).await?;
        self.mark_pods(&node).await?;
        metrics::node_seen(began.elapsed());
        let soonest = [judgement.look_again, wait].into_iter().flatten().min();
        Ok(soonest.map_or(Outcome::Done, Outcome::After))
    }

    /// Makes the node's taints follow its conditions; returns when a taint that evicts may be added at the earliest.
    async fn taint(&self, node: &Node) -> Result<Option<Duration>, Error> {
        let ready = find(&node.status.conditions, "Ready").map(|ready| &*ready.status);
        let mut wait = None;
        let mut evicting = no_execute(ready);
        {
            let mut zones = self.zones.lock();
            let began = Instant::now();
            for (zone, size, unhealthy) in zones.survey(self.nodes.list().iter().map(|node| &**node)) {
                metrics::zone(&zone, size, unhealthy);
            }
            metrics::all_seen(began.elapsed());
            if zones.all_disrupted() {
                evicting = None;
            } else if let Some(taint) = evicting
                && !taints::has(node, taint, "NoExecute")
            {
                match zones.permit(&node.region_zone(), Instant::now()) {
                    Permit::Granted => {}
                    Permit::After(duration) => {
                        (evicting, wait) = (taints::evicting_taint(node), Some(duration));
                    }
                    Permit::Withheld => evicting = taints::evicting_taint(node),
                }
            }
        }
        let evicts = evicting.is_some_and(|taint| !taints::has(node, taint, "NoExecute"));
        let desired: Vec<Taint> = replace(node, &no_schedule(node), evicting, now());
        if desired == node.spec.taints {
            return Ok(wait);
        }
        let patch = json!({
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": desired},
        });
        match self.context.api.patch(&path_of(node), Patch::Merge, &patch).await {
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
            Ok(_) => {
                if evicts {
                    metrics::evicted(&node.region_zone());
                }
                Ok(wait)
            }
        }
    }

    /// Marks the pods of a node that is no longer ready as not ready, once for each time it stops being so.
    async fn mark_pods(&self, node: &Node) -> Result<(), Error> {
        let ready = find(&node.status.conditions, "Ready");
        if ready.is_none_or(|ready| ready.status == "True") {
            return Ok(());
        }
        let name = &node.metadata.name;
        let is_marked =
            |signs: &HashMap<String, Watched>| signs.get(name).is_some_and(|watched| watched.pods_marked);
        if is_marked(&self.signs.lock()) {
            return Ok(());
        }
        for pod in self.pods.by_index(BY_NODE, name) {
            let Some(condition) = find(&pod.status.conditions, "Ready").filter(|one| one.status == "True")
            else {
                continue;
            };
            let mut condition = condition.clone();
            condition.status = "False".to_owned();
            condition.last_transition_time = Some(Time(now()));
            self.context.warning(&*pod, "NodeNotReady", "Node is not ready");
            let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}});
            let path = format!("{}/status", path_of(&*pod));
            match self.context.api.patch(&path, Patch::Strategic, &patch).await {
                Err(error) if error.is_not_found() || error.is_conflict() => {}
                other => drop(other?),
            }
        }
        if let Some(watched) = self.signs.lock().get_mut(name) {
            watched.pods_marked = true;
        }
        Ok(())
    }
}
