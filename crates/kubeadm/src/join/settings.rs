//! What `kubeadm join` is to do: flags over the file, and what the cluster says of itself.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::Options;
use crate::{
    bootstrap_token::Token,
    cluster::Api,
    configuration::{
        ClusterSettings, Documents, Endpoint, NodeSettings, Surroundings, node_name,
        v1beta4::{ApiEndpoint, JoinConfiguration, JoinControlPlane},
    },
    container_runtime, discovery,
    init::stored,
    kubeconfigs::Target,
    machine,
    paths::Paths,
    phases::Selection,
    preflight::Role,
    sealed::{self, CertificateKey},
};

/// What was asked for, before the cluster is known.
pub struct Request {
    /// All that was said.
    pub configuration: JoinConfiguration,
    /// Which phases run.
    pub selection: Selection,
    /// Whether nothing is to be done but said.
    pub dry_run: bool,
    /// This machine's files.
    pub system: Paths,
}

/// A run of `kubeadm join`, the cluster found.
pub struct Join {
    /// What was asked for.
    pub request: Request,
    /// This machine's files.
    pub paths: Paths,
    /// Where the cluster is and whom it trusts.
    pub target: Target,
    /// The kubeconfig of the TLS bootstrap.
    pub bootstrap: String,
    /// The API as who joins.
    pub api: Api,
    /// What the cluster is like.
    pub cluster: ClusterSettings,
    /// This machine's node.
    pub node: NodeSettings,
    /// The configuration of every kubelet.
    pub kubelet: Value,
    /// The configuration of every kube-proxy.
    pub kube_proxy: Value,
    /// The keys that the cluster keeps sealed, opened: name below the PKI's directory, content.
    pub shared_keys: Option<Vec<(&'static str, String)>>,
}

impl Request {
    /// Puts flags over the file.
    pub fn new(options: Options, only: Option<Selection>) -> anyhow::Result<Self> {
        let documents = Documents::read(options.config.as_deref())?;
        let mut configuration = documents.join.unwrap_or_default();
        let given = &mut configuration;
        let set = |field: &mut String, flag: &Option<String>| {
            if let Some(value) = flag {
                field.clone_from(value);
            }
        };
        set(&mut given.node_registration.name, &options.node_name);
        set(&mut given.node_registration.cri_socket, &options.cri_socket);
        given.node_registration.ignore_preflight_errors.extend(options.ignore_preflight_errors.clone());
        if let Some(path) = options.discovery_file {
            given.discovery.file =
                Some(crate::configuration::v1beta4::FileDiscovery { kube_config_path: path });
        }
        let token = options.discovery_token.or_else(|| options.token.clone());
        if token.is_some() && given.discovery.file.is_none() || options.endpoint.is_some() {
            let by_token = given.discovery.bootstrap_token.get_or_insert_default();
            set(&mut by_token.token, &token);
            set(&mut by_token.api_server_endpoint, &options.endpoint);
        }
        if let Some(by_token) = &mut given.discovery.bootstrap_token {
            by_token.ca_cert_hashes.extend(options.discovery_token_ca_cert_hash);
            by_token.unsafe_skip_ca_verification |= options.discovery_token_unsafe_skip_ca_verification;
        }
        set(&mut given.discovery.tls_bootstrap_token, &options.tls_bootstrap_token.or(options.token));
        if options.control_plane {
            given.control_plane.get_or_insert_with(JoinControlPlane::default);
        }
        let own = [
            options.apiserver_advertise_address.is_some(),
            options.apiserver_bind_port.is_some(),
            options.certificate_key.is_some(),
        ];
        match &mut given.control_plane {
            Some(control_plane) => {
                set(&mut control_plane.certificate_key, &options.certificate_key);
                set(
                    &mut control_plane.local_api_endpoint.advertise_address,
                    &options.apiserver_advertise_address,
                );
                if let Some(port) = options.apiserver_bind_port {
                    control_plane.local_api_endpoint.bind_port = port;
                }
            }
            None if own.contains(&true) => bail!(
                "--apiserver-advertise-address, --apiserver-bind-port and --certificate-key are of use with --control-plane alone"
            ),
            None => {}
        }
        let mut skipped = given.skip_phases.clone();
        skipped.extend(options.skip_phases);
        Ok(Self {
            dry_run: options.dry_run || given.dry_run,
            selection: only.unwrap_or(Selection::Without(skipped)),
            configuration,
            system: Paths::system(),
        })
    }

    /// What the machine becomes.
    pub fn role(&self) -> Role {
        if self.configuration.control_plane.is_some() { Role::ControlPlane } else { Role::Worker }
    }

    /// Whether a phase runs.
    pub fn takes(&self, phase: &str) -> bool {
        self.selection.takes(phase)
    }

    /// The port of the API server that is to run here.
    pub fn api_port(&self) -> u16 {
        let endpoint = self.configuration.control_plane.as_ref().map(|one| &one.local_api_endpoint);
        endpoint.map(|endpoint| endpoint.bind_port).filter(|port| *port != 0).unwrap_or(6443)
    }

    /// Checks whose failure is but a warning, in lower case.
    pub fn ignored_checks(&self) -> Vec<String> {
        let given = &self.configuration.node_registration.ignore_preflight_errors;
        given.iter().map(|check| check.to_lowercase()).collect()
    }

    fn patience(&self) -> Duration {
        let timeouts = self.configuration.timeouts.as_ref();
        timeouts
            .and_then(|timeouts| timeouts.discovery.as_deref())
            .and_then(|text| component::flags::duration(text).ok())
            // A token's signature is there a moment after the token: who waits longer waits in vain.
            .unwrap_or(Duration::from_secs(20))
    }

    /// Finds the cluster, believes in it, and reads what it says of itself.
    pub async fn find_cluster(self) -> anyhow::Result<Join> {
        let target = discovery::find(&self.configuration.discovery, self.patience()).await?;
        let bootstrap = self.bootstrap_kubeconfig(&target)?;
        let api = Api::of(&bootstrap).await?;
        println!(
            "[preflight] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"..."
        );
        let cluster = ClusterSettings::new(stored(&api).await?).context("the cluster's configuration")?;
        let read = async |name: &str, key: &str| -> anyhow::Result<Value> {
            let path = format!("/api/v1/namespaces/kube-system/configmaps/{name}");
            let found =
                api.get(&path).await?.with_context(|| format!("the cluster has no ConfigMap {name}"))?;
            let text = found["data"][key].as_str().with_context(|| format!("{name} has no {key}"))?;
            Ok(formats::yaml::one(text)?)
        };
        let kubelet = read("kubelet-config", "kubelet").await?;
        let kube_proxy = read("kube-proxy", "config.conf").await?;
        let given = self.configuration.control_plane.clone().unwrap_or_default();
        let surroundings = Surroundings { address: towards(&target.server), ..machine::surroundings() };
        let endpoint: ApiEndpoint = given.local_api_endpoint;
        let node = NodeSettings::new(
            &self.configuration.node_registration,
            &endpoint,
            self.role() == Role::ControlPlane,
            &surroundings,
        )?;
        if self.takes("preflight") {
            check_name(&api, &node.name).await?;
        }
        let shared_keys = match given.certificate_key.as_str() {
            text if !text.is_empty()
                && self.selection.takes_part("control-plane-prepare", "download-certs") =>
            {
                Some(
                    download(
                        &api,
                        &CertificateKey::parse(text)?,
                        cluster.configuration.etcd.external.is_some(),
                    )
                    .await?,
                )
            }
            _ => None,
        };
        if self.role() == Role::ControlPlane && cluster.endpoint.is_none() {
            bail!(
                "unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint \
                 address. Give it one on a control plane: `kubectl -n kube-system edit configmap kubeadm-config`, then \
                 `kubeadm init phase certs apiserver` with --apiserver-cert-extra-sans; or make the cluster with \
                 `kubeadm init --control-plane-endpoint`"
            );
        }
        let paths = self.system.clone();
        Ok(Join {
            request: self,
            paths,
            target,
            bootstrap,
            api,
            cluster,
            node,
            kubelet,
            kube_proxy,
            shared_keys,
        })
    }

    fn bootstrap_kubeconfig(&self, target: &Target) -> anyhow::Result<String> {
        let discovery = &self.configuration.discovery;
        let by_token = discovery.bootstrap_token.as_ref().map(|by_token| by_token.token.as_str());
        let token =
            Some(discovery.tls_bootstrap_token.as_str()).filter(|token| !token.is_empty()).or(by_token);
        match (token, &discovery.file) {
            (Some(token), _) => {
                let token = Token::parse(token)?;
                target.with_token("tls-bootstrap-token-user", &token.text())
            }
            // Its user is who joins.
            (None, Some(file)) => std::fs::read_to_string(&file.kube_config_path)
                .with_context(|| format!("reading {}", file.kube_config_path)),
            (None, None) => bail!("no token to join with: give one with --token"),
        }
    }
}

/// Opens the cluster's sealed keys before anything is changed here.
async fn download(
    api: &Api,
    key: &CertificateKey,
    external_etcd: bool,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    println!(
        "[download-certs] Downloading the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace"
    );
    let secret = api.get(sealed::PATH).await?.context(
        "Secret \"kubeadm-certs\" was not found in the \"kube-system\" Namespace. This Secret might have expired. Please, \
         run `kubeadm init phase upload-certs --upload-certs` on a control plane to generate a new one",
    )?;
    sealed::open(&secret, key, external_etcd)
}

/// The address of this machine that the cluster's API sees.
fn towards(server: &str) -> Option<std::net::IpAddr> {
    let endpoint = Endpoint::parse(server, 443).ok()?;
    let resolved: Vec<SocketAddr> = (endpoint.host.as_str(), endpoint.port).to_socket_addrs().ok()?.collect();
    resolved.into_iter().find_map(machine::address_towards).or_else(|| machine::surroundings().address)
}

async fn check_name(api: &Api, name: &str) -> anyhow::Result<()> {
    node_name(name, name)?;
    let Some(node) = api.get(&format!("/api/v1/nodes/{name}")).await? else { return Ok(()) };
    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    if conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True") {
        bail!(
            "a Node with name {name:?} and status \"Ready\" already exists in the cluster. You must delete the existing \
             Node or change the name of this new joining Node (hostnamectl set-hostname, or --node-name)"
        );
    }
    Ok(())
}

impl Join {
    /// Whether a phase runs.
    pub fn takes(&self, phase: &str) -> bool {
        self.request.takes(phase)
    }

    /// Prepares containerd; images are imported beside what follows.
    pub async fn container_runtime(&self) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
        machine::load_modules().await;
        if let Some(written) = container_runtime::prepare(&self.paths).await? {
            println!(
                "[container-runtime] Wrote {:?} and restarted containerd",
                written.display().to_string()
            );
        }
        Ok(tokio::spawn(container_runtime::import(container_runtime::archives(&self.paths)?)))
    }

    /// Says what a run would do.
    pub fn say_what_would_be_done(&self, role: Role) {
        println!(
            "[dryrun] Would join the cluster at {} as the node {:?} with the address {}",
            self.target.server, self.node.name, self.node.address
        );
        println!("[dryrun] Would configure containerd and import the cluster's images into it");
        if role != Role::Worker {
            println!(
                "[dryrun] Would write the cluster's keys, certificates and kubeconfigs, and add a member to etcd"
            );
        }
        let units: Vec<&str> = role.units(self.cluster.configuration.etcd.external.is_some()).collect();
        println!("[dryrun] Would enable and start the units {}", units.join(", "));
    }

    /// Says what has been done and what to do next.
    pub fn farewell(&self, role: Role) {
        if role == Role::Worker {
            println!(
                "
This node has joined the cluster:
* Certificate signing request was sent to apiserver and a response was received.
* The Kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.
"
            );
        } else {
            println!(
                "
This node has joined the cluster and a new control plane instance was created:

* The Kubelet was informed of the new secure connection details.
* Control plane label and taint were applied to the new node.
* The Kubernetes control plane instances scaled up.
* A new etcd member was added to the local/stacked etcd cluster.

To start administering your cluster from this node, you need to run the following as a regular user:

	mkdir -p $HOME/.kube
	sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
	sudo chown $(id -u):$(id -g) $HOME/.kube/config

Run 'kubectl get nodes' to see this node join the cluster.
"
            );
        }
    }
}
