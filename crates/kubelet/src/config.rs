//! Flags and configuration file, put together: a flag wins over the file, the file over the default.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use cgroups::Driver;
use clap::Parser;
use component::{
    flags::{Ignored, ignored, ignored_switch},
    logging::LoggingFlags,
};
use k8s_openapi::api::core::v1::Taint;

use crate::{eviction::threshold::Given, settings::Settings};

mod file;

pub use file::KubeletConfiguration;

/// Flags of upstream's kubelet that have no meaning here.
pub const IGNORED: &[Ignored] = &[
    ignored("cloud-provider"),
    ignored("pod-infra-container-image"),
    ignored("runtime-cgroups"),
    ignored("kubelet-cgroups"),
    ignored("system-cgroups"),
    ignored("feature-gates"),
    ignored("volume-plugin-dir"),
    ignored("authentication-token-webhook-cache-ttl"),
    ignored("authorization-mode"),
    ignored("image-credential-provider-bin-dir"),
    ignored("image-credential-provider-config"),
    ignored("tls-cipher-suites"),
    ignored("tls-min-version"),
    ignored("config-dir"),
    ignored("streaming-connection-idle-timeout"),
    ignored("cpu-manager-policy"),
    ignored("topology-manager-policy"),
    ignored("memory-manager-policy"),
    ignored_switch("fail-swap-on"),
    ignored_switch("authentication-token-webhook"),
    ignored_switch("make-iptables-util-chains"),
    ignored_switch("protect-kernel-defaults"),
    ignored_switch("serialize-image-pulls"),
    ignored_switch("seccomp-default"),
    ignored("authorization-webhook-cache-authorized-ttl"),
    ignored("authorization-webhook-cache-unauthorized-ttl"),
    ignored_switch("contention-profiling"),
    ignored("cpu-cfs-quota-period"),
    ignored("cpu-manager-policy-options"),
    ignored("cpu-manager-reconcile-period"),
    ignored_switch("enable-controller-attach-detach"),
    ignored_switch("enable-debugging-handlers"),
    ignored_switch("enable-server"),
    ignored("enforce-node-allocatable"),
    ignored("event-burst"),
    ignored("event-qps"),
    ignored_switch("exit-on-lock-contention"),
    ignored_switch("experimental-allocatable-ignore-eviction"),
    ignored("experimental-mounter-path"),
    ignored_switch("fail-cgroupv1"),
    ignored("file-check-frequency"),
    ignored("hairpin-mode"),
    ignored("http-check-frequency"),
    ignored_switch("keep-terminated-pod-volumes"),
    ignored_switch("kernel-memcg-notification"),
    ignored("kube-api-burst"),
    ignored("kube-api-content-type"),
    ignored("kube-api-qps"),
    ignored("kube-reserved-cgroup"),
    ignored_switch("local-storage-capacity-isolation"),
    ignored("lock-file"),
    ignored("manifest-url"),
    ignored("manifest-url-header"),
    ignored("master-service-namespace"),
    ignored("max-open-files"),
    ignored("maximum-dead-containers"),
    ignored("maximum-dead-containers-per-container"),
    ignored("minimum-container-ttl-duration"),
    ignored("node-status-max-images"),
    ignored("oom-score-adj"),
    ignored("pod-cidr"),
    ignored("pods-per-core"),
    ignored("qos-reserved"),
    ignored("read-only-port"),
    ignored_switch("register-schedulable"),
    ignored("registry-burst"),
    ignored("registry-qps"),
    ignored("reserved-cpus"),
    ignored("reserved-memory"),
    ignored_switch("runonce"),
    ignored("sync-frequency"),
    ignored("system-reserved-cgroup"),
    ignored("tls-curve-preferences"),
    ignored("topology-manager-policy-options"),
    ignored("topology-manager-scope"),
    ignored("volume-stats-agg-period"),
];

/// The kubelet's flags.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "kubelet", about = "Runs the pods of this node")]
pub struct Flags {
    /// The configuration file (kubelet.config.k8s.io/v1beta1, KubeletConfiguration)
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// How to reach the API server; without it the kubelet runs static pods only
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// How to reach the API server before the node has a certificate of its own
    #[arg(long)]
    pub bootstrap_kubeconfig: Option<PathBuf>,
    /// The name of the node; by default the host's name
    #[arg(long)]
    pub hostname_override: Option<String>,
    /// The node's addresses
    #[arg(long, value_delimiter = ',')]
    pub node_ip: Vec<IpAddr>,
    /// The container runtime's socket
    #[arg(long)]
    pub container_runtime_endpoint: Option<String>,
    /// The image service's socket, where it is another one
    #[arg(long)]
    pub image_service_endpoint: Option<String>,
    /// The folder of the kubelet's files
    #[arg(long)]
    pub root_dir: Option<PathBuf>,
    /// The folder of container logs
    #[arg(long)]
    pub pod_logs_dir: Option<PathBuf>,
    /// The folder of the kubelet's certificates
    #[arg(long)]
    pub cert_dir: Option<PathBuf>,
    /// Who owns cgroups, cgroupfs or systemd; a runtime that says who does is believed
    #[arg(long, value_name = "driver")]
    pub cgroup_driver: Option<String>,
    /// The cgroup above all pods
    #[arg(long)]
    pub cgroup_root: Option<String>,
    /// Whether each QoS class has a cgroup of its own
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub cgroups_per_qos: Option<bool>,
    /// Taints to register with: key=value:effect, by comma
    #[arg(long, value_delimiter = ',')]
    pub register_with_taints: Vec<String>,
    /// Whether to register the node
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub register_node: Option<bool>,
    /// Labels to register with: key=value, by comma
    #[arg(long, value_delimiter = ',')]
    pub node_labels: Vec<String>,
    /// The node's identity at its provider
    #[arg(long)]
    pub provider_id: Option<String>,
    /// The folder of static pods' manifests
    #[arg(long)]
    pub pod_manifest_path: Option<PathBuf>,
    /// The nameservers of pods
    #[arg(long, value_delimiter = ',')]
    pub cluster_dns: Vec<String>,
    /// The domain of the cluster
    #[arg(long)]
    pub cluster_domain: Option<String>,
    /// The node's resolver configuration
    #[arg(long)]
    pub resolv_conf: Option<PathBuf>,
    /// How many pods the node takes
    #[arg(long)]
    pub max_pods: Option<u32>,
    /// How many processes a pod may have
    #[arg(long)]
    pub pod_max_pids: Option<i64>,
    /// The address to serve on
    #[arg(long)]
    pub address: Option<IpAddr>,
    /// The port to serve on
    #[arg(long)]
    pub port: Option<u16>,
    /// The address of the health endpoint
    #[arg(long)]
    pub healthz_bind_address: Option<IpAddr>,
    /// The port of the health endpoint; 0 for none
    #[arg(long)]
    pub healthz_port: Option<u16>,
    /// The certificates that clients' certificates are checked against
    #[arg(long)]
    pub client_ca_file: Option<PathBuf>,
    /// The certificate to serve with
    #[arg(long)]
    pub tls_cert_file: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long)]
    pub tls_private_key_file: Option<PathBuf>,
    /// Whether to ask the API server about requests that show no certificate and no token, as of system:anonymous; they
    /// are refused otherwise. True unless there is a configuration file, where it is false unless said
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub anonymous_auth: Option<bool>,
    /// Whether to renew the certificate shown to the API server before it expires
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub rotate_certificates: Option<bool>,
    /// Whether to have the cluster sign the certificate to serve with, and renew it before it expires
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub rotate_server_certificates: Option<bool>,
    /// How long a call to the runtime may take
    #[arg(long, value_parser = component::flags::duration)]
    pub runtime_request_timeout: Option<Duration>,
    /// How often the node's status is computed
    #[arg(long, value_parser = component::flags::duration)]
    pub node_status_update_frequency: Option<Duration>,
    /// Thresholds below which pods are evicted at once: signal<amount, by comma
    #[arg(long, value_delimiter = ',')]
    pub eviction_hard: Vec<String>,
    /// Thresholds below which pods are evicted after a while: signal<amount, by comma
    #[arg(long, value_delimiter = ',')]
    pub eviction_soft: Vec<String>,
    /// How long soft thresholds are borne: signal=duration, by comma
    #[arg(long, value_delimiter = ',')]
    pub eviction_soft_grace_period: Vec<String>,
    /// What more than a threshold evictions are to free: signal=amount, by comma
    #[arg(long, value_delimiter = ',')]
    pub eviction_minimum_reclaim: Vec<String>,
    /// The seconds a pod gets to end in that a soft threshold evicts
    #[arg(long)]
    pub eviction_max_pod_grace_period: Option<i64>,
    /// How long the node says that it is short after it no longer is
    #[arg(long, value_parser = component::flags::duration)]
    pub eviction_pressure_transition_period: Option<Duration>,
    /// Resources kept for the system: resource=amount, by comma
    #[arg(long, value_delimiter = ',')]
    pub system_reserved: Vec<String>,
    /// Resources kept for Kubernetes' own processes
    #[arg(long, value_delimiter = ',')]
    pub kube_reserved: Vec<String>,
    /// Sysctls beyond the safe ones that pods may set
    #[arg(long, value_delimiter = ',')]
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Disk use in percent at which unused images are removed
    #[arg(long)]
    pub image_gc_high_threshold: Option<u64>,
    /// Disk use in percent down to which images are removed
    #[arg(long)]
    pub image_gc_low_threshold: Option<u64>,
    /// Whether limits of processor time become quotas
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub cpu_cfs_quota: Option<bool>,
    /// How large the log of a container may grow before another file is begun
    #[arg(long)]
    pub container_log_max_size: Option<String>,
    /// How many files the log of a container may have
    #[arg(long)]
    pub container_log_max_files: Option<u32>,
    /// How old an unused image must be to be removed
    #[arg(long, value_parser = component::flags::duration)]
    pub minimum_image_ttl_duration: Option<Duration>,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// Everything a kubelet is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the parts of the kubelet read.
    pub settings: Settings,
    /// How to reach the API server.
    pub kubeconfig: Option<PathBuf>,
    /// How to reach it the first time.
    pub bootstrap_kubeconfig: Option<PathBuf>,
    /// The runtime's socket.
    pub runtime_endpoint: String,
    /// How long a call to the runtime may take.
    pub runtime_request_timeout: Duration,
    /// Where the API is served.
    pub address: SocketAddr,
    /// Where health is served; none for nowhere.
    pub healthz: Option<SocketAddr>,
    /// What clients' certificates are checked against.
    pub client_ca_file: Option<PathBuf>,
    /// The certificate and key to serve with.
    pub serving: Option<(PathBuf, PathBuf)>,
    /// Whether the API server is asked about those who show nothing.
    pub anonymous_auth: bool,
    /// Whether the client certificate is renewed.
    pub rotate_certificates: bool,
    /// Whether the cluster signs the certificate to serve with.
    pub server_tls_bootstrap: bool,
    /// Flags given that have no meaning.
    pub ignored: Vec<String>,
}

impl Config {
    /// Puts flags and file together.
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        let file = match &flags.config {
            Some(path) => {
                component::flags::config_file(path, "kubelet.config.k8s.io", "KubeletConfiguration")?
            }
            None => KubeletConfiguration::default(),
        };
        file.check()?;
        let ignored = file.without_meaning();
        let root_dir = flags.root_dir.unwrap_or_else(|| "/var/lib/kubelet".into());
        let hostname = match flags.hostname_override.filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => nix::unistd::gethostname()?.to_string_lossy().into_owned(),
        };
        let node_labels = pairs(&flags.node_labels, '=').context("--node-labels")?;
        let mut taints = file.register_with_taints.unwrap_or_default();
        if !flags.register_with_taints.is_empty() {
            taints =
                flags.register_with_taints.iter().map(|text| taint(text)).collect::<anyhow::Result<_>>()?;
        }
        let list = |flag: Vec<String>, file: Option<Vec<String>>| {
            if flag.is_empty() { file.unwrap_or_default() } else { flag }
        };
        let map = |flag: &[String], separator, file: Option<BTreeMap<String, String>>| {
            if flag.is_empty() { Ok(file.unwrap_or_default()) } else { pairs(flag, separator) }
        };
        let eviction = Given {
            hard: map(&flags.eviction_hard, '<', file.eviction_hard).context("--eviction-hard")?,
            soft: map(&flags.eviction_soft, '<', file.eviction_soft).context("--eviction-soft")?,
            soft_grace: map(&flags.eviction_soft_grace_period, '=', file.eviction_soft_grace_period)
                .context("--eviction-soft-grace-period")?,
            reclaim: map(&flags.eviction_minimum_reclaim, '=', file.eviction_minimum_reclaim)
                .context("--eviction-minimum-reclaim")?,
            merge_defaults: file.merge_default_eviction_settings.unwrap_or(false),
            transition: flags
                .eviction_pressure_transition_period
                .or(file.eviction_pressure_transition_period),
            max_grace: flags.eviction_max_pod_grace_period.or(file.eviction_max_pod_grace_period),
        };
        let mut reserved =
            map(&flags.system_reserved, '=', file.system_reserved).context("--system-reserved")?;
        for (name, amount) in map(&flags.kube_reserved, '=', file.kube_reserved).context("--kube-reserved")? {
            let more: apimachinery::Quantity = amount.parse().with_context(|| format!("reserved {name}"))?;
            let so_far = reserved.get(&name).and_then(|held| held.parse::<apimachinery::Quantity>().ok());
            reserved.insert(name, so_far.map_or(more, |held| held + more).to_string());
        }
        let settings = Settings {
            node_name: hostname.trim().to_lowercase(),
            node_ips: flags.node_ip,
            pod_logs_dir: flags.pod_logs_dir.or(file.pod_logs_dir).unwrap_or_else(|| "/var/log/pods".into()),
            cert_dir: flags.cert_dir.unwrap_or_else(|| root_dir.join("pki")),
            root_dir,
            static_pods: flags
                .pod_manifest_path
                .or(file.static_pod_path)
                .filter(|path| !path.as_os_str().is_empty()),
            cgroup_root: flags.cgroup_root.or(file.cgroup_root).unwrap_or_default(),
            cgroup_driver: cgroup_driver(flags.cgroup_driver.or(file.cgroup_driver).as_deref())?,
            cgroups_per_qos: flags.cgroups_per_qos.or(file.cgroups_per_qos).unwrap_or(true),
            cluster_dns: list(flags.cluster_dns, file.cluster_dns),
            cluster_domain: flags.cluster_domain.or(file.cluster_domain).unwrap_or_default(),
            resolv_conf: flags.resolv_conf.or(file.resolv_conf).unwrap_or_else(|| "/etc/resolv.conf".into()),
            max_pods: flags.max_pods.or(file.max_pods).unwrap_or(110),
            pod_pids_limit: flags.pod_max_pids.or(file.pod_pids_limit).unwrap_or(-1),
            cpu_cfs_quota: flags.cpu_cfs_quota.or(file.cpu_cfs_quota).unwrap_or(true),
            // Upstream pulls one after another unless told otherwise; nothing here needs that.
            max_parallel_image_pulls: file.max_parallel_image_pulls.unwrap_or(5),
            max_container_restart_period: file
                .crash_loop_back_off
                .and_then(|back_off| back_off.max_container_restart_period)
                .unwrap_or(Duration::from_secs(300)),
            node_status_update_frequency: flags
                .node_status_update_frequency
                .or(file.node_status_update_frequency)
                .unwrap_or(Duration::from_secs(10)),
            node_status_report_frequency: file
                .node_status_report_frequency
                .unwrap_or(Duration::from_secs(300)),
            lease_duration: Duration::from_secs(file.node_lease_duration_seconds.unwrap_or(40).max(4)),
            container_log_max_size: size(
                flags.container_log_max_size.or(file.container_log_max_size).as_deref().unwrap_or("10Mi"),
            )?,
            container_log_max_files: flags
                .container_log_max_files
                .or(file.container_log_max_files)
                .unwrap_or(5)
                .max(2),
            image_gc_high_percent: flags
                .image_gc_high_threshold
                .or(file.image_gc_high_threshold_percent)
                .unwrap_or(85),
            image_gc_low_percent: flags
                .image_gc_low_threshold
                .or(file.image_gc_low_threshold_percent)
                .unwrap_or(80),
            image_minimum_gc_age: flags
                .minimum_image_ttl_duration
                .or(file.image_minimum_gc_age)
                .unwrap_or(Duration::from_secs(120)),
            eviction: eviction.rules()?,
            reserved,
            register_node: flags.register_node.or(file.register_node).unwrap_or(true),
            register_with_taints: taints,
            node_labels,
            provider_id: flags.provider_id.or(file.provider_id).filter(|id| !id.is_empty()),
            allowed_unsafe_sysctls: list(flags.allowed_unsafe_sysctls, file.allowed_unsafe_sysctls),
        };
        let address = flags.address.or(file.address).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let healthz =
            flags.healthz_bind_address.or(file.healthz_bind_address).unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let healthz_port = flags.healthz_port.or(file.healthz_port).unwrap_or(10248);
        let authentication = file.authentication.unwrap_or_default();
        let x509 = authentication.x509;
        // As upstream: flags alone have older defaults than a file.
        let anonymous = authentication.anonymous.and_then(|anonymous| anonymous.enabled);
        let anonymous_auth = flags.anonymous_auth.or(anonymous).unwrap_or(flags.config.is_none());
        let certificate =
            flags.tls_cert_file.or(file.tls_cert_file).filter(|path| !path.as_os_str().is_empty());
        let key = flags
            .tls_private_key_file
            .or(file.tls_private_key_file)
            .filter(|path| !path.as_os_str().is_empty());
        let serving = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => anyhow::bail!("--tls-cert-file and --tls-private-key-file go together"),
        };
        Ok(Self {
            settings,
            kubeconfig: flags.kubeconfig,
            bootstrap_kubeconfig: flags.bootstrap_kubeconfig,
            runtime_endpoint: flags
                .container_runtime_endpoint
                .or(file.container_runtime_endpoint)
                .filter(|endpoint| !endpoint.is_empty())
                .unwrap_or_else(|| "unix:///run/containerd/containerd.sock".into()),
            runtime_request_timeout: flags
                .runtime_request_timeout
                .or(file.runtime_request_timeout)
                .filter(|limit| !limit.is_zero())
                .unwrap_or(Duration::from_secs(120)),
            address: SocketAddr::new(address, flags.port.or(file.port).unwrap_or(10250)),
            healthz: (healthz_port != 0).then(|| SocketAddr::new(healthz, healthz_port)),
            client_ca_file: flags.client_ca_file.or(x509.and_then(|x509| x509.client_ca_file)),
            serving,
            anonymous_auth,
            rotate_certificates: flags.rotate_certificates.or(file.rotate_certificates).unwrap_or(false),
            server_tls_bootstrap: flags
                .rotate_server_certificates
                .or(file.server_tls_bootstrap)
                .unwrap_or(false),
            ignored,
        })
    }
}

fn pairs(list: &[String], separator: char) -> anyhow::Result<BTreeMap<String, String>> {
    let each = list.iter().filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) =
            pair.split_once(separator).with_context(|| format!("{pair:?} has no {separator:?}"))?;
        Ok((key.to_owned(), value.to_owned()))
    });
    each.collect()
}

fn size(text: &str) -> anyhow::Result<u64> {
    let quantity: apimachinery::Quantity =
        text.parse().with_context(|| format!("containerLogMaxSize {text:?}"))?;
    Ok(u64::try_from(quantity.value()).unwrap_or(u64::MAX))
}

/// Reads `key=value:effect` or `key:effect`.
fn taint(text: &str) -> anyhow::Result<Taint> {
    let (pair, effect) = text.rsplit_once(':').with_context(|| format!("taint {text:?} has no effect"))?;
    anyhow::ensure!(
        matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute"),
        "taint {text:?}: unknown effect {effect:?}"
    );
    let (key, value) =
        pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value.to_owned())));
    Ok(Taint { key: key.to_owned(), value, effect: effect.to_owned(), time_added: None })
}

/// The driver of that name; upstream's default is `cgroupfs`.
fn cgroup_driver(name: Option<&str>) -> anyhow::Result<Driver> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(Driver::default()) };
    Driver::named(name).with_context(|| {
        format!("invalid configuration: option cgroupDriver can only be set to \"cgroupfs\" or \"systemd\", not {name:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str], file: &str) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("config.yaml");
        std::fs::write(&path, file)?;
        let mut words = vec!["kubelet".to_owned(), format!("--config={}", path.display())];
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        Config::new(Flags::try_parse_from(words)?)
    }

    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = format!(
            "{HEAD}maxPods: 50\nclusterDNS: [10.96.0.10]\nclusterDomain: cluster.local\nport: 1\n\
            nodeStatusUpdateFrequency: 5s\nauthentication:\n  x509:\n    clientCAFile: /ca.crt\n"
        );
        let config =
            config(&["--max-pods=20", "--node-labels=a=b,c=", "--hostname-override=Node-1"], &file).unwrap();
        assert_eq!(config.settings.max_pods, 20);
        assert_eq!(config.settings.node_name, "node-1");
        assert_eq!(config.settings.node_labels["c"], "");
        assert_eq!(config.settings.cluster_dns, ["10.96.0.10"]);
        assert_eq!(config.settings.node_status_update_frequency, Duration::from_secs(5));
        assert_eq!(config.address.port(), 1);
        assert_eq!(config.client_ca_file, Some("/ca.crt".into()));
    }

    #[test]
    fn who_shows_nothing_is_asked_about_as_flags_or_the_file_say() {
        let said = |enabled: &str| format!("{HEAD}authentication:\n  anonymous:\n    enabled: {enabled}\n");
        for (arguments, file, expected) in [
            (&[][..], HEAD.to_owned(), false),
            (&[], said("true"), true),
            (&[], said("null"), false),
            (&["--anonymous-auth"], said("false"), true),
            (&["--anonymous-auth=false"], said("true"), false),
        ] {
            assert_eq!(config(arguments, &file).unwrap().anonymous_auth, expected, "{arguments:?} {file}");
        }
        let without_file = |arguments: &[&str]| {
            let words = ["kubelet", "--hostname-override=w1"].iter().chain(arguments);
            Config::new(Flags::try_parse_from(words).unwrap()).unwrap().anonymous_auth
        };
        assert!(without_file(&[]) && !without_file(&["--anonymous-auth=false"]));
    }

    #[test]
    fn cgroup_drivers_are_upstreams() {
        let driver = |flags: &[&str], line: &str| {
            config(flags, &format!("{HEAD}{line}")).map(|parsed| parsed.settings.cgroup_driver)
        };
        assert_eq!(driver(&[], "").unwrap(), Driver::Cgroupfs);
        assert_eq!(driver(&[], "cgroupDriver: systemd\n").unwrap(), Driver::Systemd);
        assert_eq!(
            driver(&["--cgroup-driver=cgroupfs"], "cgroupDriver: systemd\n").unwrap(),
            Driver::Cgroupfs
        );
        let error = driver(&[], "cgroupDriver: docker\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid configuration: option cgroupDriver can only be set to \"cgroupfs\" or \"systemd\", not \"docker\""
        );
    }

    #[test]
    fn known_fields_without_meaning_are_named_and_unknown_ones_refused() {
        let parsed = config(&[], &format!("{HEAD}failSwapOn: false\ncgroupDriver: cgroupfs\n")).unwrap();
        assert_eq!(parsed.ignored, ["failSwapOn"]);
        let error = config(&[], &format!("{HEAD}maxPodz: 1\n")).unwrap_err();
        assert!(format!("{error:#}").contains("unknown field \"maxPodz\""), "{error:#}");
    }

    #[test]
    fn taints() {
        let found = taint("a/b=c:NoSchedule").unwrap();
        assert_eq!(
            (found.key.as_str(), found.value.as_deref(), found.effect.as_str()),
            ("a/b", Some("c"), "NoSchedule")
        );
        assert_eq!(taint("a:NoExecute").unwrap().value, None);
        assert!(taint("a=b").is_err() && taint("a:Never").is_err());
    }

    /// The flags of upstream's component, but for those of the library that it counts containers with.
    const UPSTREAM: &str = "address allowed-unsafe-sysctls anonymous-auth authentication-token-webhook authentication-token-webhook-cache-ttl
    authorization-mode authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl
    bootstrap-kubeconfig cert-dir cgroup-driver cgroup-root cgroups-per-qos client-ca-file cloud-provider
    cluster-dns cluster-domain config config-dir container-log-max-files container-log-max-size
    container-runtime-endpoint contention-profiling cpu-cfs-quota cpu-cfs-quota-period cpu-manager-policy
    cpu-manager-policy-options cpu-manager-reconcile-period enable-controller-attach-detach enable-debugging-handlers
    enable-server enforce-node-allocatable event-burst event-qps eviction-hard eviction-max-pod-grace-period
    eviction-minimum-reclaim eviction-pressure-transition-period eviction-soft eviction-soft-grace-period
    exit-on-lock-contention experimental-allocatable-ignore-eviction experimental-mounter-path fail-cgroupv1 fail-swap-on
    feature-gates file-check-frequency hairpin-mode healthz-bind-address healthz-port hostname-override
    http-check-frequency image-credential-provider-bin-dir image-credential-provider-config image-gc-high-threshold
    image-gc-low-threshold image-service-endpoint keep-terminated-pod-volumes kernel-memcg-notification kube-api-burst
    kube-api-content-type kube-api-qps kube-reserved kube-reserved-cgroup kubeconfig kubelet-cgroups
    local-storage-capacity-isolation lock-file make-iptables-util-chains manifest-url manifest-url-header
    master-service-namespace max-open-files max-pods maximum-dead-containers maximum-dead-containers-per-container
    memory-manager-policy minimum-container-ttl-duration minimum-image-ttl-duration node-ip node-labels
    node-status-max-images node-status-update-frequency oom-score-adj pod-cidr pod-infra-container-image
    pod-logs-dir pod-manifest-path pod-max-pids pods-per-core port profiling protect-kernel-defaults provider-id qos-reserved
    read-only-port register-node register-schedulable register-with-taints registry-burst registry-qps reserved-cpus
    reserved-memory resolv-conf root-dir rotate-certificates rotate-server-certificates runonce runtime-cgroups
    runtime-request-timeout seccomp-default serialize-image-pulls streaming-connection-idle-timeout sync-frequency
    system-cgroups system-reserved system-reserved-cgroup tls-cert-file tls-cipher-suites tls-curve-preferences
    tls-min-version tls-private-key-file topology-manager-policy topology-manager-policy-options topology-manager-scope
    volume-plugin-dir volume-stats-agg-period
    help log-flush-frequency log-json-info-buffer-size log-json-split-stream log-text-info-buffer-size
    log-text-split-stream logging-format v version vmodule";

    #[test]
    fn every_flag_of_upstreams_is_taken_and_no_other() {
        let found = component::flags::differences::<Flags>(&[IGNORED], &[UPSTREAM]);
        assert_eq!(found, (Vec::new(), Vec::new()));
    }
}
