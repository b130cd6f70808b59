//! The names of addresses: `in-addr.arpa` and `ip6.arpa`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Answer, ENDPOINT_TTL, MOST, Outcome, SERVICE_TTL, Zones, below_domain, soa};
use crate::records::{Named, Records};

/// What a reverse name stands for.
#[derive(Debug, PartialEq, Eq)]
struct Reverse {
    /// The address, or the network that the name is too short to be an address of.
    network: IpNet,
    /// Whether labels follow that no address has.
    excess: bool,
}

/// Answers a question that is not below the cluster's domain: those for its addresses, nothing else.
pub(super) fn answer(records: &Records, zones: &Zones, query: &Query, labels: &[&[u8]]) -> Outcome {
    let Some(Reverse { network, excess }) = parse(labels) else { return Outcome::Elsewhere };
    if query.query_class() != DNSClass::IN {
        return Outcome::Elsewhere;
    }
    let ours = zones.networks.iter().find(|ours| ours.contains(&network));
    let whole = !excess && network.prefix_len() == network.max_prefix_len();
    let names: Vec<Named<'_>> =
        if whole { records.names(network.addr()).take(MOST).collect() } else { Vec::new() };
    if names.is_empty() && ours.is_none() {
        return Outcome::Elsewhere;
    }
    if !records.is_whole() {
        return Outcome::Answered(Answer::failure(ResponseCode::ServFail));
    }
    let exists = !excess && (!whole || !names.is_empty());
    let code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
    let answers: Vec<Record> = match query.query_type() {
        RecordType::PTR | RecordType::ANY => pointers(zones, query.name(), &names),
        _ => Vec::new(),
    };
    let authorities = match answers.is_empty() {
        true => vec![soa(records, zones, zone_of(network, ours))],
        false => Vec::new(),
    };
    Outcome::Answered(Answer { authorities, ..Answer::new(code, answers) })
}

fn pointers(zones: &Zones, owner: &Name, names: &[Named<'_>]) -> Vec<Record> {
    let records = names.iter().filter_map(|named| {
        let (namespace, service) = named.service.split_once('/')?;
        let (target, ttl) = match named.endpoint {
            None => (below_domain(zones, &[service, namespace, "svc"])?, SERVICE_TTL),
            Some(endpoint) => (below_domain(zones, &[endpoint, service, namespace, "svc"])?, ENDPOINT_TTL),
        };
        Some(Record::from_rdata(owner.clone(), ttl, RData::PTR(PTR(target))))
    });
    let mut records: Vec<Record> = records.collect();
    // An endpoint that is in two slices has its name once.
    records.sort_by(|one, other| one.data.cmp(&other.data));
    records.dedup();
    records
}

/// The zone that an address is in: its own network's, cut where a label ends, or all addresses.
fn zone_of(network: IpNet, ours: Option<&IpNet>) -> Name {
    let prefix = ours.map_or(0, |ours| usize::from(ours.prefix_len()));
    let labels: Vec<String> = match network.addr() {
        IpAddr::V4(address) => {
            let octets = address.octets();
            let kept = octets.iter().take(prefix.div_ceil(8)).rev().map(u8::to_string);
            kept.chain(["in-addr".into(), "arpa".into()]).collect()
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            let mut kept: Vec<String> =
                nibbles.take(prefix.div_ceil(4)).map(|nibble| format!("{nibble:x}")).collect();
            kept.reverse();
            kept.into_iter().chain(["ip6".into(), "arpa".into()]).collect()
        }
    };
    Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap_or_else(|_| Name::root())
}

/// Reads a name by its labels in lower case, the last one first.
fn parse(labels: &[&[u8]]) -> Option<Reverse> {
    match labels {
        [b"arpa", b"in-addr", rest @ ..] => {
            let mut octets = [0; 4];
            let count = fill(&mut octets, rest, |label| {
                let octet: u8 = label.parse().ok()?;
                (octet.to_string() == label).then_some(octet)
            });
            let network = Ipv4Net::new(Ipv4Addr::from(octets), 8 * count as u8).ok()?;
            Some(Reverse { network: network.into(), excess: count < rest.len() })
        }
        [b"arpa", b"ip6", rest @ ..] => {
            let mut nibbles = [0; 32];
            let count = fill(&mut nibbles, rest, |label| {
                if label.len() == 1 { u8::from_str_radix(label, 16).ok() } else { None }
            });
            let mut octets = [0; 16];
            for (octet, pair) in octets.iter_mut().zip(nibbles.chunks_exact(2)) {
                *octet = pair[0] << 4 | pair[1];
            }
            let network = Ipv6Net::new(Ipv6Addr::from(octets), 4 * count as u8).ok()?;
            Some(Reverse { network: network.into(), excess: count < rest.len() })
        }
        _ => None,
    }
}

/// Reads labels for as long as they can be read and there is room; returns how many.
fn fill(places: &mut [u8], labels: &[&[u8]], read: impl Fn(&str) -> Option<u8>) -> usize {
    let mut count = 0;
    for (place, label) in places.iter_mut().zip(labels) {
        let Some(value) = std::str::from_utf8(label).ok().and_then(&read) else { break };
        *place = value;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, network: Option<&str>, excess: bool) {
        let labels: Vec<&[u8]> = name.split('.').rev().map(str::as_bytes).collect();
        let expected = network.map(|network| Reverse { network: network.parse().unwrap(), excess });
        assert_eq!(parse(&labels), expected, "{name}");
    }

    #[test]
    fn names_are_addresses_or_networks() {
        check("10.0.96.10.in-addr.arpa", Some("10.96.0.10/32"), false);
        check("96.10.in-addr.arpa", Some("10.96.0.0/16"), false);
        check("in-addr.arpa", Some("0.0.0.0/0"), false);
        check("x.96.10.in-addr.arpa", Some("10.96.0.0/16"), true);
        check("256.10.in-addr.arpa", Some("10.0.0.0/8"), true);
        check("01.10.in-addr.arpa", Some("10.0.0.0/8"), true);
        check("9.4.3.2.1.in-addr.arpa", Some("1.2.3.4/32"), true);
        check("d.f.ip6.arpa", Some("fd00::/8"), false);
        check("dd.f.ip6.arpa", Some("f000::/4"), true);
        check("10.96.example.com", None, false);
    }

    #[test]
    fn zones_end_where_labels_end() {
        let zone = |address: &str, ours: Option<&str>| {
            let ours = ours.map(|ours| ours.parse().unwrap());
            zone_of(address.parse().unwrap(), ours.as_ref()).to_string()
        };
        assert_eq!(zone("10.97.0.1/32", Some("10.96.0.0/12")), "97.10.in-addr.arpa.");
        assert_eq!(zone("10.97.0.1/32", None), "in-addr.arpa.");
        assert_eq!(zone("fd00:10::1/128", Some("fd00:10::/28")), "1.0.0.0.0.d.f.ip6.arpa.");
    }
}
