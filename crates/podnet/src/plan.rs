//! What this node's pod network must look like: a pure function of the nodes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::nodes::Node;

/// The bridge that pods of this node hang on.
pub const BRIDGE: &str = "cni0";

/// The name of the CNI network, by which the runtime's notes of it are known.
pub const NETWORK: &str = "podnet";

/// Routes by destination: the gateway each goes by.
pub type Routes = BTreeMap<Ipv4Net, Ipv4Addr>;

/// The pod network as this node should have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// This node's part of the pod network.
    pub pod_cidr: Ipv4Net,
    /// Routes to the other nodes' parts.
    pub routes: Routes,
}

impl Plan {
    /// Plans for the node `me`; none while it has no part of the pod network.
    pub fn new<'a>(nodes: impl Iterator<Item = &'a Node>, me: &str) -> Option<Self> {
        let mut pod_cidr = None;
        let mut routes = Routes::new();
        for node in nodes {
            if *node.name == *me {
                pod_cidr = node.pod_cidr;
            } else if let (Some(cidr), Some(address)) = (node.pod_cidr, node.address) {
                routes.insert(cidr, address);
            }
        }
        let pod_cidr = pod_cidr?;
        // A node that was renamed can claim the part that is ours now; a route there would cut our pods off.
        routes.retain(|cidr, _| !cidr.contains(&pod_cidr) && !pod_cidr.contains(cidr));
        Some(Plan { pod_cidr, routes })
    }

    /// The bridge's address: the first one of this node's part, which host-local gives as gateway.
    pub fn gateway(&self) -> Ipv4Addr {
        self.pod_cidr.hosts().next().unwrap_or(self.pod_cidr.network())
    }

    /// The bridge's hardware address. A bridge without one of its own takes that of a port and changes it when the
    /// port goes; after a failed CNI ADD it keeps 00:00:00:00:00:00, and every later ADD fails.
    pub fn bridge_address(&self) -> [u8; 6] {
        let [a, b, c, d] = self.gateway().octets();
        [0x0a, 0x58, a, b, c, d]
    }

    /// The CNI configuration that the container runtime reads.
    pub fn conflist(&self) -> String {
        let list = serde_json::json!({
            "cniVersion": "0.4.0",
            "name": NETWORK,
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": BRIDGE,
                    "isGateway": true,
                    "forceAddress": true,
                    "hairpinMode": true,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": self.pod_cidr}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        });
        format!("{list:#}\n")
    }
}

/// How to get from the routes there are to those wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RouteChanges {
    /// To be made or replaced.
    pub set: Vec<(Ipv4Net, Ipv4Addr)>,
    /// To be removed.
    pub remove: Vec<(Ipv4Net, Ipv4Addr)>,
}

/// Compares routes; `present` holds only routes that podnet made.
pub fn route_changes(wanted: &Routes, present: &Routes) -> RouteChanges {
    RouteChanges {
        set: wanted
            .iter()
            .filter(|(cidr, gateway)| present.get(*cidr) != Some(*gateway))
            .map(|(cidr, gateway)| (*cidr, *gateway))
            .collect(),
        remove: present
            .iter()
            .filter(|(cidr, _)| !wanted.contains_key(*cidr))
            .map(|(cidr, gateway)| (*cidr, *gateway))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, cidr: &str, address: &str) -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": name},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
            "status": {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]},
        }))
        .unwrap()
    }

    fn lab() -> Vec<Node> {
        vec![
            node("m-k8s", "172.16.0.0/24", "192.168.1.10"),
            node("w1-k8s", "172.16.1.0/24", "192.168.1.101"),
            node("w2-k8s", "172.16.2.0/24", "192.168.1.102"),
        ]
    }

    fn routes(pairs: &[(&str, &str)]) -> Routes {
        pairs.iter().map(|(cidr, gateway)| (cidr.parse().unwrap(), gateway.parse().unwrap())).collect()
    }

    #[test]
    fn routes_lead_to_every_other_node() {
        let plan = Plan::new(lab().iter(), "w1-k8s").unwrap();
        assert_eq!(plan.pod_cidr, "172.16.1.0/24".parse().unwrap());
        assert_eq!(
            plan.routes,
            routes(&[("172.16.0.0/24", "192.168.1.10"), ("172.16.2.0/24", "192.168.1.102")])
        );
        assert_eq!(plan.gateway().to_string(), "172.16.1.1");
        assert_eq!(plan.bridge_address(), [0x0a, 0x58, 172, 16, 1, 1]);
    }

    #[test]
    fn no_plan_before_this_node_has_its_part_and_no_route_to_a_node_without() {
        let mut nodes = lab();
        nodes[1] = node("w1-k8s", "", "192.168.1.101");
        assert_eq!(Plan::new(nodes.iter(), "w1-k8s"), None);
        assert_eq!(Plan::new(nodes.iter(), "m-k8s").unwrap().routes.len(), 1);
    }

    #[test]
    fn a_route_never_covers_this_nodes_own_part() {
        let mut nodes = lab();
        nodes.push(node("old", "172.16.1.0/24", "192.168.1.9"));
        assert_eq!(Plan::new(nodes.iter(), "w1-k8s").unwrap().routes.len(), 2);
    }

    #[test]
    fn only_differences_are_changed() {
        let wanted = routes(&[("172.16.0.0/24", "192.168.1.10"), ("172.16.2.0/24", "192.168.1.102")]);
        let present = routes(&[
            ("172.16.0.0/24", "192.168.1.10"),
            ("172.16.2.0/24", "192.168.1.99"),
            ("172.16.3.0/24", "192.168.1.103"),
        ]);
        let changes = route_changes(&wanted, &present);
        assert_eq!(changes.set, [("172.16.2.0/24".parse().unwrap(), "192.168.1.102".parse().unwrap())]);
        assert_eq!(changes.remove, [("172.16.3.0/24".parse().unwrap(), "192.168.1.103".parse().unwrap())]);
        assert_eq!(route_changes(&wanted, &wanted), RouteChanges::default());
    }

    #[test]
    fn the_conflist_names_this_nodes_part() {
        let list: serde_json::Value =
            serde_json::from_str(&Plan::new(lab().iter(), "w2-k8s").unwrap().conflist()).unwrap();
        assert_eq!(list["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "172.16.2.0/24");
        assert_eq!(list["plugins"][0]["hairpinMode"], true);
        assert_eq!(list["plugins"][1]["type"], "portmap");
    }
}
