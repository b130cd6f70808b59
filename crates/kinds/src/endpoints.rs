//! Endpoints.

use serde_json::Value;

use crate::service::not_special;
use pod_strategy::probes::{validate_label, validate_port_number};
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;
use strategy::{NameRule, Strategy};

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
            let ip = address.text("ip");
            addresses::validate(ip, &path.child("ip"), errors);
            if !address.text("hostname").is_empty() {
                validate_label(address.text("hostname"), &path.child("hostname"), errors);
            }
            if let Some(node) = address["nodeName"].as_str() {
                let found = names::errors(NameRule::Subdomain, node);
                errors.invalid_each(&path.child("nodeName"), &address["nodeName"], found);
            }
            match addresses::without_zeros(ip).parse() {
                Ok(address) => not_special(address, ip, &path.child("ip"), errors),
                // Said a second time by upstream too.
                Err(_) => errors.invalid(&path.child("ip"), ip, "must be a valid IP address"),
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
        if let Some(protocol) = port["appProtocol"].as_str() {
            let found = names::qualified_name_errors(protocol);
            errors.invalid_each(&path.child("appProtocol"), &port["appProtocol"], found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{agree, created};

    #[test]
    fn endpoints_are_addresses_of_pods_with_named_ports() {
        let at = |address: Value| json!({"subsets": [{"addresses": [address]}]});
        let ports =
            |ports: Value| json!({"subsets": [{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": ports}]});
        let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
        let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        let qualified = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        let all = format!(
            "subsets[0].addresses[0].hostname: Invalid value: \"A\": {label}\n\
             subsets[0].addresses[0].nodeName: Invalid value: \"W_1\": {subdomain}\n\
             subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
        );
        let protocol = format!("subsets[0].ports[0].appProtocol: Invalid value: \"-\": {qualified}");
        let cases = [
            (json!({}), ""),
            (
                json!({"subsets": [{}]}),
                "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
            ),
            (at(json!({"ip": "10.0.0.1", "hostname": "a", "nodeName": "w1"})), ""),
            (at(json!({"ip": "127.0.0.1", "hostname": "A", "nodeName": "W_1"})), all.as_str()),
            (
                at(json!({"ip": "web"})),
                "subsets[0].addresses[0].ip: Invalid value: \"web\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n\
                 subsets[0].addresses[0].ip: Invalid value: \"web\": must be a valid IP address",
            ),
            (
                at(json!({"ip": "0127.0.0.1"})),
                "subsets[0].addresses[0].ip: Invalid value: \"0127.0.0.1\": must not have leading 0s\n\
                 subsets[0].addresses[0].ip: Invalid value: \"0127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
            ),
            (ports(json!([{"port": 80, "appProtocol": "kubernetes.io/h2c"}])), ""),
            (ports(json!([{"port": 80, "appProtocol": "-"}])), protocol.as_str()),
            (
                ports(json!([{"port": 80}, {"port": 0, "name": "b", "protocol": "ICMP"}])),
                "subsets[0].ports[0].name: Required value\n\
                 subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive\n\
                 subsets[0].ports[1].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ),
        ];
        agree(
            cases
                .into_iter()
                .map(|(object, expected)| (object.to_string(), created(&Endpoints, object), expected)),
        );
    }
}
