//! The table of nftables that enforces the policies: a pure function of what is known of the cluster.
//!
//! A packet of a pod of this node first meets the egress chains, which judge by its source, then the ingress chains,
//! which judge by its destination. Both run after addresses of Services were translated, so policies are about pods.
//! What comes from the node itself passes no forward hook: probes always reach their pods.

mod matches;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use informer::Object as _;
use netrules::nft::{Chain, Element, Hook, Key, Set, Table};
use sha2::{Digest as _, Sha256};

use super::objects::{Pod, Policy};
use crate::plan::BRIDGE;
use matches::Writer;

/// The name of the table.
pub const TABLE: &str = "podnet";
/// The base chain by which the table's presence is told.
pub const BASE: &str = "forward-egress";

/// The maps from a pod's address to the chain of the policies that isolate it, and the set of pods' own addresses.
const EGRESS: &str = "egress";
const INGRESS: &str = "ingress";
const SELF: &str = "self";

/// Names in nftables have 127 bytes at most; what would be longer is cut behind its hash.
const NAME: usize = 100;

/// What is known of the cluster.
#[derive(Debug)]
pub struct View<'a> {
    /// This node.
    pub node: &'a str,
    /// All policies.
    pub policies: &'a [Arc<Policy>],
    /// All pods.
    pub pods: &'a [Arc<Pod>],
    /// The labels of all namespaces.
    pub namespaces: &'a BTreeMap<&'a str, &'a BTreeMap<String, String>>,
    /// The addresses of this node's sandboxes by their pods' keys. They are known before the pods' statuses tell.
    pub sandboxes: &'a BTreeMap<String, BTreeSet<Ipv4Addr>>,
}

impl View<'_> {
    /// The addresses of a pod that is in the pod network.
    fn addresses(&self, pod: &Pod) -> BTreeSet<Ipv4Addr> {
        if !pod.has_network {
            return BTreeSet::new();
        }
        let own = (*pod.node == *self.node).then(|| self.sandboxes.get(pod.key().as_str())).flatten();
        own.into_iter().flatten().copied().chain(pod.address).collect()
    }
}

/// What a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Ingress => INGRESS,
            Direction::Egress => EGRESS,
        }
    }
}

/// Makes the table; none when no pod of this node is isolated.
pub fn table(view: &View<'_>) -> Option<Table> {
    let mut table = Table { name: TABLE, ..Table::default() };
    let mut writer = Writer::new(view);
    for map in [EGRESS, INGRESS] {
        table.maps.insert(map.to_owned(), BTreeMap::new());
    }
    let mut own = Set::new(Key::Pair, "a pod may always reach itself");
    for pod in view.pods.iter().filter(|pod| *pod.node == *view.node) {
        let addresses = view.addresses(pod);
        if addresses.is_empty() {
            continue;
        }
        for direction in [Direction::Egress, Direction::Ingress] {
            let isolating: Vec<&Policy> = view
                .policies
                .iter()
                .map(Arc::as_ref)
                .filter(|policy| isolates(policy, direction, pod))
                .collect();
            if isolating.is_empty() {
                continue;
            }
            let chain = isolation(&mut table, &mut writer, direction, &isolating);
            own.elements.extend(addresses.iter().map(|address| Element::Pair(*address, *address)));
            let map = table.maps.entry(direction.name().to_owned()).or_default();
            map.extend(addresses.iter().map(|address| (*address, chain.clone())));
        }
    }
    if own.elements.is_empty() {
        return None;
    }
    table.sets = writer.sets;
    table.sets.insert(SELF.to_owned(), own);
    base_chains(&mut table);
    Some(table)
}

fn isolates(policy: &Policy, direction: Direction, pod: &Pod) -> bool {
    let rules = match direction {
        Direction::Ingress => &policy.ingress,
        Direction::Egress => &policy.egress,
    };
    rules.is_some() && policy.namespace() == pod.namespace() && policy.pods.matches_map(Some(&pod.labels))
}

/// Sees to the chain of all pods that the same policies isolate: each policy may accept, the rest is dropped.
fn isolation(
    table: &mut Table,
    writer: &mut Writer<'_>,
    direction: Direction,
    policies: &[&Policy],
) -> String {
    let keys: Vec<_> = policies.iter().map(|policy| policy.key()).collect();
    let name = format!("{}-pods-{}", direction.name(), hash(&format!("{keys:?}")));
    if table.chains.contains_key(&name) {
        return name;
    }
    let mut rules = Vec::with_capacity(policies.len() + 1);
    for policy in policies {
        let chain = policy_chain(policy, direction);
        rules.push(format!("jump {chain}"));
        table
            .chains
            .entry(chain)
            .or_insert_with(|| Chain { hook: None, rules: writer.rules(policy, direction) });
    }
    // Upstream leaves open how traffic is refused; silence is what policies are known for.
    rules.push("drop".to_owned());
    table.chains.insert(name.clone(), Chain { hook: None, rules });
    name
}

/// A policy's chain, named so that a reader of `nft list table inet podnet` finds it.
fn policy_chain(policy: &Policy, direction: Direction) -> String {
    let key = policy.key();
    let mut name = format!("{}-{}-{key}", direction.name(), hash(key.as_str()));
    // Names of objects are ASCII.
    name.truncate(NAME);
    name
}

/// Twenty hexadecimal digits of SHA-256: nobody can write a policy whose names are those of another's sets and chains.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..10].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base_chains(table: &mut Table) {
    // After the translation of destinations, before iptables' filter table.
    let mut base = |name: &str, at, priority, judge: &str| {
        let rules = vec![
            // Replies, and what was allowed when it began.
            "ct state established,related accept".to_owned(),
            // The pod network is IPv4's: link-local addresses must be no way around it.
            format!("iifname \"{BRIDGE}\" meta nfproto ipv6 drop"),
            // By way of a Service, a pod may come back to itself.
            format!("ip saddr . ip daddr @{SELF} accept"),
            judge.to_owned(),
        ];
        table.chains.insert(name.to_owned(), Chain { hook: Some(Hook { at, priority }), rules });
    };
    let (egress, ingress) = (format!("ip saddr vmap @{EGRESS}"), format!("ip daddr vmap @{INGRESS}"));
    base(BASE, "forward", -6, &egress);
    // The node is one of those whom a pod may or may not reach.
    base("input-egress", "input", -6, &egress);
    base("forward-ingress", "forward", -5, &ingress);
}
