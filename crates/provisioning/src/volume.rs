//! The volume written down for a claim, and its end.

use controller_runtime::api::path::path_of;
use controller_runtime::api::{Api, Delete, Error, Patch};
use serde_json::{Value, json};

use crate::objects::{Claim, StorageClass, Volume};

/// Names the provisioner of a volume.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Holds a volume until its data are gone.
pub const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";

/// A PersistentVolume for a claim, without what is particular to its provisioner: its source, its capacity where that is
/// not what was asked for, and the nodes it can be used on.
pub fn record(provisioner: &str, name: &str, claim: &Claim, class: &StorageClass) -> Value {
    let metadata = &claim.metadata;
    let policy = if class.reclaim_policy.is_empty() { "Delete" } else { &class.reclaim_policy };
    let mode = if claim.spec.volume_mode.is_empty() { "Filesystem" } else { &claim.spec.volume_mode };
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: provisioner},
            // Data of a volume that is deleted before its claim go too.
            "finalizers": if policy == "Delete" { vec![FINALIZER] } else { Vec::new() },
        },
        "spec": {
            "accessModes": claim.spec.access_modes,
            "capacity": {"storage": claim.spec.resources.requests.get("storage")},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
            "mountOptions": class.mount_options,
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": class.metadata.name,
            "volumeMode": mode,
        },
    })
}

/// Tells whether a volume was made by this provisioner.
pub fn made_by(provisioner: &str, volume: &Volume) -> bool {
    volume.metadata.annotations.get(PROVISIONED_BY).is_some_and(|name| name == provisioner)
}

/// What to do about a volume that its provisioner has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reclaim {
    /// Nothing.
    Leave,
    /// Its data are removed, then it goes itself.
    Delete,
    /// It no longer holds its data: whoever changed its policy wants to keep them.
    LetGo,
}

/// Decides about a volume that its provisioner has made.
pub fn reclaim(volume: &Volume) -> Reclaim {
    let held = is_held(volume);
    if volume.spec.persistent_volume_reclaim_policy != "Delete" {
        if held { Reclaim::LetGo } else { Reclaim::Leave }
    } else if volume.status.phase == "Released" && (held || !volume.metadata.is_deleting()) {
        Reclaim::Delete
    } else {
        Reclaim::Leave
    }
}

/// Removes a volume whose data are gone.
pub async fn remove(api: &Api, volume: &Volume) -> Result<(), Error> {
    if !volume.metadata.is_deleting() {
        let delete = Delete { uid: Some(&volume.metadata.uid), ..Delete::default() };
        api.delete(&path_of(volume), delete).await?;
    }
    let_go(api, volume).await
}

/// Takes the finalizer off a volume.
pub async fn let_go(api: &Api, volume: &Volume) -> Result<(), Error> {
    if !is_held(volume) {
        return Ok(());
    }
    // Only this one: another may be taken away at the same time.
    let change = json!({"metadata": {
        "uid": volume.metadata.uid,
        "$deleteFromPrimitiveList/finalizers": [FINALIZER],
    }});
    api.patch(&path_of(volume), Patch::Strategic, &change).await.map(drop)
}

fn is_held(volume: &Volume) -> bool {
    volume.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_go_with_released_volumes_that_may_be_deleted() {
        let held = || json!({"finalizers": [FINALIZER]});
        let going = "2026-01-01T00:00:00Z";
        for (policy, phase, metadata, expected) in [
            ("Delete", "Released", held(), Reclaim::Delete),
            ("Delete", "Released", json!({}), Reclaim::Delete),
            ("Delete", "Released", json!({"deletionTimestamp": going}), Reclaim::Leave),
            (
                "Delete",
                "Released",
                json!({"deletionTimestamp": going, "finalizers": [FINALIZER]}),
                Reclaim::Delete,
            ),
            ("Delete", "Bound", held(), Reclaim::Leave),
            ("Retain", "Released", held(), Reclaim::LetGo),
            ("Retain", "Released", json!({}), Reclaim::Leave),
        ] {
            let volume = json!({"metadata": metadata, "spec": {"persistentVolumeReclaimPolicy": policy},
                "status": {"phase": phase}});
            let volume: Volume = serde_json::from_value(volume).unwrap();
            assert_eq!(reclaim(&volume), expected, "{policy} {phase} {metadata}");
        }
    }
}
