//! Addresses and ranges of addresses as they are to be written, with upstream's messages.

use std::net::IpAddr;

use apimachinery::status::{FieldError, FieldErrorKind};
use serde_json::Value;

use crate::field::{Errors, Path};

const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NO_RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const NO_INTERFACE: &str = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
/// What was allowed once, and stays so where it is stored.
const ONCE_ALLOWED: [&str; 5] = [
    "must not have leading 0s",
    "must not be an IPv4-mapped IPv6 address",
    "must not have leading 0s in IP or prefix length",
    "must not have an IPv4-mapped IPv6 address",
    "must not have bits set beyond the prefix length",
];

/// Validates an address.
pub fn validate(text: &str, path: &Path, errors: &mut Errors) {
    if let Some(why) = address_error(text) {
        errors.invalid(path, text, why);
    }
}

/// What is wrong with an address.
pub fn address_error(text: &str) -> Option<&'static str> {
    match text.parse::<IpAddr>() {
        Ok(address) if is_mapped(address) => Some(ONCE_ALLOWED[1]),
        Ok(_) => None,
        Err(_) if without_zeros(text).parse::<IpAddr>().is_ok() => Some(ONCE_ALLOWED[0]),
        Err(_) => Some(NO_ADDRESS),
    }
}

/// Validates a range of addresses.
pub fn validate_range(text: &str, path: &Path, errors: &mut Errors) {
    if let Some(why) = range_error(text) {
        errors.invalid(path, text, why);
    }
}

fn range_error(text: &str) -> Option<&'static str> {
    let Some((address, length)) = text.split_once('/') else { return Some(NO_RANGE) };
    let range = format!("{}/{}", without_zeros(address), without_zeros(length));
    let Ok(range) = range.parse::<ipnet::IpNet>() else { return Some(NO_RANGE) };
    // The parser of ranges lets zeros pass that the one of addresses does not.
    if address.parse::<IpAddr>().is_err() || without_zeros(length) != length {
        Some(ONCE_ALLOWED[2])
    } else if is_mapped(range.addr()) {
        Some(ONCE_ALLOWED[3])
    } else if range.addr() != range.network() {
        Some(ONCE_ALLOWED[4])
    } else {
        None
    }
}

/// Validates the address of an interface, with the length of its network's prefix.
pub fn validate_interface(text: &str, path: &Path, errors: &mut Errors) {
    if let Some(why) = interface_error(text) {
        errors.invalid(path, text, why);
    }
}

fn interface_error(text: &str) -> Option<String> {
    let address = text.split_once('/').and_then(|(address, length)| {
        let address: IpAddr = without_zeros(address).parse().ok()?;
        let length: u8 =
            Some(length).filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        (length <= bits).then_some((address, length))
    });
    let Some((address, length)) = address else { return Some(NO_INTERFACE.to_owned()) };
    // An IPv4 address in an IPv6 one is the IPv4 address, and so is its prefix.
    let canonical = match address.to_canonical() {
        v4 @ IpAddr::V4(_) if address.is_ipv6() && length > 32 => {
            format!("{v4}/{}", length.saturating_sub(96))
        }
        address => format!("{address}/{length}"),
    };
    (canonical != text).then(|| format!("must be in canonical form ({canonical:?})"))
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// The parts of an IPv4 address as numbers without zeros before them; anything else as it is.
pub fn without_zeros(text: &str) -> String {
    let parts = text.split('.').map(|part| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0",
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => digits,
        _ => part,
    });
    parts.collect::<Vec<_>>().join(".")
}

/// Takes back what is wrong with addresses that were stored when they could be written so.
pub fn forgive_stored(errors: &mut Errors, old: &Value) {
    errors.retain(|error| !is_forgiven(error, old));
}

fn is_forgiven(error: &FieldError, old: &Value) -> bool {
    let FieldErrorKind::Invalid(value) = &error.kind else { return false };
    ONCE_ALLOWED.contains(&error.detail.as_str()) && contains(old, value)
}

fn contains(value: &Value, text: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| contains(item, text)),
        Value::Object(fields) => fields.values().any(|field| contains(field, text)),
        other => other == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn interfaces_have_an_address_and_a_prefix() {
        let canonical = |text: &str| Some(format!("must be in canonical form (\"{text}\")"));
        for (text, expected) in [
            ("192.168.1.5/24", None),
            ("2001:db8::1/64", None),
            ("10.0.0.0/32", None),
            ("010.0.0.1/24", canonical("10.0.0.1/24")),
            ("10.0.0.1/024", canonical("10.0.0.1/24")),
            ("2001:DB8::1/64", canonical("2001:db8::1/64")),
            ("::ffff:192.168.0.1/120", canonical("192.168.0.1/24")),
            ("10.0.0.1", Some(NO_INTERFACE.to_owned())),
            ("10.0.0.1/33", Some(NO_INTERFACE.to_owned())),
            ("10.0.0.1/+8", Some(NO_INTERFACE.to_owned())),
            ("fd00::1/129", Some(NO_INTERFACE.to_owned())),
            ("/24", Some(NO_INTERFACE.to_owned())),
            ("", Some(NO_INTERFACE.to_owned())),
        ] {
            assert_eq!(interface_error(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_written_in_one_way() {
        for (text, expected) in [
            ("10.0.0.1", None),
            ("fd00::1", None),
            ("0.0.0.0", None),
            ("10.00.0.1", Some("must not have leading 0s")),
            ("::ffff:10.0.0.1", Some("must not be an IPv4-mapped IPv6 address")),
            ("10.0.0", Some(NO_ADDRESS)),
            ("10.0.0.0.1", Some(NO_ADDRESS)),
            ("", Some(NO_ADDRESS)),
        ] {
            assert_eq!(address_error(text), expected, "{text}");
        }
        for (text, expected) in [
            ("10.0.0.0/8", None),
            ("fd00::/64", None),
            ("0.0.0.0/0", None),
            ("010.0.0.0/8", Some("must not have leading 0s in IP or prefix length")),
            ("10.0.0.0/08", Some("must not have leading 0s in IP or prefix length")),
            ("::ffff:10.0.0.0/104", Some("must not have an IPv4-mapped IPv6 address")),
            ("10.0.0.1/8", Some("must not have bits set beyond the prefix length")),
            ("10.0.0.0", Some(NO_RANGE)),
            ("10.0.0.0/33", Some(NO_RANGE)),
            ("10.0.0.0/", Some(NO_RANGE)),
        ] {
            assert_eq!(range_error(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_stored_may_stay() {
        let mut errors = Errors::new();
        let path = Path::root("spec.cidr");
        for text in ["10.0.0.1/8", "10.0.0.2/8", "ten"] {
            validate_range(text, &path, &mut errors);
        }
        forgive_stored(&mut errors, &json!({"spec": {"cidrs": ["10.0.0.1/8", "ten"]}}));
        let left: Vec<String> = errors.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(
            left,
            [
                "spec.cidr: Invalid value: \"10.0.0.2/8\": must not have bits set beyond the prefix length",
                "spec.cidr: Invalid value: \"ten\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ]
        );
    }
}
