//! Joining as a node that runs pods: the kubelet asks for its certificate with the token, and with that kubeadm asks
//! for those of what runs beside it.

use std::time::Duration;

use anyhow::Context as _;
use pki::cluster::{NODE_USERS, User};

use super::Join;
use crate::{
    cluster::{
        Api,
        certificates::{Ask, CLIENT, request},
    },
    node_files, rejoin, systemd,
};

/// How long the cluster may take to sign.
const SIGNING: Duration = Duration::from_secs(120);

/// How long it may take to sign what is not needed yet.
const REJOIN: Duration = Duration::from_secs(20);

impl Join {
    pub(super) async fn worker(&self) -> anyhow::Result<()> {
        if self.takes("kubelet-start") {
            pki::write_public(&self.paths.pki().join("ca.crt"), &self.target.authority)?;
            pki::write_private(&self.paths.kubeconfig("bootstrap-kubelet"), &self.bootstrap)?;
            self.start_kubelet().await?;
            systemd::enable_existing(&["kubeadm-renew.timer"]).await?;
        }
        let kubeconfig = self.paths.kubeconfig("kubelet");
        if self.takes("kubelet-wait-bootstrap") {
            println!("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap");
            node_files::wait_file(&kubeconfig, "kubelet", SIGNING).await?;
        }
        if self.takes("node-agents") {
            let api = Api::open(&kubeconfig).await.context("the kubelet's kubeconfig")?;
            let (agents, ()) = futures::future::join(self.node_agents(&api), self.may_rejoin()).await;
            agents?;
        }
        Ok(())
    }

    /// Leaves the node a way back for the day when its certificates have expired while it was off.
    async fn may_rejoin(&self) {
        match rejoin::ensure(&self.paths, &self.node.name, REJOIN).await {
            Ok(_) => println!("[kubelet-start] Writing the node's way back to \"bootstrap-kubelet.conf\""),
            Err(error) => eprintln!(
                "\t[WARNING Rejoin]: a node whose certificates expire while it is off will have to join anew: {error:#}"
            ),
        }
    }

    pub(super) async fn start_kubelet(&self) -> anyhow::Result<()> {
        println!("[kubelet-start] Writing kubelet configuration to file \"/var/lib/kubelet/config.yaml\"");
        println!(
            "[kubelet-start] Writing kubelet environment file with flags to file \"/etc/kubernetes/env/kubelet.env\""
        );
        node_files::write_kubelet(&self.paths, &self.node, &self.kubelet)?;
        println!("[kubelet-start] Starting the kubelet");
        node_files::enable_and_start(&["kubelet"]).await
    }

    /// Credentials of kube-proxy and podnet by the cluster's signer, then their units.
    async fn node_agents(&self, api: &Api) -> anyhow::Result<()> {
        let agents = NODE_USERS.iter().filter(|user| self.runs_agent(user.file));
        let asked = agents.map(|user| self.credentials(api, user));
        futures::future::try_join_all(asked).await?;
        self.start_agents().await
    }

    fn runs_agent(&self, unit: &str) -> bool {
        let disabled = unit == "kube-proxy" && self.cluster.configuration.proxy.disabled;
        self.request.selection.takes_part("node-agents", unit) && !disabled
    }

    async fn credentials(&self, api: &Api, user: &User) -> anyhow::Result<()> {
        let path = self.paths.kubeconfig(user.file);
        if path.exists() {
            return Ok(());
        }
        let name = format!("{}-", user.file);
        let ask = Ask {
            name: &name,
            signer: CLIENT,
            common_name: user.name,
            organizations: user.groups,
            expiration_seconds: None,
        };
        let issued = request(api, &ask, SIGNING).await?;
        println!("[node-agents] Writing \"{}.conf\" kubeconfig file", user.file);
        Ok(pki::write_private(&path, &self.target.with_certificate(user.name, &issued)?)?)
    }

    pub(super) async fn start_agents(&self) -> anyhow::Result<()> {
        let mut units = Vec::new();
        if self.runs_agent("kube-proxy") {
            node_files::write_kube_proxy(&self.paths, &self.node, &self.kube_proxy)?;
            units.push("kube-proxy");
        }
        if self.runs_agent("podnet") {
            node_files::write_podnet(&self.paths, &self.cluster, &self.node)?;
            units.push("podnet");
        }
        if units.is_empty() {
            return Ok(());
        }
        println!("[node-agents] Starting the units {}", units.join(", "));
        node_files::enable_and_start(&units).await
    }
}
