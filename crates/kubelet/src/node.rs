//! The node's own objects: its Node, kept true, and its Lease, kept fresh.
//!
//! Keeps true: the Node exists and its status is what the machine and the runtime are. Woken by: time. Reads: the
//! machine, the runtime, the Node. Writes: the Node's labels and status, the Lease. Gives up: never; without the API
//! server it waits and tries again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use component::{Latch, events::Kind as EventKind};
use informer::{Change, Store, Watch, reflect};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::{Node, NodeSpec, NodeStatus},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::Notify;

use component::cause::whole;

use crate::{event::node_event, kubelet::Kubelet};

pub mod machine;
mod status;

pub use status::{Health, status};

const LEASES: &str = "kube-node-lease";

/// Keeps the Node's status; runs until shutdown. The latch opens when the Node is there.
pub async fn keep(kubelet: Arc<Kubelet>, client: Client, registered: Latch) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let shutdown = kubelet.process.shutdown();
    let gone = Arc::new(Notify::new());
    let offered = Arc::new(Notify::new());
    let watched = watch(client, &kubelet, Arc::clone(&gone), Arc::clone(&offered));
    tokio::pin!(watched);
    let mut written: Option<Written> = None;
    let mut announced = false;
    let mut pod_cidr = String::new();
    let mut pressure = kubelet.pressure.subscribe();
    loop {
        let mut pause = kubelet.settings.node_status_update_frequency;
        let answer = once(&kubelet, &nodes, &mut written, &mut pod_cidr).await;
        // What fails is tried again after its pause, and not before.
        let succeeded = answer.is_ok() && written.is_some();
        match answer {
            Ok(ready) => {
                if !announced {
                    announced = true;
                    announce(&kubelet);
                }
                registered.open();
                // A node that is not ready is looked at often: what it waits for is usually about to come.
                if !ready {
                    pause = pause.min(Duration::from_millis(500));
                }
            }
            Err(error) => {
                tracing::warn!(error = whole(error.as_ref()), "cannot write the node's status");
                pause = pause.min(Duration::from_secs(2));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Pods must not be sent here meanwhile.
            Ok(()) = pressure.changed() => {}
            // Volumes wait to be reported before they are mounted.
            () = kubelet.csi.unreported(), if succeeded => {}
            // Someone deleted the node: it registers again.
            () = gone.notified() => written = None,
            // Someone says that it has more than the machine shows, or that nothing is known of it.
            () = offered.notified() => {}
            () = &mut watched => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// The status that the API has taken.
struct Written {
    status: NodeStatus,
    at: Instant,
    /// The Node's resourceVersion from then on.
    version: u64,
}

fn version(node: &Node) -> u64 {
    node.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn announce(kubelet: &Kubelet) {
    let tell = |reason, message| {
        let name = &kubelet.settings.node_name;
        node_event(&kubelet.recorder, name, EventKind::Normal, reason, message);
    };
    tell("Starting", "Starting kubelet.");
    if kubelet.settings.cgroups_per_qos && kubelet.cgroups.is_some() {
        tell("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods");
    }
}

/// Keeps what the API says of the Node, and tells when it is deleted or said to be something else; never ends.
async fn watch(client: Client, kubelet: &Arc<Kubelet>, gone: Arc<Notify>, offered: Arc<Notify>) {
    let store = Store::<Node>::new();
    let owner = Arc::clone(kubelet);
    store.on_change(move |change| match change {
        Change::Applied { new, .. } => {
            let before = owner.facts.write().node.replace(Arc::clone(new));
            let offers = before.is_none_or(|before| status::extended(&before) != status::extended(new));
            if offers || status::is_unknown(new) {
                offered.notify_one();
            }
        }
        Change::Deleted(_) => {
            owner.facts.write().node = None;
            gone.notify_one();
        }
    });
    let name = &kubelet.settings.node_name;
    reflect(client, Watch::all::<Node>().fields(&format!("metadata.name={name}")), store).await;
}

/// Writes the status where it has changed or is old. Answers whether the node is ready.
async fn once(
    kubelet: &Arc<Kubelet>,
    nodes: &Api<Node>,
    written: &mut Option<Written>,
    pod_cidr: &mut String,
) -> anyhow::Result<bool> {
    let name = &kubelet.settings.node_name;
    let health = Health::of(kubelet).await;
    // What someone else has written since: a node that was not heard of for long is unknown until it says how it is.
    let shown = kubelet.facts.read().node.clone();
    let newer = shown.filter(|node| written.as_ref().is_none_or(|written| version(node) > written.version));
    let foreign = newer.as_deref().and_then(|node| node.status.as_ref());
    let own = written.as_ref().map(|written| &written.status);
    let is_disputed = own.zip(foreign).is_some_and(|(own, foreign)| status::is_disputed(foreign, own));
    let last = if is_disputed { foreign } else { own.or(foreign) };
    let current = status(kubelet, &health, last, Timestamp::now()).await;
    let news = status::news(last, &current);
    let ready =
        current.conditions.iter().flatten().any(|held| held.type_ == "Ready" && held.status == "True");
    let report = kubelet.settings.node_status_report_frequency;
    let due = match written {
        None => true,
        Some(Written { status, at, .. }) => {
            is_disputed || at.elapsed() >= report || !status::same(status, &current)
        }
    };
    if !due {
        return Ok(ready);
    }
    if written.is_none() && kubelet.settings.register_node {
        register(kubelet, nodes, &current).await?;
    }
    let in_use = current.volumes_in_use.clone().unwrap_or_default();
    let mut patch = json!({"status": current});
    if in_use.is_empty() {
        // What is left out would stay.
        patch["status"]["volumesInUse"] = serde_json::Value::Null;
    }
    match nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
        Ok(node) => {
            *written = Some(Written { status: current, at: Instant::now(), version: version(&node) });
            for reason in news {
                let message = format!("Node {name} status is now: {reason}");
                node_event(&kubelet.recorder, name, EventKind::Normal, reason, message);
            }
            let version = node.metadata.resource_version.as_deref();
            kubelet.csi.report(in_use.into_iter().collect(), version);
            let assigned = node.spec.and_then(|spec| spec.pod_cidr).unwrap_or_default();
            if !assigned.is_empty() && assigned != *pod_cidr {
                kubelet.runtime.update_pod_cidr(assigned.clone()).await?;
                *pod_cidr = assigned;
            }
            Ok(ready)
        }
        // Someone deleted the node: it registers again.
        Err(kube::Error::Api(status)) if status.code == 404 => {
            *written = None;
            anyhow::ensure!(kubelet.settings.register_node, "node {name:?} does not exist");
            register(kubelet, nodes, &current).await?;
            Ok(ready)
        }
        Err(error) => Err(error.into()),
    }
}

async fn register(kubelet: &Kubelet, nodes: &Api<Node>, status: &NodeStatus) -> anyhow::Result<()> {
    let settings = &kubelet.settings;
    let labels = machine::labels(settings);
    let node = Node {
        metadata: ObjectMeta {
            name: Some(settings.node_name.clone()),
            labels: Some(labels.clone()),
            annotations: Some(
                [("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned())]
                    .into(),
            ),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            provider_id: settings.provider_id.clone(),
            taints: (!settings.register_with_taints.is_empty())
                .then(|| settings.register_with_taints.clone()),
            ..NodeSpec::default()
        }),
        status: Some(status.clone()),
    };
    match nodes.create(&PostParams::default(), &node).await {
        Ok(_) => {
            tracing::info!(node = settings.node_name, "registered");
            kubelet.csi.node_is_new.notify_one();
            Ok(())
        }
        Err(kube::Error::Api(answer)) if answer.code == 409 => {
            // Labels that the kubelet owns may have changed since.
            let patch = json!({"metadata": {"labels": labels}});
            nodes.patch(&settings.node_name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps the Lease fresh; runs until shutdown.
pub async fn renew(kubelet: Arc<Kubelet>, client: Client) -> anyhow::Result<()> {
    let name = kubelet.settings.node_name.clone();
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASES);
    let nodes: Api<Node> = Api::all(client);
    let shutdown = kubelet.process.shutdown();
    // Four renewals fit into the time the lease holds, as upstream.
    let period = kubelet.settings.lease_duration / 4;
    let seconds = i32::try_from(kubelet.settings.lease_duration.as_secs()).unwrap_or(40);
    let mut owned = false;
    loop {
        let spec = LeaseSpec {
            holder_identity: Some(name.clone()),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        };
        let mut metadata = json!({"name": name, "namespace": LEASES});
        if !owned
            && let Ok(Some(node)) = nodes.get_opt(&name).await
            && let Some(uid) = node.metadata.uid
        {
            let owner = OwnerReference {
                api_version: "v1".into(),
                kind: "Node".into(),
                name: name.clone(),
                uid,
                ..OwnerReference::default()
            };
            metadata["ownerReferences"] = json!([owner]);
            owned = true;
        }
        let patch = json!({"metadata": metadata, "spec": spec});
        let renewed = match leases.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let lease: Lease = serde_json::from_value(patch)?;
                leases.create(&PostParams::default(), &lease).await.map(drop)
            }
            other => other.map(drop),
        };
        let pause = match renewed {
            Ok(()) => period,
            Err(error) => {
                tracing::warn!(%error, "cannot renew the node's lease");
                owned = false;
                Duration::from_secs(1).min(period)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}
