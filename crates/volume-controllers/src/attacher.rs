//! Volumes attached to the nodes of the pods that use them.
//!
//! Keeps true: a volume that a pod uses has a VolumeAttachment to the pod's node, and no other has one once the node has
//! let go of it; nodes are told what is attached to them.
//! Woken by: changes of pods, claims, volumes, nodes, attachments and drivers.
//! Reads: these. Writes: VolumeAttachments, `volumesAttached` of nodes.
//! Gives up when: a node that is not ready holds a volume for six minutes, or is out of service: it is not waited for.

mod metrics;
mod node;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use controller_runtime::Running;
use controller_runtime::api::path::{named_path, resource_path};
use controller_runtime::api::{Delete, Error, Patch};
use controller_runtime::context::Context;
use controller_runtime::objects::{Node, Pod};
use informer::{Change, Key, Object as _, Outcome, Store, WorkQueue, run_workers};
use parking_lot::Mutex;
use podrules::csi::{attachment_name, unique_volume_name};
use serde_json::{Value, json};

use crate::objects::{CsiDriver, PersistentVolume, PersistentVolumeClaim, VolumeAttachment};
use metrics::Forced;
use node::{Plan, View, Wanted};

/// Nodes seen to at once.
const WORKERS: usize = 4;
/// How long a node that is not ready is waited for (upstream's `maxWaitForUnmountDuration`).
const PATIENCE: Duration = Duration::from_secs(360);
/// The index of pods with claims by their node.
const PODS_OF_NODE: &str = "node of claims";
/// The index of pods on nodes by their claims.
const PODS_OF_CLAIM: &str = "claim to attach";
/// The index of attachments by node.
const BY_NODE: &str = "node";
/// The index of attachments by volume.
const BY_VOLUME: &str = "volume";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let shell = Arc::new(Shell {
        pods: context.stores.of(),
        claims: context.stores.of(),
        volumes: context.stores.of(),
        nodes: context.stores.of(),
        attachments: context.stores.of(),
        drivers: context.stores.of(),
        queue: WorkQueue::new("attachdetach"),
        memory: Mutex::default(),
        context,
    });
    shell.pods.index(PODS_OF_NODE, |pod: &Pod| {
        let uses = is_on_node(pod) && pod.claims().next().is_some();
        uses.then(|| pod.spec.node_name.clone()).into_iter().collect()
    });
    shell.pods.index(PODS_OF_CLAIM, |pod: &Pod| {
        let claims = pod.claims().filter(|_| is_on_node(pod));
        claims.map(|name| Key::new(&pod.metadata.namespace, &name).to_string()).collect()
    });
    shell.attachments.index(BY_NODE, |attachment: &VolumeAttachment| vec![attachment.spec.node_name.clone()]);
    shell.attachments.index(BY_VOLUME, |attachment: &VolumeAttachment| {
        vec![attachment.spec.source.persistent_volume_name.clone()]
    });
    shell.context.stores.close_at_shutdown(&shell.queue);
    wake(&shell);
    let counted = Arc::clone(&shell);
    component::metrics::before_reading(move || counted.count());
    Some(Box::pin(async move {
        shell.pods.ready().await;
        shell.claims.ready().await;
        shell.volumes.ready().await;
        shell.nodes.ready().await;
        shell.attachments.ready().await;
        shell.drivers.ready().await;
        run_workers("attachdetach", &shell.queue, WORKERS, |key| shell.reconcile(key)).await;
    }))
}

fn is_on_node(pod: &Pod) -> bool {
    !pod.spec.node_name.is_empty() && !pod.is_terminal()
}

fn wake(shell: &Arc<Shell>) {
    let on_pod = Arc::clone(shell);
    shell.pods.on_change(move |change| {
        let pod = change.object();
        if !pod.spec.node_name.is_empty() && pod.claims().next().is_some() {
            on_pod.add_node(&pod.spec.node_name);
        }
    });
    let on_claim = Arc::clone(shell);
    shell.claims.on_change(move |change| on_claim.add_users(&change.object().key()));
    let on_volume = Arc::clone(shell);
    shell.volumes.on_change(move |change| {
        if let Some(claim) = &change.object().spec.claim_ref {
            on_volume.add_users(&claim.key());
        }
    });
    let on_node = Arc::clone(shell);
    shell.nodes.on_change(move |change| match change {
        // Most changes of a node are none of what counts here.
        Change::Applied { old: Some(old), new }
            if old.status.volumes_in_use == new.status.volumes_in_use
                && old.status.volumes_attached == new.status.volumes_attached
                && old.spec.taints == new.spec.taints
                && old.metadata.annotations.len() == new.metadata.annotations.len() => {}
        other => on_node.add_node(other.object().name()),
    });
    let on_attachment = Arc::clone(shell);
    shell.attachments.on_change(move |change| {
        let attachment = change.object();
        on_attachment.add_node(&attachment.spec.node_name);
        // Another node may wait for the volume.
        let volume = on_attachment.volumes.get(&attachment.spec.source.persistent_volume_name);
        if let Some(claim) = volume.and_then(|volume| volume.spec.claim_ref.clone()) {
            on_attachment.add_users(&claim.key());
        }
        match change {
            Change::Applied { old, new } => on_attachment.tell_of_failure(old.map(|old| &**old), new),
            Change::Deleted(_) => {
                on_attachment.memory.lock().waiting.remove(&attachment.metadata.name);
            }
        }
    });
    let on_driver = Arc::clone(shell);
    shell
        .drivers
        .on_change(move |_| on_driver.nodes.keys().into_iter().for_each(|key| on_driver.queue.add(key)));
}

struct Shell {
    context: Context,
    pods: Store<Pod>,
    claims: Store<PersistentVolumeClaim>,
    volumes: Store<PersistentVolume>,
    nodes: Store<Node>,
    attachments: Store<VolumeAttachment>,
    drivers: Store<CsiDriver>,
    queue: WorkQueue<Key>,
    memory: Mutex<Memory>,
}

/// Pods by the volumes that they use.
type Users = BTreeMap<String, Vec<Arc<Pod>>>;

/// What is remembered between two looks.
#[derive(Default)]
struct Memory {
    /// Since when a node is waited for, by attachment.
    waiting: HashMap<String, Instant>,
    /// Refusals that pods have been told of, by node.
    refused: HashMap<String, BTreeSet<String>>,
}

impl Shell {
    fn add_node(&self, name: &str) {
        self.queue.add(Key::new("", name));
    }

    /// Looks at the nodes whose pods use a claim.
    fn add_users(&self, claim: &Key) {
        for pod in self.pods.by_index(PODS_OF_CLAIM, claim.as_str()) {
            self.add_node(&pod.spec.node_name);
        }
    }

    fn needs_attachment(&self, driver: &str) -> bool {
        let driver = self.drivers.get(driver);
        driver.and_then(|driver| driver.spec.attach_required).unwrap_or(true)
    }

    /// The volumes that pods of a node use, and the pods by volume.
    fn wanted(&self, node: &str) -> (BTreeMap<String, Wanted>, Users) {
        let (mut wanted, mut users) = (BTreeMap::new(), Users::new());
        for pod in self.pods.by_index(PODS_OF_NODE, node) {
            for name in pod.claims() {
                let Some(volume) = self.volume_of(&pod.metadata.namespace, &name) else { continue };
                let Some(source) = &volume.spec.csi else { continue };
                if !self.needs_attachment(&source.driver) {
                    continue;
                }
                let name = volume.metadata.name.clone();
                wanted.entry(name.clone()).or_insert_with(|| Wanted {
                    driver: source.driver.clone(),
                    handle: source.volume_handle.clone(),
                    elsewhere: self.elsewhere(&volume, node),
                });
                users.entry(name).or_default().push(Arc::clone(&pod));
            }
        }
        (wanted, users)
    }

    /// Tells of what should be attached and what is, by driver.
    fn count(&self) {
        let (mut desired, mut actual) = (BTreeMap::new(), BTreeMap::new());
        for node in self.nodes.keys() {
            for volume in self.wanted(node.name()).0.into_values() {
                *desired.entry(volume.driver).or_default() += 1;
            }
        }
        for attachment in self.attachments.list().iter().filter(|attachment| attachment.status.attached) {
            *actual.entry(attachment.spec.attacher.clone()).or_default() += 1;
        }
        metrics::volumes(&desired, &actual);
    }

    fn volume_of(&self, namespace: &str, claim: &str) -> Option<Arc<PersistentVolume>> {
        let claim = self.claims.find(namespace, claim)?;
        let volume = self.volumes.get(&claim.spec.volume_name)?;
        (claim.status.phase == "Bound" && volume.is_for(&claim)).then_some(volume)
    }

    /// Another node to which a volume of one node is attached.
    fn elsewhere(&self, volume: &PersistentVolume, node: &str) -> Option<String> {
        let shared = |mode: &String| mode == "ReadWriteMany" || mode == "ReadOnlyMany";
        if volume.spec.access_modes.iter().any(shared) {
            return None;
        }
        let attachments = self.attachments.by_index(BY_VOLUME, &volume.metadata.name);
        let other = attachments.iter().find(|attachment| attachment.spec.node_name != node)?;
        Some(other.spec.node_name.clone())
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let name = key.name();
        let node = self.nodes.get(name);
        let (wanted, users) = self.wanted(name);
        let attachments: Vec<_> = self
            .attachments
            .by_index(BY_NODE, name)
            .into_iter()
            .map(|attachment| {
                let volume = self.volumes.get(&attachment.spec.source.persistent_volume_name);
                let source = volume.and_then(|volume| volume.spec.csi.clone());
                let unique = source.map(|source| unique_volume_name(&source.driver, &source.volume_handle));
                (attachment, unique)
            })
            .collect();
        let overdue = self.overdue(&attachments);
        let view =
            View { node: node.as_deref(), wanted: &wanted, attachments: &attachments, overdue: &overdue };
        let plan = node::decide(&view);
        self.remember(name, &attachments, &plan);
        if let Some(node) = &node {
            self.tell_node(node, &plan).await?;
            for volume in node::newly_attached(node, &plan, &wanted) {
                let message = format!("AttachVolume.Attach succeeded for volume {volume:?} ");
                for pod in users.get(volume).into_iter().flatten() {
                    self.context.normal(&**pod, "SuccessfulAttachVolume", message.clone());
                }
            }
        }
        self.tell_refusals(name, &plan, &users);
        if !plan.detach.is_empty() {
            self.detach(name, &attachments, &plan).await?;
            let in_use = node.as_deref().map_or(&[][..], |node| &node.status.volumes_in_use);
            for (attachment, unique) in &attachments {
                let is_used = unique.as_ref().is_some_and(|unique| in_use.contains(unique));
                if is_used && plan.detach.contains(&attachment.metadata.name) {
                    let is_overdue = overdue.contains(&attachment.metadata.name);
                    metrics::forced(if is_overdue { Forced::TimeOut } else { Forced::OutOfService });
                }
            }
        }
        for volume in &plan.attach {
            self.attach(name, volume, &wanted[volume]).await?;
        }
        Ok(if plan.wait.is_empty() { Outcome::Done } else { Outcome::After(PATIENCE / 12) })
    }

    fn overdue(&self, attachments: &[(Arc<VolumeAttachment>, Option<String>)]) -> BTreeSet<String> {
        if self.context.options.disable_force_detach_on_timeout {
            return BTreeSet::new();
        }
        let memory = self.memory.lock();
        let is_overdue =
            |name: &&String| memory.waiting.get(*name).is_some_and(|since| since.elapsed() >= PATIENCE);
        attachments
            .iter()
            .map(|(attachment, _)| &attachment.metadata.name)
            .filter(is_overdue)
            .cloned()
            .collect()
    }

    fn remember(&self, node: &str, attachments: &[(Arc<VolumeAttachment>, Option<String>)], plan: &Plan) {
        let mut memory = self.memory.lock();
        for (attachment, _) in attachments {
            let name = &attachment.metadata.name;
            if plan.wait.contains(name) {
                memory.waiting.entry(name.clone()).or_insert_with(Instant::now);
            } else {
                memory.waiting.remove(name);
            }
        }
        let is_refused = |volume: &String| plan.refuse.iter().any(|(refused, _)| refused == volume);
        if let Some(refused) = memory.refused.get_mut(node) {
            refused.retain(is_refused);
            if refused.is_empty() {
                memory.refused.remove(node);
            }
        }
    }

    /// Tells a node what is attached to it. Whoever is about to lose something hears of it before.
    async fn tell_node(&self, node: &Node, plan: &Plan) -> Result<(), Error> {
        let told: BTreeSet<String> =
            node.status.volumes_attached.iter().map(|attached| attached.name.clone()).collect();
        // What others than CSI drivers attach is not known here.
        let foreign = told.iter().filter(|name| !name.starts_with("kubernetes.io/csi/")).cloned();
        let attached: BTreeSet<String> = foreign.chain(plan.attached.iter().cloned()).collect();
        if attached == told {
            return Ok(());
        }
        let entry = |name: &String| json!({"name": name, "devicePath": ""});
        let list: Vec<Value> = attached.iter().map(entry).collect();
        let patch = json!({"metadata": {"uid": node.metadata.uid}, "status": {
            "volumesAttached": if list.is_empty() { Value::Null } else { list.into() }}});
        let path = format!("{}/status", named_path::<Node>("", &node.metadata.name));
        self.context.api.patch(&path, Patch::Merge, &patch).await?;
        Ok(())
    }

    fn tell_refusals(&self, node: &str, plan: &Plan, users: &Users) {
        for (volume, _) in &plan.refuse {
            let is_new =
                self.memory.lock().refused.entry(node.to_owned()).or_default().insert(volume.clone());
            if !is_new {
                continue;
            }
            for pod in users.get(volume).into_iter().flatten() {
                let message =
                    format!("Multi-Attach error for volume {volume:?} {}", self.used_by(volume, pod, node));
                self.context.warning(&**pod, "FailedAttachVolume", message);
            }
        }
    }

    /// Says who has a volume on another node.
    fn used_by(&self, volume: &str, pod: &Pod, node: &str) -> String {
        let claim = self.volumes.get(volume).and_then(|volume| volume.spec.claim_ref.clone());
        let users =
            claim.map(|claim| self.pods.by_index(PODS_OF_CLAIM, claim.key().as_str())).unwrap_or_default();
        let names: Vec<&str> = users
            .iter()
            .filter(|other| {
                other.spec.node_name != node && other.metadata.namespace == pod.metadata.namespace
            })
            .map(|other| other.metadata.name.as_str())
            .collect();
        match names.is_empty() {
            true => "Volume is already exclusively attached to one node and can't be attached to another"
                .to_owned(),
            false => format!("Volume is already used by pod(s) {}", names.join(", ")),
        }
    }

    /// Undoes attachments. The node may have come to use a volume since it was last seen: that is asked of the server,
    /// after the node was told that the volume is not attached.
    async fn detach(
        &self,
        node: &str,
        attachments: &[(Arc<VolumeAttachment>, Option<String>)],
        plan: &Plan,
    ) -> Result<(), Error> {
        let live = match self.context.api.get(&named_path::<Node>("", node)).await {
            Ok(live) => live,
            Err(error) if error.is_not_found() => Value::Null,
            Err(error) => return Err(error),
        };
        let live: Node = if live.is_null() {
            Node::default()
        } else {
            serde_json::from_value(live).map_err(|error| Error::Malformed(error.to_string()))?
        };
        let known = self.nodes.get(node);
        let was_in_use = |name: &str| {
            known.as_ref().is_some_and(|node| node.status.volumes_in_use.iter().any(|one| one == name))
        };
        for (attachment, unique) in attachments {
            if !plan.detach.contains(&attachment.metadata.name) {
                continue;
            }
            let is_back = unique.as_deref().is_some_and(|name| {
                live.status.volumes_in_use.iter().any(|one| one == name) && !was_in_use(name)
            });
            if is_back {
                return Err(Error::Stale(named_path::<Node>("", node)));
            }
            let path = named_path::<VolumeAttachment>("", &attachment.metadata.name);
            let delete = Delete { uid: Some(&attachment.metadata.uid), ..Delete::default() };
            match self.context.api.delete(&path, delete).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn attach(&self, node: &str, volume: &str, wanted: &Wanted) -> Result<(), Error> {
        let attachment = json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "VolumeAttachment",
            "metadata": {"name": attachment_name(&wanted.handle, &wanted.driver, node)},
            "spec": {
                "attacher": wanted.driver,
                "nodeName": node,
                "source": {"persistentVolumeName": volume},
            },
        });
        match self.context.api.create(&resource_path::<VolumeAttachment>(""), &attachment).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(()),
        }
    }

    /// Tells pods why their volume is not attached, each reason once.
    fn tell_of_failure(&self, old: Option<&VolumeAttachment>, new: &VolumeAttachment) {
        let Some(error) = &new.status.attach_error else { return };
        if old.is_some_and(|old| old.status.attach_error.as_ref() == Some(error)) {
            return;
        }
        let volume = &new.spec.source.persistent_volume_name;
        let message = format!("AttachVolume.Attach failed for volume {volume:?} : {}", error.message);
        let claim = self.volumes.get(volume).and_then(|volume| volume.spec.claim_ref.clone());
        let users =
            claim.map(|claim| self.pods.by_index(PODS_OF_CLAIM, claim.key().as_str())).unwrap_or_default();
        for pod in users.iter().filter(|pod| pod.spec.node_name == new.spec.node_name) {
            self.context.warning(&**pod, "FailedAttachVolume", message.clone());
        }
    }
}
