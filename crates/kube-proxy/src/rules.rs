//! The rules the proxy wants in the kernel: a pure function of services, endpoints and node.

mod base;
mod service;
#[cfg(test)]
mod tests;

use ipnet::IpNet;
use netrules::{Family, Jump, Rule, Ruleset, Table};

pub use base::jumps;
pub use service::{ServiceRules, UdpPort, WithoutLocal, service_rules};

use crate::node::LocalDetector;
use crate::state::State;

/// What the configuration says about rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The address family.
    pub family: Family,
    /// The bit that marks packets to masquerade.
    pub masquerade_mark: u32,
    /// Masquerades all traffic to cluster addresses.
    pub masquerade_all: bool,
    /// Whether the kernel can choose masquerade ports at random (every kernel since 3.13).
    pub random_fully: bool,
    /// How traffic of this cluster's pods is recognised.
    pub local: LocalDetector,
    /// Where node ports listen; empty means at every address of the node.
    pub node_port_addresses: NodePortAddresses,
    /// Whether node ports answer at 127.0.0.1.
    pub localhost_node_ports: bool,
    /// Whether invalid packets are left to the kernel's liberal TCP tracking.
    pub conntrack_tcp_be_liberal: bool,
    /// Where cluster addresses come from, as far as the ServiceCIDRs are known.
    pub service_networks: Vec<IpNet>,
}

/// Where node ports listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// At every address of the node.
    #[default]
    All,
    /// At these addresses of the node.
    Only(Vec<std::net::IpAddr>),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            family: Family::V4,
            masquerade_mark: 1 << 14,
            masquerade_all: false,
            random_fully: true,
            local: LocalDetector::None,
            node_port_addresses: NodePortAddresses::All,
            localhost_node_ports: true,
            conntrack_tcp_be_liberal: false,
            service_networks: Vec::new(),
        }
    }
}

/// The chains that rules of every service share, in table order.
pub const SHARED: [(Table, &str); 6] = [
    (Table::Filter, crate::chains::SERVICES),
    (Table::Filter, crate::chains::EXTERNAL_SERVICES),
    (Table::Filter, crate::chains::NODE_PORTS),
    (Table::Filter, crate::chains::PROXY_FIREWALL),
    (Table::Nat, crate::chains::SERVICES),
    (Table::Nat, crate::chains::NODE_PORTS),
];

/// A place in [`SHARED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shared {
    /// Refuses what is sent to a cluster address without endpoints.
    FilterServices,
    /// Refuses what is sent to an external address without endpoints.
    FilterExternalServices,
    /// Accepts load balancers' health checks.
    FilterNodePorts,
    /// Drops what source ranges do not allow.
    FilterFirewall,
    /// Sends service addresses to their chains.
    NatServices,
    /// Sends node ports to their chains.
    NatNodePorts,
}

impl Shared {
    /// All places, in the order of [`SHARED`].
    pub const ALL: [Shared; 6] = [
        Shared::FilterServices,
        Shared::FilterExternalServices,
        Shared::FilterNodePorts,
        Shared::FilterFirewall,
        Shared::NatServices,
        Shared::NatNodePorts,
    ];

    /// The table and the chain.
    pub fn chain(self) -> (Table, &'static str) {
        SHARED[self as usize]
    }
}

/// The rules that come after those of all services in a shared chain.
pub fn shared_tail(shared: Shared, options: &Options) -> Vec<Rule> {
    match shared {
        Shared::NatServices => base::node_port_rules(options),
        _ => Vec::new(),
    }
}

/// The chains that do not depend on services.
pub fn base_chains(options: &Options) -> Ruleset {
    base::chains(options)
}

/// Everything the proxy wants in the kernel.
pub fn rules(state: &State, options: &Options) -> Ruleset {
    let mut ruleset = base_chains(options);
    for (table, chain) in SHARED {
        ruleset.chain(table, chain);
    }
    for (key, service) in &state.services {
        let rules =
            service_rules(key, service, &state.slices_of(key).collect::<Vec<_>>(), &state.node, options);
        for (shared, rule) in rules.portals {
            let (table, chain) = shared.chain();
            ruleset.push(table, chain, rule);
        }
        for (chain, rules) in rules.chains {
            ruleset.chain(Table::Nat, chain).extend(rules);
        }
    }
    for shared in Shared::ALL {
        let (table, chain) = shared.chain();
        ruleset.chain(table, chain).extend(shared_tail(shared, options));
    }
    ruleset.jumps = jumps(options);
    ruleset
}

/// A network that holds one address.
pub fn host(address: std::net::IpAddr) -> IpNet {
    address.into()
}

/// Every jump that some configuration makes, for cleanup.
pub fn all_jumps() -> Vec<Jump> {
    jumps(&Options::default())
}
