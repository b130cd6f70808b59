//! The pool of addresses: ranges, CIDRs and single addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Deserializer};

/// Why a text is no pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A part is none of the three forms.
    #[error("{0:?} is neither an IPv4 address, nor a range such as 192.168.1.11-192.168.1.19, nor a CIDR")]
    Part(String),
    /// A range ends before it begins.
    #[error("range {0:?} ends before it begins")]
    Reversed(String),
}

/// A set of addresses, as ranges in order that do not touch one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    ranges: Vec<(u32, u32)>,
}

impl Pool {
    /// Tells whether the address belongs to the pool.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&address))
    }

    /// Tells whether there is no address at all.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Counts the addresses.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Returns the addresses in order.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last).map(Ipv4Addr::from)
    }

    fn of(mut ranges: Vec<(u32, u32)>) -> Pool {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => merged.push((first, last)),
            }
        }
        Pool { ranges: merged }
    }
}

/// Reads parts between commas, white space or both.
impl FromStr for Pool {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Pool, Malformed> {
        // A range may be written with spaces around its dash.
        let text = text.split('-').map(str::trim).collect::<Vec<_>>().join("-");
        let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
        Ok(Pool::of(parts.map(range).collect::<Result<_, _>>()?))
    }
}

fn range(part: &str) -> Result<(u32, u32), Malformed> {
    let malformed = || Malformed::Part(part.to_owned());
    let address = |text: &str| text.parse::<Ipv4Addr>().map(u32::from).map_err(|_| malformed());
    if let Some((first, last)) = part.split_once('-') {
        let (first, last) = (address(first)?, address(last)?);
        return if first <= last { Ok((first, last)) } else { Err(Malformed::Reversed(part.to_owned())) };
    }
    if part.contains('/') {
        // Every address counts, also the first and the last: a pool is a part of a network, not a network.
        let net: Ipv4Net = part.parse().map_err(|_| malformed())?;
        return Ok((net.network().into(), net.broadcast().into()));
    }
    address(part).map(|address| (address, address))
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", Ipv4Addr::from(*first))?;
            if first != last {
                write!(f, "-{}", Ipv4Addr::from(*last))?;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Pool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pool, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            List(Vec<String>),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::List(parts) => parts.join(","),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str, len: u64) {
        let pool: Pool = text.parse().unwrap();
        assert_eq!((pool.to_string().as_str(), pool.len()), (shown, len), "{text:?}");
        assert_eq!(pool.addresses().take(1000).count() as u64, len.min(1000));
    }

    #[test]
    fn ranges_cidrs_and_addresses_are_one_set() {
        check("192.168.1.11-192.168.1.19", "192.168.1.11-192.168.1.19", 9);
        check("192.168.1.11 - 192.168.1.19", "192.168.1.11-192.168.1.19", 9);
        check("10.0.0.0/30", "10.0.0.0-10.0.0.3", 4);
        check("10.0.0.9/30", "10.0.0.8-10.0.0.11", 4);
        check("10.0.0.5", "10.0.0.5", 1);
        check("10.0.0.5,10.0.0.4\n10.0.0.6/32 , 10.0.1.1", "10.0.0.4-10.0.0.6, 10.0.1.1", 4);
        check("10.0.0.1-10.0.0.9,10.0.0.3-10.0.0.4", "10.0.0.1-10.0.0.9", 9);
        check("0.0.0.0/0", "0.0.0.0-255.255.255.255", 1 << 32);
        check(" \n", "", 0);
    }

    #[test]
    fn knows_its_own() {
        let pool: Pool = "10.0.0.4-10.0.0.6,10.0.1.0/31".parse().unwrap();
        let contains = |text: &str| pool.contains(text.parse().unwrap());
        assert!(contains("10.0.0.4") && contains("10.0.0.6") && contains("10.0.1.1"));
        assert!(!contains("10.0.0.3") && !contains("10.0.0.7") && !contains("10.0.1.2"));
    }

    #[test]
    fn what_is_no_pool_is_named() {
        let refused = |text: &str| text.parse::<Pool>().unwrap_err().to_string();
        assert!(refused("10.0.0.1-10.0.0").contains("\"10.0.0.1-10.0.0\""));
        assert!(refused("10.0.0.9-10.0.0.1").contains("ends before it begins"));
        assert!(refused("fd00::/64").contains("fd00::/64"));
        assert!(refused("10.0.0.0/33").contains("/33"));
    }
}
