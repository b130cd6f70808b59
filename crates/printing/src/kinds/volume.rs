//! Persistent volumes.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{UNSET, age, name, quantity, text, text_or};
use crate::column::{AGE, NAME, string, wide};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "",
    kind: "PersistentVolume",
    columns: &[
        NAME,
        string("Capacity"),
        string("Access Modes"),
        string("Reclaim Policy"),
        string("Status"),
        string("Claim"),
        string("StorageClass"),
        string("VolumeAttributesClass"),
        string("Reason"),
        AGE,
        wide("VolumeMode"),
    ],
    cells,
}];

fn cells(volume: &Value, now: Timestamp) -> Vec<Value> {
    let claim = match volume.at(&["spec", "claimRef"]) {
        Some(claim) => format!("{}/{}", text(claim, &["namespace"]), text(claim, &["name"])),
        None => String::new(),
    };
    vec![
        name(volume),
        quantity(volume.at(&["spec", "capacity", "storage"])).into(),
        access_modes(volume.list_at(&["spec", "accessModes"])).into(),
        text(volume, &["spec", "persistentVolumeReclaimPolicy"]).into(),
        phase(volume).into(),
        claim.into(),
        storage_class(volume).into(),
        text_or(volume, &["spec", "volumeAttributesClassName"], UNSET).into(),
        text(volume, &["status", "reason"]).into(),
        age(volume, now),
        text_or(volume, &["spec", "volumeMode"], UNSET).into(),
    ]
}

/// The phase of a volume or claim.
pub(super) fn phase(object: &Value) -> &str {
    match object.deletion_timestamp() {
        Some(_) => "Terminating",
        None => text(object, &["status", "phase"]),
    }
}

/// The storage class of a volume or claim; the annotation came before the field.
pub(super) fn storage_class(object: &Value) -> &str {
    object
        .annotation("volume.beta.kubernetes.io/storage-class")
        .unwrap_or_else(|| text(object, &["spec", "storageClassName"]))
}

/// Abbreviates access modes: `RWO,ROX`.
pub(super) fn access_modes(modes: &[Value]) -> String {
    let short: Vec<&str> = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(mode, _)| modes.iter().any(|known| known == mode))
    .map(|(_, short)| short)
    .collect();
    short.join(",")
}
