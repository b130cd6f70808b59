//! What the scheduler is told: upstream's flags over a `KubeSchedulerConfiguration` file over upstream's defaults.

mod file;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use component::access::ReviewFlags;
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;
use component::serve::ServingFlags;
use serde_json::{Value, json};

use crate::framework::Plugin;
use crate::queue::Backoff;
use crate::schedule::Profile;

/// Upstream flags that mean nothing here.
pub const IGNORED: &[Ignored] = &[ignored("pod-max-in-unschedulable-pods-duration")];

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "kube-scheduler", about = "Binds pods to nodes")]
pub struct Flags {
    /// The configuration file (KubeSchedulerConfiguration)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to write the configuration in use, and then end
    #[arg(long, value_name = "FILE")]
    pub write_config_to: Option<PathBuf>,
    /// The API server
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// As whom it asks who may read metrics
    #[command(flatten)]
    pub review: ReviewFlags,
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
    /// As whom it asks who may read metrics.
    pub review: ReviewFlags,
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
            review: flags.review,
            serving: flags.serving,
            leader_election,
            profiles: file.profiles()?,
            backoff,
        })
    }

    /// The configuration in use, as a file would have it.
    pub fn shown(&self) -> Value {
        let profiles: Vec<Value> = self.profiles.iter().map(shown_profile).collect();
        json!({
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": self.connection.kubeconfig.clone().unwrap_or_default()},
            "leaderElection": self.leader_election.shown("kube-scheduler"),
            "podInitialBackoffSeconds": self.backoff.initial.as_secs(),
            "podMaxBackoffSeconds": self.backoff.most.as_secs(),
            "profiles": profiles,
        })
    }
}

fn shown_profile(profile: &Profile) -> Value {
    let named = |plugins: &[Arc<dyn Plugin>]| -> Vec<Value> {
        plugins.iter().map(|plugin| json!({"name": plugin.name()})).collect()
    };
    // A point's list adds to the defaults unless these are off.
    let only = |enabled: Vec<Value>| json!({"enabled": enabled, "disabled": [{"name": "*"}]});
    let preemption = if profile.preempts { vec![json!({"name": "DefaultPreemption"})] } else { Vec::new() };
    let scores: Vec<Value> = profile
        .scores
        .iter()
        .map(|(plugin, weight)| json!({"name": plugin.name(), "weight": weight}))
        .collect();
    json!({
        "schedulerName": profile.scheduler_name,
        "percentageOfNodesToScore": profile.percentage_of_nodes_to_score,
        "plugins": {
            "preEnqueue": only(named(&profile.gates)),
            "filter": only(named(&profile.filters)),
            "postFilter": only(preemption),
            "score": only(scores),
        },
    })
}
