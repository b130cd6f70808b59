//! A Service as the proxy holds it: only what decides about packets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1 as api;
use netrules::{Family, Protocol};

/// Set on services that another proxy serves.
pub const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// Which endpoints may get traffic of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Endpoints of the whole cluster.
    Cluster,
    /// Endpoints of this node.
    Local,
}

impl Policy {
    fn from_api(policy: Option<&str>) -> Self {
        if policy == Some("Local") { Policy::Local } else { Policy::Cluster }
    }
}

/// One port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name by which endpoint slices refer to it; empty on a service with one port.
    pub name: Box<str>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port at the cluster address.
    pub port: u16,
    /// The port at the nodes' addresses; 0 when there is none.
    pub node_port: u16,
}

/// A service with a cluster address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The virtual addresses, one of each family at most.
    pub cluster_ips: Box<[IpAddr]>,
    /// The ports.
    pub ports: Box<[Port]>,
    /// Addresses that somebody else routes to the nodes.
    pub external_ips: Box<[IpAddr]>,
    /// Addresses of load balancers that deliver packets with their own address as destination.
    pub load_balancer_ips: Box<[IpAddr]>,
    /// Who may use the load balancer; empty means everybody.
    pub source_ranges: Box<[IpNet]>,
    /// How long a client stays with its endpoint, in seconds.
    pub affinity_seconds: Option<u32>,
    /// Policy for traffic to the cluster address.
    pub internal: Policy,
    /// Policy for traffic from outside.
    pub external: Policy,
    /// Where a load balancer asks for the number of local endpoints; 0 when nowhere.
    pub health_check_node_port: u16,
}

impl Service {
    /// Reads a service; none when the proxy has nothing to do for it.
    pub fn from_api(
        labels: &BTreeMap<String, String>,
        spec: Option<&api::ServiceSpec>,
        status: Option<&api::ServiceStatus>,
    ) -> Option<Self> {
        let spec = spec?;
        if labels.contains_key(PROXY_NAME_LABEL) || spec.type_.as_deref() == Some("ExternalName") {
            return None;
        }
        let listed = spec.cluster_ips.iter().flatten();
        let alone = spec.cluster_ip.iter().filter(|_| spec.cluster_ips.as_ref().is_none_or(Vec::is_empty));
        let cluster_ips: Box<[IpAddr]> = listed.chain(alone).filter_map(|text| text.parse().ok()).collect();
        if cluster_ips.is_empty() {
            return None;
        }
        let ports = spec.ports.iter().flatten().filter_map(|port| {
            Some(Port {
                name: port.name.as_deref().unwrap_or_default().into(),
                protocol: Protocol::from_api(port.protocol.as_deref())?,
                port: port_number(Some(port.port))?,
                node_port: port_number(port.node_port).unwrap_or(0),
            })
        });
        let load_balancer_ips = status
            .and_then(|status| status.load_balancer.as_ref())
            .into_iter()
            .flat_map(|balancer| balancer.ingress.iter().flatten())
            .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
            .filter_map(|ingress| ingress.ip.as_ref()?.parse().ok());
        let affinity_seconds = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
            spec.session_affinity_config
                .as_ref()
                .and_then(|config| config.client_ip.as_ref()?.timeout_seconds)
                .and_then(|seconds| u32::try_from(seconds).ok())
                .unwrap_or(10_800)
        });
        Some(Service {
            cluster_ips,
            ports: ports.collect(),
            external_ips: spec.external_ips.iter().flatten().filter_map(|text| text.parse().ok()).collect(),
            load_balancer_ips: load_balancer_ips.collect(),
            source_ranges: spec
                .load_balancer_source_ranges
                .iter()
                .flatten()
                .filter_map(|range| range.trim().parse().ok())
                .collect(),
            affinity_seconds,
            internal: Policy::from_api(spec.internal_traffic_policy.as_deref()),
            external: Policy::from_api(spec.external_traffic_policy.as_deref()),
            health_check_node_port: port_number(spec.health_check_node_port).unwrap_or(0),
        })
    }

    /// The virtual address of a family.
    pub fn cluster_ip(&self, family: Family) -> Option<IpAddr> {
        self.cluster_ips.iter().copied().find(|address| family.holds(*address))
    }

    /// The external addresses of a family.
    pub fn external_ips(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        self.external_ips.iter().copied().filter(move |address| family.holds(*address))
    }

    /// The load balancer's addresses of a family.
    pub fn load_balancer_ips(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        self.load_balancer_ips.iter().copied().filter(move |address| family.holds(*address))
    }

    /// The source ranges of a family.
    pub fn source_ranges(&self, family: Family) -> impl Iterator<Item = IpNet> {
        self.source_ranges.iter().copied().filter(move |range| family.holds(range.addr()))
    }

    /// Tells whether traffic from outside the cluster can reach a port.
    pub fn is_externally_accessible(&self, port: &Port) -> bool {
        port.node_port != 0 || !self.external_ips.is_empty() || !self.load_balancer_ips.is_empty()
    }
}

fn port_number(number: Option<i32>) -> Option<u16> {
    number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0)
}

/// The name of a service port as upstream writes it in comments and hashes: `namespace/name:port`.
pub fn port_name(service: &str, port: &Port) -> String {
    if port.name.is_empty() { service.to_owned() } else { format!("{service}:{}", port.name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Option<Service> {
        let service: api::Service = serde_saphyr::from_str(yaml).unwrap();
        let labels = service.metadata.labels.unwrap_or_default();
        Service::from_api(&labels, service.spec.as_ref(), service.status.as_ref())
    }

    #[test]
    fn services_without_a_cluster_address_or_for_another_proxy_are_left_alone() {
        assert_eq!(read("spec: {clusterIP: None, ports: [{port: 80}]}"), None);
        assert_eq!(read("spec: {type: ExternalName, externalName: example.com}"), None);
        assert_eq!(
            read(
                "{metadata: {labels: {service.kubernetes.io/service-proxy-name: other}}, spec: {clusterIP: 10.96.0.9}}"
            ),
            None
        );
    }

    #[test]
    fn reads_what_decides_about_packets() {
        let service = read(
            "
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  clusterIPs: ['fd00::1', 10.96.0.9]
  externalIPs: [192.0.2.1, 'fd00::2']
  externalTrafficPolicy: Local
  healthCheckNodePort: 30999
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  loadBalancerSourceRanges: [' 198.51.100.0/24', 'nonsense']
  ports: [{name: web, port: 80, nodePort: 30080}, {name: odd, port: 70000}, {name: dns, port: 53, protocol: UDP}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.1}, {ip: 203.0.113.2, ipMode: Proxy}, {hostname: lb}]}}
",
        )
        .unwrap();
        assert_eq!(service.cluster_ip(Family::V4), Some("10.96.0.9".parse().unwrap()));
        assert_eq!(service.ports.len(), 2);
        assert_eq!(service.ports[1].protocol, Protocol::Udp);
        assert!(service.external_ips(Family::V4).eq(["192.0.2.1".parse::<IpAddr>().unwrap()]));
        assert!(service.load_balancer_ips(Family::V4).eq(["203.0.113.1".parse::<IpAddr>().unwrap()]));
        assert_eq!(*service.source_ranges, ["198.51.100.0/24".parse::<IpNet>().unwrap()]);
        assert_eq!((service.internal, service.external), (Policy::Cluster, Policy::Local));
        assert_eq!((service.affinity_seconds, service.health_check_node_port), (Some(60), 30999));
    }
}
