//! Choosing a node port.

use std::collections::HashSet;

/// The node ports that can be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl std::fmt::Display for PortRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl PortRange {
    /// Reads `--service-node-port-range`: `30000-32767`, or `30000+2768`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: not a port range such as 30000-32767");
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
        let (first, last) = if let Some((first, last)) = text.split_once('-') {
            (number(first)?, number(last)?)
        } else if let Some((first, size)) = text.split_once('+') {
            let first = number(first)?;
            (first, first.checked_add(number(size)?).ok_or_else(wrong)?)
        } else {
            (number(text)?, number(text)?)
        };
        if first == 0 || first > last { Err(wrong()) } else { Ok(Self { first, last }) }
    }

    /// Whether a port is in the range.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    fn size(&self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// The part at the start of the range that is left to those who choose a port themselves, as upstream.
    fn reserved(&self) -> u32 {
        const MIN: u32 = 16;
        const MAX: u32 = 128;
        let size = self.size();
        if size < MIN * 2 { 0 } else { (size / 32).clamp(MIN, MAX) }
    }

    /// Chooses a free port; `random` says where the search begins.
    pub(super) fn choose(&self, taken: impl Fn(u16) -> bool, random: u64) -> Option<u16> {
        let low = self.reserved();
        let high = self.size() - low;
        let start = (random % u64::from(high.max(1))) as u32;
        let free = |offset: u32| {
            let port = self.first + offset as u16;
            (!taken(port)).then_some(port)
        };
        (0..high).find_map(|step| free(low + (start + step) % high)).or_else(|| (0..low).find_map(free))
    }
}

/// Ports that the ports of one Service share only when they differ in protocol.
pub(super) fn shares(chosen: &HashSet<(u16, String)>, port: u16, protocol: &str) -> bool {
    chosen.iter().any(|(known, of)| *known == port && of != protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_both_forms() {
        assert_eq!(PortRange::parse("30000-32767").unwrap(), PortRange { first: 30000, last: 32767 });
        assert_eq!(PortRange::parse("30000+10").unwrap(), PortRange { first: 30000, last: 30010 });
        assert!(PortRange::parse("0-10").is_err() && PortRange::parse("20-10").is_err());
    }

    #[test]
    fn every_port_is_handed_out_once_and_then_none() {
        let range = PortRange { first: 30000, last: 30099 };
        let mut taken = HashSet::new();
        while let Some(port) = range.choose(|port| taken.contains(&port), 7) {
            assert!(range.contains(port) && taken.insert(port));
        }
        assert_eq!(taken.len(), 100);
        assert_eq!(PortRange { first: 30000, last: 32767 }.choose(|_| false, 0), Some(30086));
    }
}
