//! The rules that are there without any service.

use netrules::{CtState, Family, Jump, Match, Position, Rule, Ruleset, Table, Target};

use super::{NodePortAddresses, Options, host};
use crate::chains;

/// The chains that do not depend on services.
pub fn chains(options: &Options) -> Ruleset {
    let mark = |not| Match::Mark { value: options.masquerade_mark, not };
    let state = |states: &[CtState], not| Match::State { states: states.to_vec(), not };
    let mut ruleset = Ruleset::default();

    for table in [Table::Filter, Table::Nat, Table::Mangle] {
        ruleset.chain(table, chains::CANARY);
    }
    ruleset.push(Table::Nat, chains::MARK_MASQ, Rule::to(Target::OrMark(options.masquerade_mark)));

    ruleset.push(Table::Nat, chains::POSTROUTING, Rule::to(Target::Return).when(mark(true)));
    // Clears the mark, so that a packet that passes POSTROUTING again (a tunnel) is not masqueraded twice.
    ruleset.push(Table::Nat, chains::POSTROUTING, Rule::to(Target::XorMark(options.masquerade_mark)));
    ruleset.push(
        Table::Nat,
        chains::POSTROUTING,
        Rule::to(Target::Masquerade { random_fully: options.random_fully })
            .comment("kubernetes service traffic requiring SNAT"),
    );

    // An invalid packet would pass untranslated and reset the client's connection.
    if !options.conntrack_tcp_be_liberal {
        ruleset.push(
            Table::Filter,
            chains::FORWARD,
            Rule::to(Target::Drop).when(state(&[CtState::Invalid], false)),
        );
    }
    ruleset.push(
        Table::Filter,
        chains::FORWARD,
        Rule::to(Target::Accept).comment("kubernetes forwarding rules").when(mark(false)),
    );
    ruleset.push(
        Table::Filter,
        chains::FORWARD,
        Rule::to(Target::Accept)
            .comment("kubernetes forwarding conntrack rule")
            .when(state(&[CtState::Related, CtState::Established], false)),
    );
    // Still a cluster address after translation: nobody's yet, or nobody's any more. Sent on, the packet would fix the
    // connection untranslated; dropped, the client's next try meets the rules of the new service.
    for network in &options.service_networks {
        ruleset.push(
            Table::Filter,
            chains::FORWARD,
            Rule::to(Target::Drop)
                .comment("kubernetes service address without a service")
                .when(Match::Destination { net: *network, not: false }),
        );
    }

    if opens_localhost(options) {
        let loopback = |not| Match::Source { net: loopback(), not };
        ruleset.push(
            Table::Filter,
            chains::FIREWALL,
            Rule::to(Target::Drop)
                .comment("block incoming localnet connections")
                .when(loopback(true))
                .when(Match::Destination { net: self::loopback(), not: false })
                .when(state(&[CtState::Related, CtState::Established, CtState::Dnat], true)),
        );
    }
    ruleset
}

/// Tells whether node ports at 127.0.0.1 need `route_localnet`, which must then be fenced.
pub fn opens_localhost(options: &Options) -> bool {
    options.family == Family::V4 && options.localhost_node_ports
}

fn loopback() -> ipnet::IpNet {
    ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8))
}

/// The end of the nat services chain: what is sent to this node itself may be for a node port.
pub fn node_port_rules(options: &Options) -> Vec<Rule> {
    let rule = Rule::jump(chains::NODE_PORTS)
        .comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain");
    match &options.node_port_addresses {
        NodePortAddresses::All => {
            let mut rule = rule.when(Match::DestinationLocal);
            if options.family == Family::V4 && !options.localhost_node_ports {
                rule = rule.when(Match::Destination { net: loopback(), not: true });
            }
            vec![rule]
        }
        NodePortAddresses::Only(addresses) => addresses
            .iter()
            .filter(|address| options.family.holds(**address))
            .map(|address| rule.clone().when(Match::Destination { net: host(*address), not: false }))
            .collect(),
    }
}

/// The rules that lead from the kernel's chains into the proxy's.
pub fn jumps(options: &Options) -> Vec<Jump> {
    let new_only = || Some(Match::State { states: vec![CtState::New], not: false });
    let mut wanted: Vec<(Table, &str, &str, &str, Option<Match>)> = vec![
        (
            Table::Filter,
            "INPUT",
            chains::EXTERNAL_SERVICES,
            "kubernetes externally-visible service portals",
            new_only(),
        ),
        (
            Table::Filter,
            "FORWARD",
            chains::EXTERNAL_SERVICES,
            "kubernetes externally-visible service portals",
            new_only(),
        ),
        (Table::Filter, "INPUT", chains::NODE_PORTS, "kubernetes health check service ports", None),
        (Table::Filter, "FORWARD", chains::SERVICES, "kubernetes service portals", new_only()),
        (Table::Filter, "OUTPUT", chains::SERVICES, "kubernetes service portals", new_only()),
        (Table::Filter, "FORWARD", chains::FORWARD, "kubernetes forwarding rules", None),
        (Table::Filter, "INPUT", chains::PROXY_FIREWALL, "kubernetes load balancer firewall", new_only()),
        (Table::Filter, "OUTPUT", chains::PROXY_FIREWALL, "kubernetes load balancer firewall", new_only()),
        (Table::Filter, "FORWARD", chains::PROXY_FIREWALL, "kubernetes load balancer firewall", new_only()),
        (Table::Nat, "OUTPUT", chains::SERVICES, "kubernetes service portals", None),
        (Table::Nat, "PREROUTING", chains::SERVICES, "kubernetes service portals", None),
        (Table::Nat, "POSTROUTING", chains::POSTROUTING, "kubernetes postrouting rules", None),
    ];
    if opens_localhost(options) {
        wanted.push((Table::Filter, "INPUT", chains::FIREWALL, "", None));
        wanted.push((Table::Filter, "OUTPUT", chains::FIREWALL, "", None));
    }
    wanted
        .into_iter()
        .map(|(table, chain, target, comment, condition)| Jump {
            table,
            chain,
            rule: Rule::jump(target).when_all(condition).comment(comment),
            position: Position::First,
        })
        .collect()
}
