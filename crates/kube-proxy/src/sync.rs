//! Bringing the kernel to the wanted rules: whole at first, afterwards only the chains that changed.

mod ledger;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use component::cause::whole;
use netrules::{Error, Kernel, Restore, Table};

use crate::chains;
use crate::conntrack::StaleFlows;
use crate::rules::{self, Options, Shared, WithoutLocal, service_rules};
use crate::state::{Changes, ServiceKey, State};
use ledger::{Held, digest};

/// What a sync did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether everything was written, not only what changed.
    pub full: bool,
    /// Whether the kernel was written to at all.
    pub wrote: bool,
    /// How many rules were written, by table.
    pub written: Written,
    /// UDP flows that go where they no longer should.
    pub stale: StaleFlows,
}

/// Rules that a sync wrote, by table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Of the table filter.
    pub filter: usize,
    /// Of the table nat.
    pub nat: usize,
}

impl Written {
    /// Counts the rules in what `iptables-restore` is given.
    fn of(input: &str) -> Self {
        let (mut written, mut table) = (Written::default(), "");
        for line in input.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            } else if line.starts_with("-A ") {
                match table {
                    "filter" => written.filter += 1,
                    "nat" => written.nat += 1,
                    _ => {}
                }
            }
        }
        written
    }
}

/// Keeps the kernel's rules of one family, and remembers a digest of each chain it wrote.
#[derive(Debug)]
pub struct Syncer<K> {
    kernel: K,
    options: Options,
    services: BTreeMap<ServiceKey, Held>,
    /// False until a full sync succeeded, and again after any failure.
    trusted: bool,
}

/// A computed step: what to write, and what the ledger says afterwards.
#[derive(Debug)]
pub struct Plan {
    input: String,
    full: bool,
    held: Vec<(ServiceKey, Option<Held>)>,
    stale: StaleFlows,
}

impl Plan {
    /// Whether everything is written, not only what changed.
    pub fn is_full(&self) -> bool {
        self.full
    }
}

impl<K: Kernel> Syncer<K> {
    /// Makes a syncer that knows nothing of the kernel yet.
    pub fn new(kernel: K, options: Options) -> Self {
        Syncer { kernel, options, services: BTreeMap::new(), trusted: false }
    }

    /// The kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// What the configuration says about rules.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes what the configuration says; the next sync writes everything.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
        self.trusted = false;
    }

    /// Demands that the next sync writes everything.
    pub fn distrust(&mut self) {
        self.trusted = false;
    }

    /// Tells whether the next sync writes everything.
    pub fn needs_full(&self) -> bool {
        !self.trusted
    }

    /// Counts the rules by table, as far as services cause them.
    pub fn rule_count(&self) -> usize {
        self.services.values().map(|held| held.rules).sum()
    }

    /// Counts the ports of services that keep to this node and have endpoints, but none here.
    pub fn without_local(&self) -> WithoutLocal {
        let each = self.services.values().map(|held| held.without_local);
        each.fold(WithoutLocal::default(), |sum, held| WithoutLocal {
            internal: sum.internal + held.internal,
            external: sum.external + held.external,
        })
    }

    /// Computes the next step. No I/O: the caller holds the state's lock only here.
    pub fn plan(&mut self, state: &State, changes: &Changes) -> Plan {
        if changes.base {
            self.trusted = false;
        }
        if self.trusted { self.plan_changes(state, &changes.services) } else { self.plan_all(state) }
    }

    /// Carries out a step.
    pub async fn carry_out(&mut self, mut plan: Plan) -> Result<Outcome, Error> {
        if plan.full {
            self.add_stale_chains(&mut plan).await;
        }
        let wrote = !plan.input.is_empty();
        if wrote && let Err(error) = self.kernel.restore(&plan.input).await {
            self.trusted = false;
            return Err(error);
        }
        if plan.full {
            // The chains exist now, so that rules elsewhere may lead to them.
            for jump in rules::jumps(&self.options) {
                self.kernel.ensure_rule(jump.table, jump.chain, &jump.rule, jump.position).await?;
            }
        }
        for (key, held) in plan.held {
            match held {
                Some(held) => self.services.insert(key, held),
                None => self.services.remove(&key),
            };
        }
        self.trusted = true;
        Ok(Outcome { full: plan.full, wrote, written: Written::of(&plan.input), stale: plan.stale })
    }

    /// Tells whether somebody removed the proxy's chains.
    pub async fn was_flushed(&self) -> Result<bool, Error> {
        for table in [Table::Mangle, Table::Nat, Table::Filter] {
            if !self.kernel.has_chain(table, chains::CANARY).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn hold(&self, key: &ServiceKey, state: &State) -> Option<(Held, Vec<(String, String)>)> {
        let service = state.services.get(key)?;
        let slices: Vec<_> = state.slices_of(key).collect();
        let rules = service_rules(key, service, &slices, &state.node, &self.options);
        Some(Held::new(rules))
    }

    fn plan_all(&self, state: &State) -> Plan {
        let mut restore = Restore::new();
        for (table, rules) in &rules::base_chains(&self.options).tables {
            for (chain, rules) in &rules.chains {
                restore.replace(*table, chain, rules);
            }
        }
        let mut shared: [String; Shared::ALL.len()] = Default::default();
        let mut stale = StaleFlows::default();
        let mut held: Vec<(ServiceKey, Option<Held>)> = Vec::with_capacity(state.services.len());
        for key in state.services.keys() {
            let Some((new, chains)) = self.hold(key, state) else { continue };
            for (place, lines) in &new.portals {
                shared[*place as usize].push_str(lines);
            }
            for (chain, lines) in &chains {
                restore.replace_rendered(Table::Nat, chain, lines);
            }
            stale.compare(self.services.get(key).map(|old| &*old.udp), &new.udp);
            held.push((key.clone(), Some(new)));
        }
        for place in Shared::ALL {
            self.write_shared(place, &shared[place as usize], &mut restore);
        }
        for (key, old) in self.services.iter().filter(|(key, _)| !state.services.contains_key(*key)) {
            stale.compare(Some(&old.udp), &[]);
            held.push((key.clone(), None));
        }
        Plan { input: restore.finish(), full: true, held, stale }
    }

    fn plan_changes(&self, state: &State, changed: &BTreeSet<ServiceKey>) -> Plan {
        let mut restore = Restore::new();
        let mut held: BTreeMap<ServiceKey, Option<Held>> = BTreeMap::new();
        let mut touched = BTreeSet::new();
        let mut stale = StaleFlows::default();
        let mut gone: Vec<&str> = Vec::new();
        for key in changed {
            let old = self.services.get(key);
            let new = self.hold(key, state);
            let (new, chains) = match new {
                Some((new, chains)) => (Some(new), chains),
                None => (None, Vec::new()),
            };
            for place in Shared::ALL {
                if old.and_then(|held| held.portal(place)) != new.as_ref().and_then(|held| held.portal(place))
                {
                    touched.insert(place);
                }
            }
            let before: BTreeMap<&str, u64> =
                old.iter().flat_map(|held| &held.chains).map(|(chain, digest)| (&**chain, *digest)).collect();
            for (chain, lines) in &chains {
                if before.get(chain.as_str()) != Some(&digest(lines)) {
                    restore.replace_rendered(Table::Nat, chain, lines);
                }
            }
            let after: BTreeSet<&str> = chains.iter().map(|(chain, _)| chain.as_str()).collect();
            gone.extend(before.keys().filter(|chain| !after.contains(*chain)));
            stale
                .compare(old.map(|held| &*held.udp), new.as_ref().map(|held| &*held.udp).unwrap_or_default());
            if old.is_some() || new.is_some() {
                held.insert(key.clone(), new);
            }
        }
        for place in &touched {
            let mut lines = String::new();
            let keys: BTreeSet<&ServiceKey> = self.services.keys().chain(held.keys()).collect();
            for key in keys {
                let current = match held.get(key) {
                    Some(new) => new.as_ref(),
                    None => self.services.get(key),
                };
                lines.push_str(current.and_then(|held| held.portal(*place)).unwrap_or_default());
            }
            self.write_shared(*place, &lines, &mut restore);
        }
        for chain in gone {
            restore.delete(Table::Nat, chain);
        }
        let input = if restore.is_empty() { String::new() } else { restore.finish() };
        Plan { input, full: false, held: held.into_iter().collect(), stale }
    }

    fn write_shared(&self, place: Shared, services: &str, restore: &mut Restore) {
        let (table, chain) = place.chain();
        let mut lines = services.to_owned();
        for rule in rules::shared_tail(place, &self.options) {
            netrules::append(&mut lines, chain, &rule);
        }
        restore.replace_rendered(table, chain, &lines);
    }

    /// Adds the deletion of chains that services of the past left, also those of another proxy's run.
    async fn add_stale_chains(&self, plan: &mut Plan) {
        let existing = match self.kernel.chains(Table::Nat).await {
            Ok(existing) => existing,
            Err(error) => {
                // Unused chains do no harm; the next full sync tries again.
                tracing::warn!(error = %whole(&error), "cannot list chains, stale ones stay");
                return;
            }
        };
        let wanted: BTreeSet<&str> = plan
            .held
            .iter()
            .filter_map(|(_, held)| held.as_ref())
            .flat_map(|held| &held.chains)
            .map(|(chain, _)| &**chain)
            .collect();
        let mut deletions = Restore::new();
        for chain in
            existing.iter().filter(|chain| chains::is_per_service(chain) && !wanted.contains(&***chain))
        {
            deletions.delete(Table::Nat, chain);
        }
        if !deletions.is_empty() {
            // A second transaction: by then no chain leads to them any more.
            plan.input.push_str(&deletions.finish());
        }
    }
}
