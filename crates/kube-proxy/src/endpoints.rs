//! Endpoints of a service port: from slices, sorted by who may get traffic.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::discovery::v1 as api;
use netrules::{Family, Protocol};

use crate::node::Node;
use crate::service::{Policy, Port, Service};

/// Names the service a slice belongs to.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// One EndpointSlice as the proxy holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The family of its addresses.
    pub family: Option<Family>,
    ports: Box<[(Box<str>, Protocol, u16)]>,
    endpoints: Box<[SliceEndpoint]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SliceEndpoint {
    address: IpAddr,
    state: Readiness,
    node: Box<str>,
    zones: Box<[Box<str>]>,
    nodes: Box<[Box<str>]>,
}

/// What an endpoint can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    /// Still answers, though it is ending; used when nobody is ready.
    ServingTerminating,
    Neither,
}

/// One endpoint of a service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Address and port.
    pub socket: SocketAddr,
    node: &'a str,
    state: Readiness,
    zones: &'a [Box<str>],
    nodes: &'a [Box<str>],
}

/// The endpoints of a service port by use.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Categories {
    /// Those that get cluster-wide traffic.
    pub cluster: Vec<SocketAddr>,
    /// Those that get traffic of policy Local.
    pub local: Vec<SocketAddr>,
    /// Tells whether anyone anywhere can answer, even if this node sends it nothing.
    pub any: bool,
}

impl Slice {
    /// Reads a slice; none when its endpoints have names in place of addresses.
    pub fn from_api(slice: &api::EndpointSlice) -> Option<Self> {
        let family = match slice.address_type.as_str() {
            "IPv4" => Family::V4,
            "IPv6" => Family::V6,
            _ => return None,
        };
        let ports = slice.ports.iter().flatten().filter_map(|port| {
            let number = u16::try_from(port.port?).ok().filter(|number| *number != 0)?;
            let protocol = Protocol::from_api(port.protocol.as_deref())?;
            Some((port.name.as_deref().unwrap_or_default().into(), protocol, number))
        });
        let endpoints = slice.endpoints.iter().flatten().filter_map(|endpoint| {
            let conditions = endpoint.conditions.as_ref();
            let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
            let serving = conditions.and_then(|conditions| conditions.serving).unwrap_or(ready);
            let terminating = conditions.and_then(|conditions| conditions.terminating).unwrap_or(false);
            let hints = endpoint.hints.as_ref();
            Some(SliceEndpoint {
                address: endpoint.addresses.first()?.parse().ok().filter(|address| family.holds(*address))?,
                state: match (ready, serving && terminating) {
                    (true, _) => Readiness::Ready,
                    (false, true) => Readiness::ServingTerminating,
                    (false, false) => Readiness::Neither,
                },
                node: endpoint.node_name.as_deref().unwrap_or_default().into(),
                zones: hints
                    .and_then(|hints| hints.for_zones.as_ref())
                    .into_iter()
                    .flatten()
                    .map(|zone| zone.name.as_str().into())
                    .collect(),
                nodes: hints
                    .and_then(|hints| hints.for_nodes.as_ref())
                    .into_iter()
                    .flatten()
                    .map(|node| node.name.as_str().into())
                    .collect(),
            })
        });
        Some(Slice { family: Some(family), ports: ports.collect(), endpoints: endpoints.collect() })
    }

    /// Counts the ready endpoints on this node, for a load balancer's health check.
    pub fn local_ready(&self, node: &str) -> impl Iterator<Item = IpAddr> {
        self.endpoints
            .iter()
            .filter(move |endpoint| *endpoint.node == *node && endpoint.state == Readiness::Ready)
            .map(|endpoint| endpoint.address)
    }
}

/// Collects the endpoints of a service port over its slices, each address and port once, in address order.
pub fn of_port<'a>(slices: impl Iterator<Item = &'a Slice>, port: &Port) -> Vec<Endpoint<'a>> {
    let mut found: BTreeMap<SocketAddr, Endpoint<'a>> = BTreeMap::new();
    for slice in slices {
        let matching =
            slice.ports.iter().filter(|(name, protocol, _)| *name == port.name && *protocol == port.protocol);
        for (_, _, number) in matching {
            for endpoint in &slice.endpoints {
                let socket = SocketAddr::new(endpoint.address, *number);
                let candidate = Endpoint {
                    socket,
                    node: &endpoint.node,
                    state: endpoint.state,
                    zones: &endpoint.zones,
                    nodes: &endpoint.nodes,
                };
                // While a pod moves between slices it is in both; the ready one is the newer.
                let entry = found.entry(socket).or_insert_with(|| candidate.clone());
                if entry.state != Readiness::Ready {
                    *entry = candidate;
                }
            }
        }
    }
    found.into_values().collect()
}

/// Sorts the endpoints of a service port by use.
pub fn categorize(endpoints: &[Endpoint<'_>], service: &Service, port: &Port, node: &Node) -> Categories {
    let external = service.is_externally_accessible(port);
    // Traffic from inside to an external address is short-cut to the whole cluster, whatever the policy.
    let uses_cluster = service.internal == Policy::Cluster || external;
    let uses_local = service.internal == Policy::Local || (external && service.external == Policy::Local);
    let pick = |keep: &dyn Fn(&Endpoint<'_>) -> bool| -> Vec<SocketAddr> {
        let with = |state| {
            endpoints
                .iter()
                .filter(|endpoint| endpoint.state == state && keep(endpoint))
                .map(|endpoint| endpoint.socket)
                .collect::<Vec<_>>()
        };
        let ready = with(Readiness::Ready);
        if ready.is_empty() { with(Readiness::ServingTerminating) } else { ready }
    };
    let mut categories = Categories::default();
    if uses_cluster {
        let topology = Topology::of(endpoints, node);
        categories.cluster = pick(&|endpoint| topology.admits(endpoint, node));
    }
    if uses_local {
        categories.local = pick(&|endpoint| *endpoint.node == *node.name);
    }
    categories.any = endpoints.iter().any(|endpoint| endpoint.state != Readiness::Neither);
    categories
}

/// Whether hints narrow the choice of endpoints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    None,
    Node,
    Zone,
}

impl Topology {
    /// Hints count only when every ready endpoint has them and one of them is for us.
    fn of(endpoints: &[Endpoint<'_>], node: &Node) -> Self {
        let ready = || endpoints.iter().filter(|endpoint| endpoint.state == Readiness::Ready);
        let usable = |topology: Topology, has: fn(&Endpoint<'_>) -> bool| {
            ready().all(has) && ready().any(|endpoint| topology.admits(endpoint, node))
        };
        if usable(Topology::Node, |endpoint| !endpoint.nodes.is_empty()) {
            Topology::Node
        } else if usable(Topology::Zone, |endpoint| !endpoint.zones.is_empty()) {
            Topology::Zone
        } else {
            Topology::None
        }
    }

    fn admits(self, endpoint: &Endpoint<'_>, node: &Node) -> bool {
        match self {
            Topology::None => true,
            // Terminating endpoints carry no hints that hold.
            _ if endpoint.state != Readiness::Ready => true,
            Topology::Node => endpoint.nodes.iter().any(|name| **name == *node.name),
            Topology::Zone => endpoint.zones.iter().any(|zone| Some(&**zone) == node.zone.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: &str, endpoints: &str, cluster: &[&str], local: &[&str], any: bool) {
        let service =
            format!("spec: {{clusterIP: 10.96.0.9, ports: [{{port: 80, nodePort: 30080}}], {service}}}");
        let service = crate::state::tests::service(&service).1.unwrap();
        let slice = format!("{{addressType: IPv4, ports: [{{port: 80}}], endpoints: [{endpoints}]}}");
        let slice = Slice::from_api(&serde_saphyr::from_str(&slice).unwrap()).unwrap();
        let node = Node { name: "here".into(), zone: Some("z1".into()), ..Node::default() };
        let port = &service.ports[0];
        let categories = categorize(&of_port(std::iter::once(&slice), port), &service, port, &node);
        let ips = |sockets: &[SocketAddr]| sockets.iter().map(|s| s.ip().to_string()).collect::<Vec<_>>();
        assert_eq!(ips(&categories.cluster), cluster);
        assert_eq!(ips(&categories.local), local);
        assert_eq!(categories.any, any);
    }

    #[test]
    fn ready_endpoints_get_traffic_and_terminating_ones_only_when_nobody_is_ready() {
        check("", "{addresses: [10.0.0.2]}, {addresses: [10.0.0.1]}", &["10.0.0.1", "10.0.0.2"], &[], true);
        let ending = "{addresses: [10.0.0.1], conditions: {ready: false, serving: true, terminating: true}}";
        check("", &format!("{ending}, {{addresses: [10.0.0.2]}}"), &["10.0.0.2"], &[], true);
        check("", ending, &["10.0.0.1"], &[], true);
        check("", "{addresses: [10.0.0.1], conditions: {ready: false}}", &[], &[], false);
    }

    #[test]
    fn policy_local_keeps_to_this_node() {
        let both = "{addresses: [10.0.0.1], nodeName: here}, {addresses: [10.0.0.2], nodeName: there}";
        check("externalTrafficPolicy: Local", both, &["10.0.0.1", "10.0.0.2"], &["10.0.0.1"], true);
        check("externalTrafficPolicy: Local", "{addresses: [10.0.0.2]}", &["10.0.0.2"], &[], true);
    }

    #[test]
    fn hints_count_only_when_all_have_them_and_one_is_for_us() {
        let hinted = |a: &str, b: &str| {
            format!("{{addresses: [10.0.0.1], hints: {a}}}, {{addresses: [10.0.0.2], hints: {b}}}")
        };
        let zone = |name: &str| format!("{{forZones: [{{name: {name}}}]}}");
        check("", &hinted(&zone("z1"), &zone("z2")), &["10.0.0.1"], &[], true);
        check("", &hinted(&zone("z1"), "{}"), &["10.0.0.1", "10.0.0.2"], &[], true);
        check("", &hinted(&zone("z3"), &zone("z2")), &["10.0.0.1", "10.0.0.2"], &[], true);
        check("", &hinted("{forNodes: [{name: here}]}", "{forNodes: [{name: x}]}"), &["10.0.0.1"], &[], true);
    }
}
