//! Ranges of pod addresses for nodes.
//!
//! Keeps true: every node has one range of each family of `--cluster-cidr`, and no two nodes share one.
//! Woken by: changes of nodes.
//! Reads: nodes. Writes: `spec.podCIDR` and `spec.podCIDRs` of nodes that have none.
//! Gives up when: no range is left; it says so in an event and tries again when a node goes.

use std::sync::Arc;

use controller_runtime::Options;
use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Error, Patch};
use controller_runtime::context::Context;
use controller_runtime::objects::Node;
use informer::{Change, Key, Object, Outcome, Store, WorkQueue, run_workers};
use ipnet::IpNet;
use parking_lot::Mutex;
use serde_json::json;

use ranges::Ranges;

mod ranges;

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    if !context.options.allocate_node_cidrs || context.options.cluster_cidr.is_empty() {
        return None;
    }
    let pools = pools(&context.options);
    if pools.is_empty() {
        return None;
    }
    let shell = Arc::new(Shell {
        nodes: context.stores.of(),
        pools: Mutex::new(pools),
        queue: WorkQueue::new("node_ipam"),
        context,
    });
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| on_node.node_changed(change));
    Some(Box::pin(async move {
        // Every range in use must be known before the first one is given out.
        shell.nodes.ready().await;
        run_workers("node-ipam", &shell.queue, 1, |key| shell.reconcile(key)).await;
    }))
}

/// Makes the pools of the flags, one for each range of the cluster.
fn pools(options: &Options) -> Vec<Ranges> {
    let mut pools = Vec::new();
    for cidr in &options.cluster_cidr {
        let (own, default) = match cidr {
            IpNet::V4(_) => (options.node_cidr_mask_size_ipv4, 24),
            IpNet::V6(_) => (options.node_cidr_mask_size_ipv6, 64),
        };
        let size = own.or(options.node_cidr_mask_size).unwrap_or(default);
        match Ranges::new(*cidr, size, &options.service_cluster_ip_range) {
            Some(ranges) => pools.push(ranges),
            None => tracing::error!(%cidr, size, "--cluster-cidr cannot be cut into ranges of this size"),
        }
    }
    pools
}

struct Shell {
    context: Context,
    nodes: Store<Node>,
    pools: Mutex<Vec<Ranges>>,
    queue: WorkQueue<Key>,
}

impl Shell {
    fn node_changed(&self, change: &Change<'_, Node>) {
        let node = change.object();
        let mut pools = self.pools.lock();
        match change {
            Change::Applied { .. } => {
                for cidr in cidrs(node) {
                    pools.iter_mut().for_each(|pool| pool.occupy(&cidr, &node.metadata.name));
                }
                drop(pools);
                if node.spec.pod_cidrs.is_empty() && node.spec.pod_cidr.is_empty() {
                    self.queue.add(node.key());
                }
            }
            Change::Deleted(_) => {
                pools.iter_mut().for_each(|pool| pool.release(&node.metadata.name));
                drop(pools);
                // What was given back may be what another node waits for.
                for waiting in self.nodes.list().iter().filter(|node| node.spec.pod_cidrs.is_empty()) {
                    self.queue.add(waiting.key());
                }
            }
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(node) = self.nodes.get(key.as_str()) else { return Ok(Outcome::Done) };
        if !node.spec.pod_cidrs.is_empty() || !node.spec.pod_cidr.is_empty() || node.metadata.is_deleting() {
            return Ok(Outcome::Done);
        }
        let name = &node.metadata.name;
        let allocated: Option<Vec<IpNet>> =
            self.pools.lock().iter_mut().map(|pool| pool.allocate(name)).collect();
        let Some(allocated) = allocated else {
            self.release(name);
            let message = format!("Node {name} status is now: CIDRNotAvailable");
            self.context.normal(&*node, "CIDRNotAvailable", message);
            return Ok(Outcome::Again);
        };
        let texts: Vec<String> = allocated.iter().map(ToString::to_string).collect();
        // The uid guards against a new node of the same name, whose turn comes by itself.
        let patch = json!({"metadata": {"uid": node.metadata.uid},
            "spec": {"podCIDR": texts.first(), "podCIDRs": texts}});
        match self.context.api.patch(&path_of(&*node), Patch::Merge, &patch).await {
            Ok(_) => {
                tracing::info!(node = %name, ranges = ?texts, "gave the node its pod addresses");
                Ok(Outcome::Done)
            }
            Err(error) => {
                if error.is_not_found() || error.is_conflict() || error.is_invalid() {
                    self.release(name);
                }
                // After any other failure the write may have happened: the range stays taken until that is known.
                Err(error)
            }
        }
    }

    fn release(&self, node: &str) {
        self.pools.lock().iter_mut().for_each(|pool| pool.release(node));
    }
}

fn cidrs(node: &Node) -> Vec<IpNet> {
    node.spec.pod_cidrs.iter().chain([&node.spec.pod_cidr]).filter_map(|text| text.parse().ok()).collect()
}
