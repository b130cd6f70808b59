//! Claims and volumes brought together.
//!
//! Keeps true: a claim has the smallest free volume that fits it, or says what it waits for; a volume whose claim has
//! gone is released, and kept or left to its provisioner as its policy says.
//! Woken by: changes of claims, volumes and storage classes; nodes that go.
//! Reads: claims, volumes, storage classes, nodes, pods without a node. Writes: `volumeName`, `claimRef`, annotations, the status of both.
//! Gives up when: never; a volume that cannot be reclaimed is `Failed` until a person sees to it.

mod claim;
#[cfg(test)]
mod tests;
mod volume;

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::path::named_path;
use controller_runtime::api::{Error, merge};
use controller_runtime::context::Context;
use controller_runtime::objects::{Node, Pod};
use informer::{Change, Key, Object as _, Outcome, Store, WorkQueue, run_workers};
use serde_json::{Value, json};

use crate::objects::{PersistentVolume, PersistentVolumeClaim, StorageClass};
use claim::{BY_CONTROLLER, COMPLETE, SELECTED_NODE, Told};

/// Claims, and volumes, seen to at once. Two claims may choose one volume: the second's write is refused, as the
/// volume is no longer of the version that was chosen, and it chooses again.
const WORKERS: usize = 8;
/// The index of volumes, and of claims without one, by class.
const BY_CLASS: &str = "class";
/// The index of claims whose volume is yet to be made, by the node that it is to be made for.
const BY_NODE: &str = "selected node";
/// The index of pods without a node, by their claims.
const WAITING: &str = "waiting for claim";
/// Tells provisioners which of them a claim waits for; the second name is the older one.
const PROVISIONER: [&str; 2] =
    ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let shell = Arc::new(Shell {
        claims: context.stores.of(),
        volumes: context.stores.of(),
        classes: context.stores.of(),
        nodes: context.stores.of(),
        pods: context.stores.of(),
        claim_queue: WorkQueue::new("claims"),
        volume_queue: WorkQueue::new("volumes"),
        context,
    });
    shell.volumes.index(BY_CLASS, |volume: &PersistentVolume| vec![volume.class().to_owned()]);
    shell.claims.index(BY_CLASS, |claim: &PersistentVolumeClaim| {
        let waits = claim.spec.volume_name.is_empty();
        waits.then(|| claim.class().to_owned()).into_iter().collect()
    });
    shell.claims.index(BY_NODE, |claim: &PersistentVolumeClaim| {
        let node = claim.metadata.annotations.get(SELECTED_NODE);
        node.filter(|_| claim.spec.volume_name.is_empty()).cloned().into_iter().collect()
    });
    shell.pods.index(WAITING, |pod: &Pod| {
        let waits = pod.spec.node_name.is_empty();
        let claims = pod.claims().filter(|_| waits);
        claims.map(|name| Key::new(&pod.metadata.namespace, &name).to_string()).collect()
    });
    shell.context.stores.close_at_shutdown(&shell.claim_queue);
    shell.context.stores.close_at_shutdown(&shell.volume_queue);
    let on_claim = Arc::clone(&shell);
    shell.claims.on_change(move |change| on_claim.claim_changed(change));
    let on_volume = Arc::clone(&shell);
    shell.volumes.on_change(move |change| on_volume.volume_changed(change));
    let on_class = Arc::clone(&shell);
    shell.classes.on_change(move |change| on_class.wake_waiting(change.object().name()));
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| {
        if let Change::Deleted(node) = change {
            let claims = on_node.claims.by_index(BY_NODE, node.name());
            claims.iter().for_each(|claim| on_node.claim_queue.add(claim.key()));
        }
    });
    Some(Box::pin(async move {
        shell.claims.ready().await;
        shell.volumes.ready().await;
        shell.classes.ready().await;
        shell.nodes.ready().await;
        shell.pods.ready().await;
        let claims =
            run_workers("persistentvolume-binder", &shell.claim_queue, WORKERS, |key| shell.claim(key));
        let volumes =
            run_workers("persistentvolume-binder", &shell.volume_queue, WORKERS, |key| shell.volume(key));
        futures::future::join(claims, volumes).await;
    }))
}

struct Shell {
    context: Context,
    claims: Store<PersistentVolumeClaim>,
    volumes: Store<PersistentVolume>,
    classes: Store<StorageClass>,
    nodes: Store<Node>,
    pods: Store<Pod>,
    claim_queue: WorkQueue<Key>,
    volume_queue: WorkQueue<Key>,
}

impl Shell {
    fn claim_changed(&self, change: &Change<'_, PersistentVolumeClaim>) {
        let claim = change.object();
        self.claim_queue.add(claim.key());
        if !claim.spec.volume_name.is_empty() {
            self.volume_queue.add(Key::new("", &claim.spec.volume_name));
        }
    }

    fn volume_changed(&self, change: &Change<'_, PersistentVolume>) {
        let volume = change.object();
        self.volume_queue.add(volume.key());
        let before = match change {
            Change::Applied { old, .. } => old.and_then(|old| old.spec.claim_ref.as_ref()),
            Change::Deleted(_) => None,
        };
        for reference in before.into_iter().chain(&volume.spec.claim_ref) {
            self.claim_queue.add(reference.key());
        }
        if volume.spec.claim_ref.is_none() && volume.status.phase == "Available" {
            self.wake_waiting(volume.class());
        }
    }

    fn wake_waiting(&self, class: &str) {
        for claim in self.claims.by_index(BY_CLASS, class) {
            self.claim_queue.add(claim.key());
        }
    }

    async fn claim(&self, key: Key) -> Result<Outcome, Error> {
        let Some(claim) = self.claims.get(key.as_str()) else { return Ok(Outcome::Done) };
        let name = &claim.spec.volume_name;
        let named = if name.is_empty() { None } else { self.volumes.get(name) };
        let candidates =
            if name.is_empty() { self.volumes.by_index(BY_CLASS, claim.class()) } else { Vec::new() };
        let class = self.classes.get(claim.class());
        let pods: Vec<String> =
            self.pods.by_index(WAITING, key.as_str()).iter().map(|pod| pod.metadata.name.clone()).collect();
        let view = claim::View {
            named: named.as_ref(),
            volumes: &candidates,
            class: class.as_deref(),
            node_is_gone: self.node_is_gone(&claim),
            pods: &pods,
        };
        let done = match claim::decide(&claim, &view) {
            claim::Step::Bind(volume) => self.bind(&claim, &volume).await,
            claim::Step::Wait(told) => {
                self.tell(&claim, told);
                self.phase_of_claim(&claim, "Pending").await
            }
            claim::Step::Provision(provisioner) => self.ask_for_volume(&claim, &provisioner).await,
            claim::Step::Reschedule => {
                let api = &self.context.api;
                api.modify(&*claim, "", |live| {
                    merge(&mut live["metadata"]["annotations"], &json!({SELECTED_NODE: null}))
                })
                .await
            }
            claim::Step::Lose(told) => {
                if claim.status.phase != "Lost" {
                    self.tell(&claim, Some(told));
                }
                self.phase_of_claim(&claim, "Lost").await
            }
        };
        match done {
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            other => other.map(|()| Outcome::Done),
        }
    }

    /// Tells whether the node that was chosen for a claim is gone. One that joined a moment ago may be missing here
    /// too: then the scheduler, which knows it, chooses it again.
    fn node_is_gone(&self, claim: &PersistentVolumeClaim) -> bool {
        let node = claim.metadata.annotations.get(SELECTED_NODE);
        node.is_some_and(|node| self.nodes.get(node).is_none())
    }

    fn tell(&self, claim: &PersistentVolumeClaim, told: Option<Told>) {
        match told {
            Some(told) if told.is_warning => self.context.warning(claim, told.reason, told.message),
            Some(told) => self.context.normal(claim, told.reason, told.message),
            None => {}
        }
    }

    /// Takes the next step of binding: the volume is taken first, so that no other claim gets it, then the claim is
    /// told, then both say so in their status, each when it sees the other.
    async fn bind(&self, claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Result<(), Error> {
        let api = &self.context.api;
        let is_taken =
            volume.spec.claim_ref.as_ref().is_some_and(|reference| reference.uid == claim.metadata.uid);
        if !is_taken {
            let chosen = volume.spec.claim_ref.is_none();
            let reference = json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.metadata.namespace,
                "name": claim.metadata.name,
                "uid": claim.metadata.uid,
                "resourceVersion": claim.metadata.resource_version,
            });
            api.modify(volume, "", |live| {
                live["spec"]["claimRef"] = reference;
                if chosen {
                    annotate(live, &[(BY_CONTROLLER, "yes")]);
                }
                true
            })
            .await?;
        }
        let is_told = claim.spec.volume_name == volume.metadata.name
            && claim.metadata.annotations.contains_key(COMPLETE);
        if !is_told {
            let chosen = claim.spec.volume_name.is_empty();
            return api
                .modify(claim, "", |live| {
                    live["spec"]["volumeName"] = volume.metadata.name.as_str().into();
                    annotate(live, &[(COMPLETE, "yes")]);
                    if chosen {
                        annotate(live, &[(BY_CONTROLLER, "yes")]);
                    }
                    true
                })
                .await;
        }
        let status = &claim.status;
        let is_said = status.phase == "Bound"
            && status.access_modes == volume.spec.access_modes
            // A claim that was expanded knows better than its volume's first size.
            && !status.capacity.is_empty();
        if is_said {
            return Ok(());
        }
        let status = json!({
            "phase": "Bound",
            "accessModes": volume.spec.access_modes,
            "capacity": volume.spec.capacity,
        });
        api.update_status(claim, &status).await
    }

    /// Names the provisioner on the claim; the provisioner makes a volume that is set aside for it.
    async fn ask_for_volume(&self, claim: &PersistentVolumeClaim, provisioner: &str) -> Result<(), Error> {
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by \
             the system administrator. If volume creation is delayed, please verify that the provisioner is running \
             and correctly registered."
        );
        self.context.normal(claim, "ExternalProvisioning", message);
        let annotations = &claim.metadata.annotations;
        let is_named = |name: &str| annotations.get(name).is_some_and(|named| named == provisioner);
        if !PROVISIONER.iter().all(|name| is_named(name)) {
            let names = PROVISIONER.map(|name| (name, provisioner));
            self.context.api.modify(claim, "", |live| annotate(live, &names)).await?;
            return Ok(());
        }
        self.phase_of_claim(claim, "Pending").await
    }

    async fn phase_of_claim(&self, claim: &PersistentVolumeClaim, phase: &str) -> Result<(), Error> {
        if claim.status.phase == phase {
            return Ok(());
        }
        let status = json!({"phase": phase, "accessModes": null, "capacity": null});
        self.context.api.update_status(claim, &status).await
    }

    async fn volume(&self, key: Key) -> Result<Outcome, Error> {
        let Some(volume) = self.volumes.get(key.as_str()) else { return Ok(Outcome::Done) };
        let claim = match &volume.spec.claim_ref {
            Some(reference) => self.claim_of(&volume, &reference.key()).await?,
            None => None,
        };
        let api = &self.context.api;
        let done = match volume::decide(&volume, claim.as_deref()) {
            volume::Step::Phase(phase) if volume.status.phase == phase => Ok(()),
            volume::Step::Phase(phase) => {
                api.update_status(&*volume, &json!({"phase": phase, "message": null, "reason": null})).await
            }
            volume::Step::Fail(why) => {
                self.context.warning(&*volume, "VolumeFailedDelete", why.clone());
                api.update_status(&*volume, &json!({"phase": "Failed", "message": why})).await
            }
            volume::Step::WakeClaim => {
                claim.iter().for_each(|claim| self.claim_queue.add(claim.key()));
                Ok(())
            }
            volume::Step::Unbind => self.unbind(&volume).await,
            volume::Step::Leave => Ok(()),
        };
        match done {
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            other => other.map(|()| Outcome::Done),
        }
    }

    /// Returns the claim that a volume refers to, if it lives. A claim that the store does not have is asked of the
    /// server before it counts as gone: what follows may be the end of its data.
    async fn claim_of(
        &self,
        volume: &PersistentVolume,
        key: &Key,
    ) -> Result<Option<Arc<PersistentVolumeClaim>>, Error> {
        if let Some(claim) = self.claims.get(key.as_str()).filter(|claim| volume.is_for(claim)) {
            return Ok(Some(claim));
        }
        let path = named_path::<PersistentVolumeClaim>(key.namespace(), key.name());
        let live = match self.context.api.get(&path).await {
            Ok(live) => live,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let claim: PersistentVolumeClaim =
            serde_json::from_value(live).map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(volume.is_for(&claim).then(|| Arc::new(claim)))
    }

    /// Takes back what this controller wrote: a person's choice stays, and is free for the claim that was meant.
    async fn unbind(&self, volume: &PersistentVolume) -> Result<(), Error> {
        let chosen = volume.metadata.annotations.contains_key(BY_CONTROLLER);
        let unbound = self.context.api.modify(volume, "", |live| {
            if chosen {
                if let Some(spec) = live["spec"].as_object_mut() {
                    spec.remove("claimRef");
                }
                merge(&mut live["metadata"]["annotations"], &json!({BY_CONTROLLER: null}));
            } else {
                merge(&mut live["spec"]["claimRef"], &json!({"uid": null, "resourceVersion": null}));
            }
            true
        });
        unbound.await
    }
}

fn annotate(live: &mut Value, annotations: &[(&str, &str)]) -> bool {
    let change: Value =
        annotations.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    merge(&mut live["metadata"]["annotations"], &change)
}
