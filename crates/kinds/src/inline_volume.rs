//! Validation of a volume that an attachment brings along.

use serde_json::Value;

use pod_strategy::persistent_volume_claim::validate_access_modes;
use pod_strategy::volume_sources;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// What a volume says beside where it is.
const OTHERS: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];
const NOT_HERE: &str = "may not be specified in the context of inline volumes";

/// Validates the spec of such a volume: a driver's, without what ties a volume to others.
pub(crate) fn validate(spec: &Value, path: &Path, errors: &mut Errors) {
    if spec.has("claimRef") {
        errors.forbidden(&path.child("claimRef"), NOT_HERE);
    }
    if spec.entries("capacity").next().is_some() {
        errors.forbidden(&path.child("capacity"), NOT_HERE);
    }
    if !spec.has("csi") {
        errors.required(&path.child("csi"), "has to be specified in the context of inline volumes");
    }
    validate_access_modes(spec, path, "", errors);
    if !matches!(spec.text("persistentVolumeReclaimPolicy"), "" | "Retain") {
        let why = "may only be Retain in the context of inline volumes";
        errors.forbidden(&path.child("persistentVolumeReclaimPolicy"), why);
    }
    if spec.has("nodeAffinity") {
        errors.forbidden(&path.child("nodeAffinity"), NOT_HERE);
    }
    let fields = spec.as_object().into_iter().flatten();
    let sources = fields.filter(|(key, value)| !value.is_null() && !OTHERS.contains(&key.as_str()));
    let mut count = 0;
    for (kind, source) in sources {
        count += 1;
        if count > 1 {
            errors.forbidden(&path.child(kind), "may not specify more than 1 volume type");
        } else {
            volume_sources::validate(kind, source, &path.child(kind), errors);
        }
    }
    if count == 0 {
        errors.required(path, "must specify a volume type");
    }
    if !spec.text("storageClassName").is_empty() {
        errors.forbidden(&path.child("storageClassName"), NOT_HERE);
    }
    if spec.has("volumeMode") && spec.text("volumeMode") != "Filesystem" {
        let why = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.forbidden(&path.child("volumeMode"), why);
    }
    if spec.has("volumeAttributesClassName") {
        errors.forbidden(&path.child("volumeAttributesClassName"), NOT_HERE);
    }
}
