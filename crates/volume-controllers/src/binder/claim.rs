//! What to do about a claim: the volume to bind, or what it waits for.

use std::sync::Arc;

use crate::objects::{PersistentVolume, PersistentVolumeClaim, StorageClass};

/// Says on a claim that its binding is complete.
pub const COMPLETE: &str = "pv.kubernetes.io/bind-completed";
/// Says on a volume or a claim that this controller chose the other, and not a person.
pub const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// The node that the scheduler has chosen for the claim's first pod.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// An event about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether someone should look at it.
    pub is_warning: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// What to do about a claim.
#[derive(Debug, Clone)]
pub enum Step {
    /// It waits, and says for what.
    Wait(Option<Told>),
    /// It waits for this provisioner to make a volume.
    Provision(String),
    /// It has, or gets, this volume.
    Bind(Arc<PersistentVolume>),
    /// The node that its volume was to be made for is gone: the scheduler must choose another.
    Reschedule,
    /// What it was bound to is gone.
    Lose(Told),
}

/// What is around a claim.
#[derive(Default)]
pub struct View<'a> {
    /// The volume that it names.
    pub named: Option<&'a Arc<PersistentVolume>>,
    /// The volumes of its class.
    pub volumes: &'a [Arc<PersistentVolume>],
    /// Its class.
    pub class: Option<&'a StorageClass>,
    /// Whether the node that was chosen for it is gone.
    pub node_is_gone: bool,
    /// The pods that wait for a node and for it.
    pub pods: &'a [String],
}

/// Decides about a claim.
pub fn decide(claim: &PersistentVolumeClaim, view: &View<'_>) -> Step {
    let named = view.named;
    if claim.metadata.annotations.contains_key(COMPLETE) {
        return bound(claim, named);
    }
    if claim.spec.volume_name.is_empty() {
        return unbound(claim, view);
    }
    // A person, or the binding that was begun, asks for one volume and no other.
    let Some(volume) = named else { return Step::Wait(None) };
    if volume.is_for(claim) {
        return Step::Bind(Arc::clone(volume));
    }
    if volume.spec.claim_ref.is_some() {
        let message = format!("volume {:?} already bound to a different claim.", volume.metadata.name);
        return Step::Wait(warning("FailedBinding", message));
    }
    match claim.misfit(volume) {
        Some(why) => {
            let message = format!("Cannot bind to requested volume {:?}: {why}", volume.metadata.name);
            Step::Wait(warning("VolumeMismatch", message))
        }
        None => Step::Bind(Arc::clone(volume)),
    }
}

fn bound(claim: &PersistentVolumeClaim, named: Option<&Arc<PersistentVolume>>) -> Step {
    let lose =
        |reason, message: &str| Step::Lose(Told { is_warning: true, reason, message: message.to_owned() });
    if claim.spec.volume_name.is_empty() {
        let message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
        return lose("ClaimLost", message);
    }
    match named {
        None => lose("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"),
        Some(volume) if volume.spec.claim_ref.is_none() || volume.is_for(claim) => {
            Step::Bind(Arc::clone(volume))
        }
        Some(_) => {
            lose("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
        }
    }
}

fn unbound(claim: &PersistentVolumeClaim, view: &View<'_>) -> Step {
    // Which of the free volumes it gets is for the scheduler to say: it knows the pod.
    let delayed = view.class.is_some_and(|class| class.volume_binding_mode == "WaitForFirstConsumer");
    if let Some(volume) = best(claim, view.volumes, delayed) {
        return Step::Bind(Arc::clone(volume));
    }
    if delayed {
        if !claim.metadata.annotations.contains_key(SELECTED_NODE) {
            return Step::Wait(Some(first_consumer(view.pods)));
        }
        if view.node_is_gone {
            return Step::Reschedule;
        }
    }
    match (claim.class(), view.class) {
        ("", _) => {
            let message =
                "no persistent volumes available for this claim and no storage class is set".to_owned();
            Step::Wait(Some(Told { is_warning: false, reason: "FailedBinding", message }))
        }
        (name, None) => {
            let message = format!("storageclass.storage.k8s.io {name:?} not found");
            Step::Wait(warning("ProvisioningFailed", message))
        }
        // Upstream's own provisioners have all moved out, and the one that is left makes no volumes.
        (_, Some(class)) if class.provisioner.starts_with("kubernetes.io/") => {
            let message = format!("no volume plugin matched name: {}", class.provisioner);
            Step::Wait(warning("ProvisioningFailed", message))
        }
        (_, Some(class)) => Step::Provision(class.provisioner.clone()),
    }
}

/// Says what a claim waits for that is bound once its pod has a node.
fn first_consumer(pods: &[String]) -> Told {
    let (reason, message) = match pods {
        [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned()),
        [pod] => ("WaitForPodScheduled", format!("waiting for pod {pod} to be scheduled")),
        pods => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", pods.join(","))),
    };
    Told { is_warning: false, reason, message }
}

fn warning(reason: &'static str, message: String) -> Option<Told> {
    Some(Told { is_warning: true, reason, message })
}

/// Finds the volume for a claim: one that was set aside for it, else the smallest that is free and large enough. For a
/// claim that `waits` for its pod's node, only what was set aside counts.
fn best<'a>(
    claim: &PersistentVolumeClaim,
    volumes: &'a [Arc<PersistentVolume>],
    waits: bool,
) -> Option<&'a Arc<PersistentVolume>> {
    let fitting =
        || volumes.iter().filter(|volume| !volume.metadata.is_deleting() && claim.misfit(volume).is_none());
    if let Some(own) = fitting().find(|volume| volume.is_for(claim)) {
        return Some(own);
    }
    fitting()
        .filter(|volume| !waits && volume.spec.claim_ref.is_none() && volume.status.phase == "Available")
        .filter(|volume| claim.spec.selector.matches_map(Some(&volume.metadata.labels)))
        .min_by(|one, other| {
            one.size().cmp(&other.size()).then_with(|| one.metadata.name.cmp(&other.metadata.name))
        })
}
