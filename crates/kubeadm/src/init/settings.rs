//! What `kubeadm init` is to do: flags over the file over defaults.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use super::Options;
use crate::{
    certificates::Lifetimes,
    cluster::Api,
    configuration::{
        ClusterSettings, Documents, NodeSettings, kube_proxy, kubelet,
        v1beta4::{BootstrapToken, ClusterConfiguration},
    },
    machine,
    paths::Paths,
    phases::Selection,
    sealed::CertificateKey,
};

/// A run of `kubeadm init`, or of one of its phases.
pub struct Init {
    /// What was typed.
    pub options: Options,
    /// Which phases run.
    pub selection: Selection,
    /// Whether nothing is to be done but said.
    pub dry_run: bool,
    /// Where files are written: below another root when nothing is to be done.
    pub paths: Paths,
    /// Where files are read that are not written.
    pub system: Paths,
    /// The cluster.
    pub cluster: ClusterSettings,
    /// This machine's node.
    pub node: NodeSettings,
    /// The configuration of every kubelet.
    pub kubelet: Value,
    /// The configuration of every kube-proxy.
    pub kube_proxy: Value,
    /// Tokens to join with.
    pub tokens: Vec<BootstrapToken>,
    /// The key that sealed certificates are opened with.
    pub certificate_key: Option<CertificateKey>,
    /// Whether certificates are sealed into the cluster.
    pub upload_certs: bool,
    /// How long the control plane may take.
    pub patience: std::time::Duration,
    /// Whether anything was changed that a reset would take back.
    pub begun: bool,
    /// Holds the files of a run that is only said.
    pub rehearsal: Option<tempfile::TempDir>,
    /// Whether the pod network is one that nobody has chosen.
    pub pod_network_by_default: bool,
}

impl Init {
    /// Puts everything together.
    pub async fn new(options: Options, only: Option<Selection>) -> anyhow::Result<Self> {
        let documents = Documents::read(options.config.as_deref())?;
        let mut given = documents.init.clone().unwrap_or_default();
        let system = Paths::system();
        let mut configuration = match (&documents.cluster, &only) {
            (Some(cluster), _) => cluster.clone(),
            // A phase that runs alone on a machine of a cluster is about that cluster.
            (None, Some(_)) => in_cluster(&system, &options).await.unwrap_or_default(),
            (None, None) => ClusterConfiguration::default(),
        };
        let set = |field: &mut String, flag: &Option<String>| {
            if let Some(value) = flag {
                field.clone_from(value);
            }
        };
        set(&mut given.local_api_endpoint.advertise_address, &options.apiserver_advertise_address);
        set(&mut given.node_registration.name, &options.node_name);
        set(&mut given.node_registration.cri_socket, &options.cri_socket);
        set(&mut given.certificate_key, &options.certificate_key);
        set(&mut configuration.control_plane_endpoint, &options.control_plane_endpoint);
        set(&mut configuration.kubernetes_version, &options.kubernetes_version);
        set(&mut configuration.networking.pod_subnet, &options.pod_network_cidr);
        set(&mut configuration.networking.service_subnet, &options.service_cidr);
        set(&mut configuration.networking.dns_domain, &options.service_dns_domain);
        if let Some(port) = options.apiserver_bind_port {
            given.local_api_endpoint.bind_port = port;
        }
        configuration.api_server.cert_sans.extend(options.apiserver_cert_extra_sans.iter().cloned());
        given
            .node_registration
            .ignore_preflight_errors
            .extend(options.ignore_preflight_errors.iter().cloned());
        let mut skipped = given.skip_phases.clone();
        skipped.extend(options.skip_phases.iter().cloned());
        let selection = only.unwrap_or(Selection::Without(skipped));
        // Alone, certificates may be made anywhere; a machine's units read them at one place.
        let elsewhere = options.cert_dir.clone().filter(|_| !selection.is_whole());
        if selection.is_whole() {
            set(&mut configuration.certificates_dir, &options.cert_dir);
        } else {
            configuration.certificates_dir.clear();
        }
        let pod_network_by_default = configuration.networking.pod_subnet.is_empty();
        let cluster = ClusterSettings::new(configuration)?;
        let node = NodeSettings::new(
            &given.node_registration,
            &given.local_api_endpoint,
            true,
            &machine::surroundings(),
        )?;
        let dry_run = options.dry_run || given.dry_run;
        let rehearsal =
            dry_run.then(tempfile::tempdir).transpose().context("making a directory for a dry run")?;
        let mut paths = match &rehearsal {
            Some(directory) => Paths::under(directory.path()),
            None => system.clone(),
        };
        if let Some(directory) = elsewhere {
            paths = paths.with_pki(PathBuf::from(directory));
        }
        let mut tokens = given.bootstrap_tokens.clone();
        if tokens.is_empty() {
            tokens.push(BootstrapToken::default());
        }
        set(&mut tokens[0].token, &options.token);
        if options.token_ttl.is_some() {
            tokens[0].ttl.clone_from(&options.token_ttl);
        }
        let certificate_key = match given.certificate_key.as_str() {
            "" => None,
            text => Some(CertificateKey::parse(text)?),
        };
        let patience = given
            .timeouts
            .as_ref()
            .and_then(|timeouts| timeouts.control_plane_component_health_check.as_deref())
            .and_then(|text| component::flags::duration(text).ok())
            .unwrap_or(std::time::Duration::from_secs(240));
        Ok(Self {
            kubelet: kubelet(&cluster, documents.kubelet.as_ref()),
            kube_proxy: kube_proxy(&cluster, documents.kube_proxy.as_ref()),
            upload_certs: options.upload_certs,
            options,
            selection,
            dry_run,
            paths,
            system,
            cluster,
            node,
            tokens,
            certificate_key,
            patience,
            begun: false,
            rehearsal,
            pod_network_by_default,
        })
    }

    /// Whether etcd is the operator's.
    pub fn external_etcd(&self) -> bool {
        self.cluster.configuration.etcd.external.is_some()
    }

    /// Where keys and certificates are.
    pub fn pki(&self) -> PathBuf {
        self.paths.pki()
    }

    /// How long what is issued here lasts.
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes { authority: self.cluster.authority_days, leaf: self.cluster.leaf_days }
    }
}

/// The configuration that a cluster keeps of itself.
async fn in_cluster(system: &Paths, options: &Options) -> Option<ClusterConfiguration> {
    let path = options.kubeconfig.clone().unwrap_or_else(|| system.kubeconfig("admin"));
    if !path.exists() {
        return None;
    }
    let read = async { stored(&Api::open(&path).await.ok()?).await.ok() };
    // The API server may be what this phase is to bring up.
    tokio::time::timeout(std::time::Duration::from_secs(3), read).await.ok()?
}

/// Reads the configuration that a cluster keeps of itself.
pub async fn stored(api: &Api) -> anyhow::Result<ClusterConfiguration> {
    let path = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config";
    let found = api.get(path).await?.context(
        "the cluster has no ConfigMap kubeadm-config in kube-system: it was not made by kubeadm init",
    )?;
    let text = found["data"]["ClusterConfiguration"]
        .as_str()
        .context("kubeadm-config has no ClusterConfiguration")?;
    Documents::parse(text)?.cluster.context("kubeadm-config has no ClusterConfiguration")
}
