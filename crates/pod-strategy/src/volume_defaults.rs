//! Defaults of the volumes of a pod spec.

use serde_json::{Value, json};

use crate::defaults::pull_policy;
use strategy::read::Read;
use strategy::write;

/// `0644`, the mode of files in volumes made from the API.
const FILE_MODE: i64 = 0o644;

/// Fills in the volumes of a pod spec.
pub fn all(spec: &mut Value) {
    for volume in write::items(spec, "volumes") {
        self::volume(volume);
    }
}

fn volume(volume: &mut Value) {
    let sourceless = volume
        .as_object()
        .is_some_and(|fields| fields.iter().all(|(key, value)| key == "name" || value.is_null()));
    if sourceless {
        write::set(volume, "emptyDir", json!({}));
    }
    source(volume);
}

/// Fills in a volume source, of a pod's volume or of a PersistentVolume.
pub fn source(volume: &mut Value) {
    if let Some(host_path) = write::object(volume, "hostPath") {
        write::missing(host_path, "type", "");
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(files) = write::object(volume, kind) {
            write::missing(files, "defaultMode", FILE_MODE);
        }
    }
    if let Some(downward) = write::object(volume, "downwardAPI") {
        field_refs(downward);
    }
    if let Some(projected) = write::object(volume, "projected") {
        for source in write::items(projected, "sources") {
            if let Some(token) = write::object(source, "serviceAccountToken") {
                write::missing(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = write::object(source, "downwardAPI") {
                field_refs(downward);
            }
            if let Some(certificate) = write::object(source, "podCertificate") {
                write::missing(certificate, "maxExpirationSeconds", 86400);
            }
        }
    }
    if let Some(iscsi) = write::object(volume, "iscsi") {
        write::zero(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = write::object(volume, "rbd") {
        write::zero(rbd, "pool", "rbd");
        write::zero(rbd, "user", "admin");
        write::zero(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = write::object(volume, "azureDisk") {
        write::missing(disk, "cachingMode", "ReadWrite");
        write::missing(disk, "kind", "Shared");
        write::missing(disk, "fsType", "ext4");
        write::missing(disk, "readOnly", false);
    }
    if let Some(scale_io) = write::object(volume, "scaleIO") {
        write::zero(scale_io, "storageMode", "ThinProvisioned");
        write::zero(scale_io, "fsType", "xfs");
    }
    if let Some(image) = write::object(volume, "image")
        && image.text("pullPolicy").is_empty()
    {
        let policy = pull_policy(image.text("reference"));
        write::set(image, "pullPolicy", policy);
    }
    if let Some(template) = write::object(volume, "ephemeral")
        .and_then(|ephemeral| write::object(ephemeral, "volumeClaimTemplate"))
    {
        crate::persistent_volume_claim::default_spec(write::ensure(template, "spec"));
    }
}

fn field_refs(files: &mut Value) {
    for item in write::items(files, "items") {
        if let Some(field) = write::object(item, "fieldRef") {
            write::zero(field, "apiVersion", "v1");
        }
    }
}
