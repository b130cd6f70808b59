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
                    &["Egress", "Ingress"],
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
            errors.unsupported(&path.child("protocol"), port.text("protocol"), &["SCTP", "TCP", "UDP"]);
        }
        let own = &port["port"];
        if !own.is_null() {
            validate_port(own, &path.child("port"), errors);
        }
        if let Some(end) = port.int("endPort") {
            let end_path = path.child("endPort");
            match own {
                Value::Null => {
                    errors.required(&path.child("port"), "may not be empty when `endPort` is specified")
                }
                Value::String(_) => {
                    errors.invalid(&end_path, end, "may not be specified when `port` is non-numeric");
                }
                _ if end < own.as_i64().unwrap_or(0) => {
                    errors.invalid(&end_path, end, "must be greater than or equal to `port`");
                }
                _ => validate_port_number(end, &end_path, errors),
            }
        }
    }
    for (index, peer) in rule.items(peers).iter().enumerate() {
        let peers_path = path.child(peers);
        validate_peer(peer, &peers_path.index(index), errors);
    }
}

fn validate_peer(peer: &Value, path: &Path, errors: &mut Errors) {
    let peer_path = path;
    let mut selected = false;
    for key in ["podSelector", "namespaceSelector"] {
        if peer[key].is_object() {
            selected = true;
            selectors::validate(&peer[key], &path.child(key), errors);
        }
    }
    let block = &peer["ipBlock"];
    if block.is_object() {
        let path = path.child("ipBlock");
        let range = block.text("cidr");
        if range.is_empty() {
            errors.required(&path.child("cidr"), "");
        } else {
            addresses::validate_range(range, &path.child("cidr"), errors);
        }
        for (index, except) in block.items("except").iter().enumerate() {
            let list_path = path.child("except");
            let path = list_path.index(index);
            let text = except.as_str().unwrap_or_default();
            addresses::validate_range(text, &path, errors);
            if let (Ok(outer), Ok(inner)) = (range.parse::<ipnet::IpNet>(), text.parse::<ipnet::IpNet>())
                && (!outer.contains(&inner) || outer.prefix_len() >= inner.prefix_len())
            {
                errors.invalid(&path, text, format!("must be a strict subset of `cidr`: {range:?}"));
            }
        }
        if selected {
            errors.forbidden(peer_path, "may not specify both ipBlock and another peer");
        }
    } else if !selected {
        errors.required(path, "must specify a peer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, defaulted};

    #[test]
    fn types_follow_the_rules() {
        let object = defaulted(&NetworkPolicy, json!({"spec": {"egress": [{"ports": [{"port": 53}]}]}}));
        assert_eq!(object["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(object["spec"]["egress"][0]["ports"][0]["protocol"], "TCP");
    }

    #[test]
    fn peers_are_one_thing() {
        let policy = |peer: Value| json!({"spec": {"ingress": [{"from": [peer]}]}});
        assert_eq!(created(&NetworkPolicy, policy(json!({"podSelector": {}}))), "");
        assert_eq!(
            created(&NetworkPolicy, policy(json!({}))),
            "spec.ingress[0].from[0]: Required value: must specify a peer"
        );
        assert_eq!(
            created(
                &NetworkPolicy,
                policy(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}))
            ),
            "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`: \"10.0.0.0/8\""
        );
    }
}
