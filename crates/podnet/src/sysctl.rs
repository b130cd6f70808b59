//! Kernel settings of the pod network, made where they can be.

use std::sync::atomic::{AtomicBool, Ordering};

const WANTED: [(&str, &str); 3] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/bridge/bridge-nf-call-iptables", "1"),
    ("net/bridge/bridge-nf-call-ip6tables", "1"),
];

/// Lets the node forward packets, and bridged packets pass the packet rules. What cannot be set is said once.
pub fn apply() {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let failures: Vec<String> = WANTED
        .into_iter()
        .filter_map(|(name, value)| {
            let path = format!("/proc/sys/{name}");
            if std::fs::read_to_string(&path).is_ok_and(|present| present.trim() == value) {
                return None;
            }
            std::fs::write(&path, value).err().map(|error| format!("{name}={value}: {error}"))
        })
        .collect();
    if !failures.is_empty() && !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(?failures, "some kernel settings could not be made");
    }
}
