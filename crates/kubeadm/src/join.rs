//! Makes this machine a node of a cluster that is there: one that runs pods, or a further control plane.

mod control_plane;
mod settings;
mod worker;

use std::path::PathBuf;

use clap::Subcommand;

use crate::{
    phases::{self, Phase, Selection},
    preflight::{self, Role},
    systemd,
};

pub use control_plane::members_of;
pub use settings::Join;

/// The phases of `kubeadm join`, in order, under upstream's names.
pub const PHASES: &[Phase] = &[
    Phase { name: "preflight", about: "Run join pre-flight checks", parts: &[] },
    Phase {
        name: "container-runtime",
        about: "Configure containerd and import the cluster's images",
        parts: &[],
    },
    Phase {
        name: "control-plane-prepare",
        about: "Prepare the machine for serving a control plane",
        parts: &["download-certs", "certs", "kubeconfig", "control-plane"],
    },
    Phase {
        name: "kubelet-start",
        about: "Write kubelet settings, certificates and (re)start the kubelet",
        parts: &[],
    },
    Phase { name: "etcd-join", about: "Join etcd for control plane nodes", parts: &[] },
    Phase { name: "kubelet-wait-bootstrap", about: "Wait for the kubelet to bootstrap itself", parts: &[] },
    Phase { name: "node-agents", about: "Start kube-proxy and podnet", parts: &["kube-proxy", "podnet"] },
    Phase {
        name: "control-plane-join",
        about: "Join a machine as a control plane instance",
        parts: &["mark-control-plane"],
    },
    Phase { name: "wait-control-plane", about: "Wait for the control plane to start", parts: &[] },
];

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = phases::help("join", PHASES))]
pub struct Flags {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Single>,
}

#[derive(Debug, Subcommand)]
enum Single {
    /// Use this command to invoke single phase of the "join" workflow
    #[command(after_help = phases::help("join", PHASES))]
    Phase {
        /// The phase
        name: String,
        /// A part of it, or `all`
        #[arg(long)]
        part: Option<String>,
        #[command(flatten)]
        options: Box<Options>,
    },
}

/// Upstream's flags of `kubeadm join` and its phases.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// An API server of the cluster
    #[arg(value_name = "HOST:PORT")]
    pub endpoint: Option<String>,
    /// The IP address the API Server of a control plane will advertise
    #[arg(long, value_name = "IP")]
    pub apiserver_advertise_address: Option<String>,
    /// Port for the API Server of a control plane to bind to
    #[arg(long, value_name = "PORT")]
    pub apiserver_bind_port: Option<u16>,
    /// The key that opens the certificates uploaded by init
    #[arg(long, value_name = "KEY")]
    pub certificate_key: Option<String>,
    /// Path to a kubeadm configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Create a new control plane instance on this node
    #[arg(long)]
    pub control_plane: bool,
    /// Path to the CRI socket
    #[arg(long, value_name = "SOCKET")]
    pub cri_socket: Option<String>,
    /// For file-based discovery, a kubeconfig of the cluster
    #[arg(long, value_name = "FILE")]
    pub discovery_file: Option<String>,
    /// For token-based discovery, the token used to validate the cluster
    #[arg(long, value_name = "TOKEN")]
    pub discovery_token: Option<String>,
    /// For token-based discovery, validate that the root CA public key matches this hash ("sha256:<hex>")
    #[arg(long, value_name = "HASH", value_delimiter = ',')]
    pub discovery_token_ca_cert_hash: Vec<String>,
    /// For token-based discovery, allow joining without --discovery-token-ca-cert-hash pinning
    #[arg(long)]
    pub discovery_token_unsafe_skip_ca_verification: bool,
    /// Don't apply any changes; just output what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// A list of checks whose errors will be shown as warnings; 'all' ignores errors from all checks
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub ignore_preflight_errors: Vec<String>,
    /// The node's name
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// List of phases to be skipped
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    pub skip_phases: Vec<String>,
    /// The token used for the TLS bootstrap, where it is not the discovery's
    #[arg(long, value_name = "TOKEN")]
    pub tls_bootstrap_token: Option<String>,
    /// This token is used for both discovery-token and tls-bootstrap-token when those are not given
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let (options, selection) = match flags.command {
        Some(Single::Phase { name, part, options }) => (*options, Some(Selection::Only(name, part))),
        None => (flags.options, None),
    };
    let mut begun = false;
    match go(options, selection, &mut begun).await {
        Err(error) if begun => Err(error.context(
            "kubeadm join did not finish. See why below; when it is mended, run `kubeadm reset` and `kubeadm join` again",
        )),
        result => result,
    }
}

async fn go(options: Options, selection: Option<Selection>, begun: &mut bool) -> anyhow::Result<()> {
    let request = settings::Request::new(options, selection)?;
    request.selection.check(PHASES)?;
    let role = request.role();
    if request.takes("preflight") {
        println!("[preflight] Running pre-flight checks");
        let view = crate::machine::view(&request.system, role, false).await;
        let findings = preflight::check(&view, role, request.api_port(), false);
        preflight::report(&findings, &request.ignored_checks())?;
        if view.distribution_etcd == preflight::DistributionEtcd::Idle && !request.dry_run {
            println!("[preflight] Turning off the distribution's etcd.service, which is empty");
            systemd::stop(&["etcd"]).await?;
            systemd::disable(&["etcd"]).await?;
        }
    }
    let join = request.find_cluster().await?;
    if join.request.dry_run {
        join.say_what_would_be_done(role);
        return Ok(());
    }
    *begun = join.request.selection.is_whole();
    let importing =
        if join.takes("container-runtime") { Some(join.container_runtime().await?) } else { None };
    match role {
        Role::Worker => join.worker().await?,
        Role::First | Role::ControlPlane => join.control_plane().await?,
    }
    if let Some(importing) = importing {
        importing.await??;
    }
    if join.request.selection.is_whole() {
        join.farewell(role);
    }
    Ok(())
}
