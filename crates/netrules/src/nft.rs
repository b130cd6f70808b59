//! nftables: one table of a component as data, and the transactions that make it so.
//!
//! A base chain of one's own judges beside iptables' chains: what it drops is dropped whatever they say, and what it
//! accepts goes on to them. So a component that only refuses needs no place in anybody's order.

mod program;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

pub use program::{Load, Nft};
pub use transaction::{changes, removal, whole};

/// A table of family `inet` with everything in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The table's name.
    pub name: &'static str,
    /// Sets by name. A name must tell sets of other keys apart.
    pub sets: BTreeMap<String, Set>,
    /// Verdict maps by name: the chain to go to for an address.
    pub maps: BTreeMap<String, BTreeMap<Ipv4Addr, String>>,
    /// Chains by name.
    pub chains: BTreeMap<String, Chain>,
}

/// A set that rules ask whether a packet's fields are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The fields.
    pub key: Key,
    /// Shown by `nft list`.
    pub comment: String,
    /// What is in it, each of the set's key.
    pub elements: BTreeSet<Element>,
}

impl Set {
    /// Makes an empty set.
    pub fn new(key: Key, comment: impl Into<String>) -> Self {
        Set { key, comment: comment.into(), elements: BTreeSet::new() }
    }
}

/// The fields of a set's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// An address.
    Address,
    /// Two addresses.
    Pair,
    /// An address and a port.
    Port,
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::Address => "ipv4_addr",
            Key::Pair => "ipv4_addr . ipv4_addr",
            Key::Port => "ipv4_addr . inet_service",
        })
    }
}

/// An element of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// Of [`Key::Address`].
    Address(Ipv4Addr),
    /// Of [`Key::Pair`].
    Pair(Ipv4Addr, Ipv4Addr),
    /// Of [`Key::Port`].
    Port(Ipv4Addr, u16),
}

impl Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Address(address) => address.fmt(f),
            Element::Pair(first, second) => write!(f, "{first} . {second}"),
            Element::Port(address, port) => write!(f, "{address} . {port}"),
        }
    }
}

/// A chain, and for a base chain where the kernel runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where packets come from; none for a chain that others lead to.
    pub hook: Option<Hook>,
    /// Its rules as `nft` reads them.
    pub rules: Vec<String>,
}

/// Where the kernel runs a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// `forward`, `input` or `output`.
    pub at: &'static str,
    /// Lower runs first; iptables' filter table has 0.
    pub priority: i32,
}
