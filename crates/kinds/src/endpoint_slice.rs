//! EndpointSlices.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use pod_strategy::probes::validate_label;
use pod_strategy::warnings;
use strategy::field::{Errors, Path};
use strategy::metadata::validate_labels;
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy, count_generation};

/// The rules of EndpointSlices.
pub struct EndpointSlice;

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20000;
const MAX_HINTS: usize = 8;
const MAX_TOPOLOGY: usize = 16;

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

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        if object.text("addressType") == "FQDN" {
            found.push("addressType: FQDN endpoints are deprecated".to_owned());
        }
        for (index, endpoint) in object.items("endpoints").iter().enumerate() {
            for (at, text) in endpoint.items("addresses").iter().enumerate() {
                let path = format!("endpoints[{index}].addresses[{at}]");
                warnings::address(text.as_str().unwrap_or_default(), &path, &mut found);
            }
        }
        found
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
                "FQDN" => validate_domain(text, &path, errors),
                _ => {}
            }
        }
        if endpoint.has("nodeName") {
            let found = names::errors(NameRule::Subdomain, endpoint.text("nodeName"));
            errors.invalid_each(&path.child("nodeName"), &endpoint["nodeName"], found);
        }
        let topology_path = path.child("deprecatedTopology");
        let topology = endpoint.entries("deprecatedTopology").count();
        if topology > MAX_TOPOLOGY {
            errors.too_many(&topology_path, topology, MAX_TOPOLOGY);
        }
        validate_labels(&endpoint["deprecatedTopology"], &topology_path, errors);
        if endpoint.has("hostname") {
            validate_label(endpoint.text("hostname"), &path.child("hostname"), errors);
        }
        validate_hints(&endpoint["hints"], &path.child("hints"), errors);
    }
}

fn validate_hints(hints: &Value, path: &Path, errors: &mut Errors) {
    for list in ["forZones", "forNodes"] {
        let list_path = path.child(list);
        let hints = hints.items(list);
        if hints.len() > MAX_HINTS {
            errors.too_many(&list_path, hints.len(), MAX_HINTS);
            return;
        }
        for (index, hint) in hints.iter().enumerate() {
            let (name, item_path) = (hint.text("name"), list_path.index(index));
            let path = item_path.child("name");
            if hints[..index].iter().any(|other| other.text("name") == name) {
                errors.duplicate(&path, name);
            }
            let found = match list {
                "forNodes" => names::errors(NameRule::Subdomain, name),
                _ => names::label_value_errors(name),
            };
            errors.invalid_each(&path, &Value::from(name), found);
        }
    }
}

/// Validates a name in DNS of at least two labels, which may end with a dot.
fn validate_domain(text: &str, path: &Path, errors: &mut Errors) {
    if text.is_empty() {
        errors.required(path, "");
        return;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let found = names::errors(NameRule::Subdomain, name);
    if !found.is_empty() {
        errors.invalid(path, name, found.join(","));
        return;
    }
    if !name.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        errors.invalid(path, name, why);
        return;
    }
    for label in name.split('.') {
        let found = names::errors(NameRule::Label, label);
        if !found.is_empty() {
            errors.invalid(path, label, found.join(","));
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
            _ if !port.has("protocol") => errors.required(&path.child("protocol"), ""),
            other => errors.unsupported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]),
        }
        if port.has("appProtocol") {
            let found = names::qualified_name_errors(port.text("appProtocol"));
            errors.invalid_each(&path.child("appProtocol"), &port["appProtocol"], found);
        }
    }
}

#[cfg(test)]
mod tests;
