//! The packet-rule language: rule sets as data, and the iptables and nftables programs that load them.
