//! Volumes, claims, and those who make them.

use serde_json::json;

use super::{NOW, check, meta};

#[test]
fn volumes_and_claims() {
    check(
        "",
        "PersistentVolume",
        json!({
            "metadata": meta("v"),
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "slow", "volumeMode": "Filesystem",
                "claimRef": {"namespace": "default", "name": "c"},
            },
            "status": {"phase": "Bound"},
        }),
        "v | 1Gi | RWO,RWX | Retain | Bound | default/c | slow | <unset> |  | 60m | Filesystem",
    );
    check(
        "",
        "PersistentVolumeClaim",
        json!({"metadata": meta("c"), "spec": {"storageClassName": "slow"}, "status": {"phase": "Pending"}}),
        "c | Pending |  |  |  | slow | <unset> | 60m | <unset>",
    );
    check(
        "",
        "PersistentVolumeClaim",
        json!({
            "metadata": meta("c"),
            "spec": {"volumeName": "v", "volumeMode": "Filesystem"},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
        }),
        "c | Bound | v | 1Gi | RWO |  | <unset> | 60m | Filesystem",
    );
}

#[test]
fn storage() {
    let group = "storage.k8s.io";
    check(
        group,
        "StorageClass",
        json!({
            "metadata": {"name": "s", "creationTimestamp": NOW, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "x", "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
        }),
        "s (default) | x | Retain | WaitForFirstConsumer | true | 0s",
    );
    check(
        group,
        "VolumeAttachment",
        json!({
            "metadata": meta("a"), "spec": {"attacher": "x", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
            "status": {"attached": true},
        }),
        "a | x | v | n | true | 60m",
    );
    check(group, "CSINode", json!({"metadata": meta("n"), "spec": {"drivers": [{}]}}), "n | 1 | 60m");
    check(
        group,
        "CSIDriver",
        json!({"metadata": meta("d"), "spec": {"attachRequired": false, "volumeLifecycleModes": ["Persistent", "Ephemeral"]}}),
        "d | false | false | false | <unset> | false | Persistent,Ephemeral | 60m",
    );
    check(
        group,
        "CSIStorageCapacity",
        json!({"metadata": meta("c"), "storageClassName": "s"}),
        "c | s | <unset>",
    );
    check(group, "VolumeAttributesClass", json!({"metadata": meta("v"), "driverName": "d"}), "v | d | 60m");
    check(
        "storagemigration.k8s.io",
        "StorageVersionMigration",
        json!({"metadata": meta("m"), "spec": {"resource": {"group": "apps", "resource": "deployments"}}}),
        "m | deployments.apps | Pending",
    );
}
