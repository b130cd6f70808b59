//! Joining as a further control plane: the cluster's keys, a member of etcd, an API server and what goes with it.

use std::{fs, time::Duration};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use pki::cluster::{CERTIFICATES, CONTROL_PLANE_USERS, NODE_USERS, Signer};

use super::Join;
use crate::{
    arguments,
    certificates::{self, Lifetimes, Made},
    cluster::Api,
    etcd::Etcd,
    init::{mark_control_plane, write_authentication},
    kubeconfigs::{self, Target},
    node_files, systemd,
};

/// How long a member may take to catch up, and an API server to be ready.
const PATIENCE: Duration = Duration::from_secs(240);
/// What an earlier step of a join by hand has brought, or the sealed secret brings.
const NEEDED: [&str; 3] = ["ca.key", "front-proxy-ca.key", "sa.key"];

impl Join {
    pub(super) async fn control_plane(&self) -> anyhow::Result<()> {
        let part = |name: &str| self.request.selection.takes_part("control-plane-prepare", name);
        let now = Timestamp::now();
        if part("download-certs") {
            self.shared_keys()?;
        }
        if part("certs") {
            self.certs(now)?;
        }
        if part("kubeconfig") {
            self.kubeconfigs(now)?;
        }
        if self.takes("etcd-join") && !self.external_etcd() {
            self.join_etcd().await?;
        }
        if part("control-plane") {
            self.start_control_plane().await?;
        }
        if self.takes("kubelet-start") {
            self.start_kubelet().await?;
            systemd::enable_existing(&["kubeadm-renew.timer"]).await?;
        }
        if self.takes("node-agents") {
            self.start_agents().await?;
        }
        if self.takes("wait-control-plane") || self.takes("control-plane-join") {
            node_files::wait_active(&["kube-apiserver"], PATIENCE).await?;
        }
        if self.takes("control-plane-join") {
            let api = self.local_api().await?;
            mark_control_plane(&api, &self.node).await?;
        }
        if self.takes("kubelet-wait-bootstrap") {
            node_files::ensure_return(&self.paths, &self.node.name).await;
        }
        Ok(())
    }

    fn external_etcd(&self) -> bool {
        self.cluster.configuration.etcd.external.is_some()
    }

    fn lifetimes(&self) -> Lifetimes {
        Lifetimes { authority: self.cluster.authority_days, leaf: self.cluster.leaf_days }
    }

    fn shared_keys(&self) -> anyhow::Result<()> {
        let pki = self.paths.pki();
        let Some(files) = &self.shared_keys else {
            if let Some(missing) = NEEDED.iter().find(|name| !pki.join(name).exists()) {
                bail!(
                    "{} is missing, which every control plane shares. Copy the authorities and sa.* of {} from another \
                     control plane, or use --certificate-key with what `kubeadm init phase upload-certs --upload-certs` \
                     prints there",
                    pki.join(missing).display(),
                    pki.display()
                );
            }
            return Ok(());
        };
        println!("[download-certs] Saving the certificates to the folder: {:?}", pki.display().to_string());
        for (name, text) in files {
            let path = pki.join(name);
            if name.ends_with(".key") {
                pki::write_private(&path, text)?
            } else {
                pki::write_public(&path, text)?
            }
        }
        Ok(())
    }

    fn certs(&self, now: Timestamp) -> anyhow::Result<()> {
        let pki = self.paths.pki();
        println!("[certs] Using certificateDir folder {:?}", pki.display().to_string());
        let here = fs::read_to_string(pki.join("ca.crt")).context("the cluster's authority")?;
        if pki::certificates_of(&here)?.first() != pki::certificates_of(&self.target.authority)?.first() {
            bail!(
                "{} is not the authority of the cluster at {}",
                pki.join("ca.crt").display(),
                self.target.server
            );
        }
        let machine = self.cluster.control_plane(&self.node);
        for certificate in CERTIFICATES {
            if self.external_etcd() && certificate.signer == Signer::Etcd {
                continue;
            }
            let made = certificates::make(&pki, certificate, &machine, self.lifetimes(), now)?;
            let verb = if made == Made::New { "Generating" } else { "Using existing" };
            println!("[certs] {verb} {:?} certificate and key", certificate.file);
        }
        Ok(())
    }

    fn local_target(&self) -> Target {
        Target { server: self.node.api().url(), ..self.shared_target() }
    }

    /// Kubeconfigs name the cluster as the one that was made by init does.
    fn shared_target(&self) -> Target {
        Target {
            cluster: self.cluster.configuration.cluster_name.clone(),
            server: self.cluster.server(&self.node).url(),
            authority: self.target.authority.clone(),
        }
    }

    fn kubeconfigs(&self, now: Timestamp) -> anyhow::Result<()> {
        println!("[kubeconfig] Using kubeconfig folder \"/etc/kubernetes\"");
        let authority = certificates::authority(&self.paths.pki(), Signer::Cluster)?;
        let (local, shared) = (self.local_target(), self.shared_target());
        let days = self.lifetimes().leaf;
        // super-admin.conf stays alone, on the machine that made the cluster.
        for user in CONTROL_PLANE_USERS.iter().chain(NODE_USERS).filter(|user| user.file != "super-admin") {
            let path = self.paths.kubeconfig(user.file);
            let target = if user.file == "admin" { &shared } else { &local };
            if !kubeconfigs::is_for(&path, target)? {
                println!("[kubeconfig] Writing \"{}.conf\" kubeconfig file", user.file);
                pki::write_private(&path, &kubeconfigs::issue(&authority, target, user, days, now)?)?;
            }
        }
        // With the authority's key at hand there is nobody to ask.
        let path = self.paths.kubeconfig("kubelet");
        if !kubeconfigs::is_for(&path, &local)? {
            println!("[kubeconfig] Writing \"kubelet.conf\" kubeconfig file");
            let text =
                kubeconfigs::issue_kubelet(&self.paths, &authority, &local, &self.node.name, days, now)?;
            pki::write_private(&path, &text)?;
        }
        Ok(())
    }

    async fn join_etcd(&self) -> anyhow::Result<()> {
        let admin = Api::open(&self.paths.kubeconfig("admin")).await?;
        let endpoints: Vec<String> = members_of(&admin, &self.node.name).await?;
        if endpoints.is_empty() {
            bail!(
                "no Node of the cluster has the label node-role.kubernetes.io/control-plane: there is no etcd to join"
            );
        }
        let mut etcd = Etcd::open(&endpoints, &self.paths.pki()).await?;
        let peer = arguments::peer_url(&self.node);
        println!("[etcd] Announcing new etcd member joining to the existing etcd cluster: {peer}");
        let (learner, others) = etcd.add_learner(&peer).await?;
        let arguments = arguments::etcd(&self.cluster, &self.node, &others, true);
        node_files::write_env(&self.paths, "kube-etcd", &arguments)?;
        node_files::enable_and_start(&["kube-etcd"]).await?;
        println!("[etcd] Waiting for the new etcd member to catch up and to become a voter");
        etcd.promote(learner, PATIENCE).await?;
        Ok(())
    }

    async fn start_control_plane(&self) -> anyhow::Result<()> {
        write_authentication(&self.paths)?;
        let units = [
            ("kube-apiserver", arguments::apiserver(&self.cluster, &self.node)),
            ("kube-controller-manager", arguments::controller_manager(&self.cluster)),
            ("cloud-controller-manager", arguments::cloud_controller_manager()),
            ("kube-scheduler", arguments::scheduler(&self.cluster)),
        ];
        for (unit, arguments) in &units {
            println!("[control-plane] Starting the unit {unit:?}");
            node_files::write_env(&self.paths, unit, arguments)?;
        }
        node_files::enable_and_start(&units.map(|(unit, _)| unit)).await?;
        systemd::enable_existing(&["kubeadm-renew-boot.service"]).await
    }

    /// The API as the administrator, by this machine's own server.
    async fn local_api(&self) -> anyhow::Result<Api> {
        let path = self.paths.kubeconfig("admin");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Api::of(&text.replace(&self.shared_target().server, &self.local_target().server)).await
    }
}

/// Where the members of the other control planes listen.
pub async fn members_of(api: &Api, but: &str) -> anyhow::Result<Vec<String>> {
    let path = "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fcontrol-plane";
    let listed = api.get(path).await?.unwrap_or_default();
    let nodes = listed["items"].as_array().cloned().unwrap_or_default();
    let others = nodes.iter().filter(|node| node["metadata"]["name"] != but);
    Ok(others
        .filter_map(|node| {
            let addresses = node["status"]["addresses"].as_array()?;
            let internal = addresses.iter().find(|address| address["type"] == "InternalIP")?;
            let address = internal["address"].as_str()?;
            Some(if address.contains(':') {
                format!("https://[{address}]:2379")
            } else {
                format!("https://{address}:2379")
            })
        })
        .collect())
}
