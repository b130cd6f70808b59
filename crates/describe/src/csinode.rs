//! `kubectl describe csinode`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, joined, labels, line, text, time};

/// Writes which storage drivers a node has.
pub fn describe(out: &mut String, node: &Value) {
    line!(out, "Name:\t{}", node.name());
    labels(out, node);
    annotations(out, node);
    line!(out, "CreationTimestamp:\t{}", time(&node["metadata"]["creationTimestamp"]));
    line!(out, "Spec:");
    let Some(drivers) = node["spec"]["drivers"].as_array().filter(|drivers| !drivers.is_empty()) else {
        return;
    };
    line!(out, "  Drivers:");
    for driver in drivers {
        line!(out, "    {}:", text(&driver["name"]));
        line!(out, "      Node ID:\t{}", text(&driver["nodeID"]));
        if let Some(count) = driver["allocatable"]["count"].as_i64() {
            line!(out, "      Allocatables:");
            line!(out, "        Count:\t{count}");
        }
        if driver["topologyKeys"].is_array() {
            line!(out, "      Topology Keys:\t[{}]", joined(&driver["topologyKeys"], " "));
        }
    }
}
