//! What the server is told, under upstream's flag names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{ArgAction, Parser};
use component::access::OpenPaths;
use component::access::clients::ClientFlags;
use component::flags::{Ignored, duration, ignored, ignored_switch};
use component::logging::LoggingFlags;

/// The command line.
#[derive(Debug, Clone, Parser)]
#[command(name = "metrics-server", about = "What nodes and pods use, as the API metrics.k8s.io")]
pub struct Flags {
    /// The address to listen on
    #[arg(long, default_value_t = Ipv4Addr::UNSPECIFIED.into(), value_name = "IP")]
    pub bind_address: IpAddr,
    /// The port to listen on
    #[arg(long, default_value_t = 443, value_name = "PORT")]
    pub secure_port: u16,
    /// Certificate to serve with; one is made if none is given
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// Key of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub tls_private_key_file: Option<PathBuf>,
    /// Path to the kubeconfig; without it, the pod's service account is used
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// How often kubelets are asked; at least 10s
    #[arg(long, default_value = "1m", value_parser = duration, value_name = "DURATION")]
    pub metric_resolution: Duration,
    /// Authority that kubelets' certificates are from; the API server's if none is given
    #[arg(long, value_name = "FILE")]
    pub kubelet_certificate_authority: Option<PathBuf>,
    /// Do not check kubelets' certificates
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub kubelet_insecure_tls: bool,
    /// The kubelets' port, where nodes do not say theirs
    #[arg(long, default_value_t = 10250, value_name = "PORT")]
    pub kubelet_port: u16,
    /// Whether the port that a node says is used
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub kubelet_use_node_status_port: bool,
    /// Kinds of node addresses in the order in which they are tried
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "TYPE",
        default_value = "Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP"
    )]
    pub kubelet_preferred_address_types: Vec<String>,
    /// How long a kubelet may take to answer
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub kubelet_request_timeout: Duration,
    /// Only nodes with these labels
    #[arg(long, default_value = "", value_name = "SELECTOR")]
    pub node_selector: String,
    /// Who is known by a certificate
    #[command(flatten)]
    pub clients: ClientFlags,
    /// What may be read without asking.
    #[command(flatten)]
    pub open: OpenPaths,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// Upstream's flags that have no meaning here.
pub const IGNORED: &[Ignored] = &[
    ignored("authentication-kubeconfig"),
    ignored("authorization-kubeconfig"),
    ignored("audit-log-path"),
    ignored("audit-policy-file"),
    ignored_switch("deprecated-kubelet-completely-insecure"),
];

/// What the server is told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// Certificate and key to serve with.
    pub serving: Option<(PathBuf, PathBuf)>,
    /// The kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// How often kubelets are asked.
    pub resolution: Duration,
    /// How kubelets are reached.
    pub kubelets: Kubelets,
    /// Only nodes with these labels; empty for all.
    pub node_selector: String,
    /// Who is known by a certificate.
    pub clients: ClientFlags,
    /// What may be read without asking.
    pub open: OpenPaths,
}

/// How kubelets are reached.
#[derive(Debug, Clone)]
pub struct Kubelets {
    /// Authority that their certificates are from.
    pub authority: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Their port, where nodes do not say theirs.
    pub port: u16,
    /// Whether the port that a node says is used.
    pub use_node_port: bool,
    /// Kinds of addresses in the order in which they are tried.
    pub address_types: Vec<String>,
    /// How long one may take to answer.
    pub patience: Duration,
}

impl Config {
    /// Checks the flags.
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        if flags.metric_resolution < Duration::from_secs(10) {
            bail!(
                "metric-resolution should be a time duration at least 10s, but value {:?} provided",
                flags.metric_resolution
            );
        }
        Ok(Self {
            address: SocketAddr::new(flags.bind_address, flags.secure_port),
            serving: flags.tls_cert_file.zip(flags.tls_private_key_file),
            kubeconfig: flags.kubeconfig,
            resolution: flags.metric_resolution,
            kubelets: Kubelets {
                authority: flags.kubelet_certificate_authority,
                insecure: flags.kubelet_insecure_tls,
                port: flags.kubelet_port,
                use_node_port: flags.kubelet_use_node_status_port,
                address_types: flags.kubelet_preferred_address_types,
                patience: flags.kubelet_request_timeout,
            },
            node_selector: flags.node_selector,
            clients: flags.clients,
            open: flags.open,
        })
    }
}
