//! Endpoints.

use serde_json::Value;

use crate::service::non_special_address;
use pod_strategy::probes::{validate_label, validate_port_number};
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;

/// The rules of Endpoints.
pub struct Endpoints;

impl Strategy for Endpoints {
    fn default(&self, object: &mut Value) {
        for subset in write::items(object, "subsets") {
            for port in write::items(subset, "ports") {
                write::zero(port, "protocol", "TCP");
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        for (index, subset) in object.items("subsets").iter().enumerate() {
            validate_subset(subset, &Path::root("subsets").index(index), errors);
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

fn validate_subset(subset: &Value, path: &Path, errors: &mut Errors) {
    if subset.items("addresses").is_empty() && subset.items("notReadyAddresses").is_empty() {
        errors.required(path, "must specify `addresses` or `notReadyAddresses`");
    }
    for list in ["addresses", "notReadyAddresses"] {
        for (index, address) in subset.items(list).iter().enumerate() {
            let list_path = path.child(list);
            let path = list_path.index(index);
            non_special_address(address.text("ip"), &path.child("ip"), errors);
            if !address.text("hostname").is_empty() {
                validate_label(address.text("hostname"), &path.child("hostname"), errors);
            }
        }
    }
    let ports = subset.items("ports");
    for (index, port) in ports.iter().enumerate() {
        let list_path = path.child("ports");
        let path = list_path.index(index);
        match port.text("name") {
            "" if ports.len() > 1 => errors.required(&path.child("name"), ""),
            "" => {}
            name => validate_label(name, &path.child("name"), errors),
        }
        validate_port_number(port.int("port").unwrap_or(0), &path.child("port"), errors);
        match port.text("protocol") {
            "TCP" | "UDP" | "SCTP" => {}
            "" => errors.required(&path.child("protocol"), ""),
            other => errors.unsupported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]),
        }
    }
}
