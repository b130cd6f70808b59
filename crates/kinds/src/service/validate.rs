//! Validation of services.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{addresses, is_headless};
use pod_strategy::probes::{validate_label, validate_port, validate_port_number};
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::metadata::validate_labels;
use strategy::names;
use strategy::read::{Read, same};

const SPEC: Path<'static> = Path::root("spec");
/// Named the sources of a load balancer before the field did.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";

/// Validates a whole service.
pub(super) fn service(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let annotations = &object["metadata"]["annotations"];
    if let (Some(hints), Some(mode)) = (annotations.get(HINTS), annotations.get(MODE))
        && hints != mode
    {
        let path = Path::root("metadata.annotations");
        let why = format!("must match annotations[{HINTS}] when both are specified");
        errors.invalid(&path.key(MODE), mode.clone(), why);
    }
    spec(&object["spec"], errors);
    // What an update leaves in the annotation was looked at when it was written there.
    let said = annotations.get(SOURCE_RANGES);
    let kept = old.is_some_and(|old| old["metadata"]["annotations"].get(SOURCE_RANGES) == said);
    source_ranges(&object["spec"], annotations, kept, errors);
    load_balancer(&object["spec"], errors);
    traffic(&object["spec"], errors);
}

fn spec(spec: &Value, errors: &mut Errors) {
    let ports = spec.items("ports");
    let kind = spec.text("type");
    let headless = is_headless(spec);
    let ports_path = SPEC.child("ports");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required(&ports_path, "");
    }
    let addresses_path = SPEC.child("clusterIPs");
    match kind {
        "LoadBalancer" if headless => errors.invalid(
            &addresses_path.index(0),
            "None",
            "may not be set to 'None' for LoadBalancer services",
        ),
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
    addresses::validate(spec, errors);
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
            let config = &spec["sessionAffinityConfig"];
            let missing = match config["clientIP"].int("timeoutSeconds") {
                Some(seconds) if !(1..=86400).contains(&seconds) => {
                    errors.invalid(
                        &client_path.child("timeoutSeconds"),
                        seconds,
                        "must be greater than 0 and less than 86400",
                    );
                    return;
                }
                Some(_) => return,
                None if config.is_null() => config_path,
                None if config["clientIP"].is_null() => client_path,
                None => client_path.child("timeoutSeconds"),
            };
            errors.required(&missing, "when session affinity type is ClientIP");
        }
        "" => errors.required(&path, ""),
        other => errors.unsupported(&path, other, &["ClientIP", "None"]),
    }
}

/// Validates an address that traffic of others can be sent to.
pub(crate) fn non_special_address(text: &str, path: &Path, errors: &mut Errors) {
    strategy::addresses::validate(text, path, errors);
    if let Ok(address) = text.parse() {
        not_special(address, text, path, errors);
    }
}

/// Validates that an address is not one that every machine has.
pub(crate) fn not_special(address: IpAddr, text: &str, path: &Path, errors: &mut Errors) {
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
    let node_port = |port: &Value| port.int("nodePort").filter(|number| *number != 0);
    if spec.text("type") == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| node_port(port).is_some()) {
            let path = ports_path.index(index);
            errors.forbidden(&path.child("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
    }
    let earlier = |index: usize, key: &str| {
        let port = &ports[index];
        ports[..index]
            .iter()
            .any(|other| other.text("protocol") == port.text("protocol") && other.int(key) == port.int(key))
    };
    for (index, port) in ports.iter().enumerate() {
        if let Some(number) = node_port(port).filter(|_| earlier(index, "nodePort")) {
            errors.duplicate(&ports_path.index(index).child("nodePort"), number);
        }
    }
    for (index, port) in ports.iter().enumerate() {
        if earlier(index, "port") {
            errors.duplicate(
                &ports_path.index(index),
                json!({"protocol": port["protocol"], "port": port["port"]}),
            );
        }
    }
}

fn load_balancer(spec: &Value, errors: &mut Errors) {
    let is_balancer = spec.text("type") == "LoadBalancer";
    if is_balancer {
        if !spec.has("allocateLoadBalancerNodePorts") {
            errors.required(&Path::root("allocateLoadBalancerNodePorts"), "");
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

/// Validates from where a load balancer takes traffic, as the field says or the older annotation.
fn source_ranges(spec: &Value, annotations: &Value, kept: bool, errors: &mut Errors) {
    let ranges = spec.items("loadBalancerSourceRanges");
    let metadata = Path::root("metadata.annotations");
    let said = annotations.get(SOURCE_RANGES).and_then(Value::as_str);
    let path = match said {
        _ if !ranges.is_empty() => SPEC.child("LoadBalancerSourceRanges"),
        Some(_) => metadata.key(SOURCE_RANGES),
        None => return,
    };
    if spec.text("type") != "LoadBalancer" {
        errors.forbidden(&path, "may only be used when `type` is 'LoadBalancer'");
    }
    for (index, range) in ranges.iter().enumerate() {
        // Spaces around a range are allowed, since they were in the annotation.
        strategy::addresses::validate_range(
            range.as_str().unwrap_or_default().trim(),
            &path.index(index),
            errors,
        );
    }
    if let (Some(said), true) = (said.map(str::trim), ranges.is_empty())
        && !said.is_empty()
        && !kept
    {
        for range in said.split(',') {
            strategy::addresses::validate_range(range.trim(), &path, errors);
        }
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
    } else if health_port != 0 {
        validate_port_number(health_port, &SPEC.child("healthCheckNodePort"), errors);
    }
    let internal = spec.text("internalTrafficPolicy");
    let internal_path = SPEC.child("internalTrafficPolicy");
    if !spec.has("internalTrafficPolicy") {
        if super::needs_cluster_ip(spec) {
            errors.required(&internal_path, "");
        }
    } else if !matches!(internal, "Cluster" | "Local") {
        errors.unsupported(&internal_path, internal, &["Cluster", "Local"]);
    }
    let spread = spec.text("trafficDistribution");
    if spec.has("trafficDistribution")
        && !matches!(spread, "PreferClose" | "PreferSameZone" | "PreferSameNode")
    {
        errors.unsupported(
            &SPEC.child("trafficDistribution"),
            spread,
            &["PreferClose", "PreferSameZone", "PreferSameNode"],
        );
    }
}

/// Validates what may not change in a service that has an address.
pub(super) fn change(new: &Value, old: &Value, errors: &mut Errors) {
    addresses::validate_change(new, old, errors);
    let balancer = |spec: &Value| spec.text("type") == "LoadBalancer";
    if balancer(new) && balancer(old) && !same(&new["loadBalancerClass"], &old["loadBalancerClass"]) {
        errors.invalid(
            &SPEC.child("loadBalancerClass"),
            new["loadBalancerClass"].clone(),
            "may not change once set",
        );
    }
    let checked = super::needs_health_check_port(new) && super::needs_health_check_port(old);
    if checked && new["healthCheckNodePort"] != old["healthCheckNodePort"] {
        errors.forbidden(&SPEC.child("healthCheckNodePort"), strategy::field::IMMUTABLE);
    }
}

/// Validates the addresses that a load balancer reports.
pub(super) fn status(object: &Value, errors: &mut Errors) {
    let path = Path::root("status.loadBalancer.ingress");
    let ingress = object["status"]["loadBalancer"].items("ingress");
    if !ingress.is_empty() && object["spec"].text("type") != "LoadBalancer" {
        errors.forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    for (index, entry) in ingress.iter().enumerate() {
        let path = path.index(index);
        if !entry.text("ip").is_empty() {
            strategy::addresses::validate(entry.text("ip"), &path.child("ip"), errors);
        }
        let mode_path = path.child("ipMode");
        match (entry.text("ip").is_empty(), entry.has("ipMode")) {
            (false, false) => errors.required(&mode_path, "must be specified when `ip` is set"),
            (true, true) => errors.forbidden(&mode_path, "may not be specified when `ip` is not set"),
            (false, true) if !matches!(entry.text("ipMode"), "VIP" | "Proxy") => {
                errors.unsupported(&mode_path, entry.text("ipMode"), &["Proxy", "VIP"]);
            }
            _ => {}
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
