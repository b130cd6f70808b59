//! EndpointSlices.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use pod_strategy::probes::{validate_label, validate_port_number};
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy, count_generation};

/// The rules of EndpointSlices.
pub struct EndpointSlice;

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20000;

impl Strategy for EndpointSlice {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn default(&self, object: &mut Value) {
        for port in write::items(object, "ports") {
            write::missing(port, "name", "");
            write::missing(port, "protocol", "TCP");
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let kind_path = Path::root("addressType");
        match object.text("addressType") {
            "IPv4" | "IPv6" | "FQDN" => {}
            "" => errors.required(&kind_path, ""),
            other => errors.unsupported(&kind_path, other, &["FQDN", "IPv4", "IPv6"]),
        }
        validate_endpoints(object, errors);
        validate_ports(object, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let changed = !same(&new["endpoints"], &old["endpoints"])
            || !same(&new["ports"], &old["ports"])
            || new["addressType"] != old["addressType"]
            || !same(&new["metadata"]["labels"], &old["metadata"]["labels"]);
        count_generation(new, old, changed);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        errors.immutable(&Path::root("addressType"), &new["addressType"], &old["addressType"]);
    }
}

fn validate_endpoints(object: &Value, errors: &mut Errors) {
    let endpoints = object.items("endpoints");
    let list_path = Path::root("endpoints");
    if endpoints.len() > MAX_ENDPOINTS {
        errors.too_many(&list_path, endpoints.len(), MAX_ENDPOINTS);
        return;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = list_path.index(index);
        let addresses_path = path.child("addresses");
        let addresses = endpoint.items("addresses");
        if addresses.is_empty() {
            errors.required(&addresses_path, "must contain at least 1 address");
        } else if addresses.len() > MAX_ADDRESSES {
            errors.too_many(&addresses_path, addresses.len(), MAX_ADDRESSES);
        }
        for (index, address) in addresses.iter().enumerate() {
            let path = addresses_path.index(index);
            let text = address.as_str().unwrap_or_default();
            match object.text("addressType") {
                "IPv4" if text.parse::<Ipv4Addr>().is_err() => {
                    errors.invalid(&path, text, "must be a valid IPv4 address");
                }
                "IPv6" if text.parse::<Ipv6Addr>().is_err() => {
                    errors.invalid(&path, text, "must be a valid IPv6 address");
                }
                "IPv4" | "IPv6" => crate::service::non_special_address(text, &path, errors),
                "FQDN" => {
                    errors.invalid_each(&path, address, names::errors(NameRule::Subdomain, text));
                }
                _ => {}
            }
        }
        if endpoint.has("nodeName") {
            let found = names::errors(NameRule::Subdomain, endpoint.text("nodeName"));
            errors.invalid_each(&path.child("nodeName"), &endpoint["nodeName"], found);
        }
        if endpoint.has("hostname") {
            validate_label(endpoint.text("hostname"), &path.child("hostname"), errors);
        }
        for (index, zone) in endpoint["hints"].items("forZones").iter().enumerate() {
            if zone.text("name").is_empty() {
                let hints_path = path.child("hints");
                errors.required(&hints_path.child("forZones").index(index).child("name"), "");
            }
        }
    }
}

fn validate_ports(object: &Value, errors: &mut Errors) {
    let ports = object.items("ports");
    let list_path = Path::root("ports");
    if ports.len() > MAX_PORTS {
        errors.too_many(&list_path, ports.len(), MAX_PORTS);
        return;
    }
    for (index, port) in ports.iter().enumerate() {
        let path = list_path.index(index);
        let name = port.text("name");
        if !name.is_empty() {
            validate_label(name, &path.child("name"), errors);
        }
        if ports[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path.child("name"), name);
        }
        match port.text("protocol") {
            "TCP" | "UDP" | "SCTP" => {}
            "" => errors.required(&path.child("protocol"), ""),
            other => errors.unsupported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]),
        }
        if let Some(number) = port.int("port") {
            validate_port_number(number, &path.child("port"), errors);
        }
        if port.has("appProtocol") {
            let found = names::qualified_name_errors(port.text("appProtocol"));
            errors.invalid_each(&path.child("appProtocol"), &port["appProtocol"], found);
        }
    }
}
