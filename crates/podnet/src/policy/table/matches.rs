//! What a policy's rules match: sets of pods and ports, ranges of addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::Ipv4Addr;

use apimachinery::labels::Selector;
use informer::Object as _;
use ipnet::Ipv4Net;
use netrules::Protocol;
use netrules::nft::{Element, Key, Set};

use super::{Direction, View, hash};
use crate::policy::objects::{Peer, Pod, Policy, Port, Rule, Which};

/// Writes policies' rules, and fills the sets that they ask.
#[derive(Debug)]
pub struct Writer<'a> {
    view: &'a View<'a>,
    /// The sets, named after what they hold, so that rules of the same peers share one.
    pub sets: BTreeMap<String, Set>,
}

impl<'a> Writer<'a> {
    /// Makes a writer without sets.
    pub fn new(view: &'a View<'a>) -> Self {
        Writer { view, sets: BTreeMap::new() }
    }

    /// The rules of a policy's chain, each of which accepts.
    pub fn rules(&mut self, policy: &Policy, direction: Direction) -> Vec<String> {
        let rules = match direction {
            Direction::Ingress => &policy.ingress,
            Direction::Egress => &policy.egress,
        };
        let mut lines = Vec::new();
        for rule in rules.iter().flatten() {
            match &rule.ports {
                None => {
                    let peers = self.peers(policy, direction, rule);
                    lines.extend(peers.iter().map(|peer| format!("{peer}accept")));
                }
                Some(ports) => self.rules_of_ports(policy, direction, rule, ports, &mut lines),
            }
        }
        lines
    }

    fn rules_of_ports(
        &mut self,
        policy: &Policy,
        direction: Direction,
        rule: &Rule,
        ports: &[Port],
        lines: &mut Vec<String>,
    ) {
        let mut matches = numbered(ports);
        for (protocol, name) in named(ports) {
            let set = self.named_ports(policy, direction, rule, protocol, name);
            let ports = format!("ip daddr . {} dport @{set}", protocol.name());
            match direction {
                Direction::Ingress => matches.push(ports),
                // The set's addresses are the peers'.
                Direction::Egress => lines.push(format!("{ports} accept")),
            }
        }
        if !matches.is_empty() {
            let peers = self.peers(policy, direction, rule);
            let each = matches.iter().flat_map(|ports| peers.iter().map(move |peer| (peer, ports)));
            lines.extend(each.map(|(peer, ports)| format!("{peer}{ports} accept")));
        }
    }

    /// What the other end's address must match, each ending in a blank; one empty match when anybody may.
    fn peers(&mut self, policy: &Policy, direction: Direction, rule: &Rule) -> Vec<String> {
        let Some(peers) = &rule.peers else { return vec![String::new()] };
        let address = match direction {
            Direction::Ingress => "ip saddr",
            Direction::Egress => "ip daddr",
        };
        let mut matches = Vec::new();
        let pods: Vec<&Peer> = peers.iter().filter(|peer| matches!(peer, Peer::Pods { .. })).collect();
        if !pods.is_empty() {
            matches.push(format!("{address} @{} ", self.pods(policy, &pods)));
        }
        let mut plain = Vec::new();
        for peer in peers {
            match peer {
                Peer::Block { net, except } if except.is_empty() => plain.push(*net),
                Peer::Block { net, except } => {
                    matches.push(format!("{address} {net} {address} != {} ", list(except)));
                }
                Peer::Pods { .. } => {}
            }
        }
        if !plain.is_empty() {
            matches.push(format!("{address} {} ", list(&Ipv4Net::aggregate(&plain))));
        }
        matches
    }

    /// The set of the pods that any of these peers selects.
    fn pods(&mut self, policy: &Policy, peers: &[&Peer]) -> String {
        let name = name("pods", &(own_namespace(policy, peers), peers));
        if !self.sets.contains_key(&name) {
            let mut set = Set::new(Key::Address, described(policy, peers));
            for pod in self.view.pods {
                if peers.iter().any(|peer| self.selects(policy, peer, pod)) {
                    set.elements.extend(self.view.addresses(pod).into_iter().map(Element::Address));
                }
            }
            self.sets.insert(name.clone(), set);
        }
        name
    }

    /// The set of destinations that call a port by this name: for ingress the policy's own pods, for egress its peers.
    fn named_ports(
        &mut self,
        policy: &Policy,
        direction: Direction,
        rule: &Rule,
        protocol: Protocol,
        port: &str,
    ) -> String {
        let scope = match direction {
            Direction::Ingress => format!("{} {:?}", policy.namespace(), policy.pods),
            Direction::Egress => format!("{} {:?}", policy.namespace(), rule.peers),
        };
        let name = name("ports", &(direction, scope, protocol, port));
        if !self.sets.contains_key(&name) {
            let comment = format!("port {port} of {}", direction.name());
            let mut set = Set::new(Key::Port, comment);
            for pod in self.view.pods {
                let numbers: BTreeSet<u16> = pod
                    .ports
                    .iter()
                    .filter(|(one, of, _)| **one == *port && *of == protocol)
                    .map(|(_, _, number)| *number)
                    .collect();
                if numbers.is_empty() {
                    continue;
                }
                for address in self.view.addresses(pod) {
                    let is_destination = match direction {
                        Direction::Ingress => super::isolates(policy, direction, pod),
                        Direction::Egress => rule.peers.as_ref().is_none_or(|peers| {
                            peers.iter().any(|peer| self.selects(policy, peer, pod) || holds(peer, address))
                        }),
                    };
                    if is_destination {
                        set.elements.extend(numbers.iter().map(|number| Element::Port(address, *number)));
                    }
                }
            }
            self.sets.insert(name.clone(), set);
        }
        name
    }

    fn selects(&self, policy: &Policy, peer: &Peer, pod: &Pod) -> bool {
        let Peer::Pods { namespaces, pods } = peer else { return false };
        let of_namespace = match namespaces {
            None => pod.namespace() == policy.namespace(),
            Some(selector) => self
                .view
                .namespaces
                .get(pod.namespace())
                .is_some_and(|labels| selector.matches_map(Some(labels))),
        };
        of_namespace && pods.matches_map(Some(&pod.labels))
    }
}

/// Whether an address is of a range of addresses.
fn holds(peer: &Peer, address: Ipv4Addr) -> bool {
    match peer {
        Peer::Block { net, except } => {
            net.contains(&address) && !except.iter().any(|except| except.contains(&address))
        }
        Peer::Pods { .. } => false,
    }
}

/// Matches of ports given by number, one for each protocol.
fn numbered(ports: &[Port]) -> Vec<String> {
    let mut matches = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        let of = || ports.iter().filter(move |port| port.protocol == protocol);
        if of().any(|port| port.which == Which::All) {
            matches.push(format!("meta l4proto {}", protocol.name()));
            continue;
        }
        let mut ranges: Vec<(u16, u16)> = of()
            .filter_map(|port| match port.which {
                Which::Range(first, last) if first <= last => Some((first, last)),
                Which::Range(..) | Which::All | Which::Named(_) => None,
            })
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                // One range inside another would be refused as conflicting.
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        let spell = |(first, last): (u16, u16)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let spelled: Vec<String> = merged.into_iter().map(spell).collect();
        match &spelled[..] {
            [] => {}
            [one] => matches.push(format!("{} dport {one}", protocol.name())),
            many => matches.push(format!("{} dport {{ {} }}", protocol.name(), many.join(", "))),
        }
    }
    matches
}

/// Ports given by name.
fn named(ports: &[Port]) -> BTreeSet<(Protocol, &str)> {
    ports
        .iter()
        .filter_map(|port| match &port.which {
            Which::Named(name) => Some((port.protocol, &**name)),
            Which::All | Which::Range(..) => None,
        })
        .collect()
}

fn list(nets: &[Ipv4Net]) -> String {
    match nets {
        [one] => one.to_string(),
        many => {
            let many: Vec<String> = many.iter().map(Ipv4Net::to_string).collect();
            format!("{{ {} }}", many.join(", "))
        }
    }
}

/// The policy's namespace, where peers stand for pods of it: elsewhere it would only keep sets from being shared.
fn own_namespace<'p>(policy: &'p Policy, peers: &[&Peer]) -> &'p str {
    let own = peers.iter().any(|peer| matches!(peer, Peer::Pods { namespaces: None, .. }));
    if own { policy.namespace() } else { "" }
}

fn name(kind: &str, content: &impl Debug) -> String {
    format!("{kind}-{}", hash(&format!("{content:?}")))
}

/// Peers in words, for who reads the table.
fn described(policy: &Policy, peers: &[&Peer]) -> String {
    let all = |selector: &Selector| {
        if selector.is_everything() { "all".to_owned() } else { format!("'{selector}'") }
    };
    let words: Vec<String> = peers
        .iter()
        .filter_map(|peer| match peer {
            Peer::Pods { namespaces: None, pods } => {
                Some(format!("pods {} of {}", all(pods), policy.namespace()))
            }
            Peer::Pods { namespaces: Some(namespaces), pods } => {
                Some(format!("pods {} of namespaces {}", all(pods), all(namespaces)))
            }
            Peer::Block { .. } => None,
        })
        .collect();
    words.join(", ")
}
