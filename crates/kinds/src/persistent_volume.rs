//! PersistentVolumes.

use serde_json::{Value, json};

use pod_strategy::persistent_volume_claim::validate_access_modes;
use pod_strategy::resources::{quantity, validate_amount};
use pod_strategy::volume_defaults;
use pod_strategy::volumes::validate_shared_source;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of PersistentVolumes.
pub struct PersistentVolume;

const SPEC: Path<'static> = Path::root("spec");

/// The fields of the spec that say where the volume is.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

impl Strategy for PersistentVolume {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        write::zero(write::ensure(object, "status"), "phase", "Pending");
        let spec = write::ensure(object, "spec");
        write::zero(spec, "persistentVolumeReclaimPolicy", "Retain");
        write::missing(spec, "volumeMode", "Filesystem");
        volume_defaults::source(spec);
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(object, "status", json!({"phase": "Pending"}));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], errors);
        let (spec, before) = (&new["spec"], &old["spec"]);
        if SOURCES.iter().any(|source| !same(&spec[*source], &before[*source])) {
            errors.forbidden(
                &SPEC.child("persistentvolumesource"),
                "spec.persistentvolumesource is immutable after creation\n",
            );
        }
        errors.immutable(&SPEC.child("volumeMode"), &spec["volumeMode"], &before["volumeMode"]);
        if before.has("nodeAffinity") {
            errors.immutable(&SPEC.child("nodeAffinity"), &spec["nodeAffinity"], &before["nodeAffinity"]);
        }
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        if object["spec"].text("persistentVolumeReclaimPolicy") == "Recycle" {
            found.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".to_owned());
        }
        found
    }
}

fn validate_spec(spec: &Value, errors: &mut Errors) {
    validate_access_modes(spec, &SPEC, errors);
    let capacity_path = SPEC.child("capacity");
    let capacity = &spec["capacity"];
    if capacity.as_object().is_none_or(serde_json::Map::is_empty) {
        errors.required(&capacity_path, "");
    } else if capacity.get("storage").is_none() || spec.entries("capacity").count() > 1 {
        errors.unsupported(&capacity_path, capacity.clone(), &["storage"]);
    }
    for (name, value) in spec.entries("capacity") {
        let path = capacity_path.key(name);
        validate_amount(name, value, &path, errors);
        if quantity(value).is_some_and(|amount| amount.is_zero()) {
            errors.invalid(&path, value.clone(), "must be greater than zero");
        }
    }
    let policy = spec.text("persistentVolumeReclaimPolicy");
    if !matches!(policy, "Delete" | "Recycle" | "Retain") {
        errors.unsupported(
            &SPEC.child("persistentVolumeReclaimPolicy"),
            policy,
            &["Delete", "Recycle", "Retain"],
        );
    }
    if spec.has("nodeAffinity") {
        let path = SPEC.child("nodeAffinity");
        if spec["nodeAffinity"].has("required") {
            selectors::validate_node_selector(
                &spec["nodeAffinity"]["required"],
                &path.child("required"),
                errors,
            );
        } else {
            errors.required(&path.child("required"), "must specify required node constraints");
        }
    }
    let mut count = 0;
    for kind in SOURCES {
        if !spec.has(kind) {
            continue;
        }
        count += 1;
        if count > 1 {
            errors.forbidden(&SPEC.child(kind), "may not specify more than 1 volume type");
        } else {
            validate_shared_source(kind, &spec[kind], &SPEC.child(kind), errors);
        }
    }
    if count == 0 {
        errors.required(&SPEC, "must specify a volume type");
    }
    if spec.has("csi") && spec["csi"].text("volumeHandle").is_empty() {
        errors.required(&SPEC.child("csi").child("volumeHandle"), "");
    }
    if spec.has("local") && !spec["nodeAffinity"].has("required") {
        errors.required(&SPEC.child("nodeAffinity"), "Local volume requires node affinity");
    }
    let class = spec.text("storageClassName");
    if !class.is_empty() {
        let found = names::errors(NameRule::Subdomain, class);
        errors.invalid_each(&SPEC.child("storageClassName"), &spec["storageClassName"], found);
    }
    if spec.has("volumeMode") && !matches!(spec.text("volumeMode"), "Block" | "Filesystem") {
        errors.unsupported(&SPEC.child("volumeMode"), spec.text("volumeMode"), &["Block", "Filesystem"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, updated};

    fn volume() -> Value {
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}})
    }

    #[test]
    fn volumes_are_somewhere_and_stay_there() {
        assert_eq!(created(&PersistentVolume, volume()), "");
        let mut moved = volume();
        moved["spec"]["hostPath"]["path"] = json!("/y");
        assert!(
            updated(&PersistentVolume, moved, volume())
                .starts_with("spec.persistentvolumesource: Forbidden: ")
        );
        let mut nowhere = volume();
        nowhere["spec"]["hostPath"] = Value::Null;
        assert_eq!(created(&PersistentVolume, nowhere), "spec: Required value: must specify a volume type");
    }
}
