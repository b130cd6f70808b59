//! The kubelet's configuration as the rest of it reads it: resolved, with every default filled in.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use cgroups::Driver;
use k8s_openapi::api::core::v1::Taint;

/// Everything that flags and the configuration file decide.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of this node.
    pub node_name: String,
    /// Addresses given by `--node-ip`; empty: the one of the default route.
    pub node_ips: Vec<IpAddr>,
    /// Where pods' volumes and the kubelet's own files live.
    pub root_dir: PathBuf,
    /// Where container logs live.
    pub pod_logs_dir: PathBuf,
    /// Where the kubelet keeps its certificates.
    pub cert_dir: PathBuf,
    /// Where static pods' manifests are read from.
    pub static_pods: Option<PathBuf>,
    /// The cgroup all pods are under.
    pub cgroup_root: String,
    /// Who owns the cgroups of pods, unless the runtime says.
    pub cgroup_driver: Driver,
    /// Whether QoS classes have cgroups of their own.
    pub cgroups_per_qos: bool,
    /// The nameservers pods get.
    pub cluster_dns: Vec<String>,
    /// The domain of the cluster.
    pub cluster_domain: String,
    /// The node's own resolver configuration.
    pub resolv_conf: PathBuf,
    /// How many pods the node takes.
    pub max_pods: u32,
    /// How many processes one pod may have; −1: no limit.
    pub pod_pids_limit: i64,
    /// Whether CPU limits become quotas.
    pub cpu_cfs_quota: bool,
    /// How many images may be pulled at once.
    pub max_parallel_image_pulls: usize,
    /// The longest wait between restarts of a crashing container.
    pub max_container_restart_period: Duration,
    /// How often the node's status is computed.
    pub node_status_update_frequency: Duration,
    /// How often the node's status is written even without a change.
    pub node_status_report_frequency: Duration,
    /// How long the node's lease holds.
    pub lease_duration: Duration,
    /// The largest container log before it is rotated, in bytes.
    pub container_log_max_size: u64,
    /// How many log files a container keeps.
    pub container_log_max_files: u32,
    /// Disk use in percent at which unused images are removed.
    pub image_gc_high_percent: u64,
    /// Disk use in percent down to which images are removed.
    pub image_gc_low_percent: u64,
    /// The age before which no image is removed.
    pub image_minimum_gc_age: Duration,
    /// When the node's shortage ends pods.
    pub eviction: crate::eviction::threshold::Rules,
    /// Resources kept from pods for the system.
    pub reserved: BTreeMap<String, String>,
    /// Whether the node registers itself.
    pub register_node: bool,
    /// Taints the node registers with.
    pub register_with_taints: Vec<Taint>,
    /// Labels the node registers with.
    pub node_labels: BTreeMap<String, String>,
    /// The node's provider id.
    pub provider_id: Option<String>,
    /// Sysctls that pods may set beyond the safe ones.
    pub allowed_unsafe_sysctls: Vec<String>,
}

impl Settings {
    /// The folder of a pod.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.root_dir.join("pods").join(uid)
    }

    /// The folder of a pod's logs.
    pub fn log_dir(&self, pod: &crate::pod::PodRef) -> PathBuf {
        self.pod_logs_dir.join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid))
    }
}
