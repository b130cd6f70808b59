//! Sets up the control plane on this machine.

mod cluster_phases;
mod machine_phases;
mod settings;

use std::path::PathBuf;

use clap::Subcommand;

use crate::{
    cluster::Api,
    etcd::Etcd,
    kubeconfigs::Target,
    machine, node_files,
    phases::{self, Phase, Selection},
    preflight::{self, Finding, Role},
};

pub use cluster_phases::{apply_all, mark_control_plane, upload_certs};
pub use machine_phases::write_authentication;
pub use settings::{Init, stored};

/// The phases of `kubeadm init`, in order, under upstream's names.
pub const PHASES: &[Phase] = &[
    Phase { name: "preflight", about: "Run pre-flight checks", parts: &[] },
    Phase {
        name: "container-runtime",
        about: "Configure containerd and import the cluster's images",
        parts: &[],
    },
    Phase {
        name: "certs",
        about: "Certificate generation",
        parts: &[
            "ca",
            "apiserver",
            "apiserver-kubelet-client",
            "front-proxy-ca",
            "front-proxy-client",
            "etcd-ca",
            "etcd-server",
            "etcd-peer",
            "etcd-healthcheck-client",
            "apiserver-etcd-client",
            "sa",
        ],
    },
    Phase {
        name: "kubeconfig",
        about: "Generate all kubeconfig files necessary to establish the control plane and the admin kubeconfig file",
        parts: &[
            "admin",
            "super-admin",
            "kubelet",
            "controller-manager",
            "cloud-controller-manager",
            "scheduler",
            "kube-proxy",
            "podnet",
        ],
    },
    Phase { name: "etcd", about: "Start a local etcd member", parts: &["local"] },
    Phase {
        name: "control-plane",
        about: "Start the units of the control plane",
        parts: &["apiserver", "controller-manager", "cloud-controller-manager", "scheduler"],
    },
    Phase { name: "kubelet-start", about: "Write kubelet settings and (re)start the kubelet", parts: &[] },
    Phase { name: "wait-control-plane", about: "Wait for the control plane to start", parts: &[] },
    Phase {
        name: "upload-config",
        about: "Upload the kubeadm and kubelet configuration to ConfigMaps",
        parts: &["kubeadm", "kubelet"],
    },
    Phase { name: "upload-certs", about: "Upload certificates to kubeadm-certs", parts: &[] },
    Phase { name: "mark-control-plane", about: "Mark a node as a control-plane", parts: &[] },
    Phase {
        name: "bootstrap-token",
        about: "Generates bootstrap tokens used to join a node to a cluster",
        parts: &[],
    },
    Phase {
        name: "kubelet-finalize",
        about: "Updates settings relevant to the kubelet after TLS bootstrap",
        parts: &["enable-client-cert-rotation"],
    },
    Phase {
        name: "addon",
        about: "Install required addons",
        parts: &["coredns", "kube-proxy", "podnet", "metrics-server", "local-path-storage", "load-balancer"],
    },
    Phase {
        name: "show-join-command",
        about: "Show the join command for control-plane and worker node",
        parts: &[],
    },
];

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = phases::help("init", PHASES))]
pub struct Flags {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Single>,
}

#[derive(Debug, Subcommand)]
enum Single {
    /// Use this command to invoke single phase of the "init" workflow
    #[command(after_help = phases::help("init", PHASES))]
    Phase {
        /// The phase
        name: String,
        /// A part of it, or `all`
        part: Option<String>,
        #[command(flatten)]
        options: Box<Options>,
    },
}

/// Upstream's flags of `kubeadm init` and its phases.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The IP address the API Server will advertise it's listening on; by default that of the default interface
    #[arg(long, value_name = "IP")]
    pub apiserver_advertise_address: Option<String>,
    /// Port for the API Server to bind to
    #[arg(long, value_name = "PORT")]
    pub apiserver_bind_port: Option<u16>,
    /// Further names and addresses for the API Server's certificate
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub apiserver_cert_extra_sans: Vec<String>,
    /// The path where to save and store the certificates
    #[arg(long, value_name = "DIRECTORY")]
    pub cert_dir: Option<String>,
    /// Key used to encrypt the control-plane certificates in the kubeadm-certs Secret
    #[arg(long, value_name = "KEY")]
    pub certificate_key: Option<String>,
    /// Path to a kubeadm configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A stable IP address or DNS name for all control planes
    #[arg(long, value_name = "HOST[:PORT]")]
    pub control_plane_endpoint: Option<String>,
    /// Path to the CRI socket
    #[arg(long, value_name = "SOCKET")]
    pub cri_socket: Option<String>,
    /// Don't apply any changes; just output what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// A list of checks whose errors will be shown as warnings; 'all' ignores errors from all checks
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub ignore_preflight_errors: Vec<String>,
    /// The Kubernetes version of the control plane
    #[arg(long, value_name = "VERSION")]
    pub kubernetes_version: Option<String>,
    /// Addresses for Services of type LoadBalancer: ranges, CIDRs or single ones of the nodes' network
    #[arg(long, value_name = "ADDRESSES")]
    pub load_balancer_addresses: Option<String>,
    /// The node's name
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// Range of IP addresses for the pod network
    #[arg(long, value_name = "CIDR")]
    pub pod_network_cidr: Option<String>,
    /// Range of IP addresses for Services
    #[arg(long, value_name = "CIDR")]
    pub service_cidr: Option<String>,
    /// Domain for services, e.g. "myorg.internal"
    #[arg(long, value_name = "DOMAIN")]
    pub service_dns_domain: Option<String>,
    /// Don't print the key used to encrypt the control-plane certificates
    #[arg(long)]
    pub skip_certificate_key_print: bool,
    /// List of phases to be skipped
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    pub skip_phases: Vec<String>,
    /// Skip printing of the default bootstrap token
    #[arg(long)]
    pub skip_token_print: bool,
    /// The token to use for establishing trust between nodes and control-plane nodes
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// How long the token holds (e.g. 1s, 2m, 3h); with '0' it never expires
    #[arg(long, value_name = "DURATION")]
    pub token_ttl: Option<String>,
    /// Upload control-plane certificates to the kubeadm-certs Secret
    #[arg(long)]
    pub upload_certs: bool,
    /// The kubeconfig to talk to the cluster with, for phases that run alone
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let (options, selection) = match flags.command {
        Some(Single::Phase { name, part, options }) => (*options, Some(Selection::Only(name, part))),
        None => (flags.options, None),
    };
    let mut init = Init::new(options, selection).await?;
    init.selection.check(PHASES)?;
    if init.selection.is_whole() {
        println!("[init] Using Kubernetes version: {}", init.cluster.configuration.kubernetes_version);
    }
    let result = init.go().await;
    match result {
        Err(error) if init.begun => Err(error.context(
            "kubeadm init did not finish. See why below; when it is mended, run `kubeadm reset` and `kubeadm init` again",
        )),
        result => result,
    }
}

impl Init {
    async fn go(&mut self) -> anyhow::Result<()> {
        if self.takes("preflight") {
            self.preflight().await?;
        }
        let importing = if self.takes("container-runtime") { self.container_runtime().await? } else { None };
        self.begun = self.selection.is_whole() && !self.dry_run;
        self.machine_phases().await?;
        if self.dry_run {
            self.say_what_the_rest_would_do();
            return Ok(());
        }
        if self.takes("wait-control-plane") {
            self.wait_control_plane().await?;
        }
        let cluster_phases = [
            "upload-config",
            "upload-certs",
            "mark-control-plane",
            "bootstrap-token",
            "addon",
            "show-join-command",
        ];
        if cluster_phases.iter().any(|phase| self.takes(phase)) {
            let api = self.connect().await?;
            self.cluster_phases(&api).await?;
        }
        if self.takes("kubelet-finalize") {
            println!(
                "[kubelet-finalize] \"/etc/kubernetes/kubelet.conf\" points to a rotatable kubelet client certificate and key"
            );
            node_files::ensure_return(&self.paths, &self.node.name).await;
        }
        if let Some(importing) = importing {
            importing.await??;
        }
        if self.selection.is_whole() {
            self.farewell()?;
        }
        Ok(())
    }

    fn takes(&self, phase: &str) -> bool {
        self.selection.takes(phase)
    }

    async fn preflight(&self) -> anyhow::Result<()> {
        println!("[preflight] Running pre-flight checks");
        let view = machine::view(&self.system, Role::First, self.external_etcd()).await;
        let mut findings = preflight::check(&view, Role::First, self.node.port, self.external_etcd());
        findings.extend(self.check_external_etcd().await);
        preflight::report(&findings, &self.node.ignored_checks)?;
        if view.distribution_etcd == preflight::DistributionEtcd::Idle && !self.dry_run {
            println!(
                "[preflight] Turning off the distribution's etcd.service, which is empty: the cluster's member is kube-etcd.service"
            );
            crate::systemd::stop(&["etcd"]).await?;
            crate::systemd::disable(&["etcd"]).await?;
        }
        Ok(())
    }

    /// Whether the operator's etcd answers, member by member.
    async fn check_external_etcd(&self) -> Vec<Finding> {
        let Some(external) = &self.cluster.configuration.etcd.external else { return Vec::new() };
        let files = [&external.ca_file, &external.cert_file, &external.key_file].map(std::path::Path::new);
        let mut findings = Vec::new();
        for endpoint in &external.endpoints {
            let asked = async {
                let mut etcd =
                    Etcd::with(std::slice::from_ref(endpoint), files[0], files[1], files[2]).await?;
                etcd.version().await
            };
            if let Err(error) = asked.await {
                let message = format!(
                    "etcd at {endpoint} does not answer: {error:#}; see that it runs, and that caFile, certFile and keyFile are of it"
                );
                findings.push(Finding { name: "ExternalEtcdVersion".into(), message, fatal: true });
            }
        }
        findings
    }

    /// The cluster as this machine's own components are to reach it: without a way round.
    fn local_target(&self) -> anyhow::Result<Target> {
        self.target(self.node.api().url())
    }

    /// The cluster as everybody reaches it.
    fn shared_target(&self) -> anyhow::Result<Target> {
        self.target(self.cluster.server(&self.node).url())
    }

    fn target(&self, server: String) -> anyhow::Result<Target> {
        use anyhow::Context as _;
        let path = self.pki().join("ca.crt");
        let authority =
            std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Target { cluster: self.cluster.configuration.cluster_name.clone(), server, authority })
    }

    async fn connect(&self) -> anyhow::Result<Api> {
        if let Some(path) = &self.options.kubeconfig {
            return Api::open(path).await;
        }
        let strongest = ["super-admin", "admin"].map(|name| self.paths.kubeconfig(name));
        let path = strongest.iter().find(|path| path.exists()).unwrap_or(&strongest[1]);
        Api::open(path).await
    }
}
