//! The endpoints that a service should have: one for each pod and address family, grouped by equal ports.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use controller_runtime::objects::endpoint_slice::{
    Endpoint, EndpointConditions, Hints, Named, Port, TargetRef,
};
use controller_runtime::objects::{Pod, Service};

/// Endpoints by address family and ports.
pub type Groups = BTreeMap<(String, Vec<Port>), Vec<Endpoint>>;

/// Returns the groups that a service should have; a family without any pod has one empty group without ports.
pub fn desired(service: &Service, pods: &[Arc<Pod>], zones: &HashMap<String, String>) -> Groups {
    let mut groups = Groups::new();
    for family in families(service) {
        let mut empty = true;
        for pod in pods.iter().filter(|pod| !pod.is_terminal()) {
            let Some(address) = address(pod, &family) else { continue };
            let ports = ports(service, pod);
            groups.entry((family.clone(), ports)).or_default().push(endpoint(service, pod, address, zones));
            empty = false;
        }
        if empty {
            groups.insert((family, Vec::new()), Vec::new());
        }
    }
    groups
}

fn families(service: &Service) -> Vec<String> {
    if !service.spec.ip_families.is_empty() {
        return service.spec.ip_families.clone();
    }
    let is_v6 = matches!(service.spec.cluster_ip.parse(), Ok(IpAddr::V6(_)));
    vec![if is_v6 { "IPv6" } else { "IPv4" }.to_owned()]
}

fn address(pod: &Pod, family: &str) -> Option<String> {
    let all = pod.status.pod_ips.iter().map(|ip| &ip.ip).chain([&pod.status.pod_ip]);
    let of_family = |ip: &&String| match ip.parse() {
        Ok(IpAddr::V4(_)) => family == "IPv4",
        Ok(IpAddr::V6(_)) => family == "IPv6",
        Err(_) => false,
    };
    all.filter(of_family).map(Clone::clone).next()
}

/// A named port that a pod does not have is left out for that pod.
fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let ports = service.spec.ports.iter().filter_map(|port| {
        Some(Port {
            name: port.name.clone(),
            port: Some(pod.port(&port.target(), port.protocol())?),
            protocol: port.protocol().to_owned(),
            app_protocol: port.app_protocol.clone(),
        })
    });
    ports.collect()
}

fn endpoint(service: &Service, pod: &Pod, address: String, zones: &HashMap<String, String>) -> Endpoint {
    let serving = pod.is_ready();
    let terminating = pod.metadata.is_deleting();
    let ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
    let node_name = Some(pod.spec.node_name.clone()).filter(|name| !name.is_empty());
    let zone = zones.get(&pod.spec.node_name).filter(|zone| !zone.is_empty()).cloned();
    let in_subdomain = !pod.spec.hostname.is_empty() && pod.spec.subdomain == service.metadata.name;
    Endpoint {
        addresses: vec![address],
        conditions: EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        },
        hostname: in_subdomain.then(|| pod.spec.hostname.clone()),
        hints: hints(service, ready, zone.as_deref(), node_name.as_deref()),
        node_name,
        zone,
        target_ref: Some(TargetRef {
            kind: "Pod".to_owned(),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        }),
    }
}

/// Whom `trafficDistribution` prefers as clients of a ready endpoint: those nearby.
fn hints(service: &Service, ready: bool, zone: Option<&str>, node: Option<&str>) -> Option<Hints> {
    let named = |name: Option<&str>| name.map(|name| Named { name: name.to_owned() }).into_iter().collect();
    let hints = match &*service.spec.traffic_distribution {
        "PreferClose" | "PreferSameZone" => Hints { for_zones: named(zone), for_nodes: Vec::new() },
        "PreferSameNode" => Hints { for_zones: named(zone), for_nodes: named(node) },
        _ => return None,
    };
    (ready && (!hints.for_zones.is_empty() || !hints.for_nodes.is_empty())).then_some(hints)
}
