//! Validation of services.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::is_headless;
use pod_strategy::probes::{validate_label, validate_port, validate_port_number};
use pod_strategy::spec::validate_address;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::metadata::validate_labels;
use strategy::names;
use strategy::read::{Read, same};

const SPEC: Path<'static> = Path::root("spec");
/// Upstream keeps load balancers off the kubelet's port.
const KUBELET_PORT: i64 = 10250;

pub(super) fn spec(spec: &Value, errors: &mut Errors) {
    let ports = spec.items("ports");
    let kind = spec.text("type");
    let headless = is_headless(spec);
    let ports_path = SPEC.child("ports");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required(&ports_path, "");
    }
    let addresses_path = SPEC.child("clusterIPs");
    match kind {
        "LoadBalancer" => {
            for (index, port) in ports.iter().enumerate() {
                if port.int("port") == Some(KUBELET_PORT) {
                    errors.invalid(
                        &ports_path.index(index),
                        KUBELET_PORT,
                        format!("may not expose port {KUBELET_PORT} externally since it is used by kubelet"),
                    );
                }
            }
            if headless {
                errors.invalid(
                    &addresses_path.index(0),
                    "None",
                    "may not be set to 'None' for LoadBalancer services",
                );
            }
        }
        "NodePort" if headless => {
            errors.invalid(&addresses_path.index(0), "None", "may not be set to 'None' for NodePort services")
        }
        "ExternalName" => external_name(spec, errors),
        _ => {}
    }
    let mut port_names: Vec<&str> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        service_port(port, ports.len() > 1, &mut port_names, &ports_path.index(index), errors);
    }
    validate_labels(&spec["selector"], &SPEC.child("selector"), errors);
    session_affinity(spec, errors);
    cluster_ips(spec, errors);
    for (index, address) in spec.items("externalIPs").iter().enumerate() {
        let path = SPEC.child("externalIPs");
        non_special_address(address.as_str().unwrap_or_default(), &path.index(index), errors);
    }
    match kind {
        "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName" => {}
        "" => errors.required(&SPEC.child("type"), ""),
        other => errors.unsupported(
            &SPEC.child("type"),
            other,
            &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        ),
    }
    unique_ports(spec, errors);
    load_balancer(spec, errors);
    traffic(spec, errors);
}

fn external_name(spec: &Value, errors: &mut Errors) {
    for key in ["clusterIPs", "ipFamilies"] {
        if !spec.items(key).is_empty() {
            errors.forbidden(&SPEC.child(key), "may not be set for ExternalName services");
        }
    }
    if spec.has("ipFamilyPolicy") {
        errors.forbidden(&SPEC.child("ipFamilyPolicy"), "may not be set for ExternalName services");
    }
    let name = spec.text("externalName");
    // A final dot marks a name that is complete.
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() {
        errors.required(&SPEC.child("externalName"), "");
    } else {
        let found = names::errors(NameRule::Subdomain, bare);
        errors.invalid_each(&SPEC.child("externalName"), &json!(bare), found);
    }
}

fn service_port<'a>(
    port: &'a Value,
    require_name: bool,
    known: &mut Vec<&'a str>,
    path: &Path,
    errors: &mut Errors,
) {
    let name = port.text("name");
    if name.is_empty() {
        if require_name {
            errors.required(&path.child("name"), "");
        }
    } else {
        validate_label(name, &path.child("name"), errors);
        if known.contains(&name) {
            errors.duplicate(&path.child("name"), name);
        } else {
            known.push(name);
        }
    }
    validate_port_number(port.int("port").unwrap_or(0), &path.child("port"), errors);
    match port.text("protocol") {
        "TCP" | "UDP" | "SCTP" => {}
        "" => errors.required(&path.child("protocol"), ""),
        other => errors.unsupported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]),
    }
    validate_port(&port["targetPort"], &path.child("targetPort"), errors);
    if port.has("appProtocol") {
        let found = names::qualified_name_errors(port.text("appProtocol"));
        errors.invalid_each(&path.child("appProtocol"), &port["appProtocol"], found);
    }
}

fn session_affinity(spec: &Value, errors: &mut Errors) {
    let path = SPEC.child("sessionAffinity");
    let config_path = SPEC.child("sessionAffinityConfig");
    match spec.text("sessionAffinity") {
        "None" => {
            if spec.has("sessionAffinityConfig") {
                errors.forbidden(&config_path, "must not be set when session affinity is None");
            }
        }
        "ClientIP" => {
            let client_path = config_path.child("clientIP");
            match spec["sessionAffinityConfig"]["clientIP"].int("timeoutSeconds") {
                None => errors.required(&config_path, "when session affinity type is ClientIP"),
                Some(seconds) if !(1..=86400).contains(&seconds) => errors.invalid(
                    &client_path.child("timeoutSeconds"),
                    seconds,
                    "must be greater than 0 and less than 86400",
                ),
                Some(_) => {}
            }
        }
        "" => errors.required(&path, ""),
        other => errors.unsupported(&path, other, &["ClientIP", "None"]),
    }
}

fn cluster_ips(spec: &Value, errors: &mut Errors) {
    let path = SPEC.child("clusterIPs");
    let addresses = spec.items("clusterIPs");
    let first = spec.text("clusterIP");
    if spec.text("type") == "ExternalName" {
        return;
    }
    if !addresses.is_empty() && addresses[0] != first {
        errors.invalid(
            &path,
            spec["clusterIPs"].clone(),
            "first value must match `clusterIP` when both are specified",
        );
        return;
    }
    if addresses.len() > 2 {
        errors.invalid(&path, spec["clusterIPs"].clone(), "may only hold up to 2 values");
    }
    for (index, address) in addresses.iter().enumerate() {
        let text = address.as_str().unwrap_or_default();
        if text == "None" {
            if addresses.len() > 1 {
                errors.invalid(&path.index(index), text, "'None' must be the first and only value");
            }
        } else {
            validate_address(text, &path.index(index), errors);
        }
    }
    let policy = spec.text("ipFamilyPolicy");
    if !matches!(policy, "" | "SingleStack" | "PreferDualStack" | "RequireDualStack") {
        errors.invalid(
            &SPEC.child("ipFamilyPolicy"),
            policy,
            "must be one of SingleStack, PreferDualStack or RequireDualStack",
        );
    }
    for (index, family) in spec.items("ipFamilies").iter().enumerate() {
        let families_path = SPEC.child("ipFamilies");
        let path = families_path.index(index);
        match family.as_str().unwrap_or_default() {
            "IPv4" | "IPv6" => {
                if spec.items("ipFamilies")[..index].contains(family) {
                    errors.duplicate(&path, family.clone());
                }
                let differs = addresses
                    .get(index)
                    .and_then(Value::as_str)
                    .and_then(|address| address.parse::<IpAddr>().ok())
                    .is_some_and(|address| address.is_ipv4() != (family == "IPv4"));
                if differs {
                    errors.invalid(
                        &SPEC.child("clusterIPs").index(index),
                        addresses[index].clone(),
                        format!(
                            "expected an {} value as indicated by `ipFamilies[{index}]`",
                            family.as_str().unwrap_or_default()
                        ),
                    );
                }
            }
            other => errors.unsupported(&path, other, &["IPv4", "IPv6"]),
        }
    }
}

/// Validates an address that traffic of others can be sent to.
pub(crate) fn non_special_address(text: &str, path: &Path, errors: &mut Errors) {
    let Ok(address) = text.parse::<IpAddr>() else {
        errors.invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        return;
    };
    let (link_local, link_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] == 0xff02),
    };
    if address.is_unspecified() {
        errors.invalid(path, text, format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if link_local {
        errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if link_multicast {
        errors.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

fn unique_ports(spec: &Value, errors: &mut Errors) {
    let ports = spec.items("ports");
    let ports_path = SPEC.child("ports");
    for (index, port) in ports.iter().enumerate() {
        let path = ports_path.index(index);
        let node_port = port.int("nodePort").unwrap_or(0);
        let same_port = |key: &str| {
            ports[..index]
                .iter()
                .any(|other| other.text("protocol") == port.text("protocol") && other[key] == port[key])
        };
        if spec.text("type") == "ClusterIP" && node_port != 0 {
            errors.forbidden(&path.child("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
        if node_port != 0 && same_port("nodePort") {
            errors.duplicate(&path.child("nodePort"), node_port);
        }
        if same_port("port") {
            errors.duplicate(&path, json!({"protocol": port["protocol"], "port": port["port"]}));
        }
    }
}

fn load_balancer(spec: &Value, errors: &mut Errors) {
    let is_balancer = spec.text("type") == "LoadBalancer";
    let ranges_path = SPEC.child("loadBalancerSourceRanges");
    let ranges = spec.items("loadBalancerSourceRanges");
    if !ranges.is_empty() && !is_balancer {
        errors.forbidden(&ranges_path, "may only be used when `type` is 'LoadBalancer'");
    }
    for (index, range) in ranges.iter().enumerate() {
        validate_cidr(range.as_str().unwrap_or_default().trim(), &ranges_path.index(index), errors);
    }
    if is_balancer {
        if !spec.has("allocateLoadBalancerNodePorts") {
            errors.required(
                &SPEC.child("allocateLoadBalancerNodePorts"),
                "field is required when `type` is 'LoadBalancer'",
            );
        }
    } else {
        for key in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if spec.has(key) {
                errors.forbidden(&SPEC.child(key), "may only be used when `type` is 'LoadBalancer'");
            }
        }
    }
    if spec.has("loadBalancerClass") {
        let found = names::qualified_name_errors(spec.text("loadBalancerClass"));
        errors.invalid_each(&SPEC.child("loadBalancerClass"), &spec["loadBalancerClass"], found);
    }
}

/// Validates a range of addresses.
pub(crate) fn validate_cidr(text: &str, path: &Path, errors: &mut Errors) {
    if text.parse::<ipnet::IpNet>().is_err() {
        errors.invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
}

fn traffic(spec: &Value, errors: &mut Errors) {
    let external = matches!(spec.text("type"), "NodePort" | "LoadBalancer")
        || (spec.text("type") == "ClusterIP" && !spec.items("externalIPs").is_empty());
    let policy = spec.text("externalTrafficPolicy");
    let path = SPEC.child("externalTrafficPolicy");
    match (external, policy) {
        (true, "Cluster" | "Local") | (false, "") => {}
        (true, "") => errors.required(&path, ""),
        (true, other) => errors.unsupported(&path, other, &["Cluster", "Local"]),
        (false, other) => {
            errors.invalid(&path, other, "may only be set for externally-accessible services");
        }
    }
    let health_port = spec.int("healthCheckNodePort").unwrap_or(0);
    if health_port != 0 && !super::needs_health_check_port(spec) {
        errors.invalid(
            &SPEC.child("healthCheckNodePort"),
            health_port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        );
    }
    let internal = spec.text("internalTrafficPolicy");
    if !matches!(internal, "" | "Cluster" | "Local") {
        errors.unsupported(&SPEC.child("internalTrafficPolicy"), internal, &["Cluster", "Local"]);
    }
    let spread = spec.text("trafficDistribution");
    if !matches!(spread, "" | "PreferClose" | "PreferSameZone" | "PreferSameNode") {
        errors.unsupported(
            &SPEC.child("trafficDistribution"),
            spread,
            &["PreferClose", "PreferSameNode", "PreferSameZone"],
        );
    }
}

/// Validates what may not change in a service that has an address.
pub(super) fn change(new: &Value, old: &Value, errors: &mut Errors) {
    let kept = super::needs_cluster_ip(new) && super::needs_cluster_ip(old);
    if kept {
        for (key, what) in [("clusterIPs", "primary clusterIP"), ("ipFamilies", "primary ipFamily")] {
            let list_path = SPEC.child(key);
            let (Some(before), after) = (old.items(key).first(), new.items(key).first()) else { continue };
            match after {
                None => {
                    errors.invalid(&list_path.index(0), new[key].clone(), format!("{what} can not be unset"))
                }
                Some(after) if after != before => {
                    errors.invalid(&list_path.index(0), new[key].clone(), "may not change once set");
                }
                Some(_) => {}
            }
        }
    }
    let balancer = |spec: &Value| spec.text("type") == "LoadBalancer";
    if balancer(new) && balancer(old) && !same(&new["loadBalancerClass"], &old["loadBalancerClass"]) {
        errors.invalid(
            &SPEC.child("loadBalancerClass"),
            new["loadBalancerClass"].clone(),
            "may not change once set",
        );
    }
}

/// Validates the addresses that a load balancer reports.
pub(super) fn status(object: &Value, errors: &mut Errors) {
    let path = Path::root("status.loadBalancer.ingress");
    let ingress = object["status"]["loadBalancer"].items("ingress");
    if !ingress.is_empty() && object["spec"].text("type") != "LoadBalancer" {
        errors.forbidden(&path, "may only be used when `spec.type` is LoadBalancer");
        return;
    }
    for (index, entry) in ingress.iter().enumerate() {
        let path = path.index(index);
        if !entry.text("ip").is_empty() {
            validate_address(entry.text("ip"), &path.child("ip"), errors);
            if !matches!(entry.text("ipMode"), "VIP" | "Proxy") {
                errors.unsupported(&path.child("ipMode"), entry.text("ipMode"), &["Proxy", "VIP"]);
            }
        }
        if !entry.text("hostname").is_empty() {
            let found = names::errors(NameRule::Subdomain, entry.text("hostname"));
            errors.invalid_each(&path.child("hostname"), &entry["hostname"], found);
            if entry.text("hostname").parse::<IpAddr>().is_ok() {
                errors.invalid(
                    &path.child("hostname"),
                    entry.text("hostname"),
                    "must be a DNS name, not an IP address",
                );
            }
        }
    }
}
