//! The small kinds of the core group.

use apimachinery::ObjectExt;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, age, containers, first_of, labels, name, number, quantity, text};
use crate::column::{AGE, NAME, integer, string};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "",
        kind: "Namespace",
        columns: &[NAME, string("Status"), AGE],
        cells: |namespace, now| {
            vec![name(namespace), text(namespace, &["status", "phase"]).into(), age(namespace, now)]
        },
    },
    Printer {
        group: "",
        kind: "Secret",
        columns: &[NAME, string("Type"), string("Data"), AGE],
        cells: |secret, now| {
            vec![
                name(secret),
                text(secret, &["type"]).into(),
                entries(secret, &["data"]).into(),
                age(secret, now),
            ]
        },
    },
    Printer {
        group: "",
        kind: "ConfigMap",
        columns: &[NAME, string("Data"), AGE],
        cells: |map, now| {
            let count = entries(map, &["data"]) + entries(map, &["binaryData"]);
            vec![name(map), count.into(), age(map, now)]
        },
    },
    Printer {
        group: "",
        kind: "ServiceAccount",
        columns: &[NAME, AGE],
        cells: |account, now| vec![name(account), age(account, now)],
    },
    Printer {
        group: "",
        kind: "PodTemplate",
        columns: &[NAME, string("Containers"), string("Images"), string("Pod Labels")],
        cells: |template, _| {
            let [names, images] = containers(template.at(&["template", "spec"]));
            let labels = labels(template.map_at(&["template", "metadata", "labels"]));
            vec![name(template), names, images, labels.into()]
        },
    },
    Printer {
        group: "",
        kind: "ReplicationController",
        columns: super::apps::REPLICA_COLUMNS,
        cells: |controller, now| {
            let labels = labels(controller.map_at(&["spec", "selector"]));
            super::apps::replica_cells(controller, now, labels)
        },
    },
    Printer {
        group: "",
        kind: "Endpoints",
        columns: &[NAME, string("Endpoints"), AGE],
        cells: |endpoints, now| vec![name(endpoints), addresses(endpoints).into(), age(endpoints, now)],
    },
    Printer {
        group: "",
        kind: "ResourceQuota",
        columns: &[NAME, string("Request"), string("Limit"), AGE],
        cells: |quota, now| {
            let [requests, limits] = [false, true].map(|limits| usage(quota, limits));
            vec![name(quota), requests.into(), limits.into(), age(quota, now)]
        },
    },
    Printer {
        group: "",
        kind: "ComponentStatus",
        columns: &[NAME, string("Status"), string("Message"), string("Error")],
        cells: |component, _| {
            let healthy = component
                .list_at(&["conditions"])
                .iter()
                .find(|condition| text(condition, &["type"]) == "Healthy");
            let status = match healthy.map(|condition| text(condition, &["status"])) {
                Some("True") => "Healthy",
                Some(_) => "Unhealthy",
                None => "Unknown",
            };
            let said = |field: &str| healthy.map_or("", |condition| text(condition, &[field]));
            vec![name(component), status.into(), said("message").into(), said("error").into()]
        },
    },
    Printer {
        group: "autoscaling",
        kind: "Scale",
        columns: &[string("Name"), integer("Desired"), integer("Available"), AGE],
        cells: |scale, now| {
            vec![
                name(scale),
                number(scale, &["spec", "replicas"]).into(),
                number(scale, &["status", "replicas"]).into(),
                age(scale, now),
            ]
        },
    },
    Printer {
        group: "",
        kind: "Status",
        columns: &[string("Status"), string("Reason"), string("Message")],
        cells: |status, _| {
            ["status", "reason", "message"].map(|field| text(status, &[field]).into()).to_vec()
        },
    },
];

fn entries(object: &Value, path: &[&str]) -> usize {
    object.map_at(path).map_or(0, |map| map.len())
}

/// Up to three addresses with their ports.
fn addresses(endpoints: &Value) -> String {
    let subsets = endpoints.list_at(&["subsets"]);
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let mut addresses = Vec::new();
    for subset in subsets {
        let ips = || subset.list_at(&["addresses"]).iter().map(|address| text(address, &["ip"]));
        let ports = subset.list_at(&["ports"]);
        if ports.is_empty() {
            addresses.extend(ips().map(str::to_owned));
        }
        for port in ports.iter().map(|port| number(port, &["port"])) {
            addresses.extend(ips().map(|ip| match ip.contains(':') {
                true => format!("[{ip}]:{port}"),
                false => format!("{ip}:{port}"),
            }));
        }
    }
    first_of(&addresses, 3)
}

/// `cpu: 1/2, pods: 3/10` of the limits or of everything else.
fn usage(quota: &Value, limits: bool) -> String {
    let hard = quota.map_at(&["status", "hard"]);
    let used = quota.map_at(&["status", "used"]);
    let parts: Vec<String> = hard
        .into_iter()
        .flatten()
        .filter(|(resource, _)| resource.starts_with("limits.") == limits)
        .map(|(resource, hard)| {
            let used = quantity(used.and_then(|used| used.get(resource)));
            format!("{resource}: {used}/{}", quantity(Some(hard)))
        })
        .collect();
    parts.join(", ")
}
