use expect_test::{Expect, expect};

use super::*;

fn surroundings() -> Surroundings {
    Surroundings { host_name: "M-k8s\n".into(), address: "192.168.1.10".parse().ok() }
}

fn cluster(text: &str) -> anyhow::Result<ClusterSettings> {
    ClusterSettings::new(Documents::parse(text)?.cluster.unwrap_or_default())
}

fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&format!("{:#}", cluster(text).unwrap_err()));
}

const CLUSTER: &str = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n";

#[test]
fn a_cluster_without_a_word_has_networks() {
    let cluster = ClusterSettings::new(ClusterConfiguration::default()).unwrap();
    assert_eq!(cluster.kubernetes_service().to_string(), "10.96.0.1");
    assert_eq!(cluster.dns_service().to_string(), "10.96.0.10");
    assert_eq!(ClusterSettings::joined(&cluster.pods), "10.244.0.0/16");
    expect![[r#"
        apiVersion: kubeadm.k8s.io/v1beta4
        certificatesDir: /etc/kubernetes/pki
        clusterName: kubernetes
        etcd:
          local:
            dataDir: /var/lib/etcd
        kind: ClusterConfiguration
        kubernetesVersion: v1.36.0
        networking:
          dnsDomain: cluster.local
          podSubnet: 10.244.0.0/16
          serviceSubnet: 10.96.0.0/12
    "#]]
    .assert_eq(&print("ClusterConfiguration", &cluster.configuration).unwrap());
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    refused(
        &format!("{CLUSTER}networking: {{podSubnet: 10.100.0.0/16}}\nkubernetesVersion: 1.30.1\n"),
        expect![[r#"
            networking.podSubnet: Invalid value: 10.100.0.0/16: overlaps the network of Services 10.96.0.0/12; choose another with --pod-network-cidr or --service-cidr
            kubernetesVersion: Invalid value: "v1.30.1": this kubeadm installs v1.36.0; install the packages of the other version, or leave the field out"#]],
    );
    refused(
        &format!("{CLUSTER}apiServer: {{extraArgs: [{{name: --v, value: 'a b'}}]}}\ncertificatesDir: /tmp\n"),
        expect![[r#"
            certificatesDir: Invalid value: "/tmp": the units read /etc/kubernetes/pki; put existing authorities there before kubeadm init
            apiServer.extraArgs: Invalid value: "--v": a flag's name without dashes
            apiServer.extraArgs: Invalid value: "a b": blanks, quotes and backslashes do not survive a unit's environment; use the component's configuration file"#]],
    );
    refused(
        &format!("{CLUSTER}networking: {{podsubnet: 10.100.0.0/16}}\n"),
        expect![[
            r#"strict decoding error: ClusterConfiguration: unknown field `podsubnet`, expected one of `serviceSubnet`, `podSubnet`, `dnsDomain`"#
        ]],
    );
}

#[test]
fn endpoints_in_all_their_forms() {
    for (text, authority) in [
        ("api.example.org", "api.example.org:6443"),
        ("api.example.org:8443", "api.example.org:8443"),
        ("192.168.1.10", "192.168.1.10:6443"),
        ("fd00::1", "[fd00::1]:6443"),
        ("[fd00::1]:7443", "[fd00::1]:7443"),
        ("https://192.168.1.10:6443/", "192.168.1.10:6443"),
    ] {
        assert_eq!(Endpoint::parse(text, 6443).unwrap().authority(), authority, "{text}");
    }
    for text in ["", "host:port", "host:0", "a b", "host:70000"] {
        assert!(Endpoint::parse(text, 6443).is_err(), "{text}");
    }
}

#[test]
fn a_nodes_defaults_come_from_its_machine() {
    let node = |registration: NodeRegistration, control_plane| {
        NodeSettings::new(&registration, &v1beta4::ApiEndpoint::default(), control_plane, &surroundings())
    };
    use v1beta4::NodeRegistration;
    let first = node(NodeRegistration::default(), true).unwrap();
    assert_eq!((first.name.as_str(), first.api().url().as_str()), ("m-k8s", "https://192.168.1.10:6443"));
    assert_eq!(first.taints[0].key, "node-role.kubernetes.io/control-plane");
    let untainted = NodeRegistration { taints: Some(Vec::new()), ..NodeRegistration::default() };
    assert!(node(untainted, true).unwrap().taints.is_empty());
    assert!(node(NodeRegistration::default(), false).unwrap().taints.is_empty());
    let odd = NodeRegistration { name: "a_b".into(), ..NodeRegistration::default() };
    assert!(node(odd, false).is_err());
}

#[test]
fn documents_of_the_last_version_are_read() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
apiServer:
  extraArgs: {audit-log-path: /var/log/audit.log}
  timeoutForControlPlane: 4m0s
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: JoinConfiguration
discovery: {timeout: 5m0s, bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: 'a:6443'}}
nodeRegistration: {kubeletExtraArgs: {node-ip: 10.0.0.1}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 20
";
    let documents = Documents::parse(text).unwrap();
    let arguments = documents.cluster.unwrap().api_server.extra_args;
    assert_eq!(
        (arguments[0].name.as_str(), arguments[0].value.as_str()),
        ("audit-log-path", "/var/log/audit.log")
    );
    let join = documents.join.unwrap();
    assert_eq!(join.timeouts.unwrap().discovery.unwrap(), "5m0s");
    assert_eq!(join.node_registration.kubelet_extra_args[0].value, "10.0.0.1");
    assert_eq!(documents.kubelet.unwrap()["maxPods"], 20);
    assert!(Documents::parse("apiVersion: kubeadm.k8s.io/v1beta1\nkind: InitConfiguration\n").is_err());
    assert!(Documents::parse("apiVersion: v1\nkind: Pod\n").is_err());
}

#[test]
fn what_the_operator_says_of_kubelets_wins() {
    let cluster = ClusterSettings::new(ClusterConfiguration::default()).unwrap();
    let given = serde_json::json!({"authentication": {"anonymous": {"enabled": true}}, "maxPods": 20});
    let merged = kubelet(&cluster, Some(&given));
    assert_eq!(merged["authentication"]["anonymous"]["enabled"], true);
    assert_eq!(merged["authentication"]["webhook"]["enabled"], true);
    assert_eq!(
        (merged["maxPods"].as_i64(), merged["clusterDNS"][0].as_str()),
        (Some(20), Some("10.96.0.10"))
    );
    let proxy = kube_proxy(&cluster, None);
    assert_eq!(proxy["clusterCIDR"], "10.244.0.0/16");
}
