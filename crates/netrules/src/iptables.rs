//! The kernel's rules through the iptables programs, nft-backed or legacy.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::kernel::{Error, Kernel, Position};
use crate::program;
use crate::rule::{Family, Rule, Table};

/// How long iptables waits for its lock (`-w`), as upstream's components do.
const LOCK_SECONDS: &str = "5";
/// A restore of tens of thousands of rules takes seconds; minutes mean that the program hangs.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The programs' exit code for "no such rule or chain".
const ABSENT: i32 = 1;
/// Their exit code for parameters that cannot be.
const WRONG_PARAMETER: i32 = 2;
/// How many copies of one rule are deleted at most, so that a program that always says yes cannot hang us.
const COPIES: usize = 64;

/// The iptables programs of one address family.
#[derive(Clone, Debug)]
pub struct Iptables {
    family: Family,
    program: &'static str,
    restore: &'static str,
    save: &'static str,
}

impl Iptables {
    /// Names the programs of a family; they are looked up in `PATH` at each run.
    pub fn new(family: Family) -> Self {
        match family {
            Family::V4 => {
                Iptables { family, program: "iptables", restore: "iptables-restore", save: "iptables-save" }
            }
            Family::V6 => Iptables {
                family,
                program: "ip6tables",
                restore: "ip6tables-restore",
                save: "ip6tables-save",
            },
        }
    }

    async fn rule_command(
        &self,
        table: Table,
        command: &[&str],
        rule: &Rule,
    ) -> Result<program::Output, Error> {
        let specification = rule.arguments();
        let mut arguments = vec!["-w", LOCK_SECONDS, "-t", table.name()];
        arguments.extend_from_slice(command);
        arguments.extend(specification.iter().map(String::as_str));
        let output = program::run(self.program, &arguments, b"", TIMEOUT).await?;
        match output.code {
            Some(0 | ABSENT) => Ok(output),
            // A rule that jumps to a chain that is not there is not there either: iptables over nf_tables calls that
            // a wrong parameter.
            Some(WRONG_PARAMETER) if output.stderr.contains("does not exist") => Ok(output),
            code => Err(Error::Failed {
                program: format!("{} {}", self.program, arguments.join(" ")),
                code,
                stderr: output.stderr,
            }),
        }
    }

    async fn has_rule(&self, table: Table, chain: &str, rule: &Rule) -> Result<bool, Error> {
        Ok(self.rule_command(table, &["-C", chain], rule).await?.code == Some(0))
    }
}

impl Kernel for Iptables {
    fn family(&self) -> Family {
        self.family
    }

    async fn restore(&self, input: &str) -> Result<(), Error> {
        program::succeed(
            self.restore,
            &["-w", LOCK_SECONDS, "--noflush", "--counters"],
            input.as_bytes(),
            TIMEOUT,
        )
        .await
        .map(drop)
    }

    async fn chains(&self, table: Table) -> Result<BTreeSet<String>, Error> {
        let output = program::succeed(self.save, &["-t", table.name()], b"", TIMEOUT).await?;
        Ok(chain_names(&String::from_utf8_lossy(&output.stdout)))
    }

    async fn has_chain(&self, table: Table, chain: &str) -> Result<bool, Error> {
        let arguments = ["-w", LOCK_SECONDS, "-t", table.name(), "-S", chain, "1"];
        let output = program::run(self.program, &arguments, b"", TIMEOUT).await?;
        match output.code {
            Some(0) => Ok(true),
            Some(ABSENT) => Ok(false),
            code => Err(Error::Failed {
                program: format!("{} {}", self.program, arguments.join(" ")),
                code,
                stderr: output.stderr,
            }),
        }
    }

    async fn ensure_rule(
        &self,
        table: Table,
        chain: &str,
        rule: &Rule,
        position: Position,
    ) -> Result<bool, Error> {
        if self.has_rule(table, chain, rule).await? {
            return Ok(false);
        }
        let command = match position {
            Position::First => "-I",
            Position::Last => "-A",
        };
        let output = self.rule_command(table, &[command, chain], rule).await?;
        if output.code == Some(0) {
            return Ok(true);
        }
        Err(Error::Failed {
            program: format!("{} -t {} {command} {chain}", self.program, table.name()),
            code: output.code,
            stderr: output.stderr,
        })
    }

    async fn delete_rule(&self, table: Table, chain: &str, rule: &Rule) -> Result<bool, Error> {
        let mut found = false;
        for _ in 0..COPIES {
            if !self.has_rule(table, chain, rule).await? {
                break;
            }
            self.rule_command(table, &["-D", chain], rule).await?;
            found = true;
        }
        Ok(found)
    }
}

/// Reads the chain names out of `iptables-save`'s text.
pub fn chain_names(saved: &str) -> BTreeSet<String> {
    saved
        .lines()
        .filter_map(|line| line.strip_prefix(':'))
        .filter_map(|line| line.split_ascii_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names_are_the_declared_ones() {
        let saved = "# Generated\n*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SVC-A - [0:0]\n-A PREROUTING -j KUBE-SVC-A\nCOMMIT\n";
        assert_eq!(chain_names(saved).into_iter().collect::<Vec<_>>(), ["KUBE-SVC-A", "PREROUTING"]);
    }
}
