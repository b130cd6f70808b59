//! The ranges that addresses are given from: ready ServiceCIDRs, and the server's own before there are any.

use std::net::IpAddr;

use apimachinery::ObjectExt;
use ipnet::IpNet;
use serde_json::Value;
use storage::{Query, Store};

use super::Ranges;

/// The name of the ServiceCIDR of the servers' own ranges.
pub const DEFAULT: &str = "kubernetes";

/// The ranges of a family, the servers' own first.
pub(super) fn of(store: &Store, own: &Ranges, family: &str) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    if let Some(cache) = store.cache("servicecidrs") {
        cache.visit(&Query::default(), |object| {
            if let Ok(range) = object.value() {
                ranges.extend(given_from(&range).map(|net| (range.name() != DEFAULT, net)));
            }
            true
        });
    }
    choose(ranges, own, family)
}

/// The ranges of a ServiceCIDR that addresses are given from.
fn given_from(range: &Value) -> impl Iterator<Item = IpNet> {
    let conditions = range.at(&["status", "conditions"]).and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let ready = ready && range.deletion_timestamp().is_none();
    let cidrs = range.at(&["spec", "cidrs"]).and_then(Value::as_array).filter(|_| ready);
    cidrs.into_iter().flatten().filter_map(Value::as_str).filter_map(|text| text.parse().ok())
}

fn choose(mut ranges: Vec<(bool, IpNet)>, own: &Ranges, family: &str) -> Vec<IpNet> {
    let is_v4 = family == "IPv4";
    ranges.retain(|(_, range)| range.network().is_ipv4() == is_v4);
    ranges.sort();
    ranges.dedup_by_key(|(_, range)| *range);
    if ranges.is_empty() {
        return own.of(family).into_iter().copied().collect();
    }
    ranges.into_iter().map(|(_, range)| range).collect()
}

/// Whether an address can be given from a range: its first one is that of the network.
pub(super) fn has(range: &IpNet, address: IpAddr) -> bool {
    range.contains(&address) && address != range.network()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_given_from_ready_ranges_the_own_ones_first() {
        let own = Ranges::parse("10.96.0.0/24,fd00::/112").unwrap();
        let range = |cidrs: &[&str], ready: &str, deleted: bool| {
            let mut object = json!({
                "metadata": {"name": "r"}, "spec": {"cidrs": cidrs},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            });
            if deleted {
                object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            given_from(&object).collect::<Vec<_>>()
        };
        assert_eq!(range(&["10.0.0.0/24"], "True", false).len(), 1);
        assert!(range(&["10.0.0.0/24"], "False", false).is_empty());
        assert!(range(&["10.0.0.0/24"], "True", true).is_empty());
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let all = vec![(true, net("10.0.0.0/24")), (false, net("10.96.0.0/24")), (true, net("fd01::/112"))];
        assert_eq!(choose(all.clone(), &own, "IPv4"), [net("10.96.0.0/24"), net("10.0.0.0/24")]);
        assert_eq!(choose(all, &own, "IPv6"), [net("fd01::/112")]);
        assert_eq!(choose(Vec::new(), &own, "IPv4"), [net("10.96.0.0/24")]);
    }
}
