//! The flags of every unit that name no file: what `/etc/kubernetes/env/<unit>.env` says. The units' own files name
//! keys, certificates, kubeconfigs and configurations.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, Taint};

use crate::configuration::{ClusterSettings, NodeSettings, v1beta4::Argument};

/// Flags of a unit by name; an operator may give one several times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    flags: BTreeMap<String, Vec<String>>,
    variables: Vec<(String, String)>,
}

/// A member of etcd: its name and the URL of its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name.
    pub name: String,
    /// The URL.
    pub peer: String,
}

impl Arguments {
    fn of(flags: &[(&str, String)]) -> Self {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), vec![value.clone()])).collect();
        Self { flags, variables: Vec::new() }
    }

    /// With an operator's flags in the place of those of the same name.
    fn over<'a>(mut self, extra: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in extra {
            given.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        self.flags.extend(given);
        self
    }

    fn with(self, extra: &[Argument], variables: &[EnvVar]) -> Self {
        let mut arguments =
            self.over(extra.iter().map(|argument| (argument.name.as_str(), argument.value.as_str())));
        arguments.variables = variables
            .iter()
            .map(|variable| (variable.name.clone(), variable.value.clone().unwrap_or_default()))
            .collect();
        arguments
    }

    /// The text of the unit's environment file.
    pub fn env_file(&self) -> String {
        let flags: Vec<String> = self
            .flags
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("--{name}={value}")))
            .collect();
        let variables: String =
            self.variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        format!(
            "# Written by kubeadm; further flags go to EXTRA_ARGS in /etc/default.\nARGS={}\n{variables}",
            flags.join(" ")
        )
    }
}

fn yes() -> String {
    "true".into()
}

/// How long etcd gathers what it writes to its database: until then each guarded write copies all of it (etcd 3.4).
const BATCH_INTERVAL: &str = "25ms";

/// etcd's member of this machine among those that are there. `joins` when the cluster is there already.
pub fn etcd(cluster: &ClusterSettings, node: &NodeSettings, others: &[Member], joins: bool) -> Arguments {
    let host = bracketed(node);
    let own = Member { name: node.name.clone(), peer: peer_url(node) };
    let members: Vec<String> = others
        .iter()
        .filter(|other| other.peer != own.peer)
        .chain([&own])
        .map(|member| format!("{}={}", member.name, member.peer))
        .collect();
    let local = cluster.configuration.etcd.local.clone().unwrap_or_default();
    Arguments::of(&[
        ("advertise-client-urls", format!("https://{host}:2379")),
        ("backend-batch-interval", BATCH_INTERVAL.into()),
        ("initial-advertise-peer-urls", own.peer.clone()),
        ("initial-cluster", members.join(",")),
        ("initial-cluster-state", if joins { "existing" } else { "new" }.into()),
        ("listen-client-urls", format!("https://127.0.0.1:2379,https://{host}:2379")),
        ("listen-metrics-urls", "http://127.0.0.1:2381".into()),
        ("listen-peer-urls", own.peer.clone()),
        ("name", node.name.clone()),
        ("snapshot-count", "10000".into()),
    ])
    .with(&local.extra_args, &local.extra_envs)
}

/// URL at which other members reach this machine's.
pub fn peer_url(node: &NodeSettings) -> String {
    format!("https://{}:2380", bracketed(node))
}

fn bracketed(node: &NodeSettings) -> String {
    if node.address.is_ipv6() { format!("[{}]", node.address) } else { node.address.to_string() }
}

/// The API server.
pub fn apiserver(cluster: &ClusterSettings, node: &NodeSettings) -> Arguments {
    let configuration = &cluster.configuration;
    let etcd = match &configuration.etcd.external {
        Some(external) => external.endpoints.join(","),
        None => "https://127.0.0.1:2379".into(),
    };
    Arguments::of(&[
        ("advertise-address", node.address.to_string()),
        ("allow-privileged", yes()),
        ("authorization-mode", "Node,RBAC".into()),
        ("enable-admission-plugins", "NodeRestriction".into()),
        ("enable-bootstrap-token-auth", yes()),
        ("etcd-servers", etcd),
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname".into()),
        ("requestheader-allowed-names", "front-proxy-client".into()),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".into()),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("secure-port", node.port.to_string()),
        (
            "service-account-issuer",
            format!("https://kubernetes.default.svc.{}", configuration.networking.dns_domain),
        ),
        ("service-cluster-ip-range", ClusterSettings::joined(&cluster.services)),
    ])
    .with(&configuration.api_server.extra_args, &configuration.api_server.extra_envs)
}

/// The controller manager.
pub fn controller_manager(cluster: &ClusterSettings) -> Arguments {
    let given = &cluster.configuration.controller_manager;
    Arguments::of(&[
        ("allocate-node-cidrs", yes()),
        ("bind-address", "127.0.0.1".into()),
        ("cluster-cidr", ClusterSettings::joined(&cluster.pods)),
        ("cluster-name", cluster.configuration.cluster_name.clone()),
        ("controllers", "*,bootstrapsigner,tokencleaner".into()),
        ("leader-elect", yes()),
        ("service-cluster-ip-range", ClusterSettings::joined(&cluster.services)),
        ("use-service-account-credentials", yes()),
    ])
    .with(&given.extra_args, &given.extra_envs)
}

/// The provider for bare metal.
pub fn cloud_controller_manager() -> Arguments {
    Arguments::of(&[
        ("bind-address", "127.0.0.1".into()),
        ("leader-elect", yes()),
        ("use-service-account-credentials", yes()),
    ])
}

/// The scheduler.
pub fn scheduler(cluster: &ClusterSettings) -> Arguments {
    let given = &cluster.configuration.scheduler;
    Arguments::of(&[("bind-address", "127.0.0.1".into()), ("leader-elect", yes())])
        .with(&given.extra_args, &given.extra_envs)
}

/// The kubelet.
pub fn kubelet(node: &NodeSettings) -> Arguments {
    let mut flags = vec![
        ("container-runtime-endpoint", node.runtime.clone()),
        ("hostname-override", node.name.clone()),
        ("node-ip", node.address.to_string()),
    ];
    if !node.taints.is_empty() {
        let taints: Vec<String> = node.taints.iter().map(taint).collect();
        flags.push(("register-with-taints", taints.join(",")));
    }
    Arguments::of(&flags)
        .over(node.kubelet_arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn taint(taint: &Taint) -> String {
    format!("{}={}:{}", taint.key, taint.value.as_deref().unwrap_or_default(), taint.effect)
}

/// The proxy.
pub fn kube_proxy(node: &NodeSettings) -> Arguments {
    Arguments::of(&[("hostname-override", node.name.clone())])
}

/// The pod network.
pub fn podnet(cluster: &ClusterSettings, node: &NodeSettings) -> Arguments {
    let mut flags = vec![("node-name", node.name.clone())];
    // podnet's own networks are IPv4.
    if let Some(network) = cluster.pods.iter().find(|network| network.addr().is_ipv4()) {
        flags.push(("cluster-cidr", network.to_string()));
    }
    Arguments::of(&flags)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::configuration::{
        Surroundings,
        v1beta4::{ApiEndpoint, ClusterConfiguration, NodeRegistration},
    };

    fn node() -> NodeSettings {
        let surroundings = Surroundings { host_name: "m-k8s".into(), address: "192.168.1.10".parse().ok() };
        NodeSettings::new(&NodeRegistration::default(), &ApiEndpoint::default(), true, &surroundings).unwrap()
    }

    #[test]
    fn a_flag_of_the_operators_wins() {
        let mut configuration = ClusterConfiguration::default();
        let argument = |name: &str, value: &str| Argument { name: name.into(), value: value.into() };
        configuration.scheduler.extra_args = vec![argument("leader-elect", "false"), argument("v", "2")];
        configuration.scheduler.extra_envs =
            vec![EnvVar { name: "HTTPS_PROXY".into(), value: Some("http://p".into()), value_from: None }];
        let cluster = ClusterSettings::new(configuration).unwrap();
        expect![[r#"
            # Written by kubeadm; further flags go to EXTRA_ARGS in /etc/default.
            ARGS=--bind-address=127.0.0.1 --leader-elect=false --v=2
            HTTPS_PROXY=http://p
        "#]]
        .assert_eq(&scheduler(&cluster).env_file());
    }

    #[test]
    fn a_member_that_joins_names_all_and_itself_once() {
        let cluster = ClusterSettings::new(ClusterConfiguration::default()).unwrap();
        let others = [
            Member { name: "a".into(), peer: "https://192.168.1.9:2380".into() },
            Member { name: "m-k8s".into(), peer: "https://192.168.1.10:2380".into() },
        ];
        let text = etcd(&cluster, &node(), &others, true).env_file();
        assert!(text.contains(
            "--initial-cluster=a=https://192.168.1.9:2380,m-k8s=https://192.168.1.10:2380 --initial-cluster-state=existing"
        ));
        assert!(etcd(&cluster, &node(), &[], false).env_file().contains("=new "));
    }

    #[test]
    fn a_control_planes_kubelet_registers_with_its_taint() {
        expect![[r#"
            # Written by kubeadm; further flags go to EXTRA_ARGS in /etc/default.
            ARGS=--container-runtime-endpoint=unix:///run/containerd/containerd.sock --hostname-override=m-k8s --node-ip=192.168.1.10 --register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule
        "#]]
        .assert_eq(&kubelet(&node()).env_file());
    }
}
