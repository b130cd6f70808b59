//! The border to the kernel's packet rules.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use crate::rule::{Family, Rule, Table};

/// Where a rule goes in a chain that others also write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before everything that is there.
    First,
    /// After everything that is there.
    Last,
}

/// Why the kernel's rules could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not installed or could not be started.
    #[error("cannot run {program}")]
    Spawn {
        /// The program's name.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The program ran and refused.
    #[error("{program} exited with {code:?}: {stderr}")]
    Failed {
        /// The program with its arguments.
        program: String,
        /// Its exit code; none when a signal ended it.
        code: Option<i32>,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The program did not end in time and was killed.
    #[error("{program} did not end within {after:?}")]
    Timeout {
        /// The program with its arguments.
        program: String,
        /// The time it was given.
        after: Duration,
    },
}

/// The packet rules of one address family, as far as a component needs them.
pub trait Kernel: Send + Sync {
    /// The address family.
    fn family(&self) -> Family;

    /// Applies an input of `iptables-restore --noflush`; each table changes as a whole or not at all.
    fn restore(&self, input: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Names the chains of a table, built-in ones included.
    fn chains(&self, table: Table) -> impl Future<Output = Result<BTreeSet<String>, Error>> + Send;

    /// Tells whether a chain exists.
    fn has_chain(&self, table: Table, chain: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Sees to it that a rule is in a chain that others also write to; tells whether it was put there now.
    fn ensure_rule(
        &self,
        table: Table,
        chain: &str,
        rule: &Rule,
        position: Position,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Deletes every copy of a rule; tells whether there was one.
    fn delete_rule(
        &self,
        table: Table,
        chain: &str,
        rule: &Rule,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
}
