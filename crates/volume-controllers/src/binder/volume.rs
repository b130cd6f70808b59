//! What to do about a volume: its phase, and what becomes of it when its claim has gone.

use crate::objects::{PersistentVolume, PersistentVolumeClaim};

/// What made the volume: its provisioner takes it away again.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// What to do about a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It has this phase.
    Phase(&'static str),
    /// It cannot be reclaimed; a person must see to it.
    Fail(String),
    /// Its claim has yet to be bound to it.
    WakeClaim,
    /// Its claim took another volume: it is free again.
    Unbind,
    /// Somebody else acts next.
    Leave,
}

/// Decides about a volume. `claim` is the one that it refers to, if that lives and is the very same.
pub fn decide(volume: &PersistentVolume, claim: Option<&PersistentVolumeClaim>) -> Step {
    let Some(reference) = &volume.spec.claim_ref else { return Step::Phase("Available") };
    if reference.uid.is_empty() {
        // Set aside by a person: free for that one claim.
        return match claim {
            Some(claim) if claim.spec.volume_name.is_empty() => Step::WakeClaim,
            _ => Step::Phase("Available"),
        };
    }
    match claim {
        None => released(volume),
        Some(claim) if claim.spec.volume_name.is_empty() => Step::WakeClaim,
        Some(claim) if claim.spec.volume_name == volume.metadata.name => Step::Phase("Bound"),
        // Made for the claim, but too late: nobody will ever want it.
        Some(_) if is_provisioned(volume) && policy(volume) == "Delete" => released(volume),
        Some(_) => Step::Unbind,
    }
}

fn policy(volume: &PersistentVolume) -> &str {
    match &*volume.spec.persistent_volume_reclaim_policy {
        "" => "Retain",
        policy => policy,
    }
}

fn is_provisioned(volume: &PersistentVolume) -> bool {
    volume.metadata.annotations.contains_key(PROVISIONED_BY) || volume.spec.csi.is_some()
}

fn released(volume: &PersistentVolume) -> Step {
    if !matches!(&*volume.status.phase, "Released" | "Failed") {
        return Step::Phase("Released");
    }
    let kind = match policy(volume) {
        // Their provisioner sees that they are released, and deletes data and volume.
        "Delete" if is_provisioned(volume) => return Step::Leave,
        "Delete" => "delet",
        "Recycle" => "recycl",
        _ => return Step::Leave,
    };
    if volume.status.phase == "Failed" {
        return Step::Leave;
    }
    let name = &volume.metadata.name;
    let action = if kind == "delet" { "deletable" } else { "recyclable" };
    Step::Fail(format!(
        "Error getting {kind}er volume plugin for volume {name:?}: no {action} volume plugin matched"
    ))
}
