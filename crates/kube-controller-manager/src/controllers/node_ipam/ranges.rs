//! A range of addresses cut into equal parts, each for one node.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The most parts a range is cut into (upstream's limit for IPv6: 16 bits).
const MOST_BITS: u8 = 16;

/// The parts of a range and who has them.
#[derive(Debug)]
pub struct Ranges {
    whole: IpNet,
    size: u8,
    /// Ranges that overlap with services.
    reserved: Vec<IpNet>,
    /// The node of each part given out.
    taken: HashMap<u32, String>,
    /// The last node of each part that was given back. A node that comes again, with pods that have addresses still,
    /// gets the part it had.
    left: HashMap<u32, String>,
    /// Where to look next, so that a part given back is used again as late as can be.
    next: u32,
}

impl Ranges {
    /// Cuts a range into parts of a prefix length; `None` if they do not fit or are too many.
    pub fn new(whole: IpNet, size: u8, reserved: &[IpNet]) -> Option<Ranges> {
        let fits = size >= whole.prefix_len() && size <= whole.max_prefix_len();
        if !fits
            || (size - whole.prefix_len() > MOST_BITS && matches!(whole, IpNet::V6(_)))
            || size - whole.prefix_len() > 30
        {
            return None;
        }
        let overlaps = |other: &&IpNet| whole.contains(&other.network()) || other.contains(&whole.network());
        let reserved = reserved.iter().filter(overlaps).copied().collect();
        Some(Ranges {
            whole: whole.trunc(),
            size,
            reserved,
            taken: HashMap::new(),
            left: HashMap::new(),
            next: 0,
        })
    }

    /// Gives a node the part it has already or had, or the next free one; `None` if all are taken.
    pub fn allocate(&mut self, node: &str) -> Option<IpNet> {
        if let Some((index, _)) = self.taken.iter().find(|(_, owner)| *owner == node) {
            return self.part(*index);
        }
        if let Some((&index, _)) = self.left.iter().find(|(_, owner)| *owner == node) {
            self.take(index, node);
            return self.part(index);
        }
        let count = self.count();
        for step in 0..count {
            let index = (self.next + step) % count;
            let part = self.part(index)?;
            let is_reserved = self
                .reserved
                .iter()
                .any(|other| other.contains(&part.network()) || part.contains(&other.network()));
            if !self.taken.contains_key(&index) && !is_reserved {
                self.take(index, node);
                self.next = (index + 1) % count;
                return Some(part);
            }
        }
        None
    }

    /// Notes that a node has a range, all parts of it.
    pub fn occupy(&mut self, range: &IpNet, node: &str) {
        let is_inside = self.whole.contains(&range.network());
        if !is_inside && !range.contains(&self.whole.network()) {
            return;
        }
        let last = if is_inside {
            self.index(range.broadcast().min(self.whole.broadcast()))
        } else {
            self.count() - 1
        };
        let first = if is_inside { self.index(range.network()) } else { 0 };
        for index in first..=last {
            if !self.taken.contains_key(&index) {
                self.take(index, node);
            }
        }
    }

    fn take(&mut self, index: u32, node: &str) {
        self.left.remove(&index);
        self.taken.insert(index, node.to_owned());
    }

    /// Takes back what a node has.
    pub fn release(&mut self, node: &str) {
        self.left.extend(self.taken.extract_if(|_, owner| owner == node));
    }

    fn count(&self) -> u32 {
        1 << (self.size - self.whole.prefix_len())
    }

    fn index(&self, address: IpAddr) -> u32 {
        let offset = number(address) - number(self.whole.network());
        let bits = u32::from(self.whole.max_prefix_len() - self.size);
        // A part of 128 bits is the whole range: its index is 0.
        u32::try_from(offset.checked_shr(bits).unwrap_or(0)).unwrap_or(u32::MAX).min(self.count() - 1)
    }

    fn part(&self, index: u32) -> Option<IpNet> {
        let bits = u32::from(self.whole.max_prefix_len() - self.size);
        let start = number(self.whole.network()) + u128::from(index).checked_shl(bits).unwrap_or(0);
        match self.whole {
            IpNet::V4(_) => {
                Ipv4Net::new(Ipv4Addr::from(u32::try_from(start).ok()?), self.size).ok().map(IpNet::V4)
            }
            IpNet::V6(_) => Ipv6Net::new(Ipv6Addr::from(start), self.size).ok().map(IpNet::V6),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(whole: &str, size: u8, reserved: &[&str]) -> Ranges {
        let reserved: Vec<IpNet> = reserved.iter().map(|range| range.parse().unwrap()).collect();
        Ranges::new(whole.parse().unwrap(), size, &reserved).unwrap()
    }

    fn allocate(ranges: &mut Ranges, node: &str) -> Option<String> {
        ranges.allocate(node).map(|range| range.to_string())
    }

    #[test]
    fn gives_each_node_one_part_until_none_is_left() {
        let mut pool = ranges("172.16.0.0/22", 24, &[]);
        assert_eq!(allocate(&mut pool, "a").as_deref(), Some("172.16.0.0/24"));
        assert_eq!(allocate(&mut pool, "b").as_deref(), Some("172.16.1.0/24"));
        assert_eq!(allocate(&mut pool, "a").as_deref(), Some("172.16.0.0/24"), "asked again, the same");
        pool.occupy(&"172.16.2.0/24".parse().unwrap(), "c");
        assert_eq!(allocate(&mut pool, "d").as_deref(), Some("172.16.3.0/24"));
        assert_eq!(allocate(&mut pool, "e"), None);
        pool.release("b");
        assert_eq!(allocate(&mut pool, "e").as_deref(), Some("172.16.1.0/24"));
    }

    #[test]
    fn a_part_given_back_is_used_again_last() {
        let mut pool = ranges("172.16.0.0/22", 24, &[]);
        allocate(&mut pool, "a");
        pool.release("a");
        assert_eq!(allocate(&mut pool, "b").as_deref(), Some("172.16.1.0/24"));
    }

    #[test]
    fn a_node_that_comes_again_gets_what_it_had_unless_another_has_it() {
        let mut pool = ranges("172.16.0.0/23", 24, &[]);
        allocate(&mut pool, "a");
        pool.release("a");
        assert_eq!(allocate(&mut pool, "a").as_deref(), Some("172.16.0.0/24"));
        pool.release("a");
        allocate(&mut pool, "b");
        allocate(&mut pool, "c");
        assert_eq!(allocate(&mut pool, "a"), None);
        pool.release("b");
        assert_eq!(allocate(&mut pool, "a").as_deref(), Some("172.16.1.0/24"));
    }

    #[test]
    fn keeps_out_of_services_and_of_larger_ranges_in_use() {
        let mut pool = ranges("10.0.0.0/8", 9, &["10.96.0.0/12"]);
        assert_eq!(allocate(&mut pool, "a").as_deref(), Some("10.128.0.0/9"));
        assert_eq!(allocate(&mut pool, "b"), None);
        let mut pool = ranges("172.16.0.0/22", 24, &[]);
        pool.occupy(&"172.16.0.0/23".parse().unwrap(), "old");
        pool.occupy(&"192.168.0.0/24".parse().unwrap(), "elsewhere");
        assert_eq!(allocate(&mut pool, "a").as_deref(), Some("172.16.2.0/24"));
    }

    #[test]
    fn cuts_ipv6_ranges_too_and_refuses_what_does_not_fit() {
        let mut pool = ranges("fd00:10::/48", 64, &[]);
        allocate(&mut pool, "a");
        assert_eq!(allocate(&mut pool, "b").as_deref(), Some("fd00:10:0:1::/64"));
        assert!(Ranges::new("172.16.0.0/24".parse().unwrap(), 16, &[]).is_none());
        assert!(Ranges::new("fd00::/32".parse().unwrap(), 64, &[]).is_none());
    }
}
