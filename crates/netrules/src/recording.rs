//! A `Kernel` without a kernel: it keeps every input and holds the rules that the inputs lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kernel::{Error, Kernel, Position};
use crate::rule::{Family, Rule, Table};

/// What a [`Recording`] holds.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Every input of `restore`, in order.
    pub inputs: Vec<String>,
    /// The rule lines by table name and chain.
    pub tables: BTreeMap<&'static str, BTreeMap<String, Vec<String>>>,
    /// The message of the next `restore`'s failure.
    pub fail_next: Option<String>,
}

/// The double of the kernel, with the semantics of `iptables-restore --noflush`.
///
/// As the real one, it refuses a jump to an absent chain, and the deletion of a chain still in use.
#[derive(Debug)]
pub struct Recording {
    family: Family,
    held: Mutex<Held>,
}

impl Recording {
    /// Makes a kernel with its built-in chains only.
    pub fn new(family: Family) -> Self {
        let recording = Recording { family, held: Mutex::default() };
        recording.flush();
        recording
    }

    /// Gives what is held, for reading and for changing behind the component's back.
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Throws all rules away, as `iptables -F; iptables -X` in every table does.
    pub fn flush(&self) {
        let built_in = [
            ("filter", &["INPUT", "FORWARD", "OUTPUT"][..]),
            ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"][..]),
            ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"][..]),
        ];
        self.held().tables = built_in
            .into_iter()
            .map(|(table, chains)| {
                (table, chains.iter().map(|chain| ((*chain).to_owned(), Vec::new())).collect())
            })
            .collect();
    }

    /// Renders all chains with their rules, table by table.
    pub fn dump(&self) -> String {
        let mut out = String::new();
        for (table, chains) in &self.held().tables {
            for (chain, rules) in chains {
                out.push_str(&format!("{table} {chain}\n"));
                for rule in rules {
                    out.push_str(&format!("  {rule}\n"));
                }
            }
        }
        out
    }

    fn refuse(message: impl Into<String>) -> Error {
        Error::Failed { program: "iptables-restore".into(), code: Some(1), stderr: message.into() }
    }
}

fn specification(rule: &Rule) -> String {
    let mut out = String::new();
    rule.write_spec(&mut out);
    out.trim_start().to_owned()
}

fn jump_target(rule: &str) -> Option<&str> {
    let target = rule.rsplit_once("-j ")?.1.split(' ').next()?;
    let built_in = ["ACCEPT", "DROP", "RETURN", "REJECT", "MARK", "MASQUERADE", "DNAT"];
    (!built_in.contains(&target)).then_some(target)
}

fn apply(chains: &mut BTreeMap<String, Vec<String>>, line: &str) -> Result<(), Error> {
    if let Some(declaration) = line.strip_prefix(':') {
        let chain = declaration.split(' ').next().unwrap_or_default();
        chains.entry(chain.to_owned()).or_default().clear();
    } else if let Some(rest) = line.strip_prefix("-A ") {
        let (chain, rule) = rest.split_once(' ').unwrap_or((rest, ""));
        if let Some(target) = jump_target(rule)
            && !chains.contains_key(target)
        {
            return Err(Recording::refuse(format!("chain {target} does not exist: {line}")));
        }
        let rules = chains.get_mut(chain).ok_or_else(|| Recording::refuse(format!("no chain: {line}")))?;
        rules.push(rule.to_owned());
    } else if let Some(chain) = line.strip_prefix("-X ") {
        if chains.values().flatten().any(|rule| jump_target(rule) == Some(chain)) {
            return Err(Recording::refuse(format!("chain {chain} is in use")));
        }
        chains.remove(chain).ok_or_else(|| Recording::refuse(format!("no chain: {line}")))?;
    } else {
        return Err(Recording::refuse(format!("not understood: {line}")));
    }
    Ok(())
}

impl Kernel for Recording {
    fn family(&self) -> Family {
        self.family
    }

    async fn restore(&self, input: &str) -> Result<(), Error> {
        let mut held = self.held();
        held.inputs.push(input.to_owned());
        if let Some(message) = held.fail_next.take() {
            return Err(Self::refuse(message));
        }
        let mut pending = None;
        for line in input.lines() {
            if let Some(table) = line.strip_prefix('*') {
                let (name, chains) = held
                    .tables
                    .iter()
                    .find(|(name, _)| **name == table)
                    .map(|(name, chains)| (*name, chains.clone()))
                    .ok_or_else(|| Self::refuse(format!("no table: {line}")))?;
                pending = Some((name, chains));
            } else if line == "COMMIT" {
                let (name, chains) = pending.take().ok_or_else(|| Self::refuse("COMMIT outside a table"))?;
                held.tables.insert(name, chains);
            } else {
                let (_, chains) = pending.as_mut().ok_or_else(|| Self::refuse("a line outside a table"))?;
                apply(chains, line)?;
            }
        }
        Ok(())
    }

    async fn chains(&self, table: Table) -> Result<BTreeSet<String>, Error> {
        Ok(self
            .held()
            .tables
            .get(table.name())
            .into_iter()
            .flatten()
            .map(|(chain, _)| chain.clone())
            .collect())
    }

    async fn has_chain(&self, table: Table, chain: &str) -> Result<bool, Error> {
        Ok(self.held().tables.get(table.name()).is_some_and(|chains| chains.contains_key(chain)))
    }

    async fn ensure_rule(
        &self,
        table: Table,
        chain: &str,
        rule: &Rule,
        position: Position,
    ) -> Result<bool, Error> {
        let rule = specification(rule);
        let mut held = self.held();
        let chains = held.tables.entry(table.name()).or_default();
        if let Some(target) = jump_target(&rule)
            && !chains.contains_key(target)
        {
            return Err(Self::refuse(format!("chain {target} does not exist")));
        }
        let rules = chains.entry(chain.to_owned()).or_default();
        if rules.contains(&rule) {
            return Ok(false);
        }
        match position {
            Position::First => rules.insert(0, rule),
            Position::Last => rules.push(rule),
        }
        Ok(true)
    }

    async fn delete_rule(&self, table: Table, chain: &str, rule: &Rule) -> Result<bool, Error> {
        let rule = specification(rule);
        let mut held = self.held();
        let Some(rules) = held.tables.get_mut(table.name()).and_then(|chains| chains.get_mut(chain)) else {
            return Ok(false);
        };
        let before = rules.len();
        rules.retain(|existing| *existing != rule);
        Ok(rules.len() < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_table_leaves_its_rules_as_they_were() {
        let kernel = Recording::new(Family::V4);
        kernel.restore("*nat\n:A - [0:0]\n-A A -j RETURN\nCOMMIT\n").await.unwrap();
        let before = kernel.dump();
        kernel.restore("*nat\n:A - [0:0]\n-A A -j MISSING\nCOMMIT\n").await.unwrap_err();
        assert_eq!(kernel.dump(), before);
    }

    #[tokio::test]
    async fn a_chain_in_use_cannot_be_deleted() {
        let kernel = Recording::new(Family::V4);
        kernel.restore("*nat\n:A - [0:0]\n:B - [0:0]\n-A A -j B\nCOMMIT\n").await.unwrap();
        kernel.restore("*nat\n:B - [0:0]\n-X B\nCOMMIT\n").await.unwrap_err();
        kernel.restore("*nat\n:A - [0:0]\n:B - [0:0]\n-X B\nCOMMIT\n").await.unwrap();
        assert!(!kernel.has_chain(Table::Nat, "B").await.unwrap());
    }
}
