//! Nodes.

use std::collections::BTreeSet;

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, UNKNOWN, age, condition, name, text, text_or};
use crate::column::{AGE, NAME, string, wide};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "",
    kind: "Node",
    columns: &[
        NAME,
        string("Status"),
        string("Roles"),
        AGE,
        string("Version"),
        wide("Internal-IP"),
        wide("External-IP"),
        wide("OS-Image"),
        wide("Kernel-Version"),
        wide("Container-Runtime"),
    ],
    cells,
}];

fn cells(node: &Value, now: Timestamp) -> Vec<Value> {
    let info = |field: &str| text(node, &["status", "nodeInfo", field]);
    let info_or_unknown = |field: &'static str| text_or(node, &["status", "nodeInfo", field], UNKNOWN);
    vec![
        name(node),
        status(node).into(),
        roles(node).into(),
        age(node, now),
        info("kubeletVersion").into(),
        address(node, "InternalIP").into(),
        address(node, "ExternalIP").into(),
        info_or_unknown("osImage").into(),
        info_or_unknown("kernelVersion").into(),
        info_or_unknown("containerRuntimeVersion").into(),
    ]
}

fn status(node: &Value) -> String {
    let ready = match condition(node, "Ready").map(|condition| text(condition, &["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    match node.bool_at(&["spec", "unschedulable"]) {
        Some(true) => format!("{ready},SchedulingDisabled"),
        _ => ready.to_owned(),
    }
}

fn roles(node: &Value) -> String {
    let roles: BTreeSet<&str> = node
        .labels()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None => (key == "kubernetes.io/role").then_some(value),
        })
        .filter(|role| !role.is_empty())
        .collect();
    match roles.is_empty() {
        true => NONE.to_owned(),
        false => Vec::from_iter(roles).join(","),
    }
}

fn address<'v>(node: &'v Value, ty: &str) -> &'v str {
    let addresses = node.list_at(&["status", "addresses"]);
    let found = addresses.iter().find(|address| text(address, &["type"]) == ty);
    found.map_or(NONE, |address| text(address, &["address"]))
}
