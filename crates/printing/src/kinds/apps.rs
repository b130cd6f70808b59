//! The group `apps`.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::cell::{NONE, age, containers, labels, name, number, selector};
use crate::column::{AGE, NAME, integer, string, wide};
use crate::{Column, Printer};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "apps",
        kind: "Deployment",
        columns: &[
            NAME,
            string("Ready"),
            string("Up-to-date"),
            string("Available"),
            AGE,
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        cells: |deployment, now| {
            let [names, images] = containers(deployment.at(TEMPLATE));
            vec![
                name(deployment),
                ready(deployment).into(),
                number(deployment, &["status", "updatedReplicas"]).into(),
                number(deployment, &["status", "availableReplicas"]).into(),
                age(deployment, now),
                names,
                images,
                selector(deployment.at(&["spec", "selector"])).into(),
            ]
        },
    },
    Printer {
        group: "apps",
        kind: "ReplicaSet",
        columns: REPLICA_COLUMNS,
        cells: |set, now| replica_cells(set, now, selector(set.at(&["spec", "selector"]))),
    },
    Printer {
        group: "apps",
        kind: "StatefulSet",
        columns: &[NAME, string("Ready"), AGE, wide("Containers"), wide("Images")],
        cells: |set, now| {
            let [names, images] = containers(set.at(TEMPLATE));
            vec![name(set), ready(set).into(), age(set, now), names, images]
        },
    },
    Printer {
        group: "apps",
        kind: "DaemonSet",
        columns: &[
            NAME,
            integer("Desired"),
            integer("Current"),
            integer("Ready"),
            integer("Up-to-date"),
            integer("Available"),
            string("Node Selector"),
            AGE,
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        cells: |set, now| {
            let [names, images] = containers(set.at(TEMPLATE));
            let count = |field: &str| number(set, &["status", field]).into();
            vec![
                name(set),
                count("desiredNumberScheduled"),
                count("currentNumberScheduled"),
                count("numberReady"),
                count("updatedNumberScheduled"),
                count("numberAvailable"),
                labels(set.map_at(&["spec", "template", "spec", "nodeSelector"])).into(),
                age(set, now),
                names,
                images,
                selector(set.at(&["spec", "selector"])).into(),
            ]
        },
    },
    Printer {
        group: "apps",
        kind: "ControllerRevision",
        columns: &[NAME, string("Controller"), string("Revision"), AGE],
        cells: |revision, now| {
            let controller = revision.controller_of().map_or(NONE.to_owned(), |owner| {
                let kind = owner.kind.to_lowercase();
                match owner.api_version.split_once('/') {
                    Some((group, _)) => format!("{kind}.{group}/{}", owner.name),
                    None => format!("{kind}/{}", owner.name),
                }
            });
            vec![
                name(revision),
                controller.into(),
                number(revision, &["revision"]).into(),
                age(revision, now),
            ]
        },
    },
];

const TEMPLATE: &[&str] = &["spec", "template", "spec"];

/// Of replica sets and replication controllers.
pub(super) const REPLICA_COLUMNS: &[Column] = &[
    NAME,
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// Of replica sets and replication controllers.
pub(super) fn replica_cells(object: &Value, now: Timestamp, selector: String) -> Vec<Value> {
    let [names, images] = containers(object.at(TEMPLATE));
    vec![
        name(object),
        number(object, &["spec", "replicas"]).into(),
        number(object, &["status", "replicas"]).into(),
        number(object, &["status", "readyReplicas"]).into(),
        age(object, now),
        names,
        images,
        selector.into(),
    ]
}

fn ready(object: &Value) -> String {
    format!("{}/{}", number(object, &["status", "readyReplicas"]), number(object, &["spec", "replicas"]))
}
