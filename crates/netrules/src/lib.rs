//! The packet-rule language: rule sets as data, and the iptables programs that load them.
//!
//! A component computes a [`Ruleset`] (pure), renders it with [`Restore`] and hands the text to a
//! [`Kernel`]. What needs sets and one transaction over all of them is an [`nft::Table`].

mod iptables;
mod kernel;
pub mod nft;
pub mod program;
pub mod recording;
mod restore;
mod rule;
mod ruleset;

pub use iptables::{Iptables, chain_names};
pub use kernel::{Error, Kernel, Position};
pub use recording::Recording;
pub use restore::{Restore, append};
pub use rule::{CtState, Family, Match, Protocol, RecentAction, Rule, Table, Target};
pub use ruleset::{ChainRules, Jump, Ruleset, TableRules};
