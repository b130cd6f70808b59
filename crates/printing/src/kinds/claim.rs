//! Persistent volume claims.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use super::volume::{access_modes, phase, storage_class};
use crate::Printer;
use crate::cell::{UNSET, age, name, quantity, text, text_or};
use crate::column::{AGE, NAME, string, wide};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "",
    kind: "PersistentVolumeClaim",
    columns: &[
        NAME,
        string("Status"),
        string("Volume"),
        string("Capacity"),
        string("Access Modes"),
        string("StorageClass"),
        string("VolumeAttributesClass"),
        AGE,
        wide("VolumeMode"),
    ],
    cells,
}];

fn cells(claim: &Value, now: Timestamp) -> Vec<Value> {
    let volume = text(claim, &["spec", "volumeName"]);
    let (capacity, modes) = match volume {
        "" => (String::new(), String::new()),
        _ => (
            quantity(claim.at(&["status", "capacity", "storage"])),
            access_modes(claim.list_at(&["status", "accessModes"])),
        ),
    };
    vec![
        name(claim),
        phase(claim).into(),
        volume.into(),
        capacity.into(),
        modes.into(),
        storage_class(claim).into(),
        text_or(claim, &["spec", "volumeAttributesClassName"], UNSET).into(),
        age(claim, now),
        text_or(claim, &["spec", "volumeMode"], UNSET).into(),
    ]
}
