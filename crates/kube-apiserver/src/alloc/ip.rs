//! Choosing a cluster IP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The service ranges, the preferred family first.
#[derive(Debug, Clone)]
pub struct Ranges(Vec<IpNet>);

impl Ranges {
    /// Reads `--service-cluster-ip-range`: one range, or one of each family.
    pub fn parse(text: &str) -> Result<Self, String> {
        let ranges: Vec<IpNet> = text
            .split(',')
            .map(|range| {
                range
                    .trim()
                    .parse::<IpNet>()
                    .map(|net| net.trunc())
                    .map_err(|error| format!("{range}: {error}"))
            })
            .collect::<Result<_, _>>()?;
        match ranges.as_slice() {
            [_] => Ok(Self(ranges)),
            [first, second] if is_v4(first) != is_v4(second) => Ok(Self(ranges)),
            _ => Err(format!("{text}: one range, or one range of each IP family")),
        }
    }

    /// The ranges.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }

    /// The families in order of preference.
    pub fn families(&self) -> Vec<&'static str> {
        self.0.iter().map(|range| if is_v4(range) { "IPv4" } else { "IPv6" }).collect()
    }

    /// The range of a family.
    pub fn of(&self, family: &str) -> Option<&IpNet> {
        self.0.iter().find(|range| is_v4(range) == (family == "IPv4"))
    }

    /// The first address of the preferred range: that of the Service `kubernetes`.
    pub fn first_address(&self) -> IpAddr {
        nth(&self.0[0], 1)
    }
}

fn is_v4(range: &IpNet) -> bool {
    matches!(range, IpNet::V4(_))
}

fn nth(range: &IpNet, offset: u64) -> IpAddr {
    match range {
        IpNet::V4(net) => Ipv4Addr::from(u32::from(net.network()).wrapping_add(offset as u32)).into(),
        IpNet::V6(net) => Ipv6Addr::from(u128::from(net.network()).wrapping_add(u128::from(offset))).into(),
    }
}

/// How many addresses can be handed out: neither the network's nor, for IPv4, the broadcast address.
fn size(range: &IpNet) -> u64 {
    let bits = u32::from(range.max_prefix_len() - range.prefix_len());
    // Ranges of IPv6 may be larger than anybody counts.
    let all = 1_u64 << bits.min(48);
    match range {
        IpNet::V4(_) => all.saturating_sub(2).max(1),
        IpNet::V6(_) => all.saturating_sub(1).max(1),
    }
}

/// The part at the start of the range that is left to those who choose an address themselves, as upstream.
fn reserved(size: u64) -> u64 {
    const MIN: u64 = 16;
    const MAX: u64 = 256;
    if size < MIN { 0 } else { (size / 16).clamp(MIN, MAX) }
}

/// Chooses a free address; `count` is how many are taken, `random` says where the search begins.
pub(super) fn choose(
    range: &IpNet,
    taken: impl Fn(IpAddr) -> bool,
    count: usize,
    random: u64,
) -> Option<IpAddr> {
    let size = size(range);
    let low = reserved(size);
    let high = size - low;
    let free = |offset: u64| {
        let address = nth(range, 1 + offset);
        (!taken(address)).then_some(address)
    };
    // As many tries as there are addresses taken find a free one if there is one.
    let tries = count as u64 + 1;
    let start = if high == 0 { 0 } else { random % high };
    let upper = (0..high.min(tries)).find_map(|step| free(low + (start + step) % high));
    upper.or_else(|| (0..low.min(tries)).find_map(free))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn range(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn the_start_of_a_range_is_left_to_those_who_choose() {
        for (text, first) in
            [("10.96.0.0/12", "10.96.1.1"), ("10.0.0.0/24", "10.0.0.17"), ("fd00::/112", "fd00::101")]
        {
            assert_eq!(choose(&range(text), |_| false, 0, 0).unwrap().to_string(), first);
        }
    }

    #[test]
    fn every_address_is_handed_out_once_and_then_none() {
        for text in ["10.0.0.0/29", "10.0.0.0/26", "fd00::/124"] {
            let range = range(text);
            let mut taken = HashSet::new();
            while let Some(address) = choose(&range, |address| taken.contains(&address), taken.len(), 12345) {
                assert!(range.contains(&address) && address != range.network());
                assert!(taken.insert(address), "{address} twice");
            }
            assert_eq!(taken.len() as u64, size(&range), "{text}");
        }
    }

    #[test]
    fn ranges_are_one_or_one_of_each_family() {
        assert_eq!(Ranges::parse("10.96.0.0/12").unwrap().first_address().to_string(), "10.96.0.1");
        assert_eq!(Ranges::parse("fd00::/112,10.0.0.0/24").unwrap().families(), ["IPv6", "IPv4"]);
        assert!(Ranges::parse("10.0.0.0/24,10.1.0.0/24").is_err());
        assert!(Ranges::parse("nonsense").is_err());
    }
}
