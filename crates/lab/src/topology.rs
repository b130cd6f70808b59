//! Names, addresses and paths of a lab.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Pod network of the cluster.
pub const POD_CIDR: &str = "172.16.0.0/16";
/// Service network of the cluster.
pub const SERVICE_CIDR: &str = "10.96.0.0/12";
/// Address of the Service `kubernetes`: the first of [`SERVICE_CIDR`].
pub const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Address of the Service `kube-dns`.
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// Address of the fabric's bridge, the nodes' default gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// One machine of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Host name and node name.
    pub name: String,
    /// Address on the bridge.
    pub address: Ipv4Addr,
    /// Whether the control plane runs here.
    pub control_plane: bool,
}

/// A lab: what it is called, where its files are, and its machines.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Topology {
    /// Name of the lab; several can run side by side.
    pub name: String,
    /// Directory that holds everything of this lab on disk.
    pub state: PathBuf,
    /// Directory of the components' binaries.
    pub binaries: PathBuf,
    /// Loopback port of the host that leads to the API server.
    pub api_port: u16,
    /// Number of etcd members, on the first so many nodes.
    pub etcd_members: usize,
    /// The machines; the first runs the control plane.
    pub nodes: Vec<Node>,
}

impl Topology {
    /// The three machines that a course has: one control plane, two workers.
    pub fn three_nodes(
        name: &str,
        state: &Path,
        binaries: &Path,
        api_port: u16,
        etcd_members: usize,
    ) -> Self {
        let node = |name: &str, last: u8, control_plane| Node {
            name: name.into(),
            address: Ipv4Addr::new(192, 168, 1, last),
            control_plane,
        };
        Self {
            name: name.into(),
            state: state.into(),
            binaries: binaries.into(),
            api_port,
            etcd_members,
            nodes: vec![node("m-k8s", 10, true), node("w1-k8s", 101, false), node("w2-k8s", 102, false)],
        }
    }

    /// The node with this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The node that runs the API server.
    pub fn control_plane(&self) -> &Node {
        &self.nodes[0]
    }

    /// The nodes that run an etcd member.
    pub fn etcd_nodes(&self) -> &[Node] {
        &self.nodes[..self.etcd_members.min(self.nodes.len())]
    }

    /// Directory of a node's files.
    pub fn node_state(&self, node: &Node) -> PathBuf {
        self.state.join(&node.name)
    }

    /// Directory of the control sockets; short, because a socket's path may have 107 bytes.
    pub fn run_directory(&self) -> PathBuf {
        Path::new("/run/magnetite").join(&self.name)
    }

    /// Socket on which a node's init takes orders.
    pub fn control_socket(&self, node: &Node) -> PathBuf {
        self.run_directory().join(format!("{}.sock", node.name))
    }

    /// Name of the fabric's network namespace.
    pub fn fabric(&self) -> String {
        format!("{}-fabric", self.name)
    }

    /// The administrator's kubeconfig, with the address that the host reaches.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.conf")
    }

    /// Cgroup under which a node's pods live, from the root of each hierarchy.
    pub fn cgroup(&self, node: &Node) -> String {
        format!("/magnetite/{}/{}", self.name, node.name)
    }

    /// File in which the topology itself is kept.
    pub fn file(state: &Path) -> PathBuf {
        state.join("topology.json")
    }
}
