//! Kernel settings the proxy needs, set where they can be.

use std::io;
use std::path::PathBuf;

use crate::config::Conntrack;

/// Sets what services need. A read-only `/proc/sys` (a container, a network namespace) is said once and tolerated.
pub fn apply(localhost_node_ports: bool, conntrack: &Conntrack) {
    let mut wanted: Vec<(&str, u64)> = Vec::new();
    if localhost_node_ports {
        // Packets to a node port at 127.0.0.1 leave by another interface, which the kernel refuses otherwise.
        wanted.push(("net/ipv4/conf/all/route_localnet", 1));
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let entries = match conntrack.max_per_core * cores {
        0 => 0,
        scaled => scaled.max(conntrack.min),
    };
    wanted.push(("net/netfilter/nf_conntrack_max", entries));
    wanted.push(("net/netfilter/nf_conntrack_tcp_timeout_established", conntrack.tcp_established.as_secs()));
    wanted.push(("net/netfilter/nf_conntrack_tcp_timeout_close_wait", conntrack.tcp_close_wait.as_secs()));
    let failures: Vec<String> = wanted
        .into_iter()
        // Zero leaves the kernel's own value.
        .filter(|(_, value)| *value > 0)
        .filter_map(|(name, value)| set(name, value).err().map(|error| format!("{name}={value}: {error}")))
        .collect();
    if !failures.is_empty() {
        tracing::warn!(?failures, "some kernel settings could not be made, the present values stay");
    }
}

fn set(name: &str, value: u64) -> io::Result<()> {
    let path = PathBuf::from("/proc/sys").join(name);
    let present = std::fs::read_to_string(&path)?.trim().parse::<u64>().ok();
    // More connections than wanted do no harm, and another value may be read-only here.
    if present == Some(value)
        || (name.ends_with("conntrack_max") && present.is_some_and(|present| present > value))
    {
        return Ok(());
    }
    std::fs::write(path, value.to_string())
}
