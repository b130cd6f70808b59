//! A whole rule set: tables, their chains, and the jumps from the kernel's own chains into them.

use std::collections::BTreeMap;

use crate::kernel::Position;
use crate::rule::{Rule, Table};

/// The rules of one chain, in order.
pub type ChainRules = Vec<Rule>;

/// A rule in a chain that the component does not own (a built-in one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The table of the built-in chain.
    pub table: Table,
    /// The built-in chain.
    pub chain: &'static str,
    /// The rule to hold there.
    pub rule: Rule,
    /// Where it goes when it is absent.
    pub position: Position,
}

/// The chains of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableRules {
    /// Rules by chain name.
    pub chains: BTreeMap<String, ChainRules>,
}

/// Everything a component wants to have in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The chains the component owns, by table.
    pub tables: BTreeMap<Table, TableRules>,
    /// The rules it holds in built-in chains.
    pub jumps: Vec<Jump>,
}

impl Ruleset {
    /// Adds a chain (empty when it is new) and gives its rules.
    pub fn chain(&mut self, table: Table, name: impl Into<String>) -> &mut ChainRules {
        self.tables.entry(table).or_default().chains.entry(name.into()).or_default()
    }

    /// Appends a rule to a chain, adding the chain when it is new.
    pub fn push(&mut self, table: Table, chain: &str, rule: Rule) {
        self.chain(table, chain).push(rule);
    }

    /// Renders every chain as input for `iptables-restore --noflush`.
    pub fn render(&self) -> String {
        let mut restore = crate::Restore::new();
        for (table, rules) in &self.tables {
            for (chain, rules) in &rules.chains {
                restore.replace(*table, chain, rules);
            }
        }
        restore.finish()
    }
}
