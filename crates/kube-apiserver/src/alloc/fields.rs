//! Where a Service keeps its addresses and ports.

use std::net::IpAddr;

use apimachinery::ObjectExt;
use serde_json::Value;

/// The cluster IPs of a Service; none for headless ones.
pub(super) fn addresses(service: &Value) -> Vec<IpAddr> {
    let single = text(service, "clusterIP");
    let many = service.at(&["spec", "clusterIPs"]).and_then(Value::as_array).into_iter().flatten();
    let mut addresses: Vec<IpAddr> =
        many.filter_map(Value::as_str).chain([single]).filter_map(|text| text.parse().ok()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// The node ports of a Service, the health check's included.
pub(super) fn node_ports(service: &Value) -> Vec<u16> {
    let mut ports: Vec<u16> = ports(service).iter().filter_map(|port| number(port.get("nodePort"))).collect();
    ports.extend(number(service.at(&["spec", "healthCheckNodePort"])));
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The ports of a Service.
pub(super) fn ports(service: &Value) -> &[Value] {
    service.at(&["spec", "ports"]).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A port number that is set.
pub(super) fn number(value: Option<&Value>) -> Option<u16> {
    value.and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

/// A text field of the spec.
pub(super) fn text<'a>(service: &'a Value, field: &str) -> &'a str {
    service.at(&["spec", field]).and_then(Value::as_str).unwrap_or_default()
}

/// The type, `ClusterIP` when nothing is said.
pub(super) fn kind(service: &Value) -> &str {
    match text(service, "type") {
        "" => "ClusterIP",
        kind => kind,
    }
}

/// Whether the type has cluster IPs (headless ones have `None` in their place).
pub(super) fn has_addresses(service: &Value) -> bool {
    kind(service) != "ExternalName"
}

/// Whether the type has node ports.
pub(super) fn has_node_ports(service: &Value) -> bool {
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => {
            service.at(&["spec", "allocateLoadBalancerNodePorts"]).and_then(Value::as_bool).unwrap_or(true)
        }
        _ => false,
    }
}

/// Whether the load balancer asks each node whether it has endpoints.
pub(super) fn has_health_check_port(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && text(service, "externalTrafficPolicy") == "Local"
}
