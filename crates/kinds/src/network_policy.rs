//! NetworkPolicies.

use serde_json::{Value, json};

use pod_strategy::probes::{validate_port, validate_port_number};
use pod_strategy::warnings;
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, Strategy};

/// The rules of NetworkPolicies.
pub struct NetworkPolicy;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for NetworkPolicy {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        if spec.items("policyTypes").is_empty() {
            let egress = !spec.items("egress").is_empty();
            write::set(
                spec,
                "policyTypes",
                if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) },
            );
        }
        for list in ["ingress", "egress"] {
            for rule in write::items(spec, list) {
                for port in write::items(rule, "ports") {
                    write::missing(port, "protocol", "TCP");
                }
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        selectors::validate(&spec["podSelector"], &SPEC.child("podSelector"), errors);
        for (list, peers) in [("ingress", "from"), ("egress", "to")] {
            for (index, rule) in spec.items(list).iter().enumerate() {
                validate_rule(rule, peers, &SPEC.child(list).index(index), errors);
            }
        }
        let types = spec.items("policyTypes");
        if types.len() > 2 {
            errors.invalid(
                &SPEC.child("policyTypes"),
                spec["policyTypes"].clone(),
                "may not specify more than two policyTypes",
            );
            return;
        }
        for (index, kind) in types.iter().enumerate() {
            if kind != "Ingress" && kind != "Egress" {
                errors.unsupported(
                    &SPEC.child("policyTypes").index(index),
                    kind.clone(),
                    &["Ingress", "Egress"],
                );
            }
        }
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        range_warnings(&object["spec"])
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        range_warnings(&new["spec"])
    }
}

/// Ranges that are not written as they should be.
fn range_warnings(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in spec.items(list).iter().enumerate() {
            for (at, peer) in rule.items(peers).iter().enumerate() {
                let (block, path) = (&peer["ipBlock"], format!("spec.{list}[{index}].{peers}[{at}].ipBlock"));
                warnings::range(block.text("cidr"), &format!("{path}.cidr"), &mut found);
                for (which, except) in block.items("except").iter().enumerate() {
                    let path = format!("{path}.except[{which}]");
                    warnings::range(except.as_str().unwrap_or_default(), &path, &mut found);
                }
            }
        }
    }
    found
}

fn validate_rule(rule: &Value, peers: &str, path: &Path, errors: &mut Errors) {
    for (index, port) in rule.items("ports").iter().enumerate() {
        let ports_path = path.child("ports");
        let path = ports_path.index(index);
        if !matches!(port.text("protocol"), "TCP" | "UDP" | "SCTP") {
            errors.unsupported(&path.child("protocol"), port.text("protocol"), &["TCP", "UDP", "SCTP"]);
        }
        validate_ports(port, &path, errors);
    }
    for (index, peer) in rule.items(peers).iter().enumerate() {
        let peers_path = path.child(peers);
        validate_peer(peer, &peers_path.index(index), errors);
    }
}

/// Validates a port, or where a range of them ends.
fn validate_ports(port: &Value, path: &Path, errors: &mut Errors) {
    let (first, end) = (&port["port"], port.int("endPort"));
    let (first_path, end_path) = (path.child("port"), path.child("endPort"));
    if let (Value::String(_), Some(end)) = (first, end) {
        errors.invalid(&end_path, end, "may not be specified when `port` is non-numeric");
    }
    if !first.is_null() {
        validate_port(first, &first_path, errors);
    }
    match (first, end) {
        (Value::Null, Some(end)) => {
            errors.invalid(&end_path, end, "may not be specified when `port` is not specified");
        }
        (Value::Number(_), Some(end)) => {
            if end < first.as_i64().unwrap_or(0) {
                // Upstream shows the port, not the end.
                errors.invalid(&end_path, first.clone(), "must be greater than or equal to `port`");
            }
            validate_port_number(end, &end_path, errors);
        }
        _ => {}
    }
}

fn validate_peer(peer: &Value, path: &Path, errors: &mut Errors) {
    let mut selected = false;
    for key in ["podSelector", "namespaceSelector"] {
        if peer[key].is_object() {
            selected = true;
            selectors::validate(&peer[key], &path.child(key), errors);
        }
    }
    let block = &peer["ipBlock"];
    if block.is_object() {
        validate_block(block, &path.child("ipBlock"), errors);
        if selected {
            errors.forbidden(path, "may not specify both ipBlock and another peer");
        }
    } else if !selected {
        errors.required(path, "must specify a peer");
    }
}

fn validate_block(block: &Value, path: &Path, errors: &mut Errors) {
    let text = block.text("cidr");
    if text.is_empty() {
        errors.required(&path.child("cidr"), "");
        return;
    }
    addresses::validate_range(text, &path.child("cidr"), errors);
    let Some(range) = range(text) else { return };
    let list_path = path.child("except");
    for (index, except) in block.items("except").iter().enumerate() {
        let path = list_path.index(index);
        let text = except.as_str().unwrap_or_default();
        addresses::validate_range(text, &path, errors);
        let Some(inner) = self::range(text) else { continue };
        if !range.contains(&inner.network()) || range.prefix_len() >= inner.prefix_len() {
            errors.invalid(&path, text, "must be a strict subset of `cidr`");
        }
    }
}

/// A range of addresses, also one that is written with zeros before its numbers.
fn range(text: &str) -> Option<ipnet::IpNet> {
    let (address, length) = text.split_once('/')?;
    format!("{}/{}", addresses::without_zeros(address), addresses::without_zeros(length)).parse().ok()
}

#[cfg(test)]
mod tests;
