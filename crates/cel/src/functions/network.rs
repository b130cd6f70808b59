//! Addresses and networks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Error, Outcome, no_overload};
use crate::value::Value;

/// An address as Go's netip reads it, without zones and without IPv4 inside IPv6.
fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    (!mapped).then_some(address)
}

fn network(text: &str) -> Option<IpNet> {
    let (own, length) = text.split_once('/')?;
    address(own)?;
    if length.len() > 1 && length.starts_with('0') {
        return None;
    }
    text.parse().ok()
}

/// `ip`, `isIP`, `cidr` and `isCIDR`.
pub fn read<'v>(name: &str, text: &str) -> Outcome<'v> {
    let refused =
        |kind: &str| Err(Error::fault(format!("{kind} parse error during conversion from string: {text:?}")));
    match name {
        "isIP" => Ok(Value::Bool(address(text).is_some())),
        "isCIDR" => Ok(Value::Bool(network(text).is_some())),
        "ip" => address(text).map_or_else(|| refused("IP Address"), |address| Ok(Value::Ip(address))),
        _ => network(text).map_or_else(|| refused("network address"), |network| Ok(Value::Cidr(network))),
    }
}

/// `ip.isCanonical`
pub fn is_canonical<'v>(text: &str) -> Outcome<'v> {
    let address = address(text).ok_or_else(|| {
        Error::fault(format!("IP Address parse error during conversion from string: {text:?}"))
    })?;
    Ok(Value::Bool(address.to_string() == text))
}

/// Calls a function on an address.
pub fn of_address<'v>(address: IpAddr, name: &str) -> Outcome<'v> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let link_multicast = match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    };
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    Ok(match name {
        "family" => Value::Int(if address.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Value::Bool(address.is_unspecified()),
        "isLoopback" => Value::Bool(address.is_loopback()),
        "isLinkLocalUnicast" => Value::Bool(link_local),
        "isLinkLocalMulticast" => Value::Bool(link_multicast),
        "isGlobalUnicast" => Value::Bool(
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_multicast()
                || link_local
                || is_broadcast),
        ),
        _ => return Err(no_overload()),
    })
}

/// Calls a function on a network.
pub fn of_network<'v>(own: &IpNet, name: &str, arguments: &[Value<'v>]) -> Outcome<'v> {
    let unreadable =
        |text: &str| Error::fault(format!("address parse error during conversion from string: {text:?}"));
    match (name, arguments) {
        ("containsIP", [Value::Ip(address)]) => Ok(Value::Bool(own.contains(address))),
        ("containsIP", [Value::String(text)]) => {
            Ok(Value::Bool(own.contains(&address(text).ok_or_else(|| unreadable(text))?)))
        }
        ("containsCIDR", [Value::Cidr(other)]) => Ok(Value::Bool(own.contains(other))),
        ("containsCIDR", [Value::String(text)]) => {
            Ok(Value::Bool(own.contains(&network(text).ok_or_else(|| unreadable(text))?)))
        }
        ("ip", []) => Ok(Value::Ip(own.addr())),
        ("masked", []) => Ok(Value::Cidr(own.trunc())),
        ("prefixLength", []) => Ok(Value::Int(own.prefix_len().into())),
        _ => Err(no_overload()),
    }
}
