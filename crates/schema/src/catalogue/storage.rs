//! The groups `storage.k8s.io` and `storagemigration.k8s.io`.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::{Resource, Stability};

const V1: (&str, &str) = ("storage.k8s.io", "v1");
const V1BETA1: (&str, &str) = ("storage.k8s.io", "v1beta1");
const MIGRATION_V1BETA1: (&str, &str) = ("storagemigration.k8s.io", "v1beta1");

pub(super) const RESOURCES: &[Resource] = &[
    Row::cluster(V1, "csidrivers", "csidriver", ("CSIDriver", "CSIDriverList"), STORAGE_V1_CSIDRIVER).build(),
    Row::cluster(V1, "csinodes", "csinode", ("CSINode", "CSINodeList"), STORAGE_V1_CSINODE).build(),
    Row::namespaced(
        V1,
        "csistoragecapacities",
        "csistoragecapacity",
        ("CSIStorageCapacity", "CSIStorageCapacityList"),
        STORAGE_V1_CSISTORAGECAPACITY,
    )
    .build(),
    Row::cluster(
        V1,
        "storageclasses",
        "storageclass",
        ("StorageClass", "StorageClassList"),
        STORAGE_V1_STORAGECLASS,
    )
    .short(&["sc"])
    .build(),
    Row::cluster(
        V1,
        "volumeattachments",
        "volumeattachment",
        ("VolumeAttachment", "VolumeAttachmentList"),
        STORAGE_V1_VOLUMEATTACHMENT,
    )
    .subresources(STATUS)
    .build(),
    Row::cluster(
        V1,
        "volumeattributesclasses",
        "volumeattributesclass",
        ("VolumeAttributesClass", "VolumeAttributesClassList"),
        STORAGE_V1_VOLUMEATTRIBUTESCLASS,
    )
    .short(&["vac"])
    .build(),
    Row::cluster(
        V1BETA1,
        "volumeattributesclasses",
        "volumeattributesclass",
        ("VolumeAttributesClass", "VolumeAttributesClassList"),
        STORAGE_V1BETA1_VOLUMEATTRIBUTESCLASS,
    )
    .short(&["vac"])
    .stored_as("storage.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
];

pub(super) const MIGRATION: &[Resource] = &[Row::cluster(
    MIGRATION_V1BETA1,
    "storageversionmigrations",
    "storageversionmigration",
    ("StorageVersionMigration", "StorageVersionMigrationList"),
    STORAGEMIGRATION_V1BETA1_STORAGEVERSIONMIGRATION,
)
.subresources(STATUS)
.off(Stability::Beta)
.build()];
