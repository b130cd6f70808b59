//! Chain names: upstream's fixed ones, and the hashed ones of service ports and endpoints.

use netrules::Protocol;
use sha2::{Digest, Sha256};

/// Portals of all services.
pub const SERVICES: &str = "KUBE-SERVICES";
/// Portals reachable only from outside that have no endpoints.
pub const EXTERNAL_SERVICES: &str = "KUBE-EXTERNAL-SERVICES";
/// Node ports.
pub const NODE_PORTS: &str = "KUBE-NODEPORTS";
/// Masquerades what carries the mark.
pub const POSTROUTING: &str = "KUBE-POSTROUTING";
/// Sets the mark.
pub const MARK_MASQ: &str = "KUBE-MARK-MASQ";
/// Accepts forwarded service traffic.
pub const FORWARD: &str = "KUBE-FORWARD";
/// Drops what a load balancer's source ranges do not allow.
pub const PROXY_FIREWALL: &str = "KUBE-PROXY-FIREWALL";
/// Drops outside packets to 127.0.0.0/8, which `route_localnet` would let in.
pub const FIREWALL: &str = "KUBE-FIREWALL";
/// Empty; gone when somebody flushed the tables.
pub const CANARY: &str = "KUBE-PROXY-CANARY";

const PER_SERVICE: [&str; 5] = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-"];

/// Tells whether a chain belongs to one service port or endpoint.
pub fn is_per_service(chain: &str) -> bool {
    PER_SERVICE.iter().any(|prefix| chain.starts_with(prefix))
}

/// The chain that spreads over the endpoints of the cluster.
pub fn cluster_policy(port_name: &str, protocol: Protocol) -> String {
    format!("KUBE-SVC-{}", hash(&[port_name, protocol.name()]))
}

/// The chain that spreads over the endpoints of this node.
pub fn local_policy(port_name: &str, protocol: Protocol) -> String {
    format!("KUBE-SVL-{}", hash(&[port_name, protocol.name()]))
}

/// The chain of traffic from outside.
pub fn external(port_name: &str, protocol: Protocol) -> String {
    format!("KUBE-EXT-{}", hash(&[port_name, protocol.name()]))
}

/// The chain of a load balancer's source ranges.
pub fn firewall(port_name: &str, protocol: Protocol) -> String {
    format!("KUBE-FW-{}", hash(&[port_name, protocol.name()]))
}

/// The chain of one endpoint.
pub fn endpoint(port_name: &str, protocol: Protocol, endpoint: &str) -> String {
    format!("KUBE-SEP-{}", hash(&[port_name, protocol.name(), endpoint]))
}

/// The first 16 characters of the base32 text of the parts' SHA-256, as upstream names its chains.
fn hash(parts: &[&str]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let mut text = String::with_capacity(16);
    // Ten bytes are exactly sixteen groups of five bits.
    for group in digest[..10].chunks(5) {
        let bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for index in (0..8).rev() {
            text.push(char::from(ALPHABET[(bits >> (index * 5) & 31) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that upstream's proxy gives in every cluster.
    #[test]
    fn names_are_the_ones_upstream_gives() {
        let check = |port_name, protocol, expected| assert_eq!(cluster_policy(port_name, protocol), expected);
        check("default/kubernetes:https", Protocol::Tcp, "KUBE-SVC-NPX46M4PTMTKRN6Y");
        check("kube-system/kube-dns:dns", Protocol::Udp, "KUBE-SVC-TCOU7JCQXEZGVUNU");
        check("kube-system/kube-dns:dns-tcp", Protocol::Tcp, "KUBE-SVC-ERIFXISQEP7F7OF4");
        check("kube-system/kube-dns:metrics", Protocol::Tcp, "KUBE-SVC-JD5MR3NA4I4DYORP");
    }
}
