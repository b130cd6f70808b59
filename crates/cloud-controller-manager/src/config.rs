//! The flags, under upstream's names.

use std::path::PathBuf;

use clap::Parser;
use component::access::ReviewFlags;
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored, ignored_switch};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;
use component::serve::ServingFlags;
use controller_runtime::Choice;
use serde_json::{Value, json};

/// Flags of upstream's that have no meaning here.
pub const IGNORED: &[Ignored] = &[
    ignored_switch("allocate-node-cidrs"),
    ignored_switch("allow-untagged-cloud"),
    ignored("cidr-allocator-type"),
    ignored("cloud-provider"),
    ignored("cluster-cidr"),
    ignored("cluster-name"),
    ignored("concurrent-node-syncs"),
    ignored_switch("configure-cloud-routes"),
    ignored("controller-start-interval"),
    ignored_switch("enable-leader-migration"),
    ignored("external-cloud-volume-plugin"),
    ignored("leader-migration-config"),
    ignored("min-resync-period"),
    ignored("node-monitor-period"),
    ignored("node-status-update-frequency"),
    ignored("node-sync-period"),
    ignored("route-reconciliation-period"),
    ignored("webhook-bind-address"),
    ignored("webhook-cert-dir"),
    ignored("webhook-secure-port"),
    ignored("webhooks"),
];

/// The flags of the process.
#[derive(Debug, Clone, Parser)]
#[command(name = "cloud-controller-manager", about = "Gives Services of type LoadBalancer their addresses")]
pub struct Config {
    /// The API server
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// As whom it asks who may read metrics
    #[command(flatten)]
    pub review: ReviewFlags,
    /// Health and metrics
    #[command(flatten)]
    pub serving: ServingFlags<10258>,
    /// Which controllers run, and as whom
    #[command(flatten)]
    pub choice: Choice,
    /// File with the provider's configuration: the pool of addresses, and how nodes are asked for their health
    #[arg(long, value_name = "FILE")]
    pub cloud_config: Option<PathBuf>,
    /// Services worked on at the same time
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub concurrent_service_syncs: usize,
    /// Leader election
    #[command(flatten)]
    pub leader: LeaderElectionFlags,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

impl Config {
    /// The configuration in use, for `/configz`.
    pub fn shown(&self) -> Value {
        json!({
            "apiVersion": "cloudcontrollermanager.config.k8s.io/v1alpha1",
            "kind": "CloudControllerManagerConfiguration",
            "Generic": {
                "Address": self.serving.bind_address,
                "Port": self.serving.secure_port,
                "ClientConnection": {"kubeconfig": self.connection.kubeconfig},
                "LeaderElection": self.leader.shown("cloud-controller-manager"),
                "Controllers": self.choice.controllers,
            },
            "KubeCloudShared": {
                "CloudProvider": {"CloudConfigFile": self.cloud_config},
                "UseServiceAccountCredentials": self.choice.use_service_account_credentials,
            },
            "ServiceController": {"ConcurrentServiceSyncs": self.concurrent_service_syncs},
        })
    }
}

#[cfg(test)]
mod tests {
    use component::flags::{CLIENT, SERVING, UPSTREAM_CONTROLLERS, differences};

    use super::*;

    #[test]
    fn takes_the_flags_that_upstream_manifests_write() {
        let line = "cloud-controller-manager --allocate-node-cidrs=false --authentication-kubeconfig=/a \
            --authorization-kubeconfig=/a --bind-address=127.0.0.1 --cloud-config=/etc/kubernetes/cloud.conf \
            --cloud-provider=bare-metal --cluster-cidr=172.16.0.0/16 --cluster-name=kubernetes \
            --concurrent-service-syncs=3 --configure-cloud-routes=false --controllers=*,-node-route-controller \
            --kubeconfig=/k --leader-elect=true --use-service-account-credentials --v=2";
        let sorted =
            component::flags::sort(line.split_whitespace().map(str::to_owned), &[SERVING, CLIENT, IGNORED]);
        assert_eq!(
            sorted.ignored,
            [
                "allocate-node-cidrs",
                "cloud-provider",
                "cluster-cidr",
                "cluster-name",
                "configure-cloud-routes"
            ]
        );
        let config = Config::try_parse_from(sorted.kept).unwrap();
        assert_eq!(config.cloud_config, Some(PathBuf::from("/etc/kubernetes/cloud.conf")));
        assert!(config.choice.use_service_account_credentials);
        assert_eq!((config.choice.controllers.len(), config.concurrent_service_syncs), (2, 3));
    }

    /// The flags of upstream's component, beside those that all controllers have.
    const UPSTREAM: &str = "allocate-node-cidrs allow-untagged-cloud cidr-allocator-type cloud-config cloud-provider cluster-cidr cluster-name
    concurrent-node-syncs concurrent-service-syncs configure-cloud-routes controller-start-interval controllers
    enable-leader-migration external-cloud-volume-plugin leader-migration-config min-resync-period node-monitor-period
    node-status-update-frequency node-sync-period route-reconciliation-period use-service-account-credentials
    webhook-bind-address webhook-cert-dir webhook-secure-port webhooks";

    #[test]
    fn every_flag_of_upstreams_is_taken_and_no_other() {
        let found = differences::<Config>(&[SERVING, CLIENT, IGNORED], &[UPSTREAM, UPSTREAM_CONTROLLERS]);
        assert_eq!(found, (Vec::new(), Vec::new()));
    }
}
