//! The flags, under upstream's names.

use std::path::PathBuf;

use clap::{ArgAction, Parser};
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored, ignored_switch};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;
use component::serve::ServingFlags;

/// Flags of upstream's that have no meaning here.
pub const IGNORED: &[Ignored] = &[
    ignored_switch("allocate-node-cidrs"),
    ignored("allow-metric-labels"),
    ignored("allow-metric-labels-manifest"),
    ignored_switch("allow-untagged-cloud"),
    ignored_switch("authentication-skip-lookup"),
    ignored("authentication-token-webhook-cache-ttl"),
    ignored_switch("authentication-tolerate-lookup-failure"),
    ignored("authorization-always-allow-paths"),
    ignored("authorization-webhook-cache-authorized-ttl"),
    ignored("authorization-webhook-cache-unauthorized-ttl"),
    ignored("cert-dir"),
    ignored("cidr-allocator-type"),
    ignored("client-ca-file"),
    ignored("cloud-provider"),
    ignored("cluster-cidr"),
    ignored("cluster-name"),
    ignored("concurrent-node-syncs"),
    ignored_switch("configure-cloud-routes"),
    ignored_switch("contention-profiling"),
    ignored("controller-start-interval"),
    ignored("disabled-metrics"),
    ignored("emulated-version"),
    ignored_switch("enable-leader-migration"),
    ignored("external-cloud-volume-plugin"),
    ignored("feature-gates"),
    ignored("http2-max-streams-per-connection"),
    ignored("kube-api-burst"),
    ignored("kube-api-content-type"),
    ignored("kube-api-qps"),
    ignored("leader-elect-resource-lock"),
    ignored("leader-migration-config"),
    ignored("log-flush-frequency"),
    ignored("log-json-info-buffer-size"),
    ignored_switch("log-json-split-stream"),
    ignored("log-text-info-buffer-size"),
    ignored_switch("log-text-split-stream"),
    ignored("min-resync-period"),
    ignored("node-monitor-period"),
    ignored("node-status-update-frequency"),
    ignored("node-sync-period"),
    ignored_switch("permit-address-sharing"),
    ignored_switch("permit-port-sharing"),
    ignored_switch("profiling"),
    ignored("requestheader-allowed-names"),
    ignored("requestheader-client-ca-file"),
    ignored("requestheader-extra-headers-prefix"),
    ignored("requestheader-group-headers"),
    ignored("requestheader-uid-headers"),
    ignored("requestheader-username-headers"),
    ignored("route-reconciliation-period"),
    ignored("show-hidden-metrics-for-version"),
    ignored("tls-cipher-suites"),
    ignored("tls-min-version"),
    ignored("tls-sni-cert-key"),
    ignored("vmodule"),
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
    /// Kubeconfig for asking who may read metrics; the manager's own if absent
    #[arg(long, value_name = "FILE")]
    pub authentication_kubeconfig: Option<PathBuf>,
    /// Kubeconfig for asking what a reader of metrics may do; the one for authentication if absent
    #[arg(long, value_name = "FILE")]
    pub authorization_kubeconfig: Option<PathBuf>,
    /// Health and metrics
    #[command(flatten)]
    pub serving: ServingFlags<10258>,
    /// Controllers to run: '*' for all that run by default, 'name' to add one, '-name' to leave one out
    #[arg(
        long,
        default_value = "*",
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "NAMES"
    )]
    pub controllers: Vec<String>,
    /// Whether each controller acts under its own service account
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub use_service_account_credentials: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_flags_that_upstream_manifests_write() {
        let line = "cloud-controller-manager --allocate-node-cidrs=false --authentication-kubeconfig=/a \
            --authorization-kubeconfig=/a --bind-address=127.0.0.1 --cloud-config=/etc/kubernetes/cloud.conf \
            --cloud-provider=bare-metal --cluster-cidr=172.16.0.0/16 --cluster-name=kubernetes \
            --concurrent-service-syncs=3 --configure-cloud-routes=false --controllers=*,-node-route-controller \
            --kubeconfig=/k --leader-elect=true --use-service-account-credentials --v=2";
        let sorted = component::flags::sort(line.split_whitespace().map(str::to_owned), IGNORED);
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
        assert!(config.use_service_account_credentials);
        assert_eq!((config.controllers.len(), config.concurrent_service_syncs), (2, 3));
    }
}
