//! The configuration file.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::Taint;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `KubeletConfiguration` of `kubelet.config.k8s.io/v1beta1`: the fields that have a meaning here, and the rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeletConfiguration {
    /// Where static pods' manifests are.
    pub static_pod_path: Option<PathBuf>,
    /// Where container logs are.
    pub pod_logs_dir: Option<PathBuf>,
    /// The address to serve on.
    pub address: Option<IpAddr>,
    /// The port to serve on.
    pub port: Option<u16>,
    /// The address of the health endpoint.
    pub healthz_bind_address: Option<IpAddr>,
    /// The port of the health endpoint.
    pub healthz_port: Option<u16>,
    /// The certificate to serve with.
    pub tls_cert_file: Option<PathBuf>,
    /// Its key.
    pub tls_private_key_file: Option<PathBuf>,
    /// Whether the client certificate is renewed.
    pub rotate_certificates: Option<bool>,
    /// Whether the cluster signs the certificate to serve with.
    #[serde(rename = "serverTLSBootstrap")]
    pub server_tls_bootstrap: Option<bool>,
    /// How clients are known.
    pub authentication: Option<Authentication>,
    /// The nameservers of pods.
    #[serde(rename = "clusterDNS")]
    pub cluster_dns: Option<Vec<String>>,
    /// The domain of the cluster.
    pub cluster_domain: Option<String>,
    /// The node's resolver configuration.
    pub resolv_conf: Option<PathBuf>,
    /// How many pods the node takes.
    pub max_pods: Option<u32>,
    /// How many processes a pod may have.
    pub pod_pids_limit: Option<i64>,
    /// Whether CPU limits become quotas.
    #[serde(rename = "cpuCFSQuota")]
    pub cpu_cfs_quota: Option<bool>,
    /// The cgroup above all pods.
    pub cgroup_root: Option<String>,
    /// Whether QoS classes have cgroups.
    #[serde(rename = "cgroupsPerQOS")]
    pub cgroups_per_qos: Option<bool>,
    /// The runtime's socket.
    pub container_runtime_endpoint: Option<String>,
    /// How long a call to the runtime may take.
    #[serde(deserialize_with = "duration")]
    pub runtime_request_timeout: Option<Duration>,
    /// How many images may be pulled at once.
    pub max_parallel_image_pulls: Option<usize>,
    /// The back-off of crashing containers.
    pub crash_loop_back_off: Option<CrashLoopBackOff>,
    /// How often the node's status is computed.
    #[serde(deserialize_with = "duration")]
    pub node_status_update_frequency: Option<Duration>,
    /// How often it is written without a change.
    #[serde(deserialize_with = "duration")]
    pub node_status_report_frequency: Option<Duration>,
    /// How long the node's lease holds.
    pub node_lease_duration_seconds: Option<u64>,
    /// The largest container log.
    pub container_log_max_size: Option<String>,
    /// How many logs a container keeps.
    pub container_log_max_files: Option<u32>,
    /// Disk use at which images are removed.
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub image_gc_high_threshold_percent: Option<u64>,
    /// Disk use down to which images are removed.
    #[serde(rename = "imageGCLowThresholdPercent")]
    pub image_gc_low_threshold_percent: Option<u64>,
    /// The age before which no image is removed.
    #[serde(rename = "imageMinimumGCAge", deserialize_with = "duration")]
    pub image_minimum_gc_age: Option<Duration>,
    /// Thresholds below which pods go at once.
    pub eviction_hard: Option<BTreeMap<String, String>>,
    /// Thresholds below which pods go after a while.
    pub eviction_soft: Option<BTreeMap<String, String>>,
    /// How long each of those is borne.
    pub eviction_soft_grace_period: Option<BTreeMap<String, String>>,
    /// What more than a threshold is to be freed.
    pub eviction_minimum_reclaim: Option<BTreeMap<String, String>>,
    /// The seconds a pod gets to end in that a soft threshold evicts.
    pub eviction_max_pod_grace_period: Option<i64>,
    /// How long the node's conditions outlast what they say.
    #[serde(deserialize_with = "duration")]
    pub eviction_pressure_transition_period: Option<Duration>,
    /// Whether hard thresholds that are not given have their defaults beside those that are.
    pub merge_default_eviction_settings: Option<bool>,
    /// Kept for the system.
    pub system_reserved: Option<BTreeMap<String, String>>,
    /// Kept for Kubernetes.
    pub kube_reserved: Option<BTreeMap<String, String>>,
    /// Whether to register the node.
    pub register_node: Option<bool>,
    /// Taints to register with.
    pub register_with_taints: Option<Vec<Taint>>,
    /// The node's identity at its provider.
    #[serde(rename = "providerID")]
    pub provider_id: Option<String>,
    /// Sysctls pods may set.
    pub allowed_unsafe_sysctls: Option<Vec<String>>,
    /// Who owns cgroups: `cgroupfs` or `systemd`. A runtime that says who does is believed.
    pub cgroup_driver: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// How clients are known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    /// By certificate.
    pub x509: Option<X509>,
    /// By token; always asked of the API server here.
    pub webhook: Option<Value>,
    /// Not at all.
    pub anonymous: Option<Anonymous>,
}

/// Clients that show nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Anonymous {
    /// Whether the API server is asked what they may; they are refused otherwise.
    pub enabled: Option<bool>,
}

/// Certificates of clients.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct X509 {
    /// What they are checked against.
    #[serde(rename = "clientCAFile")]
    pub client_ca_file: Option<PathBuf>,
}

/// The back-off of crashing containers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CrashLoopBackOff {
    /// The longest wait.
    #[serde(deserialize_with = "duration")]
    pub max_container_restart_period: Option<Duration>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let parsed = component::flags::duration(&text).map_err(serde::de::Error::custom)?;
    // Zero is how generated files say: the default.
    Ok((!parsed.is_zero()).then_some(parsed))
}

/// Fields of upstream's file that are accepted and have no meaning here.
const WITHOUT_MEANING: &[&str] = &[
    "authorization",
    "allocatableEnforced",
    "configMapAndSecretChangeDetectionStrategy",
    "containerLogMaxWorkers",
    "containerLogMonitorInterval",
    "contentType",
    "cpuCFSQuotaPeriod",
    "cpuManagerPolicy",
    "cpuManagerPolicyOptions",
    "cpuManagerReconcilePeriod",
    "enableContentionProfiling",
    "enableControllerAttachDetach",
    "enableDebugFlagsHandler",
    "enableDebuggingHandlers",
    "enableProfilingHandler",
    "enableServer",
    "enableSystemLogHandler",
    "enableSystemLogQuery",
    "enforceNodeAllocatable",
    "eventBurst",
    "eventRecordQPS",
    "failCgroupV1",
    "failSwapOn",
    "featureGates",
    "fileCheckFrequency",
    "hairpinMode",
    "httpCheckFrequency",
    "imageMaximumGCAge",
    "imagePullCredentialsVerificationPolicy",
    "imageServiceEndpoint",
    "iptablesDropBit",
    "iptablesMasqueradeBit",
    "kernelMemcgNotification",
    "kubeAPIBurst",
    "kubeAPIQPS",
    "kubeReservedCgroup",
    "kubeletCgroups",
    "localStorageCapacityIsolation",
    "logging",
    "makeIPTablesUtilChains",
    "maxOpenFiles",
    "memoryManagerPolicy",
    "memorySwap",
    "memoryThrottlingFactor",
    "nodeStatusMaxImages",
    "oomScoreAdj",
    "podCIDR",
    "podsPerCore",
    "preloadedImagesVerificationAllowlist",
    "protectKernelDefaults",
    "qosReserved",
    "readOnlyPort",
    "registryBurst",
    "registryPullQPS",
    "reservedMemory",
    "reservedSystemCPUs",
    "runOnce",
    "seccompDefault",
    "serializeImagePulls",
    "showHiddenMetricsForVersion",
    "shutdownGracePeriod",
    "shutdownGracePeriodByPodPriority",
    "shutdownGracePeriodCriticalPods",
    "singleProcessOOMKill",
    "staticPodURL",
    "staticPodURLHeader",
    "streamingConnectionIdleTimeout",
    "syncFrequency",
    "systemCgroups",
    "systemReservedCgroup",
    "tlsCipherSuites",
    "tlsCurvePreferences",
    "tlsMinVersion",
    "topologyManagerPolicy",
    "topologyManagerPolicyOptions",
    "topologyManagerScope",
    "tracing",
    "useSystemdCgroup",
    "userNamespaces",
    "volumePluginDir",
    "volumeStatsAggPeriod",
];

impl KubeletConfiguration {
    /// Refuses what cannot be served.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(unknown) = self.rest.keys().find(|key| !WITHOUT_MEANING.contains(&key.as_str())) {
            anyhow::bail!("strict decoding error: unknown field {unknown:?}");
        }
        Ok(())
    }

    /// Names the fields given that have no meaning here.
    pub(super) fn without_meaning(&self) -> Vec<String> {
        self.rest.keys().cloned().collect()
    }
}
