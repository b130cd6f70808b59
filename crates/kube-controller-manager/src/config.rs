//! The flags, under upstream's names.

use clap::Parser;
use component::access::ReviewFlags;
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored, ignored_switch};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;
use component::serve::ServingFlags;
use controller_runtime::Options;

/// Flags of upstream's that have no meaning here.
pub const IGNORED: &[Ignored] = &[
    ignored("attach-detach-reconcile-sync-period"),
    ignored("cidr-allocator-type"),
    ignored("cloud-config"),
    ignored("cloud-provider"),
    ignored("cluster-name"),
    ignored_switch("configure-cloud-routes"),
    ignored("controller-start-interval"),
    ignored_switch("enable-dynamic-provisioning"),
    ignored_switch("enable-garbage-collector"),
    ignored_switch("enable-hostpath-provisioner"),
    ignored_switch("enable-leader-migration"),
    ignored("endpoint-updates-batch-period"),
    ignored("endpointslice-updates-batch-period"),
    ignored("external-cloud-volume-plugin"),
    ignored("flex-volume-plugin-dir"),
    ignored("leader-migration-config"),
    ignored("legacy-service-account-token-clean-up-period"),
    ignored("max-endpoints-per-slice"),
    ignored("min-resync-period"),
    ignored("mirroring-concurrent-service-endpoint-syncs"),
    ignored("mirroring-endpointslice-updates-batch-period"),
    ignored("mirroring-max-endpoints-per-subset"),
    ignored("namespace-sync-period"),
    ignored("node-eviction-burst"),
    ignored("node-sync-period"),
    ignored("pv-recycler-increment-timeout-nfs"),
    ignored("pv-recycler-minimum-timeout-hostpath"),
    ignored("pv-recycler-minimum-timeout-nfs"),
    ignored("pv-recycler-pod-template-filepath-hostpath"),
    ignored("pv-recycler-pod-template-filepath-nfs"),
    ignored("pv-recycler-timeout-increment-hostpath"),
    ignored("pvclaimbinder-sync-period"),
    ignored("resource-quota-sync-period"),
    ignored("route-reconciliation-period"),
];

/// The flags of the process.
#[derive(Debug, Clone, Parser)]
#[command(name = "kube-controller-manager", about = "Runs every controller loop of the cluster")]
pub struct Config {
    /// The API server
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// As whom it asks who may read metrics
    #[command(flatten)]
    pub review: ReviewFlags,
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
    use component::flags::{CLIENT, SERVING};
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
        let sorted =
            component::flags::sort(line.split_whitespace().map(str::to_owned), &[SERVING, CLIENT, IGNORED]);
        assert_eq!(sorted.ignored, ["client-ca-file", "cluster-name", "requestheader-client-ca-file"]);
        let config = Config::try_parse_from(sorted.kept).unwrap();
        assert_eq!(config.options.cluster_cidr, ["172.16.0.0/16".parse::<IpNet>().unwrap()]);
        assert!(config.options.allocate_node_cidrs && config.options.choice.use_service_account_credentials);
        assert_eq!(config.options.choice.controllers.len(), 3);
        assert_eq!(config.logging.verbosity, 2);
    }
}
