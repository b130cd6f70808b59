//! The subsets of an endpoints object: addresses grouped by equal ports, in a canonical order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use controller_runtime::objects::endpoint_slice::TargetRef;
use controller_runtime::objects::endpoints::{Address, Port, Subset};
use controller_runtime::objects::{Pod, Service};

/// The most addresses in one object; upstream's value.
const CAPACITY: usize = 1000;

/// What an endpoints object should hold.
#[derive(Debug, Default, PartialEq)]
pub struct Desired {
    /// The subsets.
    pub subsets: Vec<Subset>,
    /// Whether addresses were left out.
    pub truncated: bool,
}

/// Returns what the endpoints of a service should hold.
pub fn desired(service: &Service, pods: &[Arc<Pod>]) -> Desired {
    let publish_all = service.spec.publish_not_ready_addresses;
    let is_v6 = service.spec.ip_families.first().is_some_and(|family| family == "IPv6");
    // For each port the addresses behind it; pods without any port of the service are behind none.
    let mut behind: BTreeMap<Option<Port>, BTreeSet<(bool, Address)>> = BTreeMap::new();
    let mut all: Vec<(bool, Address, Vec<Option<Port>>)> = Vec::new();
    for pod in pods.iter().filter(|pod| !pod.is_terminal() && (publish_all || !pod.metadata.is_deleting())) {
        let ips = pod.status.pod_ips.iter().map(|ip| &ip.ip).chain([&pod.status.pod_ip]);
        let of_family = |ip: &&String| ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() == is_v6);
        let Some(ip) = ips.filter(of_family).map(Clone::clone).next() else { continue };
        let ready = publish_all || pod.is_ready();
        let mut ports: Vec<Option<Port>> = Vec::new();
        for port in &service.spec.ports {
            let Some(number) = pod.port(&port.target(), port.protocol()) else { continue };
            ports.push(Some(Port {
                name: port.name.clone(),
                port: number,
                protocol: port.protocol().to_owned(),
                app_protocol: port.app_protocol.clone(),
            }));
        }
        if service.spec.ports.is_empty() && service.is_headless() {
            ports.push(None);
        }
        all.push((ready, address(service, pod, ip), ports));
    }
    let truncated = all.len() > CAPACITY;
    if truncated {
        // Those that take connections stay; a stable sort keeps the order of names among each kind.
        all.sort_by_key(|(ready, _, _)| !ready);
        all.truncate(CAPACITY);
    }
    for (ready, address, ports) in all {
        for port in ports {
            behind.entry(port).or_default().insert((ready, address.clone()));
        }
    }
    Desired { subsets: group(behind), truncated }
}

/// Puts ports with the same addresses into one subset.
fn group(behind: BTreeMap<Option<Port>, BTreeSet<(bool, Address)>>) -> Vec<Subset> {
    let mut by_addresses: BTreeMap<BTreeSet<(bool, Address)>, Vec<Port>> = BTreeMap::new();
    for (port, addresses) in behind {
        by_addresses.entry(addresses).or_default().extend(port);
    }
    let mut subsets: Vec<Subset> = by_addresses
        .into_iter()
        .map(|(addresses, mut ports)| {
            ports.sort();
            let (ready, waiting): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|(ready, _)| *ready);
            let plain =
                |addresses: Vec<(bool, Address)>| addresses.into_iter().map(|(_, address)| address).collect();
            Subset { addresses: plain(ready), not_ready_addresses: plain(waiting), ports }
        })
        .collect();
    subsets.sort_by(|a, b| a.ports.cmp(&b.ports));
    subsets
}

fn address(service: &Service, pod: &Pod, ip: String) -> Address {
    let in_subdomain = !pod.spec.hostname.is_empty() && pod.spec.subdomain == service.metadata.name;
    Address {
        ip,
        hostname: if in_subdomain { pod.spec.hostname.clone() } else { String::new() },
        node_name: Some(pod.spec.node_name.clone()).filter(|name| !name.is_empty()),
        target_ref: Some(TargetRef {
            kind: "Pod".to_owned(),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(number: usize, ready: bool, ports: Value) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": format!("p{number:04}"), "namespace": "default", "uid": number.to_string()},
            "spec": {"containers": [{"ports": ports}]},
            "status": {"phase": "Running", "podIP": format!("10.0.{}.{}", number / 250, number % 250),
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn service(ports: Value) -> Service {
        let spec = json!({"selector": {"app": "web"}, "clusterIP": "None", "ports": ports});
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    fn told(desired: &Desired) -> Vec<String> {
        let tell = |subset: &Subset| {
            let ips = |addresses: &[Address]| {
                addresses.iter().map(|address| address.ip.clone()).collect::<Vec<_>>().join(" ")
            };
            let ports: Vec<String> = subset.ports.iter().map(|port| port.port.to_string()).collect();
            format!("{} | {} : {}", ips(&subset.addresses), ips(&subset.not_ready_addresses), ports.join(" "))
        };
        desired.subsets.iter().map(tell).collect()
    }

    #[test]
    fn groups_addresses_by_equal_ports() {
        let named = |number: i32| json!([{"name": "web", "containerPort": number}]);
        let ports = json!([{"name": "a", "port": 80, "targetPort": "web"}, {"name": "b", "port": 443}]);
        let pods = [
            pod(1, true, named(8080)),
            pod(2, true, named(9090)),
            pod(3, false, named(8080)),
            pod(4, true, json!([])),
        ];
        assert_eq!(
            told(&desired(&service(ports), &pods)),
            [
                "10.0.0.1 | 10.0.0.3 : 8080",
                "10.0.0.2 |  : 9090",
                "10.0.0.1 10.0.0.2 10.0.0.4 | 10.0.0.3 : 443"
            ]
        );
        assert_eq!(told(&desired(&service(json!([])), &pods[..1])), ["10.0.0.1 |  : "]);
        assert_eq!(desired(&service(json!([{"port": 80}])), &[]).subsets, []);
    }

    #[test]
    fn leaves_out_what_is_too_much_and_says_so() {
        let pods: Vec<_> = (0..1200).map(|number| pod(number, number >= 300, json!([]))).collect();
        let desired = desired(&service(json!([{"port": 80}])), &pods);
        assert!(desired.truncated);
        assert_eq!(
            (desired.subsets[0].addresses.len(), desired.subsets[0].not_ready_addresses.len()),
            (900, 100)
        );
    }
}
