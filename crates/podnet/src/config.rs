//! What podnet is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use component::logging::LoggingFlags;
use ipnet::Ipv4Net;

/// The command line.
#[derive(Debug, Clone, Parser)]
#[command(name = "podnet", about = "Pod addresses, routes between nodes, network policies")]
pub struct Flags {
    /// Path to the kubeconfig; without it, the pod's service account is used
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The name of this node, when it is not the host name
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
    /// The pod network of the whole cluster; without it, only this node's part is spared from masquerading
    #[arg(long, value_name = "CIDR")]
    pub cluster_cidr: Option<Ipv4Net>,
    /// Where the container runtime looks for CNI configuration
    #[arg(long, default_value = "/etc/cni/net.d", value_name = "DIRECTORY")]
    pub cni_conf_dir: PathBuf,
    /// Where /healthz and /metrics are served; nowhere when not given
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_bind_address: Option<SocketAddr>,
    /// Remove what podnet made on this node and exit
    #[arg(long)]
    pub cleanup: bool,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// What podnet is told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// The node's name.
    pub node_name: String,
    /// The pod network of the whole cluster.
    pub cluster_cidr: Option<Ipv4Net>,
    /// Where the CNI configuration goes.
    pub cni_conf_dir: PathBuf,
    /// Where health and metrics are served.
    pub metrics_bind_address: Option<SocketAddr>,
}

impl Config {
    /// Checks the flags. `host_name` names the node when nothing else does.
    pub fn new(flags: Flags, host_name: &str) -> Self {
        Config {
            kubeconfig: flags.kubeconfig,
            node_name: flags.node_name.unwrap_or_else(|| host_name.to_owned()).trim().to_lowercase(),
            cluster_cidr: flags.cluster_cidr.map(|cidr| cidr.trunc()),
            cni_conf_dir: flags.cni_conf_dir,
            metrics_bind_address: flags.metrics_bind_address,
        }
    }
}
