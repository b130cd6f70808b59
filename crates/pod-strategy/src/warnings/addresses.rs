//! Addresses and ranges of addresses that may be written so for now.

use std::net::IpAddr;

use ipnet::IpNet;
use strategy::addresses::without_zeros;

/// Warns of an address that is not written as it should be.
pub fn address(text: &str, path: &str, found: &mut Vec<String>) {
    let Ok(address) = without_zeros(text).parse::<IpAddr>() else { return };
    let strict = text.parse::<IpAddr>().ok();
    if strict.is_none_or(is_mapped) {
        found.push(format!(
            "{path}: non-standard IP address {text:?} will be considered invalid in a future Kubernetes release: use \"{}\"",
            address.to_canonical()
        ));
    } else if address.is_ipv6() && address.to_string() != text {
        found.push(format!(
            "{path}: IPv6 address {text:?} should be in RFC 5952 canonical format (\"{address}\")"
        ));
    }
}

/// Warns of a range of addresses that is not written as it should be, or that is an address in a range.
pub fn range(text: &str, path: &str, found: &mut Vec<String>) {
    let Some((address, length)) = text.split_once('/') else { return };
    let Ok(range) = format!("{}/{}", without_zeros(address), without_zeros(length)).parse::<IpNet>() else {
        return;
    };
    let Some(whole) = canonical(range.trunc()) else { return };
    let is_one = range.addr() != range.network();
    if is_one {
        let one = format!("{}/{}", range.addr().to_canonical(), range.max_prefix_len());
        found.push(format!(
            "{path}: CIDR value {text:?} is ambiguous in this context (should be \"{whole}\" or \"{one}\"?)"
        ));
    }
    let is_strict = address.parse::<IpAddr>().is_ok() && without_zeros(length) == length;
    if !is_strict || is_mapped(range.addr()) {
        found.push(format!(
            "{path}: non-standard CIDR value {text:?} will be considered invalid in a future Kubernetes release: use \"{whole}\""
        ));
    } else if !is_one && range.addr().is_ipv6() && range.to_string() != text {
        found.push(format!(
            "{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format (\"{range}\")"
        ));
    }
}

/// An IPv4 address in the form of an IPv6 one.
fn is_mapped(address: IpAddr) -> bool {
    address != address.to_canonical()
}

/// The range as one of IPv4 where it is written as a range of such addresses in the form of IPv6 ones.
fn canonical(range: IpNet) -> Option<IpNet> {
    if !is_mapped(range.addr()) {
        return Some(range);
    }
    IpNet::new(range.addr().to_canonical(), range.prefix_len().checked_sub(96)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_one_would() {
        let non_standard = |text: &str, better: &str| {
            format!(
                "a: non-standard IP address {text:?} will be considered invalid in a future Kubernetes release: use {better:?}"
            )
        };
        for (text, expected) in [
            ("5.6.7.8", String::new()),
            ("fd00::1", String::new()),
            ("none", String::new()),
            ("05.06.07.08", non_standard("05.06.07.08", "5.6.7.8")),
            ("::ffff:1.2.3.4", non_standard("::ffff:1.2.3.4", "1.2.3.4")),
            (
                "FD00::1",
                "a: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")".to_owned(),
            ),
        ] {
            let mut found = Vec::new();
            address(text, "a", &mut found);
            assert_eq!(found.join("|"), expected);
        }
    }

    #[test]
    fn ranges_are_written_as_one_would() {
        let non_standard = |text: &str, better: &str| {
            format!(
                "r: non-standard CIDR value {text:?} will be considered invalid in a future Kubernetes release: use {better:?}"
            )
        };
        for (text, expected) in [
            ("10.0.0.0/8", String::new()),
            ("fd00::/64", String::new()),
            ("10.0.0.0", String::new()),
            (
                "10.0.0.1/8",
                "r: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)"
                    .to_owned(),
            ),
            (
                "fd00:0::/64",
                "r: IPv6 CIDR value \"fd00:0::/64\" should be in RFC 5952 canonical format (\"fd00::/64\")".to_owned(),
            ),
            ("010.0.0.0/8", non_standard("010.0.0.0/8", "10.0.0.0/8")),
            ("10.0.0.0/08", non_standard("10.0.0.0/08", "10.0.0.0/8")),
            ("::ffff:1.2.3.0/120", non_standard("::ffff:1.2.3.0/120", "1.2.3.0/24")),
            (
                "10.0.0.01/8",
                format!(
                    "r: CIDR value \"10.0.0.01/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)|{}",
                    non_standard("10.0.0.01/8", "10.0.0.0/8")
                ),
            ),
        ] {
            let mut found = Vec::new();
            range(text, "r", &mut found);
            assert_eq!(found.join("|"), expected);
        }
    }
}
