//! Which addresses this node answers for, and on which link: pure functions of Services and links.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use informer::{Identity, IdentityRef, Key, Metadata, Object};
use k8s_openapi::api::core::v1::ServiceStatus;
use serde::Deserialize;

use crate::netlink::LinkAddress;

/// Names the node that is to answer for a Service's addresses; cloud-controller-manager writes it.
const ANNOUNCED_BY: &str = "magnetite/announced-by";

/// A Service as far as its addresses are to be announced.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Wire")]
pub struct Service {
    identity: Identity,
    node: Option<Box<str>>,
    addresses: Box<[Ipv4Addr]>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    metadata: Metadata,
    status: Option<ServiceStatus>,
}

impl From<Wire> for Service {
    fn from(wire: Wire) -> Self {
        let ingress = wire.status.and_then(|status| status.load_balancer?.ingress).unwrap_or_default();
        Service {
            node: wire.metadata.annotations.get(ANNOUNCED_BY).map(|node| node.as_str().into()),
            addresses: ingress.iter().filter_map(|ingress| ingress.ip.as_ref()?.parse().ok()).collect(),
            identity: wire.metadata.identity().into(),
        }
    }
}

impl Object for Service {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

impl Service {
    /// Returns the addresses that the node `me` is to answer for.
    pub fn announced_by(&self, me: &str) -> &[Ipv4Addr] {
        if self.node.as_deref() == Some(me) { &self.addresses } else { &[] }
    }
}

/// Returns the addresses that the node `me` is to answer for, with the Service of each.
pub fn wanted<'a>(services: impl Iterator<Item = &'a Service>, me: &str) -> BTreeMap<Ipv4Addr, Key> {
    services
        .flat_map(|service| service.announced_by(me).iter().map(|address| (*address, service.key())))
        .collect()
}

/// Chooses the link for an address: the one whose network has it, else the one with the node's own address, where
/// routers send what is for this node.
pub fn place(address: Ipv4Addr, links: &[LinkAddress], node: Option<Ipv4Addr>) -> Option<u32> {
    let own = || links.iter().filter(|one| !one.is_announced && !one.address.addr().is_loopback());
    let inside = own()
        .filter(|one| one.address.prefix_len() < 32 && one.address.contains(&address))
        .max_by_key(|one| (one.address.prefix_len(), Some(one.address.addr()) == node));
    let found = inside.or_else(|| own().find(|one| Some(one.address.addr()) == node));
    found.map(|one| one.link)
}

/// How to get from the addresses that are announced to those wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be put on links.
    pub announce: BTreeSet<(Ipv4Addr, u32)>,
    /// To be taken from links.
    pub withdraw: BTreeSet<(Ipv4Addr, u32)>,
    /// Without a link that they could be on.
    pub homeless: Vec<Ipv4Addr>,
}

/// Compares; never touches an address that podnet did not put there, nor announces one that is there anyway.
pub fn changes(
    wanted: impl Iterator<Item = Ipv4Addr>,
    links: &[LinkAddress],
    node: Option<Ipv4Addr>,
) -> Changes {
    let mut changes = Changes::default();
    let present: BTreeSet<(Ipv4Addr, u32)> =
        links.iter().filter(|one| one.is_announced).map(|one| (one.address.addr(), one.link)).collect();
    let mut kept = BTreeSet::new();
    for address in wanted {
        if links.iter().any(|one| !one.is_announced && one.address.addr() == address) {
            continue;
        }
        match place(address, links, node) {
            Some(link) if present.contains(&(address, link)) => drop(kept.insert((address, link))),
            Some(link) => drop(changes.announce.insert((address, link))),
            None => changes.homeless.push(address),
        }
    }
    changes.withdraw = present.difference(&kept).copied().collect();
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    fn links(text: &str) -> Vec<LinkAddress> {
        let link = |word: &str| {
            let (link, address) = word.split_once('=').unwrap();
            LinkAddress {
                link: link.parse().unwrap(),
                is_announced: address.ends_with('*'),
                address: address.trim_end_matches('*').parse().unwrap(),
            }
        };
        text.split(' ').map(link).collect()
    }

    #[test]
    fn only_the_named_node_answers() {
        let service = |name: &str, node: &str, address: &str| -> Service {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "d", "annotations": {ANNOUNCED_BY: node}},
                "status": {"loadBalancer": {"ingress": [{"ip": address}, {"hostname": "x"}]}}}))
            .unwrap()
        };
        let services = [service("a", "w1", "10.0.0.1"), service("b", "w2", "10.0.0.2")];
        let bare =
            serde_json::from_value::<Service>(json!({"metadata": {"name": "c"}, "status": null})).unwrap();
        let all = || services.iter().chain([&bare]);
        assert_eq!(wanted(all(), "w1"), BTreeMap::from([(ip("10.0.0.1"), Key::new("d", "a"))]));
        assert!(wanted(all(), "w3").is_empty());
    }

    #[test]
    fn an_address_goes_where_its_network_is() {
        let of_node = Some(ip("192.168.1.101"));
        let links = links("1=127.0.0.1/8 2=10.0.2.15/24 3=192.168.1.101/24 4=172.16.1.1/24 5=192.168.1.9/16");
        assert_eq!(place(ip("192.168.1.11"), &links, of_node), Some(3));
        assert_eq!(place(ip("10.0.2.99"), &links, of_node), Some(2));
        assert_eq!(place(ip("203.0.113.1"), &links, of_node), Some(3), "routed to the node");
        assert_eq!(place(ip("127.0.0.9"), &links, None), None);
        assert_eq!(place(ip("203.0.113.1"), &links, None), None);
    }

    #[test]
    fn only_what_differs_changes_and_only_what_is_ours() {
        let of_node = Some(ip("192.168.1.101"));
        let links = links(
            "3=192.168.1.101/24 3=192.168.1.11/32* 3=192.168.1.12/32* 4=192.168.1.13/32* 3=192.168.1.14/32",
        );
        let wanted = ["192.168.1.11", "192.168.1.13", "192.168.1.14", "192.168.1.15"].map(ip);
        let changes = changes(wanted.into_iter(), &links, of_node);
        assert_eq!(changes.announce, BTreeSet::from([(ip("192.168.1.13"), 3), (ip("192.168.1.15"), 3)]));
        assert_eq!(changes.withdraw, BTreeSet::from([(ip("192.168.1.12"), 3), (ip("192.168.1.13"), 4)]));
        assert!(changes.homeless.is_empty());
    }
}
