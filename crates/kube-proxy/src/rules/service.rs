//! The rules of one service.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use netrules::{Match, RecentAction, Rule, Target};

use super::{Options, Shared, host};
use crate::chains;
use crate::endpoints::{self, Categories, Slice};
use crate::node::Node;
use crate::service::{Policy, Port, Service, port_name};

/// What one service adds to the rule set.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServiceRules {
    /// Its rules in shared chains, in order.
    pub portals: Vec<(Shared, Rule)>,
    /// Its own chains, all in the nat table, in the order of their first use from the end.
    pub chains: Vec<(String, Vec<Rule>)>,
    /// The endpoints that UDP flows may go to, by port; what flows elsewhere is stale.
    pub udp: Vec<UdpPort>,
    /// Its ports whose traffic of policy Local nobody here takes.
    pub without_local: WithoutLocal,
}

/// How many ports have endpoints elsewhere only, though their policy keeps traffic to this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithoutLocal {
    /// By the policy for traffic to the cluster address.
    pub internal: usize,
    /// By the policy for traffic from outside.
    pub external: usize,
}

/// A UDP port and where its packets may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpPort {
    /// The addresses that clients send to.
    pub addresses: Vec<IpAddr>,
    /// The port at the nodes; 0 when there is none.
    pub node_port: u16,
    /// The endpoints.
    pub endpoints: Vec<SocketAddr>,
}

/// Computes the rules of one service.
pub fn service_rules(
    key: &str,
    service: &Service,
    slices: &[&Slice],
    node: &Node,
    options: &Options,
) -> ServiceRules {
    let mut rules = ServiceRules::default();
    for port in &service.ports {
        let endpoints = endpoints::of_port(slices.iter().copied(), port);
        let categories = endpoints::categorize(&endpoints, service, port, node);
        if categories.any && categories.local.is_empty() {
            let outside = service.external == Policy::Local && service.is_externally_accessible(port);
            rules.without_local.internal += usize::from(service.internal == Policy::Local);
            rules.without_local.external += usize::from(outside);
        }
        if port.protocol == netrules::Protocol::Udp {
            let addresses =
                service.external_ips(options.family).chain(service.load_balancer_ips(options.family));
            let mut endpoints = categories.cluster.clone();
            endpoints.extend(categories.local.iter().filter(|local| !categories.cluster.contains(local)));
            rules.udp.push(UdpPort {
                addresses: service.cluster_ip(options.family).into_iter().chain(addresses).collect(),
                node_port: port.node_port,
                endpoints,
            });
        }
        let Some(cluster_ip) = service.cluster_ip(options.family) else { continue };
        PortRules::new(key, service, port, cluster_ip, &categories, node, options).build(&mut rules);
    }
    rules
}

/// What the rules of one port are made from.
struct PortRules<'a> {
    service: &'a Service,
    port: &'a Port,
    cluster_ip: IpAddr,
    name: String,
    categories: &'a Categories,
    node: &'a Node,
    options: &'a Options,
    external_chain: String,
    cluster_chain: String,
    local_chain: String,
    firewall_chain: String,
}

impl<'a> PortRules<'a> {
    fn new(
        key: &str,
        service: &'a Service,
        port: &'a Port,
        cluster_ip: IpAddr,
        categories: &'a Categories,
        node: &'a Node,
        options: &'a Options,
    ) -> Self {
        let name = port_name(key, port);
        PortRules {
            external_chain: chains::external(&name, port.protocol),
            cluster_chain: chains::cluster_policy(&name, port.protocol),
            local_chain: chains::local_policy(&name, port.protocol),
            firewall_chain: chains::firewall(&name, port.protocol),
            service,
            port,
            cluster_ip,
            name,
            categories,
            node,
            options,
        }
    }

    fn build(&self, out: &mut ServiceRules) {
        let service = self.service;
        let externally_accessible = service.is_externally_accessible(self.port);
        let uses_external = self.categories.any && externally_accessible;
        let uses_firewall =
            uses_external && !service.load_balancer_ips.is_empty() && !service.source_ranges.is_empty();

        self.portals(uses_firewall, out);

        let uses_cluster = !self.categories.cluster.is_empty()
            && (service.internal == Policy::Cluster || externally_accessible);
        let uses_local = !self.categories.local.is_empty();
        let mut used: Vec<SocketAddr> = Vec::new();
        if uses_cluster {
            used.extend(&self.categories.cluster);
        }
        if uses_local {
            used.extend(
                self.categories.local.iter().filter(|local| !self.categories.cluster.contains(local)),
            );
        }
        // Targets before the chains that jump to them reads better, and any order loads.
        for endpoint in &used {
            out.chains.push(self.endpoint_chain(*endpoint));
        }
        if uses_cluster {
            out.chains.push(self.spreading_chain(&self.cluster_chain, &self.categories.cluster));
        }
        if uses_local {
            out.chains.push(self.spreading_chain(&self.local_chain, &self.categories.local));
        }
        if uses_external {
            out.chains.push((self.external_chain.clone(), self.external_rules(uses_cluster)));
        }
        if uses_firewall {
            out.chains.push((self.firewall_chain.clone(), self.firewall_rules()));
        }
    }

    /// The endpoints and the chain for a policy.
    fn by_policy(&self, policy: Policy) -> (&[SocketAddr], &str) {
        match policy {
            Policy::Cluster => (&self.categories.cluster, &self.cluster_chain),
            Policy::Local => (&self.categories.local, &self.local_chain),
        }
    }

    /// What happens to traffic that no endpoint may take: refused when nobody can answer, dropped when
    /// only other nodes can, since then a load balancer retries elsewhere.
    fn unanswered(&self) -> (Target, String) {
        if self.categories.any {
            (Target::Drop, format!("{} has no local endpoints", self.name))
        } else {
            (Target::Reject, format!("{} has no endpoints", self.name))
        }
    }

    fn to_port(&self, address: IpAddr) -> [Match; 2] {
        [
            Match::Destination { net: host(address), not: false },
            Match::DestinationPort(self.port.protocol, self.port.port),
        ]
    }

    fn portals(&self, uses_firewall: bool, out: &mut ServiceRules) {
        let service = self.service;
        let family = self.options.family;
        let mut portal = |shared, rule| out.portals.push((shared, rule));
        let answered = |policy| !self.by_policy(policy).0.is_empty();

        if answered(service.internal) {
            let (_, chain) = self.by_policy(service.internal);
            let rule = Rule::jump(chain)
                .comment(format!("{} cluster IP", self.name))
                .when_all(self.to_port(self.cluster_ip));
            portal(Shared::NatServices, rule);
        } else {
            let (target, comment) = self.unanswered();
            let rule = Rule::to(target).comment(comment).when_all(self.to_port(self.cluster_ip));
            portal(Shared::FilterServices, rule);
        }

        let external_answered = answered(service.external);
        let mut outside = |what: &str, conditions: Vec<Match>, shared, chain: &str| {
            if self.categories.any {
                let comment =
                    if what.is_empty() { self.name.clone() } else { format!("{} {what}", self.name) };
                portal(shared, Rule::jump(chain).comment(comment).when_all(conditions.clone()));
            }
            if !external_answered {
                let (target, comment) = self.unanswered();
                let conditions = if shared == Shared::NatNodePorts {
                    std::iter::once(Match::DestinationLocal).chain(conditions).collect()
                } else {
                    conditions
                };
                portal(
                    Shared::FilterExternalServices,
                    Rule::to(target).comment(comment).when_all(conditions),
                );
            }
        };
        for address in service.external_ips(family) {
            outside("external IP", self.to_port(address).into(), Shared::NatServices, &self.external_chain);
        }
        for address in service.load_balancer_ips(family) {
            let chain = if uses_firewall { &self.firewall_chain } else { &self.external_chain };
            outside("loadbalancer IP", self.to_port(address).into(), Shared::NatServices, chain);
        }
        if self.port.node_port != 0 {
            let conditions = vec![Match::DestinationPort(self.port.protocol, self.port.node_port)];
            outside("", conditions, Shared::NatNodePorts, &self.external_chain);
        }

        if uses_firewall {
            for address in service.load_balancer_ips(family) {
                let comment = format!("{} traffic not accepted by {}", self.name, self.firewall_chain);
                portal(
                    Shared::FilterFirewall,
                    Rule::to(Target::Drop).comment(comment).when_all(self.to_port(address)),
                );
            }
        }
        // One check serves all ports of the service.
        if service.health_check_node_port != 0 && service.ports.first() == Some(self.port) {
            portal(
                Shared::FilterNodePorts,
                Rule::to(Target::Accept)
                    .comment(format!("{} health check node port", self.name))
                    .when(Match::DestinationPort(netrules::Protocol::Tcp, service.health_check_node_port)),
            );
        }
    }

    /// A chain that chooses among endpoints.
    fn spreading_chain(&self, chain: &str, endpoints: &[SocketAddr]) -> (String, Vec<Rule>) {
        let mut rules = Vec::with_capacity(endpoints.len() + 1);
        if self.by_policy(self.service.internal).1 == chain
            && let Some(condition) = self.masquerade_condition()
        {
            rules.push(
                Rule::jump(chains::MARK_MASQ)
                    .comment(format!("{} cluster IP", self.name))
                    .when_all(condition)
                    .when_all(self.to_port(self.cluster_ip)),
            );
        }
        let comment = |endpoint: &SocketAddr| format!("{} -> {endpoint}", self.name);
        let targets: Vec<_> =
            endpoints.iter().map(|endpoint| (endpoint, self.endpoint_name(*endpoint))).collect();
        if let Some(seconds) = self.service.affinity_seconds {
            for (endpoint, target) in &targets {
                let action = RecentAction::Check { seconds };
                rules.push(
                    Rule::jump(target.as_str())
                        .comment(comment(endpoint))
                        .when(Match::Recent { list: target.clone(), action }),
                );
            }
        }
        for (index, (endpoint, target)) in targets.into_iter().enumerate() {
            let rule = Rule::jump(target).comment(comment(endpoint));
            let remaining = endpoints.len() - index;
            rules.push(match u32::try_from(remaining) {
                // The last one takes all that is left.
                Ok(of) if of > 1 => rule.when(Match::OneIn { of }),
                _ => rule,
            });
        }
        (chain.to_owned(), rules)
    }

    /// Under what condition traffic to the cluster address is masqueraded; none when it never is.
    fn masquerade_condition(&self) -> Option<Option<Match>> {
        if self.options.masquerade_all {
            return Some(None);
        }
        self.options.local.if_not_local().map(Some)
    }

    fn endpoint_name(&self, endpoint: SocketAddr) -> String {
        chains::endpoint(&self.name, self.port.protocol, &endpoint.to_string())
    }

    fn endpoint_chain(&self, endpoint: SocketAddr) -> (String, Vec<Rule>) {
        let name = self.endpoint_name(endpoint);
        // A pod that reaches itself through the service must see the node as its client.
        let hairpin = Rule::jump(chains::MARK_MASQ)
            .comment(self.name.clone())
            .when(Match::Source { net: host(endpoint.ip()), not: false });
        let mut translate = Rule::to(Target::Dnat(endpoint)).comment(self.name.clone());
        if self.service.affinity_seconds.is_some() {
            translate = translate.when(Match::Recent { list: name.clone(), action: RecentAction::Set });
        }
        (name, vec![hairpin, translate.when(Match::Protocol(self.port.protocol))])
    }

    fn external_rules(&self, uses_cluster: bool) -> Vec<Rule> {
        let mut rules = Vec::new();
        match self.service.external {
            Policy::Cluster => {
                let comment = format!("masquerade traffic for {} external destinations", self.name);
                rules.push(Rule::jump(chains::MARK_MASQ).comment(comment));
            }
            Policy::Local => {
                if let Some(condition) = self.options.local.if_local()
                    && uses_cluster
                {
                    rules.push(
                        Rule::jump(self.cluster_chain.as_str())
                            .comment(format!("pod traffic for {} external destinations", self.name))
                            .when(condition),
                    );
                }
                rules.push(
                    Rule::jump(chains::MARK_MASQ)
                        .comment(format!("masquerade LOCAL traffic for {} external destinations", self.name))
                        .when(Match::SourceLocal),
                );
                if uses_cluster {
                    rules.push(
                        Rule::jump(self.cluster_chain.as_str())
                            .comment(format!("route LOCAL traffic for {} external destinations", self.name))
                            .when(Match::SourceLocal),
                    );
                }
            }
        }
        let (endpoints, chain) = self.by_policy(self.service.external);
        if !endpoints.is_empty() {
            rules.push(Rule::jump(chain));
        }
        rules
    }

    fn firewall_rules(&self) -> Vec<Rule> {
        let service = self.service;
        let allow = |net: IpNet| {
            Rule::jump(self.external_chain.as_str())
                .comment(format!("{} loadbalancer IP", self.name))
                .when(Match::Source { net, not: false })
        };
        let family = self.options.family;
        let mut rules: Vec<_> = service.source_ranges(family).map(allow).collect();
        // Where the address is also configured on the node, the node's own packets carry it as source.
        let node = self.node.primary_address(family);
        if node.is_some_and(|node| service.source_ranges(family).any(|range| range.contains(&node))) {
            rules.extend(service.load_balancer_ips(family).map(|address| allow(host(address))));
        }
        let comment = format!("other traffic to {} will be dropped by KUBE-PROXY-FIREWALL", self.name);
        rules.push(Rule::to(Target::Nothing).comment(comment));
        rules
    }
}
