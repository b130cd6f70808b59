//! The flags that controllers read, under upstream's names.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser};
use component::flags::duration;
use ipnet::IpNet;

/// Which controllers of a process run, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Choice {
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
}

/// The flags that controllers read.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Which controllers run, and as whom
    #[command(flatten)]
    pub choice: Choice,
    /// Certificates of the cluster's authority, published to every namespace
    #[arg(long, value_name = "FILE")]
    pub root_ca_file: Option<PathBuf>,
    /// Key with which legacy service-account tokens are signed
    #[arg(long, value_name = "FILE")]
    pub service_account_private_key_file: Option<PathBuf>,
    /// Authorities that sign certificate requests
    #[command(flatten)]
    pub signing: Signing,
    /// The longest life of a signed certificate
    #[arg(long, default_value = "8760h0m0s", value_parser = duration, value_name = "DURATION")]
    pub cluster_signing_duration: Duration,
    /// Ranges of pod addresses, one for each family
    #[arg(long, value_delimiter = ',', value_name = "CIDRS")]
    pub cluster_cidr: Vec<IpNet>,
    /// Ranges of service addresses, kept out of those of pods
    #[arg(long, value_delimiter = ',', value_name = "CIDRS")]
    pub service_cluster_ip_range: Vec<IpNet>,
    /// Whether nodes get ranges of pod addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub allocate_node_cidrs: bool,
    /// Size of a node's range; 24 for IPv4 and 64 for IPv6 if absent
    #[arg(long, value_name = "BITS")]
    pub node_cidr_mask_size: Option<u8>,
    /// Size of a node's IPv4 range
    #[arg(long, value_name = "BITS")]
    pub node_cidr_mask_size_ipv4: Option<u8>,
    /// Size of a node's IPv6 range
    #[arg(long, value_name = "BITS")]
    pub node_cidr_mask_size_ipv6: Option<u8>,
    /// How long a token in a secret may be unused before it is marked invalid, and marked before it is deleted
    #[arg(long, default_value = "8760h0m0s", value_parser = duration, value_name = "DURATION")]
    pub legacy_service_account_token_clean_up_period: Duration,
    /// How long a node may be silent before it counts as unknown
    #[arg(long, default_value = "50s", value_parser = duration, value_name = "DURATION")]
    pub node_monitor_grace_period: Duration,
    /// How often nodes are looked at even if nothing changed
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION")]
    pub node_monitor_period: Duration,
    /// How long a new node may take to report for the first time
    #[arg(long, default_value = "1m", value_parser = duration, value_name = "DURATION")]
    pub node_startup_grace_period: Duration,
    /// Nodes per second from which pods are evicted in a healthy zone
    #[arg(long, default_value_t = 0.1, value_name = "RATE")]
    pub node_eviction_rate: f64,
    /// The same in an unhealthy zone of a large cluster
    #[arg(long, default_value_t = 0.01, value_name = "RATE")]
    pub secondary_node_eviction_rate: f64,
    /// The share of nodes that must be not ready for a zone to count as unhealthy
    #[arg(long, default_value_t = 0.55, value_name = "SHARE")]
    pub unhealthy_zone_threshold: f32,
    /// The number of nodes above which a cluster is large
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub large_cluster_size_threshold: usize,
    /// How many ended pods are kept before the oldest go
    #[arg(long, default_value_t = 12500, value_name = "COUNT")]
    pub terminated_pod_gc_threshold: i32,
    /// Whether a node that is not ready is waited for as long as it says that it uses a volume
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub disable_force_detach_on_timeout: bool,
    /// Concurrent syncs
    #[command(flatten)]
    pub concurrency: Concurrency,
    /// How often horizontal autoscaling looks
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub horizontal_pod_autoscaler_sync_period: Duration,
    /// How long scaling down waits for calm
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub horizontal_pod_autoscaler_downscale_stabilization: Duration,
    /// The change below which nothing is scaled
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    pub horizontal_pod_autoscaler_tolerance: f64,
    /// How long after a pod's start its processor use may be that of starting
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub horizontal_pod_autoscaler_cpu_initialization_period: Duration,
    /// How long after a pod's start it may first become ready
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub horizontal_pod_autoscaler_initial_readiness_delay: Duration,
}

/// The authorities of the signers: one for all, or one for each.
#[derive(Debug, Clone, Default, Args)]
pub struct Signing {
    /// Certificate of the authority that signs for all signers
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_cert_file: Option<PathBuf>,
    /// Key of that authority
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_key_file: Option<PathBuf>,
    /// Certificate of the authority of kubernetes.io/kubelet-serving
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_kubelet_serving_cert_file: Option<PathBuf>,
    /// Key of that authority
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_kubelet_serving_key_file: Option<PathBuf>,
    /// Certificate of the authority of kubernetes.io/kube-apiserver-client-kubelet
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_kubelet_client_cert_file: Option<PathBuf>,
    /// Key of that authority
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_kubelet_client_key_file: Option<PathBuf>,
    /// Certificate of the authority of kubernetes.io/kube-apiserver-client
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_kube_apiserver_client_cert_file: Option<PathBuf>,
    /// Key of that authority
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_kube_apiserver_client_key_file: Option<PathBuf>,
    /// Certificate of the authority of kubernetes.io/legacy-unknown
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_legacy_unknown_cert_file: Option<PathBuf>,
    /// Key of that authority
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_legacy_unknown_key_file: Option<PathBuf>,
}

/// How many objects of a kind are reconciled at a time.
#[derive(Debug, Clone, Parser)]
pub struct Concurrency {
    /// Deployments
    #[arg(long = "concurrent-deployment-syncs", default_value_t = 5, value_name = "COUNT")]
    pub deployments: usize,
    /// Replica sets
    #[arg(long = "concurrent-replicaset-syncs", default_value_t = 5, value_name = "COUNT")]
    pub replica_sets: usize,
    /// Replication controllers
    #[arg(long = "concurrent-rc-syncs", default_value_t = 5, value_name = "COUNT")]
    pub replication_controllers: usize,
    /// Endpoints
    #[arg(long = "concurrent-endpoint-syncs", default_value_t = 5, value_name = "COUNT")]
    pub endpoints: usize,
    /// Services' endpoint slices
    #[arg(long = "concurrent-service-endpoint-syncs", default_value_t = 5, value_name = "COUNT")]
    pub endpoint_slices: usize,
    /// Namespaces
    #[arg(long = "concurrent-namespace-syncs", default_value_t = 10, value_name = "COUNT")]
    pub namespaces: usize,
    /// Objects looked at by the garbage collector
    #[arg(long = "concurrent-gc-syncs", default_value_t = 20, value_name = "COUNT")]
    pub garbage: usize,
    /// Service accounts
    #[arg(long = "concurrent-serviceaccount-token-syncs", default_value_t = 5, value_name = "COUNT")]
    pub service_accounts: usize,
    /// Jobs
    #[arg(long = "concurrent-job-syncs", default_value_t = 5, value_name = "COUNT")]
    pub jobs: usize,
    /// Cron jobs
    #[arg(long = "concurrent-cron-job-syncs", default_value_t = 5, value_name = "COUNT")]
    pub cron_jobs: usize,
    /// Daemon sets
    #[arg(long = "concurrent-daemonset-syncs", default_value_t = 2, value_name = "COUNT")]
    pub daemon_sets: usize,
    /// Stateful sets
    #[arg(long = "concurrent-statefulset-syncs", default_value_t = 5, value_name = "COUNT")]
    pub stateful_sets: usize,
    /// Resource quotas
    #[arg(long = "concurrent-resource-quota-syncs", default_value_t = 5, value_name = "COUNT")]
    pub resource_quotas: usize,
    /// Horizontal autoscalers
    #[arg(long = "concurrent-horizontal-pod-autoscaler-syncs", default_value_t = 5, value_name = "COUNT")]
    pub autoscalers: usize,
    /// Objects that go after their time
    #[arg(long = "concurrent-ttl-after-finished-syncs", default_value_t = 5, value_name = "COUNT")]
    pub ttl_after_finished: usize,
    /// Objects of the ephemeral volume controller
    #[arg(long = "concurrent-ephemeralvolume-syncs", default_value_t = 5, value_name = "COUNT")]
    pub ephemeral_volumes: usize,
    /// Objects of the CronJob controller's validating policies
    #[arg(
        long = "concurrent-validating-admission-policy-status-syncs",
        default_value_t = 5,
        value_name = "COUNT"
    )]
    pub policies: usize,
}
