//! The flags, under upstream's names.

use std::path::PathBuf;

use clap::Parser;
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored, ignored_switch};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;
use component::serve::ServingFlags;
use controller_runtime::Options;

/// Flags of upstream's that have no meaning here.
pub const IGNORED: &[Ignored] = &[
    ignored("allow-metric-labels"),
    ignored("allow-metric-labels-manifest"),
    ignored("attach-detach-reconcile-sync-period"),
    ignored("authentication-token-webhook-cache-ttl"),
    ignored("authorization-always-allow-paths"),
    ignored("authorization-webhook-cache-authorized-ttl"),
    ignored("authorization-webhook-cache-unauthorized-ttl"),
    ignored("cert-dir"),
    ignored("cidr-allocator-type"),
    ignored("client-ca-file"),
    ignored("cloud-config"),
    ignored("cloud-provider"),
    ignored("cluster-name"),
    ignored_switch("configure-cloud-routes"),
    ignored_switch("contention-profiling"),
    ignored("controller-start-interval"),
    ignored("disabled-metrics"),
    ignored("emulated-version"),
    ignored_switch("enable-dynamic-provisioning"),
    ignored_switch("enable-garbage-collector"),
    ignored_switch("enable-hostpath-provisioner"),
    ignored_switch("enable-leader-migration"),
    ignored("endpoint-updates-batch-period"),
    ignored("endpointslice-updates-batch-period"),
    ignored("external-cloud-volume-plugin"),
    ignored("feature-gates"),
    ignored("flex-volume-plugin-dir"),
    ignored("http2-max-streams-per-connection"),
    ignored("kube-api-burst"),
    ignored("kube-api-content-type"),
    ignored("kube-api-qps"),
    ignored("leader-elect-resource-lock"),
    ignored("leader-migration-config"),
    ignored("legacy-service-account-token-clean-up-period"),
    ignored("log-flush-frequency"),
    ignored("log-json-info-buffer-size"),
    ignored_switch("log-json-split-stream"),
    ignored("log-text-info-buffer-size"),
    ignored_switch("log-text-split-stream"),
    ignored("max-endpoints-per-slice"),
    ignored("min-resync-period"),
    ignored("mirroring-concurrent-service-endpoint-syncs"),
    ignored("mirroring-endpointslice-updates-batch-period"),
    ignored("mirroring-max-endpoints-per-subset"),
    ignored("namespace-sync-period"),
    ignored("node-eviction-burst"),
    ignored("node-sync-period"),
    ignored_switch("permit-address-sharing"),
    ignored_switch("permit-port-sharing"),
    ignored_switch("profiling"),
    ignored("pv-recycler-increment-timeout-nfs"),
    ignored("pv-recycler-minimum-timeout-hostpath"),
    ignored("pv-recycler-minimum-timeout-nfs"),
    ignored("pv-recycler-pod-template-filepath-hostpath"),
    ignored("pv-recycler-pod-template-filepath-nfs"),
    ignored("pv-recycler-timeout-increment-hostpath"),
    ignored("pvclaimbinder-sync-period"),
    ignored("requestheader-allowed-names"),
    ignored("requestheader-client-ca-file"),
    ignored("requestheader-extra-headers-prefix"),
    ignored("requestheader-group-headers"),
    ignored("requestheader-uid-headers"),
    ignored("requestheader-username-headers"),
    ignored("resource-quota-sync-period"),
    ignored("route-reconciliation-period"),
    ignored("show-hidden-metrics-for-version"),
    ignored("tls-cipher-suites"),
    ignored("tls-min-version"),
    ignored("tls-sni-cert-key"),
    ignored("vmodule"),
];

/// The flags of the process.
#[derive(Debug, Clone, Parser)]
#[command(name = "kube-controller-manager", about = "Runs every controller loop of the cluster")]
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
    pub serving: ServingFlags<10257>,
    /// What controllers do
    #[command(flatten)]
    pub options: Options,
    /// Leader election
    #[command(flatten)]
    pub leader: LeaderElectionFlags,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::*;

    #[test]
    fn takes_the_flags_that_upstream_installers_write() {
        let line = "kube-controller-manager --allocate-node-cidrs=true --authentication-kubeconfig=/a \
            --authorization-kubeconfig=/a --bind-address=127.0.0.1 --client-ca-file=/ca --cluster-cidr=172.16.0.0/16 \
            --cluster-name=kubernetes --cluster-signing-cert-file=/ca --cluster-signing-key-file=/key \
            --controllers=*,bootstrap-signer-controller,-token-cleaner-controller --kubeconfig=/k --leader-elect=true \
            --requestheader-client-ca-file=/front --root-ca-file=/ca --service-account-private-key-file=/sa \
            --service-cluster-ip-range=10.96.0.0/12 --use-service-account-credentials=true --v=2";
        let sorted = component::flags::sort(line.split_whitespace().map(str::to_owned), IGNORED);
        assert_eq!(sorted.ignored, ["client-ca-file", "cluster-name", "requestheader-client-ca-file"]);
        let config = Config::try_parse_from(sorted.kept).unwrap();
        assert_eq!(config.options.cluster_cidr, ["172.16.0.0/16".parse::<IpNet>().unwrap()]);
        assert!(config.options.allocate_node_cidrs && config.options.use_service_account_credentials);
        assert_eq!(config.options.controllers.len(), 3);
        assert_eq!(config.logging.verbosity, 2);
    }
}
