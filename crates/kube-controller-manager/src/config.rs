//! The flags, under upstream's names.

use clap::Parser;
use component::access::ReviewFlags;
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored, ignored_switch, shown_duration};
use component::leader::LeaderElectionFlags;
use component::logging::LoggingFlags;
use component::serve::ServingFlags;
use controller_runtime::{Concurrency, Options};
use ipnet::IpNet;
use serde_json::{Value, json};

/// Flags of upstream's that have no meaning here.
pub const IGNORED: &[Ignored] = &[
    ignored_switch("allow-untagged-cloud"),
    ignored("attach-detach-reconcile-sync-period"),
    ignored("cidr-allocator-type"),
    ignored("cloud-config"),
    ignored("cloud-provider"),
    ignored("cluster-name"),
    ignored("concurrent-device-taint-eviction-syncs"),
    ignored("concurrent-resourceclaim-syncs"),
    ignored("concurrent-service-syncs"),
    ignored_switch("configure-cloud-routes"),
    ignored("controller-shutdown-timeout"),
    ignored("controller-start-interval"),
    ignored_switch("disable-attach-detach-reconcile-sync"),
    ignored_switch("enable-dynamic-provisioning"),
    ignored_switch("enable-garbage-collector"),
    ignored_switch("enable-hostpath-provisioner"),
    ignored_switch("enable-leader-migration"),
    ignored("endpoint-updates-batch-period"),
    ignored("endpointslice-updates-batch-period"),
    ignored("external-cloud-volume-plugin"),
    ignored("flex-volume-plugin-dir"),
    ignored("leader-migration-config"),
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

impl Config {
    /// The configuration in use, for `/configz`.
    pub fn shown(&self) -> Value {
        let options = &self.options;
        let Concurrency {
            deployments,
            replica_sets,
            replication_controllers,
            endpoints,
            endpoint_slices,
            namespaces,
            garbage,
            service_accounts,
            jobs,
            cron_jobs,
            daemon_sets,
            stateful_sets,
            resource_quotas,
            autoscalers,
            ttl_after_finished,
            ephemeral_volumes,
            policies,
        } = options.concurrency;
        json!({
            "apiVersion": "kubecontrollermanager.config.k8s.io/v1alpha1",
            "kind": "KubeControllerManagerConfiguration",
            "Generic": {
                "Address": self.serving.bind_address,
                "Port": self.serving.secure_port,
                "ClientConnection": {"kubeconfig": self.connection.kubeconfig},
                "LeaderElection": self.leader.shown("kube-controller-manager"),
                "Controllers": options.choice.controllers,
            },
            "KubeCloudShared": {
                "AllocateNodeCIDRs": options.allocate_node_cidrs,
                "ClusterCIDR": joined(&options.cluster_cidr),
                "NodeMonitorPeriod": shown_duration(options.node_monitor_period),
                "UseServiceAccountCredentials": options.choice.use_service_account_credentials,
            },
            "CSRSigningController": {
                "ClusterSigningCertFile": options.signing.cluster_signing_cert_file,
                "ClusterSigningDuration": shown_duration(options.cluster_signing_duration),
            },
            "CronJobController": {"ConcurrentCronJobSyncs": cron_jobs},
            "DaemonSetController": {"ConcurrentDaemonSetSyncs": daemon_sets},
            "DeploymentController": {"ConcurrentDeploymentSyncs": deployments},
            "EndpointController": {"ConcurrentEndpointSyncs": endpoints},
            "EndpointSliceController": {"ConcurrentServiceEndpointSyncs": endpoint_slices},
            "EphemeralVolumeController": {"ConcurrentEphemeralVolumeSyncs": ephemeral_volumes},
            "GarbageCollectorController": {"EnableGarbageCollector": true, "ConcurrentGCSyncs": garbage},
            "HPAController": {
                "ConcurrentHorizontalPodAutoscalerSyncs": autoscalers,
                "HorizontalPodAutoscalerSyncPeriod": shown_duration(options.horizontal_pod_autoscaler_sync_period),
                "HorizontalPodAutoscalerDownscaleStabilizationWindow":
                    shown_duration(options.horizontal_pod_autoscaler_downscale_stabilization),
                "HorizontalPodAutoscalerTolerance": options.horizontal_pod_autoscaler_tolerance,
                "HorizontalPodAutoscalerCPUInitializationPeriod":
                    shown_duration(options.horizontal_pod_autoscaler_cpu_initialization_period),
                "HorizontalPodAutoscalerInitialReadinessDelay":
                    shown_duration(options.horizontal_pod_autoscaler_initial_readiness_delay),
            },
            "JobController": {"ConcurrentJobSyncs": jobs},
            "NamespaceController": {"ConcurrentNamespaceSyncs": namespaces},
            "NodeIPAMController": {"ServiceCIDR": joined(&options.service_cluster_ip_range)},
            "NodeLifecycleController": {
                "NodeEvictionRate": options.node_eviction_rate,
                "SecondaryNodeEvictionRate": options.secondary_node_eviction_rate,
                "NodeStartupGracePeriod": shown_duration(options.node_startup_grace_period),
                "NodeMonitorGracePeriod": shown_duration(options.node_monitor_grace_period),
                "LargeClusterSizeThreshold": options.large_cluster_size_threshold,
                "UnhealthyZoneThreshold": options.unhealthy_zone_threshold,
            },
            "PodGCController": {"TerminatedPodGCThreshold": options.terminated_pod_gc_threshold},
            "ReplicaSetController": {"ConcurrentRSSyncs": replica_sets},
            "ReplicationController": {"ConcurrentRCSyncs": replication_controllers},
            "ResourceQuotaController": {"ConcurrentResourceQuotaSyncs": resource_quotas},
            "SAController": {"ConcurrentSATokenSyncs": service_accounts, "RootCAFile": options.root_ca_file},
            "StatefulSetController": {"ConcurrentStatefulSetSyncs": stateful_sets},
            "TTLAfterFinishedController": {"ConcurrentTTLSyncs": ttl_after_finished},
            "ValidatingAdmissionPolicyStatusController": {"ConcurrentPolicySyncs": policies},
        })
    }
}

fn joined(networks: &[IpNet]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use component::flags::{CLIENT, SERVING, UPSTREAM_CONTROLLERS, differences};

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
        assert_eq!(sorted.ignored, ["cluster-name"]);
        let config = Config::try_parse_from(sorted.kept).unwrap();
        assert_eq!(config.review.clients.client_ca_file, Some("/ca".into()));
        assert_eq!(config.options.cluster_cidr, ["172.16.0.0/16".parse::<IpNet>().unwrap()]);
        assert!(config.options.allocate_node_cidrs && config.options.choice.use_service_account_credentials);
        assert_eq!(config.options.choice.controllers.len(), 3);
        assert_eq!(config.logging.verbosity, 2);
    }

    /// The flags of upstream's component, beside those that all controllers have.
    const UPSTREAM: &str = "allocate-node-cidrs allow-untagged-cloud attach-detach-reconcile-sync-period cidr-allocator-type cloud-config
    cloud-provider cluster-cidr cluster-name cluster-signing-cert-file cluster-signing-duration cluster-signing-key-file
    cluster-signing-kube-apiserver-client-cert-file cluster-signing-kube-apiserver-client-key-file
    cluster-signing-kubelet-client-cert-file cluster-signing-kubelet-client-key-file
    cluster-signing-kubelet-serving-cert-file cluster-signing-kubelet-serving-key-file
    cluster-signing-legacy-unknown-cert-file cluster-signing-legacy-unknown-key-file concurrent-cron-job-syncs
    concurrent-daemonset-syncs concurrent-deployment-syncs concurrent-device-taint-eviction-syncs
    concurrent-endpoint-syncs concurrent-ephemeralvolume-syncs concurrent-gc-syncs
    concurrent-horizontal-pod-autoscaler-syncs concurrent-job-syncs concurrent-namespace-syncs concurrent-rc-syncs
    concurrent-replicaset-syncs concurrent-resource-quota-syncs concurrent-resourceclaim-syncs
    concurrent-service-endpoint-syncs concurrent-service-syncs concurrent-serviceaccount-token-syncs
    concurrent-statefulset-syncs concurrent-ttl-after-finished-syncs
    concurrent-validating-admission-policy-status-syncs configure-cloud-routes controller-shutdown-timeout
    controller-start-interval controllers disable-attach-detach-reconcile-sync disable-force-detach-on-timeout
    enable-dynamic-provisioning enable-garbage-collector enable-hostpath-provisioner enable-leader-migration
    endpoint-updates-batch-period endpointslice-updates-batch-period external-cloud-volume-plugin flex-volume-plugin-dir
    horizontal-pod-autoscaler-cpu-initialization-period horizontal-pod-autoscaler-downscale-stabilization
    horizontal-pod-autoscaler-initial-readiness-delay horizontal-pod-autoscaler-sync-period
    horizontal-pod-autoscaler-tolerance large-cluster-size-threshold leader-migration-config
    legacy-service-account-token-clean-up-period max-endpoints-per-slice min-resync-period
    mirroring-concurrent-service-endpoint-syncs mirroring-endpointslice-updates-batch-period
    mirroring-max-endpoints-per-subset namespace-sync-period node-cidr-mask-size node-cidr-mask-size-ipv4
    node-cidr-mask-size-ipv6 node-eviction-burst node-eviction-rate node-monitor-grace-period node-monitor-period
    node-startup-grace-period node-sync-period pv-recycler-increment-timeout-nfs pv-recycler-minimum-timeout-hostpath
    pv-recycler-minimum-timeout-nfs pv-recycler-pod-template-filepath-hostpath pv-recycler-pod-template-filepath-nfs
    pv-recycler-timeout-increment-hostpath pvclaimbinder-sync-period resource-quota-sync-period root-ca-file
    route-reconciliation-period secondary-node-eviction-rate service-account-private-key-file service-cluster-ip-range
    terminated-pod-gc-threshold unhealthy-zone-threshold use-service-account-credentials";

    #[test]
    fn every_flag_of_upstreams_is_taken_and_no_other() {
        let found = differences::<Config>(&[SERVING, CLIENT, IGNORED], &[UPSTREAM, UPSTREAM_CONTROLLERS]);
        assert_eq!(found, (Vec::new(), Vec::new()));
    }

    #[test]
    fn the_configuration_in_use_is_shown_under_upstreams_names() {
        let line = ["kube-controller-manager", "--cluster-cidr=172.16.0.0/16", "--concurrent-gc-syncs=7"];
        let shown = Config::try_parse_from(line).unwrap().shown();
        assert_eq!(shown["KubeCloudShared"]["ClusterCIDR"], "172.16.0.0/16");
        assert_eq!(shown["GarbageCollectorController"]["ConcurrentGCSyncs"], 7);
        assert_eq!(shown["Generic"]["LeaderElection"]["leaseDuration"], "15s");
    }
}
