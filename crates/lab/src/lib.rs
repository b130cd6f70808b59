//! A multi-node cluster on one machine: nodes as network namespaces, each with its own containerd.
//!
//! Each node is a set of namespaces (network, mount, UTS, PID, IPC) held by a small init, which runs the node's
//! units as systemd would on a machine of its own. A namespace of its own, the fabric, holds the bridge that joins
//! them. The host's network is not touched: a forwarder brings the API server to a loopback port.

pub mod certificates;
pub mod cgroup;
pub mod cli;
pub mod cluster;
pub mod containerd;
pub mod forward;
pub mod images;
pub mod init;
pub mod network;
pub mod processes;
pub mod progress;
pub mod topology;
pub mod units;

use std::path::{Path, PathBuf};

pub use cluster::{Lab, Options};
pub use topology::{Node, Topology};

/// What every node has a copy of its own of, as an overlay.
const OVERLAID: [&str; 3] = ["/etc", "/opt", "/var"];
/// Where labs are kept if the binaries lie where they cannot be.
const ELSEWHERE: &str = "/srv/magnetite-labs";

/// Directory that holds the labs of a build: beside its binaries. An overlay cannot keep what it changes within what
/// it covers, so labs of binaries below `/etc`, `/opt` and `/var` are kept in `/srv`.
pub fn home(binaries: &Path) -> PathBuf {
    if OVERLAID.iter().any(|directory| binaries.starts_with(directory)) {
        ELSEWHERE.into()
    } else {
        binaries.join("labs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labs_lie_beside_their_binaries_where_they_can() {
        for (binaries, labs) in [
            ("/root/magnetite/target/debug", "/root/magnetite/target/debug/labs"),
            ("/opt/magnetite/bin", ELSEWHERE),
            ("/var/src/magnetite/target/debug", ELSEWHERE),
            ("/optional/bin", "/optional/bin/labs"),
        ] {
            assert_eq!(home(Path::new(binaries)), Path::new(labs), "{binaries}");
        }
    }
}
