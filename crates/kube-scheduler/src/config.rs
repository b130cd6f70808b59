//! What the scheduler is told: upstream's flags over a `KubeSchedulerConfiguration` file over upstream's defaults.

mod file;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use component::flags::{Ignored, ignored, ignored_switch};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;

use crate::queue::Backoff;
use crate::schedule::Profile;

/// Upstream flags that mean nothing here.
pub const IGNORED: &[Ignored] = &[
    ignored("authentication-kubeconfig"),
    ignored("authorization-kubeconfig"),
    ignored("authentication-token-webhook-cache-ttl"),
    ignored("authorization-always-allow-paths"),
    ignored("authorization-webhook-cache-authorized-ttl"),
    ignored("authorization-webhook-cache-unauthorized-ttl"),
    ignored("cert-dir"),
    ignored("client-ca-file"),
    ignored("feature-gates"),
    ignored("http2-max-streams-per-connection"),
    ignored("kube-api-burst"),
    ignored("kube-api-content-type"),
    ignored("kube-api-qps"),
    ignored("leader-elect-resource-lock"),
    ignored("log-flush-frequency"),
    ignored("pod-max-in-unschedulable-pods-duration"),
    ignored("requestheader-allowed-names"),
    ignored("requestheader-client-ca-file"),
    ignored("requestheader-extra-headers-prefix"),
    ignored("requestheader-group-headers"),
    ignored("requestheader-uid-headers"),
    ignored("requestheader-username-headers"),
    ignored("show-hidden-metrics-for-version"),
    ignored("tls-cipher-suites"),
    ignored("tls-min-version"),
    ignored("tls-sni-cert-key"),
    ignored("write-config-to"),
    ignored_switch("authentication-skip-lookup"),
    ignored_switch("authentication-tolerate-lookup-failure"),
    ignored_switch("contention-profiling"),
    ignored_switch("permit-address-sharing"),
    ignored_switch("permit-port-sharing"),
    ignored_switch("profiling"),
];

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "kube-scheduler", about = "Binds pods to nodes")]
pub struct Flags {
    /// The configuration file (KubeSchedulerConfiguration)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Path to the kubeconfig; without it, the pod's service account is used
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The address of the API server, over the kubeconfig's
    #[arg(long, value_name = "URL")]
    pub master: Option<String>,
    /// The address to serve health and metrics at
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED), value_name = "IP")]
    pub bind_address: IpAddr,
    /// The port to serve health and metrics at; 0: not at all
    #[arg(long, default_value_t = 10259, value_name = "PORT")]
    pub secure_port: u16,
    /// The certificate to serve with; made at start when not given
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub tls_private_key_file: Option<PathBuf>,
    /// Leader election
    #[command(flatten)]
    pub leader_election: LeaderElectionFlags,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// What the scheduler is told, checked.
#[derive(Clone)]
pub struct Config {
    /// The kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// The address of the API server, over the kubeconfig's.
    pub master: Option<String>,
    /// Where health and metrics are served.
    pub address: Option<SocketAddr>,
    /// Certificate and key to serve with.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Leader election.
    pub leader_election: LeaderElectionFlags,
    /// The profiles.
    pub profiles: Vec<Profile>,
    /// How long pods rest between tries.
    pub backoff: Backoff,
}

impl Config {
    /// Brings flags, file and defaults together.
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        let file = match &flags.config {
            Some(path) => component::flags::config_file(
                path,
                "kubescheduler.config.k8s.io",
                "KubeSchedulerConfiguration",
            )?,
            None => file::File::default(),
        };
        let mut leader_election = flags.leader_election;
        file.leader_election.apply(&mut leader_election)?;
        let seconds = |given: Option<u64>, default: u64| Duration::from_secs(given.unwrap_or(default));
        let backoff = Backoff {
            initial: seconds(file.pod_initial_backoff_seconds, 1),
            most: seconds(file.pod_max_backoff_seconds, 10),
        };
        anyhow::ensure!(
            backoff.initial > Duration::ZERO && backoff.most >= backoff.initial,
            "podMaxBackoffSeconds: must be at least podInitialBackoffSeconds, which must be greater than 0"
        );
        let kubeconfig = Some(file.client_connection.kubeconfig.clone()).filter(|path| !path.is_empty());
        Ok(Config {
            kubeconfig: flags.kubeconfig.or(kubeconfig.map(Into::into)),
            master: flags.master,
            address: (flags.secure_port != 0).then(|| SocketAddr::new(flags.bind_address, flags.secure_port)),
            certificate: flags.tls_cert_file.zip(flags.tls_private_key_file),
            leader_election,
            profiles: file.profiles()?,
            backoff,
        })
    }

    /// Loads the certificate to serve with.
    pub fn identity(&self) -> anyhow::Result<Option<Arc<pki::Identity>>> {
        let load = |(certificate, key): &(PathBuf, PathBuf)| pki::Identity::load(certificate, key);
        Ok(self.certificate.as_ref().map(load).transpose()?)
    }
}
