//! What the kernel holds for one service: digests of its chains, and its lines in shared chains.

use std::hash::{DefaultHasher, Hash, Hasher};

use netrules::Table;

use crate::rules::{ServiceRules, Shared, UdpPort, WithoutLocal};

/// What was written for one service.
#[derive(Debug, Default)]
pub struct Held {
    /// Its lines in shared chains, in order of the chains.
    pub portals: Box<[(Shared, Box<str>)]>,
    /// Its chains and the digests of their lines.
    pub chains: Box<[(Box<str>, u64)]>,
    /// Where its UDP flows may go.
    pub udp: Box<[UdpPort]>,
    /// How many rules that is.
    pub rules: usize,
    /// Its ports whose traffic of policy Local nobody here takes.
    pub without_local: WithoutLocal,
}

impl Held {
    /// Renders a service's rules: what to remember, and the lines of its chains.
    pub fn new(rules: ServiceRules) -> (Self, Vec<(String, String)>) {
        let count = rules.portals.len() + rules.chains.iter().map(|(_, rules)| rules.len()).sum::<usize>();
        let mut portals: Vec<(Shared, String)> = Vec::new();
        for (place, rule) in &rules.portals {
            let index = portals.iter().position(|(known, _)| known == place).unwrap_or_else(|| {
                portals.push((*place, String::new()));
                portals.len() - 1
            });
            netrules::append(&mut portals[index].1, place.chain().1, rule);
        }
        let chains: Vec<(String, String)> = rules
            .chains
            .into_iter()
            .map(|(chain, rules)| {
                let mut lines = String::new();
                for rule in &rules {
                    netrules::append(&mut lines, &chain, rule);
                }
                (chain, lines)
            })
            .collect();
        let held = Held {
            portals: portals.into_iter().map(|(place, lines)| (place, lines.into())).collect(),
            chains: chains.iter().map(|(chain, lines)| (chain.as_str().into(), digest(lines))).collect(),
            udp: rules.udp.into(),
            rules: count,
            without_local: rules.without_local,
        };
        (held, chains)
    }

    /// The service's lines in a shared chain.
    pub fn portal(&self, place: Shared) -> Option<&str> {
        self.portals.iter().find(|(known, _)| *known == place).map(|(_, lines)| &**lines)
    }
}

/// The digest of a chain's lines. Per-service chains are all in the nat table, so the name is enough.
pub fn digest(lines: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    Table::Nat.hash(&mut hasher);
    lines.hash(&mut hasher);
    hasher.finish()
}
