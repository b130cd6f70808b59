//! The groups `storage.k8s.io`, `storagemigration.k8s.io` and `internal.apiserver.k8s.io`.

use apimachinery::ObjectExt;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, UNSET, age, first_of, is_true, name, quantity, strings, text, text_or};
use crate::column::{AGE, NAME, boolean, integer, naming, string};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "storage.k8s.io",
        kind: "StorageClass",
        columns: &[
            NAME,
            string("Provisioner"),
            string("ReclaimPolicy"),
            string("VolumeBindingMode"),
            string("AllowVolumeExpansion"),
            AGE,
        ],
        cells: |class, now| {
            let annotated = |key: &str| class.annotation(key) == Some("true");
            let is_default = annotated("storageclass.kubernetes.io/is-default-class")
                || annotated("storageclass.beta.kubernetes.io/is-default-class");
            let mark = if is_default { " (default)" } else { "" };
            vec![
                format!("{}{mark}", class.name()).into(),
                text(class, &["provisioner"]).into(),
                text_or(class, &["reclaimPolicy"], "Delete").into(),
                text_or(class, &["volumeBindingMode"], "Immediate").into(),
                flag(class, &["allowVolumeExpansion"], false),
                age(class, now),
            ]
        },
    },
    Printer {
        group: "storage.k8s.io",
        kind: "VolumeAttributesClass",
        columns: &[NAME, string("DriverName"), AGE],
        cells: |class, now| {
            let annotated = class.annotation("volumeattributesclass.kubernetes.io/is-default-class");
            let mark = if annotated == Some("true") { " (default)" } else { "" };
            vec![
                format!("{}{mark}", class.name()).into(),
                text(class, &["driverName"]).into(),
                age(class, now),
            ]
        },
    },
    Printer {
        group: "storage.k8s.io",
        kind: "VolumeAttachment",
        columns: &[NAME, naming("Attacher"), string("PV"), string("Node"), boolean("Attached"), AGE],
        cells: |attachment, now| {
            vec![
                name(attachment),
                text(attachment, &["spec", "attacher"]).into(),
                text(attachment, &["spec", "source", "persistentVolumeName"]).into(),
                text(attachment, &["spec", "nodeName"]).into(),
                flag(attachment, &["status", "attached"], false),
                age(attachment, now),
            ]
        },
    },
    Printer {
        group: "storage.k8s.io",
        kind: "CSINode",
        columns: &[NAME, integer("Drivers"), AGE],
        cells: |node, now| vec![name(node), node.list_at(&["spec", "drivers"]).len().into(), age(node, now)],
    },
    Printer {
        group: "storage.k8s.io",
        kind: "CSIDriver",
        columns: &[
            NAME,
            boolean("AttachRequired"),
            boolean("PodInfoOnMount"),
            boolean("StorageCapacity"),
            string("TokenRequests"),
            boolean("RequiresRepublish"),
            string("Modes"),
            AGE,
        ],
        cells: |driver, now| {
            let modes = strings(driver, &["spec", "volumeLifecycleModes"]).join(",");
            let requests = driver.list_at(&["spec", "tokenRequests"]);
            let audiences: Vec<&str> = requests.iter().map(|request| text(request, &["audience"])).collect();
            vec![
                name(driver),
                flag(driver, &["spec", "attachRequired"], true),
                flag(driver, &["spec", "podInfoOnMount"], false),
                flag(driver, &["spec", "storageCapacity"], false),
                if requests.is_empty() { UNSET.into() } else { audiences.join(",").into() },
                flag(driver, &["spec", "requiresRepublish"], false),
                if modes.is_empty() { NONE.into() } else { modes.into() },
                age(driver, now),
            ]
        },
    },
    Printer {
        group: "storage.k8s.io",
        kind: "CSIStorageCapacity",
        columns: &[NAME, string("StorageClassName"), string("Capacity")],
        cells: |capacity, _| {
            let size = capacity.get("capacity").map_or(UNSET.to_owned(), |size| quantity(Some(size)));
            vec![name(capacity), text(capacity, &["storageClassName"]).into(), size.into()]
        },
    },
    Printer {
        group: "storagemigration.k8s.io",
        kind: "StorageVersionMigration",
        columns: &[string("Name"), string("Resource"), string("Status")],
        cells: |migration, _| {
            let of = |field: &str| text(migration, &["spec", "resource", field]);
            let resource = match of("group") {
                "" => of("resource").to_owned(),
                group => format!("{}.{group}", of("resource")),
            };
            let status = ["Succeeded", "Failed", "Running"].into_iter().find(|ty| is_true(migration, ty));
            vec![name(migration), resource.into(), status.unwrap_or("Pending").into()]
        },
    },
    Printer {
        group: "internal.apiserver.k8s.io",
        kind: "StorageVersion",
        columns: &[NAME, string("CommonEncodingVersion"), string("StorageVersions"), AGE],
        cells: |version, now| {
            let servers: Vec<String> = version
                .list_at(&["status", "storageVersions"])
                .iter()
                .map(|server| {
                    format!("{}={}", text(server, &["apiServerID"]), text(server, &["encodingVersion"]))
                })
                .collect();
            let servers = match first_of(&servers, 3) {
                text if text.is_empty() => UNSET.to_owned(),
                text => text,
            };
            vec![
                name(version),
                text_or(version, &["status", "commonEncodingVersion"], UNSET).into(),
                servers.into(),
                age(version, now),
            ]
        },
    },
];

fn flag(object: &Value, path: &[&str], otherwise: bool) -> Value {
    object.bool_at(path).unwrap_or(otherwise).into()
}
