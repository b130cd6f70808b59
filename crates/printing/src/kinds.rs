//! The kinds that have columns of their own: one file for a kind, or for the small kinds of a group.

use serde_json::Value;

use crate::Printer;
use crate::cell::name;
use crate::column::{NAME, date};

mod admission;
mod apps;
mod autoscaling;
mod batch;
mod certificates;
mod claim;
mod coordination;
mod core;
mod devices;
mod discovery;
mod event;
mod extension;
mod flowcontrol;
mod networking;
mod node;
mod pod;
mod policy;
mod rbac;
mod scheduling;
mod service;
mod storage;
mod volume;

pub(crate) static ALL: &[&[Printer]] = &[
    pod::PRINTERS,
    node::PRINTERS,
    service::PRINTERS,
    core::PRINTERS,
    event::PRINTERS,
    volume::PRINTERS,
    claim::PRINTERS,
    apps::PRINTERS,
    batch::PRINTERS,
    autoscaling::PRINTERS,
    networking::PRINTERS,
    discovery::PRINTERS,
    policy::PRINTERS,
    rbac::PRINTERS,
    storage::PRINTERS,
    certificates::PRINTERS,
    coordination::PRINTERS,
    scheduling::PRINTERS,
    admission::PRINTERS,
    extension::PRINTERS,
    flowcontrol::PRINTERS,
    devices::PRINTERS,
];

/// Of kinds without columns of their own: roles, custom resource definitions, limit ranges …
pub(crate) static DEFAULT: Printer = Printer {
    group: "",
    kind: "",
    columns: &[NAME, date("Created At")],
    cells: |object, _| {
        vec![name(object), object["metadata"]["creationTimestamp"].as_str().map_or(Value::Null, Value::from)]
    },
};

#[cfg(test)]
mod tests;
