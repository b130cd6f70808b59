//! What the sidecar is told. Flags have the names that upstream's sidecars give them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, ensure};
use clap::{ArgAction, Parser, ValueEnum};
use component::flags::{Ignored, duration};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;

const fn ignored(name: &'static str) -> Ignored {
    Ignored { name, takes_value: true }
}

/// Flags of upstream's sidecars that mean nothing here.
pub const IGNORED: &[Ignored] = &[
    ignored("feature-gates"),
    ignored("http-endpoint"),
    ignored("metrics-address"),
    ignored("metrics-path"),
    ignored("health-port"),
    ignored("kube-api-qps"),
    ignored("kube-api-burst"),
    ignored("retry-interval-start"),
    ignored("retry-interval-max"),
    ignored("reconcile-sync"),
    ignored("resync"),
    ignored("workers"),
    ignored("worker-threads"),
    ignored("cloning-protection-threads"),
    ignored("capacity-threads"),
    ignored("volume-name-uuid-length"),
    ignored("max-entries"),
];

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Makes the driver known to the kubelet of its node.
    Registrar,
    /// Makes and deletes volumes.
    Provisioner,
    /// Attaches volumes to nodes and detaches them.
    Attacher,
    /// Makes volumes larger.
    Resizer,
}

/// The command line.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "csi-sidecar",
    about = "Registers a CSI driver, provisions, attaches and resizes its volumes"
)]
pub struct Flags {
    /// What to do; if absent: registrar where --kubelet-registration-path is given, else the three others
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    pub roles: Vec<Role>,
    /// The driver's socket
    #[arg(long, default_value = "/run/csi/socket", value_name = "ADDRESS")]
    pub csi_address: String,
    /// The driver's socket as the kubelet sees it
    #[arg(long, value_name = "PATH")]
    pub kubelet_registration_path: Option<String>,
    /// The kubelet's registry of plugins, as it is mounted here
    #[arg(long, default_value = "/registration", value_name = "DIRECTORY")]
    pub plugin_registration_path: PathBuf,
    /// How long the driver may take over one call
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,
    /// See to this node's volumes only: one runs on every node
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub node_deployment: bool,
    /// The node it runs on, for --node-deployment
    #[arg(long, env = "NODE_NAME", default_value = "", value_name = "NAME")]
    pub node_name: String,
    /// What the names of volumes begin with
    #[arg(long, default_value = "pvc", value_name = "PREFIX")]
    pub volume_name_prefix: String,
    /// The file system of volumes whose class names none
    #[arg(long, default_value = "", value_name = "TYPE")]
    pub default_fstype: String,
    /// Tell the driver the names of claim and volume
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub extra_create_metadata: bool,
    /// Have volumes made for the chosen node's own place only
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub strict_topology: bool,
    /// Tell the driver of all places there are for volumes that do not wait for a node
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub immediate_topology: bool,
    /// One of several copies acts
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub leader_election: bool,
    /// Where the lease of the acting copy is
    #[arg(long, default_value = "default", value_name = "NAMESPACE")]
    pub leader_election_namespace: String,
    /// How long others wait after the last renewal
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_lease_duration: Duration,
    /// How long the acting copy tries to renew
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_renew_deadline: Duration,
    /// How long to wait between tries
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_retry_period: Duration,
    /// Path to the kubeconfig; without it, the pod's service account is used
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// What the sidecar is told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to do.
    pub roles: Vec<Role>,
    /// The driver's socket.
    pub socket: PathBuf,
    /// The same as the kubelet sees it.
    pub kubelet_socket: String,
    /// Where registration sockets are.
    pub registry: PathBuf,
    /// The longest a call may take.
    pub timeout: Duration,
    /// The node whose volumes are seen to; none means all.
    pub node: Option<String>,
    /// What the names of volumes begin with.
    pub prefix: String,
    /// The file system where a class names none.
    pub default_fs_type: String,
    /// Whether the driver is told names.
    pub tells_names: bool,
    /// Whether a volume is made for the chosen node's place only.
    pub strict_topology: bool,
    /// Whether all places count for volumes that do not wait.
    pub immediate_topology: bool,
    /// How a leader is elected.
    pub election: LeaderElectionFlags,
    /// The kubeconfig.
    pub kubeconfig: Option<PathBuf>,
}

impl Config {
    /// Checks the flags.
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        let mut roles = flags.roles;
        if roles.is_empty() {
            roles = match flags.kubelet_registration_path {
                Some(_) => vec![Role::Registrar],
                None => vec![Role::Provisioner, Role::Attacher, Role::Resizer],
            };
        }
        let kubelet_socket = flags.kubelet_registration_path.unwrap_or_default();
        if roles.contains(&Role::Registrar) && kubelet_socket.is_empty() {
            bail!("--kubelet-registration-path: must be given for the registrar");
        }
        ensure!(
            !flags.node_deployment || !flags.node_name.is_empty(),
            "--node-deployment: needs the node's name in NODE_NAME"
        );
        ensure!(
            !(flags.node_deployment && flags.leader_election),
            "--node-deployment: each node has its own; there is no leader"
        );
        ensure!(!flags.volume_name_prefix.is_empty(), "--volume-name-prefix: must not be empty");
        Ok(Self {
            roles,
            socket: csi::socket_path(&flags.csi_address),
            kubelet_socket,
            registry: flags.plugin_registration_path,
            timeout: flags.timeout,
            node: flags.node_deployment.then_some(flags.node_name),
            prefix: flags.volume_name_prefix,
            default_fs_type: flags.default_fstype,
            tells_names: flags.extra_create_metadata,
            strict_topology: flags.strict_topology || flags.node_deployment,
            immediate_topology: flags.immediate_topology,
            election: LeaderElectionFlags {
                leader_elect: flags.leader_election,
                leader_elect_lease_duration: flags.leader_election_lease_duration,
                leader_elect_renew_deadline: flags.leader_election_renew_deadline,
                leader_elect_retry_period: flags.leader_election_retry_period,
                leader_elect_resource_name: None,
                leader_elect_resource_namespace: flags.leader_election_namespace,
            },
            kubeconfig: flags.kubeconfig,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> anyhow::Result<Config> {
        let all = std::iter::once(&"csi-sidecar").chain(arguments);
        Config::new(Flags::try_parse_from(all)?)
    }

    #[test]
    fn a_registration_path_makes_a_registrar() {
        let roles = |arguments: &[&str]| config(arguments).unwrap().roles;
        assert_eq!(roles(&[]), [Role::Provisioner, Role::Attacher, Role::Resizer]);
        assert_eq!(roles(&["--kubelet-registration-path=/x/csi.sock"]), [Role::Registrar]);
        assert_eq!(roles(&["--roles=attacher"]), [Role::Attacher]);
        assert!(config(&["--roles=registrar"]).is_err());
        assert!(config(&["--node-deployment", "--node-name="]).is_err());
        let own = config(&["--node-deployment", "--node-name=w1"]).unwrap();
        assert_eq!((own.node.as_deref(), own.strict_topology), (Some("w1"), true));
        assert!(!config(&[]).unwrap().election.leader_elect);
    }
}
