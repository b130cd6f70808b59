//! What configurations say, filled up and checked: from here on nothing can be wrong.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use anyhow::bail;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Taint;
use pki::cluster::ControlPlane;

use super::v1beta4::{ApiEndpoint, Argument, ClusterConfiguration, LocalEtcd, NodeRegistration};

/// What a default comes from: the machine as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The host's name.
    pub host_name: String,
    /// The address of the interface with the default route, or the first that is not loopback.
    pub address: Option<IpAddr>,
}

const DEFAULT_SERVICES: &str = "10.96.0.0/12";
/// What the pod network is when nobody says: a cluster has one after init.
const DEFAULT_PODS: &str = "10.244.0.0/16";
const DEFAULT_DOMAIN: &str = "cluster.local";
const CERTIFICATES: &str = "/etc/kubernetes/pki";
const ETCD: &str = "/var/lib/etcd";
const CONTAINERD: &str = "unix:///run/containerd/containerd.sock";
const API_PORT: u16 = 6443;
const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/control-plane";
/// Upstream's: ten years for authorities, one for what they sign.
const AUTHORITY_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 365;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Endpoint {
    /// Reads `host`, `host:port`, `[address]` or `[address]:port`.
    pub fn parse(text: &str, default_port: u16) -> anyhow::Result<Self> {
        let text = text.trim().trim_start_matches("https://").trim_end_matches('/');
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None if text.parse::<IpAddr>().is_ok() => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0),
            None => Some(default_port),
        };
        let good = |host: &str| {
            !host.is_empty()
                && (host.parse::<IpAddr>().is_ok()
                    || host
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')))
        };
        match port {
            Some(port) if good(host) => Ok(Self { host: host.into(), port }),
            _ => bail!("{text:?} is not of the form host:port"),
        }
    }

    /// With its port, as a URL or a command has it.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// As the URL of an API server.
    pub fn url(&self) -> String {
        format!("https://{}", self.authority())
    }
}

/// What a cluster is like.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSettings {
    /// As it is kept in the cluster, filled up.
    pub configuration: ClusterConfiguration,
    /// Networks of Services: one, or one of each family.
    pub services: Vec<IpNet>,
    /// Networks of pods.
    pub pods: Vec<IpNet>,
    /// What all API servers share.
    pub endpoint: Option<Endpoint>,
    /// Life of certificates in days.
    pub leaf_days: i64,
    /// Life of authorities in days.
    pub authority_days: i64,
}

impl ClusterSettings {
    /// Fills up and checks a configuration. The error says all that is wrong.
    pub fn new(mut configuration: ClusterConfiguration) -> anyhow::Result<Self> {
        fill(&mut configuration.networking.service_subnet, DEFAULT_SERVICES);
        fill(&mut configuration.networking.pod_subnet, DEFAULT_PODS);
        fill(&mut configuration.networking.dns_domain, DEFAULT_DOMAIN);
        fill(&mut configuration.certificates_dir, CERTIFICATES);
        fill(&mut configuration.cluster_name, "kubernetes");
        if matches!(configuration.kubernetes_version.as_str(), "" | "stable" | "stable-1" | "latest") {
            configuration.kubernetes_version = component::VERSION.into();
        }
        if !configuration.kubernetes_version.starts_with('v') {
            configuration.kubernetes_version.insert(0, 'v');
        }
        if configuration.etcd.external.is_none() {
            fill(&mut configuration.etcd.local.get_or_insert_with(LocalEtcd::default).data_dir, ETCD);
        }
        let mut wrong = Vec::new();
        let services =
            networks("networking.serviceSubnet", &configuration.networking.service_subnet, &mut wrong);
        let pods = networks("networking.podSubnet", &configuration.networking.pod_subnet, &mut wrong);
        let endpoint = match configuration.control_plane_endpoint.as_str() {
            "" => None,
            text => Endpoint::parse(text, API_PORT)
                .map_err(|error| wrong.push(format!("controlPlaneEndpoint: {error}")))
                .ok(),
        };
        let leaf_days = days(
            "certificateValidityPeriod",
            configuration.certificate_validity_period.as_deref(),
            LEAF_DAYS,
            &mut wrong,
        );
        let authority_days = days(
            "caCertificateValidityPeriod",
            configuration.ca_certificate_validity_period.as_deref(),
            AUTHORITY_DAYS,
            &mut wrong,
        );
        check(&configuration, &services, &pods, &mut wrong);
        if !wrong.is_empty() {
            bail!("{}", wrong.join("\n"));
        }
        Ok(Self { configuration, services, pods, endpoint, leaf_days, authority_days })
    }

    /// The address of the Service `kubernetes`.
    pub fn kubernetes_service(&self) -> IpAddr {
        self.service_address(1)
    }

    /// The address of the cluster's DNS.
    pub fn dns_service(&self) -> IpAddr {
        self.service_address(10)
    }

    fn service_address(&self, number: u8) -> IpAddr {
        match self.services.first().map(IpNet::network) {
            Some(IpAddr::V4(network)) => IpAddr::V4((u32::from(network) + u32::from(number)).into()),
            Some(IpAddr::V6(network)) => IpAddr::V6((u128::from(network) + u128::from(number)).into()),
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Networks as flags have them.
    pub fn joined(networks: &[IpNet]) -> String {
        networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// Where the API is for everybody: what all servers share, or this one.
    pub fn server(&self, node: &NodeSettings) -> Endpoint {
        self.endpoint.clone().unwrap_or_else(|| node.api())
    }

    /// What the machine's certificates are to say.
    pub fn control_plane(&self, node: &NodeSettings) -> ControlPlane {
        let local = self.configuration.etcd.local.clone().unwrap_or_default();
        let shared = self.endpoint.iter().map(|endpoint| endpoint.host.clone());
        ControlPlane {
            node: node.name.clone(),
            address: node.address,
            service: self.kubernetes_service(),
            domain: self.configuration.networking.dns_domain.clone(),
            api_names: shared.chain(self.configuration.api_server.cert_sans.iter().cloned()).collect(),
            etcd_names: local.server_cert_sans,
            etcd_peer_names: local.peer_cert_sans,
        }
    }
}

fn fill(field: &mut String, default: &str) {
    if field.is_empty() {
        *field = default.into();
    }
}

fn networks(field: &str, text: &str, wrong: &mut Vec<String>) -> Vec<IpNet> {
    let parsed: Result<Vec<IpNet>, _> = text.split(',').map(|part| part.trim().parse::<IpNet>()).collect();
    match parsed {
        Ok(networks)
            if networks.len() == 1
                || (networks.len() == 2 && networks[0].addr().is_ipv4() != networks[1].addr().is_ipv4()) =>
        {
            networks.into_iter().map(|network| network.trunc()).collect()
        }
        Ok(_) => {
            wrong.push(format!("{field}: Invalid value: {text:?}: one network, or one of each family"));
            Vec::new()
        }
        Err(_) => {
            wrong.push(format!("{field}: Invalid value: {text:?}: not of the form 10.0.0.0/8"));
            Vec::new()
        }
    }
}

fn days(field: &str, text: Option<&str>, default: i64, wrong: &mut Vec<String>) -> i64 {
    match text {
        None | Some("" | "0s") => default,
        Some(text) => duration_days(text).unwrap_or_else(|error| {
            wrong.push(format!("{field}: Invalid value: {text:?}: {error}"));
            default
        }),
    }
}

/// Whole days of a Go duration, at least one.
pub fn duration_days(text: &str) -> Result<i64, String> {
    let duration = component::flags::duration(text)?;
    Ok(i64::try_from(duration.as_secs().div_ceil(24 * 3600)).unwrap_or(i64::MAX).max(1))
}

fn check(configuration: &ClusterConfiguration, services: &[IpNet], pods: &[IpNet], wrong: &mut Vec<String>) {
    for (service, pod) in services.iter().flat_map(|service| pods.iter().map(move |pod| (service, pod))) {
        if service.contains(&pod.network()) || pod.contains(&service.network()) {
            wrong.push(format!(
                "networking.podSubnet: Invalid value: {pod}: overlaps the network of Services {service}; \
                 choose another with --pod-network-cidr or --service-cidr"
            ));
        }
    }
    for service in services {
        let host_bits = service.max_prefix_len() - service.prefix_len();
        if host_bits < 4 {
            wrong.push(format!("networking.serviceSubnet: Invalid value: {service}: too small for Services"));
        }
    }
    let version = &configuration.kubernetes_version;
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    if minor(version) != minor(component::VERSION) {
        wrong.push(format!(
            "kubernetesVersion: Invalid value: {version:?}: this kubeadm installs {}; \
             install the packages of the other version, or leave the field out",
            component::VERSION
        ));
    }
    if configuration.certificates_dir != CERTIFICATES {
        wrong.push(format!(
            "certificatesDir: Invalid value: {:?}: the units read {CERTIFICATES}; \
             put existing authorities there before kubeadm init",
            configuration.certificates_dir
        ));
    }
    if let Some(local) = &configuration.etcd.local {
        if configuration.etcd.external.is_some() {
            wrong.push("etcd: only one of local and external can be given".into());
        }
        if local.data_dir != ETCD {
            wrong.push(format!(
                "etcd.local.dataDir: Invalid value: {:?}: the unit keeps its data in {ETCD}; \
                 mount or link another disk there",
                local.data_dir
            ));
        }
    }
    if let Some(external) = &configuration.etcd.external {
        if external.endpoints.is_empty() {
            wrong.push("etcd.external.endpoints: Required value".into());
        }
        for endpoint in &external.endpoints {
            if !endpoint.starts_with("https://") {
                wrong.push(format!(
                    "etcd.external.endpoints: Invalid value: {endpoint:?}: not a URL of the form https://host:2379 \
                     (the API server talks to etcd by TLS alone)"
                ));
            }
        }
    }
    let extra = [
        ("apiServer", &configuration.api_server.extra_args),
        ("controllerManager", &configuration.controller_manager.extra_args),
        ("scheduler", &configuration.scheduler.extra_args),
    ];
    for (component, arguments) in extra {
        check_arguments(&format!("{component}.extraArgs"), arguments, wrong);
    }
    if let Some(local) = &configuration.etcd.local {
        check_arguments("etcd.local.extraArgs", &local.extra_args, wrong);
    }
    let envs = [
        ("apiServer", &configuration.api_server.extra_envs),
        ("controllerManager", &configuration.controller_manager.extra_envs),
        ("scheduler", &configuration.scheduler.extra_envs),
    ];
    for (component, variables) in envs {
        for variable in variables {
            let value = variable.value.as_deref().unwrap_or_default();
            if variable.value_from.is_some() || !fits_an_env_file(&variable.name) || !fits_an_env_file(value)
            {
                wrong.push(format!("{component}.extraEnvs: Invalid value: {:?}", variable.name));
            }
        }
    }
    for name in &configuration.api_server.cert_sans {
        if name.is_empty() || name.contains([' ', '/', ':']) && name.parse::<IpAddr>().is_err() {
            wrong.push(format!("apiServer.certSANs: Invalid value: {name:?}: neither a name nor an address"));
        }
    }
    if !matches!(configuration.encryption_algorithm.as_str(), "" | "ECDSA-P256" | "RSA-2048") {
        wrong.push(format!(
            "encryptionAlgorithm: Unsupported value: {:?}: supported values: \"ECDSA-P256\"",
            configuration.encryption_algorithm
        ));
    }
}

/// Whether systemd's environment files and its splitting of `$ARGS` keep a value as it is.
fn fits_an_env_file(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'`'))
}

fn check_arguments(field: &str, arguments: &[Argument], wrong: &mut Vec<String>) {
    for Argument { name, value } in arguments {
        if name.is_empty() || name.starts_with('-') || !fits_an_env_file(name) {
            wrong.push(format!("{field}: Invalid value: {name:?}: a flag's name without dashes"));
        }
        if !fits_an_env_file(value) {
            wrong.push(format!(
                "{field}: Invalid value: {value:?}: blanks, quotes and backslashes do not survive a unit's \
                 environment; use the component's configuration file"
            ));
        }
    }
}

/// What a machine's node is like.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSettings {
    /// Its name.
    pub name: String,
    /// Its address, which the API server advertises where one runs here.
    pub address: IpAddr,
    /// The port of its API server.
    pub port: u16,
    /// The container runtime's socket.
    pub runtime: String,
    /// Taints to register with.
    pub taints: Vec<Taint>,
    /// Flags of its kubelet over those that kubeadm sets.
    pub kubelet_arguments: BTreeMap<String, String>,
    /// Checks whose failure is but a warning, in lower case.
    pub ignored_checks: Vec<String>,
}

impl NodeSettings {
    /// Fills up and checks what a configuration says of a machine.
    pub fn new(
        registration: &NodeRegistration,
        endpoint: &ApiEndpoint,
        control_plane: bool,
        surroundings: &Surroundings,
    ) -> anyhow::Result<Self> {
        let mut wrong = Vec::new();
        let name = node_name(&registration.name, &surroundings.host_name)
            .map_err(|error| wrong.push(format!("nodeRegistration.name: {error}")))
            .unwrap_or_default();
        let given = match endpoint.advertise_address.as_str() {
            "" | "0.0.0.0" | "::" => None,
            text => match text.parse::<IpAddr>() {
                Ok(address) if !address.is_loopback() && !address.is_multicast() => Some(address),
                _ => {
                    wrong.push(format!(
                        "localAPIEndpoint.advertiseAddress: Invalid value: {text:?}: not an address that other \
                         machines can reach"
                    ));
                    None
                }
            },
        };
        let address = given.or(surroundings.address).unwrap_or_else(|| {
            if wrong.is_empty() {
                wrong.push(
                    "this machine has no address but its loopback: give one to an interface, or name one with \
                     --apiserver-advertise-address"
                        .into(),
                );
            }
            Ipv4Addr::UNSPECIFIED.into()
        });
        let mut runtime = registration.cri_socket.clone();
        fill(&mut runtime, CONTAINERD);
        if runtime.starts_with('/') {
            runtime.insert_str(0, "unix://");
        }
        let default_taint = || {
            let key = CONTROL_PLANE_TAINT.to_owned();
            vec![Taint { key, effect: "NoSchedule".into(), ..Taint::default() }]
        };
        let taints = registration
            .taints
            .clone()
            .unwrap_or_else(|| if control_plane { default_taint() } else { Vec::new() });
        check_arguments("nodeRegistration.kubeletExtraArgs", &registration.kubelet_extra_args, &mut wrong);
        if !wrong.is_empty() {
            bail!("{}", wrong.join("\n"));
        }
        Ok(Self {
            name,
            address,
            port: if endpoint.bind_port == 0 { API_PORT } else { endpoint.bind_port },
            runtime,
            taints,
            kubelet_arguments: registration
                .kubelet_extra_args
                .iter()
                .map(|argument| (argument.name.clone(), argument.value.clone()))
                .collect(),
            ignored_checks: registration
                .ignore_preflight_errors
                .iter()
                .map(|check| check.to_lowercase())
                .collect(),
        })
    }

    /// Where its API server is.
    pub fn api(&self) -> Endpoint {
        Endpoint { host: self.address.to_string(), port: self.port }
    }
}

/// A node's name: as given, or the host's; a DNS subdomain in lower case.
pub fn node_name(given: &str, host_name: &str) -> anyhow::Result<String> {
    let name = if given.is_empty() { host_name } else { given }.trim().to_lowercase();
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(part) {
        bail!(
            "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
             characters, '-' or '.'; rename the host with hostnamectl, or use --node-name"
        );
    }
    if name == "localhost" {
        bail!(
            "Invalid value: \"localhost\": every node needs a name of its own; use hostnamectl or --node-name"
        );
    }
    Ok(name)
}
