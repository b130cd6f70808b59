//! What the proxy is told: upstream's flags over a `KubeProxyConfiguration` file over upstream's defaults.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use component::client::ConnectionFlags;
use component::flags::{Ignored, ignored, ignored_switch, shown_duration};
use component::logging::LoggingFlags;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

/// Upstream flags that mean nothing here.
pub const IGNORED: &[Ignored] = &[
    ignored("feature-gates"),
    ignored("kube-api-qps"),
    ignored("kube-api-burst"),
    ignored("kube-api-content-type"),
    ignored("config-sync-period"),
    ignored("conntrack-udp-timeout"),
    ignored("conntrack-udp-timeout-stream"),
    ignored("oom-score-adj"),
    ignored("ipvs-exclude-cidrs"),
    ignored("ipvs-min-sync-period"),
    ignored("ipvs-scheduler"),
    ignored("ipvs-sync-period"),
    ignored("ipvs-tcp-timeout"),
    ignored("ipvs-tcpfin-timeout"),
    ignored("ipvs-udp-timeout"),
    ignored("show-hidden-metrics-for-version"),
    ignored_switch("ipvs-strict-arp"),
    ignored_switch("bind-address-hard-fail"),
];

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "kube-proxy", about = "Services into packet rules")]
pub struct Flags {
    /// The configuration file (KubeProxyConfiguration)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The API server
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// The name of this node, when it is not the host name
    #[arg(long, value_name = "NAME")]
    pub hostname_override: Option<String>,
    /// Remove all rules of the proxy and exit
    #[arg(long)]
    pub cleanup: bool,
    /// Set the kernel's parameters, which needs all rights of the node, and exit
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub init_only: bool,
    /// Where to write the configuration in use, and then exit
    #[arg(long, value_name = "FILE")]
    pub write_config_to: Option<PathBuf>,
    /// The node's address when the Node object has none (0.0.0.0: ask the Node)
    #[arg(long, value_name = "IP")]
    pub bind_address: Option<IpAddr>,
    /// iptables, the only mode there is as yet
    #[arg(long, value_name = "MODE")]
    pub proxy_mode: Option<String>,
    /// The network of the pods; traffic to services from elsewhere is masqueraded
    #[arg(long, value_name = "CIDR")]
    pub cluster_cidr: Option<String>,
    /// How traffic of local pods is recognised: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix
    #[arg(long, value_name = "MODE")]
    pub detect_local_mode: Option<String>,
    /// The bridge for detect-local-mode BridgeInterface
    #[arg(long, value_name = "NAME")]
    pub pod_bridge_interface: Option<String>,
    /// The prefix for detect-local-mode InterfaceNamePrefix
    #[arg(long, value_name = "PREFIX")]
    pub pod_interface_name_prefix: Option<String>,
    /// Masquerade all traffic to service addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub masquerade_all: Option<bool>,
    /// The bit of the mark of packets to masquerade
    #[arg(long, value_name = "BIT")]
    pub iptables_masquerade_bit: Option<u8>,
    /// The longest pause that frequent changes can put between two syncs
    #[arg(long, value_parser = component::flags::duration, value_name = "DURATION")]
    pub iptables_min_sync_period: Option<Duration>,
    /// How often it is checked that the rules are still there
    #[arg(long, value_parser = component::flags::duration, value_name = "DURATION")]
    pub iptables_sync_period: Option<Duration>,
    /// Let node ports answer at 127.0.0.1
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub iptables_localhost_nodeports: Option<bool>,
    /// Networks whose addresses on this node have node ports, or "primary"
    #[arg(long, value_delimiter = ',', value_name = "CIDR")]
    pub nodeport_addresses: Option<Vec<String>>,
    /// Where /healthz is served
    #[arg(long, value_name = "ADDRESS")]
    pub healthz_bind_address: Option<String>,
    /// Where /metrics is served
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_bind_address: Option<String>,
    /// Connections to track for each core; 0 leaves the kernel's limit
    #[arg(long, value_name = "N")]
    pub conntrack_max_per_core: Option<u64>,
    /// Connections to track at least
    #[arg(long, value_name = "N")]
    pub conntrack_min: Option<u64>,
    /// How long an idle established TCP connection is tracked; 0 leaves the kernel's value
    #[arg(long, value_parser = component::flags::duration, value_name = "DURATION")]
    pub conntrack_tcp_timeout_established: Option<Duration>,
    /// How long a TCP connection in CLOSE_WAIT is tracked; 0 leaves the kernel's value
    #[arg(long, value_parser = component::flags::duration, value_name = "DURATION")]
    pub conntrack_tcp_timeout_close_wait: Option<Duration>,
    /// Leave packets that conntrack finds invalid to the kernel's liberal tracking
    #[arg(long)]
    pub conntrack_tcp_be_liberal: bool,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// The used part of `KubeProxyConfiguration`; fields that mean nothing here are read over.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    client_connection: ClientConnection,
    hostname_override: String,
    bind_address: String,
    healthz_bind_address: String,
    metrics_bind_address: String,
    mode: String,
    #[serde(rename = "clusterCIDR")]
    cluster_cidr: String,
    detect_local_mode: String,
    detect_local: DetectLocal,
    node_port_addresses: Option<Vec<String>>,
    iptables: IptablesFile,
    conntrack: ConntrackFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientConnection {
    kubeconfig: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DetectLocal {
    bridge_interface: String,
    interface_name_prefix: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct IptablesFile {
    masquerade_bit: Option<u8>,
    masquerade_all: Option<bool>,
    localhost_node_ports: Option<bool>,
    sync_period: Option<String>,
    min_sync_period: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConntrackFile {
    max_per_core: Option<u64>,
    min: Option<u64>,
    tcp_established_timeout: Option<String>,
    tcp_close_wait_timeout: Option<String>,
    tcp_be_liberal: bool,
}

/// How traffic of local pods is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetectLocalMode {
    /// By this network; none: not at all.
    ClusterCidr(Option<IpNet>),
    /// By the node's part of the pod network.
    NodeCidr,
    /// By the bridge.
    Bridge(String),
    /// By the interface's prefix.
    InterfacePrefix(String),
}

/// Where node ports listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodePorts {
    /// At every address.
    All,
    /// At the node's primary address.
    Primary,
    /// At its addresses in these networks.
    In(Vec<IpNet>),
}

/// Limits of connection tracking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conntrack {
    /// Connections for each core; 0 leaves the kernel's limit.
    pub max_per_core: u64,
    /// Connections at least.
    pub min: u64,
    /// How long an idle established TCP connection is tracked.
    pub tcp_established: Duration,
    /// How long a TCP connection in CLOSE_WAIT is tracked.
    pub tcp_close_wait: Duration,
}

/// What the proxy is told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the API server is.
    pub connection: ConnectionFlags,
    /// The node's name.
    pub node_name: String,
    /// The node's address when the Node object has none.
    pub bind_address: Option<IpAddr>,
    /// How traffic of local pods is recognised.
    pub detect_local: DetectLocalMode,
    /// Where node ports listen.
    pub node_ports: NodePorts,
    /// Whether node ports answer at 127.0.0.1.
    pub localhost_node_ports: bool,
    /// Whether all traffic to service addresses is masqueraded.
    pub masquerade_all: bool,
    /// The bit that marks packets to masquerade.
    pub masquerade_bit: u8,
    /// The longest pause that frequent changes put between two syncs.
    pub min_sync_period: Duration,
    /// How often the canary is looked for.
    pub sync_period: Duration,
    /// Where health is served.
    pub healthz: Option<SocketAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Limits of connection tracking.
    pub conntrack: Conntrack,
    /// Whether invalid packets are left alone.
    pub conntrack_tcp_be_liberal: bool,
}

impl Config {
    /// Brings flags, file and defaults together. `host_name` names the node when nothing else does.
    pub fn new(flags: &Flags, host_name: &str) -> anyhow::Result<Self> {
        let file = match &flags.config {
            Some(path) => component::flags::config_file::<File>(
                path,
                "kubeproxy.config.k8s.io",
                "KubeProxyConfiguration",
            )?,
            None => File::default(),
        };
        let mode = flags.proxy_mode.clone().unwrap_or_else(|| file.mode.clone());
        if !matches!(mode.as_str(), "" | "iptables") {
            bail!("proxy mode {mode:?} is not supported, only \"iptables\"");
        }
        let node_name = flags.hostname_override.clone().or_else(|| given(&file.hostname_override));
        let bind_address = match flags.bind_address {
            Some(address) => Some(address),
            None => given(&file.bind_address).map(|text| text.parse()).transpose().context("bindAddress")?,
        };
        let masquerade_bit = flags.iptables_masquerade_bit.or(file.iptables.masquerade_bit).unwrap_or(14);
        if masquerade_bit > 31 {
            bail!(
                "iptables.masqueradeBit: Invalid value: {masquerade_bit}: must be within the range [0, 31]"
            );
        }
        Ok(Config {
            connection: flags.connection.clone().or_kubeconfig(&file.client_connection.kubeconfig),
            node_name: node_name.unwrap_or_else(|| host_name.to_owned()).trim().to_lowercase(),
            bind_address: bind_address.filter(|address| !address.is_unspecified()),
            detect_local: detect_local(flags, &file)?,
            node_ports: node_ports(flags.nodeport_addresses.as_ref().or(file.node_port_addresses.as_ref()))?,
            localhost_node_ports: flags
                .iptables_localhost_nodeports
                .or(file.iptables.localhost_node_ports)
                .unwrap_or(true),
            masquerade_all: flags.masquerade_all.or(file.iptables.masquerade_all).unwrap_or(false),
            masquerade_bit,
            min_sync_period: duration(
                flags.iptables_min_sync_period,
                file.iptables.min_sync_period.as_deref(),
                1,
            )?,
            sync_period: duration(flags.iptables_sync_period, file.iptables.sync_period.as_deref(), 30)?
                .max(Duration::from_secs(1)),
            healthz: address(
                &flags.healthz_bind_address,
                &file.healthz_bind_address,
                "0.0.0.0:10256",
                10256,
            )?,
            metrics: address(
                &flags.metrics_bind_address,
                &file.metrics_bind_address,
                "127.0.0.1:10249",
                10249,
            )?,
            conntrack: Conntrack {
                max_per_core: flags
                    .conntrack_max_per_core
                    .or(file.conntrack.max_per_core)
                    .unwrap_or(32 * 1024),
                min: flags.conntrack_min.or(file.conntrack.min).unwrap_or(128 * 1024),
                tcp_established: duration(
                    flags.conntrack_tcp_timeout_established,
                    file.conntrack.tcp_established_timeout.as_deref(),
                    24 * 3600,
                )?,
                tcp_close_wait: duration(
                    flags.conntrack_tcp_timeout_close_wait,
                    file.conntrack.tcp_close_wait_timeout.as_deref(),
                    3600,
                )?,
            },
            conntrack_tcp_be_liberal: flags.conntrack_tcp_be_liberal || file.conntrack.tcp_be_liberal,
        })
    }

    /// The configuration in use, as a file would have it.
    pub fn shown(&self) -> Value {
        let address =
            |address: Option<SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        let (mode, cluster_cidr, bridge, prefix) = match &self.detect_local {
            DetectLocalMode::ClusterCidr(network) => {
                ("ClusterCIDR", network.map(|network| network.to_string()), "", "")
            }
            DetectLocalMode::NodeCidr => ("NodeCIDR", None, "", ""),
            DetectLocalMode::Bridge(name) => ("BridgeInterface", None, name.as_str(), ""),
            DetectLocalMode::InterfacePrefix(prefix) => ("InterfaceNamePrefix", None, "", prefix.as_str()),
        };
        let node_ports = match &self.node_ports {
            NodePorts::All => Vec::new(),
            NodePorts::Primary => vec!["primary".to_owned()],
            NodePorts::In(networks) => networks.iter().map(ToString::to_string).collect(),
        };
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "bindAddress": self.bind_address.map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string()),
            "clientConnection": {"kubeconfig": self.connection.kubeconfig.clone().unwrap_or_default()},
            "clusterCIDR": cluster_cidr.unwrap_or_default(),
            "conntrack": {
                "maxPerCore": self.conntrack.max_per_core,
                "min": self.conntrack.min,
                "tcpBeLiberal": self.conntrack_tcp_be_liberal,
                "tcpCloseWaitTimeout": shown_duration(self.conntrack.tcp_close_wait),
                "tcpEstablishedTimeout": shown_duration(self.conntrack.tcp_established),
            },
            "detectLocal": {"bridgeInterface": bridge, "interfaceNamePrefix": prefix},
            "detectLocalMode": mode,
            "healthzBindAddress": address(self.healthz),
            "hostnameOverride": self.node_name,
            "iptables": {
                "localhostNodePorts": self.localhost_node_ports,
                "masqueradeAll": self.masquerade_all,
                "masqueradeBit": self.masquerade_bit,
                "minSyncPeriod": shown_duration(self.min_sync_period),
                "syncPeriod": shown_duration(self.sync_period),
            },
            "metricsBindAddress": address(self.metrics),
            "mode": "iptables",
            "nodePortAddresses": node_ports,
        })
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn duration(flag: Option<Duration>, file: Option<&str>, default_seconds: u64) -> anyhow::Result<Duration> {
    match (flag, file) {
        (Some(duration), _) => Ok(duration),
        // Upstream's file writes an unset duration as 0s.
        (None, Some("" | "0s")) | (None, None) => Ok(Duration::from_secs(default_seconds)),
        (None, Some(text)) => component::flags::duration(text).map_err(anyhow::Error::msg),
    }
}

/// Reads `IP:port` or a bare `IP`; an explicitly empty flag turns the server off.
fn address(
    flag: &Option<String>,
    file: &str,
    default: &str,
    port: u16,
) -> anyhow::Result<Option<SocketAddr>> {
    let text = match flag.as_deref() {
        Some("") => return Ok(None),
        Some(text) => text,
        None if file.is_empty() => default,
        None => file,
    };
    let parsed =
        text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, port)));
    Ok(Some(parsed.with_context(|| format!("{text:?} is not an address"))?))
}

fn detect_local(flags: &Flags, file: &File) -> anyhow::Result<DetectLocalMode> {
    let mode = flags.detect_local_mode.clone().unwrap_or_else(|| file.detect_local_mode.clone());
    let named = |flag: &Option<String>, file: &str, what: &str| {
        flag.clone().or_else(|| given(file)).with_context(|| format!("detect-local-mode {mode} needs {what}"))
    };
    match mode.as_str() {
        "" | "ClusterCIDR" => {
            let cidrs = flags.cluster_cidr.clone().unwrap_or_else(|| file.cluster_cidr.clone());
            // Dual-stack clusters give two, separated by a comma.
            let networks = cidrs
                .split(',')
                .filter(|cidr| !cidr.is_empty())
                .map(|cidr| cidr.trim().parse::<IpNet>().with_context(|| format!("cluster CIDR {cidr:?}")))
                .collect::<anyhow::Result<Vec<_>>>()?;
            Ok(DetectLocalMode::ClusterCidr(networks.into_iter().find(|network| network.addr().is_ipv4())))
        }
        "NodeCIDR" => Ok(DetectLocalMode::NodeCidr),
        "BridgeInterface" => Ok(DetectLocalMode::Bridge(named(
            &flags.pod_bridge_interface,
            &file.detect_local.bridge_interface,
            "--pod-bridge-interface",
        )?)),
        "InterfaceNamePrefix" => Ok(DetectLocalMode::InterfacePrefix(named(
            &flags.pod_interface_name_prefix,
            &file.detect_local.interface_name_prefix,
            "--pod-interface-name-prefix",
        )?)),
        other => bail!("unknown detect-local-mode {other:?}"),
    }
}

fn node_ports(given: Option<&Vec<String>>) -> anyhow::Result<NodePorts> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(NodePorts::All) };
    if given.as_slice() == ["primary"] {
        return Ok(NodePorts::Primary);
    }
    let networks = given
        .iter()
        .map(|cidr| cidr.parse::<IpNet>().with_context(|| format!("nodeport address {cidr:?}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let everything = networks.iter().any(|network| network.prefix_len() == 0 && network.addr().is_ipv4());
    Ok(if everything { NodePorts::All } else { NodePorts::In(networks) })
}

#[cfg(test)]
mod tests {
    use component::flags::differences;

    use super::*;

    fn read(arguments: &[&str]) -> anyhow::Result<Config> {
        let arguments = std::iter::once("kube-proxy").chain(arguments.iter().copied());
        Config::new(&Flags::try_parse_from(arguments)?, "W1.example\n")
    }

    #[test]
    fn defaults_are_upstreams() {
        let config = read(&[]).unwrap();
        assert_eq!(config.node_name, "w1.example");
        assert_eq!(config.healthz.unwrap().to_string(), "0.0.0.0:10256");
        assert_eq!(config.metrics.unwrap().to_string(), "127.0.0.1:10249");
        assert_eq!(config.masquerade_bit, 14);
        assert!(config.localhost_node_ports && !config.masquerade_all);
        assert_eq!(config.sync_period, Duration::from_secs(30));
    }

    #[test]
    fn flags_win_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        std::fs::write(
            &path,
            "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clusterCIDR: 10.0.0.0/8
hostnameOverride: w2
mode: ''
clientConnection: {kubeconfig: /var/lib/kube-proxy/kubeconfig.conf}
iptables: {masqueradeBit: 20, syncPeriod: 0s, minSyncPeriod: 2s, localhostNodePorts: false}
nodePortAddresses: [192.168.1.0/24]
winkernel: {enableDSR: false}
",
        )
        .unwrap();
        let config = read(&["--config", path.to_str().unwrap(), "--cluster-cidr=172.16.0.0/16"]).unwrap();
        assert_eq!(config.detect_local, DetectLocalMode::ClusterCidr(Some("172.16.0.0/16".parse().unwrap())));
        assert_eq!((config.node_name.as_str(), config.masquerade_bit), ("w2", 20));
        assert_eq!(config.min_sync_period, Duration::from_secs(2));
        assert_eq!(
            config.connection.kubeconfig.unwrap().to_str(),
            Some("/var/lib/kube-proxy/kubeconfig.conf")
        );
        assert_eq!(config.node_ports, NodePorts::In(vec!["192.168.1.0/24".parse().unwrap()]));
        assert!(!config.localhost_node_ports);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for arguments in [
            &["--proxy-mode=ipvs"][..],
            &["--cluster-cidr=nonsense"],
            &["--detect-local-mode=BridgeInterface"],
            &["--iptables-masquerade-bit=40"],
            &["--healthz-bind-address=here"],
        ] {
            assert!(read(arguments).is_err(), "{arguments:?}");
        }
    }

    /// The flags of upstream's component.
    const UPSTREAM: &str = "bind-address bind-address-hard-fail cleanup cluster-cidr config config-sync-period conntrack-max-per-core
    conntrack-min conntrack-tcp-be-liberal conntrack-tcp-timeout-close-wait conntrack-tcp-timeout-established
    conntrack-udp-timeout conntrack-udp-timeout-stream detect-local-mode feature-gates healthz-bind-address
    hostname-override init-only iptables-localhost-nodeports iptables-masquerade-bit iptables-min-sync-period
    iptables-sync-period ipvs-exclude-cidrs ipvs-min-sync-period ipvs-scheduler ipvs-strict-arp ipvs-sync-period
    ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout kube-api-burst kube-api-content-type kube-api-qps kubeconfig
    masquerade-all master metrics-bind-address nodeport-addresses oom-score-adj pod-bridge-interface
    pod-interface-name-prefix profiling proxy-mode show-hidden-metrics-for-version write-config-to
    help log-flush-frequency log-json-info-buffer-size log-json-split-stream log-text-info-buffer-size
    log-text-split-stream logging-format v version vmodule";

    #[test]
    fn every_flag_of_upstreams_is_taken_and_no_other() {
        let found = differences::<Flags>(&[IGNORED], &[UPSTREAM]);
        assert_eq!(found, (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let config = read(&["--cluster-cidr=172.16.0.0/16", "--nodeport-addresses=10.0.0.0/8"]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        component::flags::write_config(&path, &config.shown()).unwrap();
        let again = read(&[&format!("--config={}", path.display())]).unwrap();
        assert_eq!(again.shown(), config.shown());
        assert_eq!(again.detect_local, config.detect_local);
        assert_eq!(again.node_ports, config.node_ports);
    }
}
