//! Ports that are named or numbered, and ports of the host.

use k8s_openapi::{api::core::v1::PodSpec, apimachinery::pkg::util::intstr::IntOrString};

/// The number of a target port on a pod: itself, or that of the container port with the name and protocol
/// (sidecars count). `None` when no container has such a port.
pub fn resolve(pod: &PodSpec, port: &IntOrString, protocol: &str) -> Option<i32> {
    let name = match port {
        IntOrString::Int(number) => return Some(*number),
        IntOrString::String(name) => name,
    };
    let sidecars = pod.init_containers.iter().flatten().filter(|one| crate::requests::is_sidecar(one));
    pod.containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
        .find(|port| {
            port.name.as_ref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
        })
        .map(|port| port.container_port)
}

/// A port of the host that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host's address; empty means all of them.
    pub ip: Box<str>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Box<str>,
    /// The port.
    pub port: i32,
}

impl HostPort {
    /// Tells whether both cannot be on one host.
    pub fn conflicts(&self, other: &HostPort) -> bool {
        let any = |port: &HostPort| port.ip.is_empty() || *port.ip == *"0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (any(self) || any(other) || self.ip == other.ip)
    }
}

/// The ports of the host that a pod takes (sidecars count).
pub fn of_host(pod: &PodSpec) -> impl Iterator<Item = HostPort> + '_ {
    let sidecars = pod.init_containers.iter().flatten().filter(|one| crate::requests::is_sidecar(one));
    let ports = pod.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(|port| {
        Some(HostPort {
            ip: port.host_ip.as_deref().unwrap_or_default().into(),
            protocol: port.protocol.as_deref().unwrap_or("TCP").into(),
            port: port.host_port.filter(|port| *port > 0)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_protocol() {
        let pod: PodSpec = serde_json::from_value(serde_json::json!({"containers": [{"name": "a", "ports": [
            {"name": "web", "containerPort": 80}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]}]}))
        .unwrap();
        let of = |name: &str, protocol| resolve(&pod, &IntOrString::String(name.into()), protocol);
        assert_eq!(of("web", "TCP"), Some(80));
        assert_eq!(of("dns", "TCP"), None);
        assert_eq!(of("dns", "UDP"), Some(53));
        assert_eq!(resolve(&pod, &IntOrString::Int(9), "TCP"), Some(9));
    }
}
