//! Building the input of `iptables-restore --noflush`.

use crate::rule::{Rule, Table};

/// One table's part of the input.
#[derive(Default)]
struct Part {
    declarations: String,
    rules: String,
    deletions: String,
}

/// Collects chain changes and renders them as one input, a transaction per table.
///
/// With `--noflush`, declaring a chain flushes it (or makes it), chains not named stay as they are.
#[derive(Default)]
pub struct Restore {
    filter: Part,
    nat: Part,
    mangle: Part,
}

impl Restore {
    /// Starts an empty input.
    pub fn new() -> Self {
        Self::default()
    }

    fn part(&mut self, table: Table) -> &mut Part {
        match table {
            Table::Filter => &mut self.filter,
            Table::Nat => &mut self.nat,
            Table::Mangle => &mut self.mangle,
        }
    }

    /// Replaces the content of a chain, making the chain when it is absent.
    pub fn replace(&mut self, table: Table, chain: &str, rules: &[Rule]) {
        let mut lines = String::new();
        for rule in rules {
            append(&mut lines, chain, rule);
        }
        self.replace_rendered(table, chain, &lines);
    }

    /// Replaces the content of a chain by lines that [`append`] made.
    pub fn replace_rendered(&mut self, table: Table, chain: &str, lines: &str) {
        let part = self.part(table);
        declare(&mut part.declarations, chain);
        part.rules.push_str(lines);
    }

    /// Empties and deletes a chain; nothing may jump to it once the input is applied.
    pub fn delete(&mut self, table: Table, chain: &str) {
        let part = self.part(table);
        declare(&mut part.declarations, chain);
        part.deletions.push_str("-X ");
        part.deletions.push_str(chain);
        part.deletions.push('\n');
    }

    /// Tells whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        [&self.filter, &self.nat, &self.mangle].iter().all(|part| part.declarations.is_empty())
    }

    /// Renders the input.
    pub fn finish(self) -> String {
        let mut out = String::new();
        for (table, part) in
            [(Table::Filter, self.filter), (Table::Nat, self.nat), (Table::Mangle, self.mangle)]
        {
            if part.declarations.is_empty() {
                continue;
            }
            out.push('*');
            out.push_str(table.name());
            out.push('\n');
            out.push_str(&part.declarations);
            out.push_str(&part.rules);
            out.push_str(&part.deletions);
            out.push_str("COMMIT\n");
        }
        out
    }
}

/// Writes one `-A` line.
pub fn append(out: &mut String, chain: &str, rule: &Rule) {
    out.push_str("-A ");
    out.push_str(chain);
    rule.write_spec(out);
    out.push('\n');
}

fn declare(out: &mut String, chain: &str) {
    out.push(':');
    out.push_str(chain);
    out.push_str(" - [0:0]\n");
}
