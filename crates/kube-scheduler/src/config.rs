//! What the scheduler is told: upstream's flags over a `KubeSchedulerConfiguration` file over upstream's defaults.

mod file;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored, ignored_switch};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;
use component::serve::ServingFlags;

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
    /// The API server
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// Health and metrics
    #[command(flatten)]
    pub serving: ServingFlags<10259>,
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
    /// Where the API server is.
    pub connection: ConnectionFlags,
    /// Where and how health and metrics are served.
    pub serving: ServingFlags<10259>,
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
        Ok(Config {
            connection: flags.connection.or_kubeconfig(&file.client_connection.kubeconfig),
            serving: flags.serving,
            leader_election,
            profiles: file.profiles()?,
            backoff,
        })
    }
}
