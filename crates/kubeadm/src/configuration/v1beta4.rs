//! The kinds of `kubeadm.k8s.io/v1beta4`, field by field as upstream has them.

use k8s_openapi::api::core::v1::{EnvVar, Taint};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The group and version of every kind here.
pub const API_VERSION: &str = "kubeadm.k8s.io/v1beta4";

/// Of this control plane's first machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InitConfiguration {
    /// Tokens that machines may join with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bootstrap_tokens: Vec<BootstrapToken>,
    /// Whether nothing is to be done but said.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// The machine's node.
    pub node_registration: NodeRegistration,
    /// Where this machine's API server is.
    #[serde(rename = "localAPIEndpoint")]
    pub local_api_endpoint: ApiEndpoint,
    /// Key of the certificates kept in the cluster for further control planes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate_key: String,
    /// Phases left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_phases: Vec<String>,
    /// Accepted; there are no static pods to patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patches: Option<Value>,
    /// How long to wait for what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

/// A token that machines join with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BootstrapToken {
    /// `abcdef.0123456789abcdef`.
    pub token: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How long it holds, as Go writes durations; `0s` for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Until when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What it may be used for: `signing`, `authentication`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<String>,
    /// Groups of who uses it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// How a machine becomes a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NodeRegistration {
    /// The node's name; the host's without it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The container runtime's socket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cri_socket: String,
    /// Taints to register with; an empty list is no taint, no list the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taints: Option<Vec<Taint>>,
    /// Flags of the kubelet over those that kubeadm sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kubelet_extra_args: Vec<Argument>,
    /// Checks whose failure is but a warning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_preflight_errors: Vec<String>,
    /// `Always`, `IfNotPresent` or `Never`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_pull_policy: String,
    /// Whether images are pulled one after another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_serial: Option<bool>,
}

/// A flag of a component: its name without dashes, its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Argument {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Where an API server listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ApiEndpoint {
    /// The address that others reach it at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advertise_address: String,
    /// The port.
    #[serde(skip_serializing_if = "is_zero")]
    pub bind_port: u16,
}

/// How long to wait for what, as Go writes durations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the API server to be healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane_component_health_check: Option<String>,
    /// For the kubelet to be healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet_health_check: Option<String>,
    /// For a call to the API.
    #[serde(rename = "kubernetesAPICall", skip_serializing_if = "Option::is_none")]
    pub kubernetes_api_call: Option<String>,
    /// For a call to etcd.
    #[serde(rename = "etcdAPICall", skip_serializing_if = "Option::is_none")]
    pub etcd_api_call: Option<String>,
    /// For the TLS bootstrap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_bootstrap: Option<String>,
    /// For the cluster's public kubeconfig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<String>,
    /// For manifests to be upgraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_manifests: Option<String>,
}

/// Of the whole cluster; kept in its ConfigMap `kubeadm-config`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClusterConfiguration {
    /// Where the API's objects are kept.
    #[serde(skip_serializing_if = "is_default")]
    pub etcd: Etcd,
    /// The networks.
    pub networking: Networking,
    /// `v1.36.0`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kubernetes_version: String,
    /// Name or address, with or without a port, that all API servers share.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub control_plane_endpoint: String,
    /// The API server.
    #[serde(skip_serializing_if = "is_default")]
    pub api_server: ApiServer,
    /// The controller manager.
    #[serde(skip_serializing_if = "is_default")]
    pub controller_manager: ControlPlaneComponent,
    /// The scheduler.
    #[serde(skip_serializing_if = "is_default")]
    pub scheduler: ControlPlaneComponent,
    /// The cluster's DNS.
    #[serde(skip_serializing_if = "is_default")]
    pub dns: AddOn,
    /// The proxy.
    #[serde(skip_serializing_if = "is_default")]
    pub proxy: AddOn,
    /// Where keys and certificates are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificates_dir: String,
    /// Accepted; images come with the packages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_repository: String,
    /// Accepted; there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_gates: Option<Value>,
    /// The cluster's name in kubeconfigs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Of new keys; `ECDSA-P256` is what there is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub encryption_algorithm: String,
    /// How long leaves hold, as Go writes durations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_validity_period: Option<String>,
    /// How long authorities hold.
    #[serde(rename = "caCertificateValidityPeriod", skip_serializing_if = "Option::is_none")]
    pub ca_certificate_validity_period: Option<String>,
}

/// Where the API's objects are kept: here, or elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Etcd {
    /// A member on every control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalEtcd>,
    /// A cluster of the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalEtcd>,
}

/// A member on every control plane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LocalEtcd {
    /// Accepted; the member is a package.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_repository: String,
    /// Accepted; the member is a package.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_tag: String,
    /// Its directory.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data_dir: String,
    /// Flags over those that kubeadm sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<Argument>,
    /// Variables of its process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_envs: Vec<EnvVar>,
    /// Further names of its server.
    #[serde(rename = "serverCertSANs", skip_serializing_if = "Vec::is_empty")]
    pub server_cert_sans: Vec<String>,
    /// Further names of its peer.
    #[serde(rename = "peerCertSANs", skip_serializing_if = "Vec::is_empty")]
    pub peer_cert_sans: Vec<String>,
}

/// A cluster of the operator's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExternalEtcd {
    /// URLs of its members.
    pub endpoints: Vec<String>,
    /// Its authority.
    pub ca_file: String,
    /// The API server's certificate towards it.
    pub cert_file: String,
    /// Its key.
    pub key_file: String,
}

/// The cluster's networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Networking {
    /// Of Services.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_subnet: String,
    /// Of pods.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod_subnet: String,
    /// DNS domain.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dns_domain: String,
}

/// The API server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ApiServer {
    /// Flags over those that kubeadm sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<Argument>,
    /// Accepted; a unit sees the machine's files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_volumes: Vec<Value>,
    /// Variables of its process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_envs: Vec<EnvVar>,
    /// Further names of it.
    #[serde(rename = "certSANs", skip_serializing_if = "Vec::is_empty")]
    pub cert_sans: Vec<String>,
}

/// Another component of the control plane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ControlPlaneComponent {
    /// Flags over those that kubeadm sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<Argument>,
    /// Accepted; a unit sees the machine's files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_volumes: Vec<Value>,
    /// Variables of its process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_envs: Vec<EnvVar>,
}

/// Something that runs in the cluster or on its nodes and that one can do without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AddOn {
    /// Accepted; images come with the packages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_repository: String,
    /// Accepted; images come with the packages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_tag: String,
    /// Whether it is left out.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// Of a machine that joins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct JoinConfiguration {
    /// Whether nothing is to be done but said.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// The machine's node.
    pub node_registration: NodeRegistration,
    /// Where the cluster's authority goes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_cert_path: String,
    /// How the cluster is found and known.
    pub discovery: Discovery,
    /// What makes the machine a control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<JoinControlPlane>,
    /// Phases left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_phases: Vec<String>,
    /// Accepted; there are no static pods to patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patches: Option<Value>,
    /// How long to wait for what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

/// How a cluster is found and known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Discovery {
    /// By a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_token: Option<BootstrapTokenDiscovery>,
    /// By a kubeconfig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileDiscovery>,
    /// Token of the TLS bootstrap, where it is not that of the discovery.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tls_bootstrap_token: String,
}

/// Discovery by a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BootstrapTokenDiscovery {
    /// The token.
    pub token: String,
    /// `host:port` of an API server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_server_endpoint: String,
    /// `sha256:` and the hash of the authority's public key, in hexadecimal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ca_cert_hashes: Vec<String>,
    /// Whether any authority is believed.
    #[serde(rename = "unsafeSkipCAVerification", skip_serializing_if = "is_false")]
    pub unsafe_skip_ca_verification: bool,
}

/// Discovery by a kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FileDiscovery {
    /// Its path or URL.
    pub kube_config_path: String,
}

/// What makes a joining machine a control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct JoinControlPlane {
    /// Where its API server is.
    #[serde(rename = "localAPIEndpoint")]
    pub local_api_endpoint: ApiEndpoint,
    /// Key of the certificates kept in the cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate_key: String,
}

/// Of a machine that leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ResetConfiguration {
    /// Whether tmp directories go too.
    #[serde(skip_serializing_if = "is_false")]
    pub cleanup_tmp_dir: bool,
    /// Where keys and certificates are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificates_dir: String,
    /// The container runtime's socket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cri_socket: String,
    /// Whether nothing is to be done but said.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Whether nothing is asked.
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,
    /// Checks whose failure is but a warning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_preflight_errors: Vec<String>,
    /// Phases left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_phases: Vec<String>,
    /// Accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmount_flags: Option<Value>,
    /// How long to wait for what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u16) -> bool {
    *value == 0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
