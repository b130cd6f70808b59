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
pub mod registry;
pub mod topology;
pub mod units;

pub use cluster::{Lab, Options};
pub use topology::{Node, Topology};
