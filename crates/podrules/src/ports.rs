//! Ports that are named or numbered.

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
