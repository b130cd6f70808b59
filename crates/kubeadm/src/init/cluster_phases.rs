//! The phases that write into the cluster: configurations, tokens, rights, add-ons.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Init;
use crate::{
    addons,
    bootstrap_token::{SECRETS, Terms},
    cluster::{Api, objects},
    configuration::{self, NodeSettings, v1beta4::BootstrapToken},
    join_command::{self, JoinCommand},
    kubeconfigs::Target,
    sealed::{self, CertificateKey},
};

/// How long the kubelet may take to make its Node.
const REGISTRATION: Duration = Duration::from_secs(120);

impl Init {
    pub(super) async fn cluster_phases(&mut self, api: &Api) -> anyhow::Result<()> {
        if self.selection.is_whole() {
            api.apply(&objects::administrators()).await?;
        }
        if self.takes("upload-config") {
            self.upload_config(api).await?;
        }
        if self.takes("bootstrap-token") {
            // Before the certificates: these belong to a token's secret. `upload-certs` makes one of its own.
            self.bootstrap_token(api).await?;
        }
        if self.takes("upload-certs") {
            self.upload_certs(api).await?;
        }
        if self.takes("addon") {
            self.add_ons(api).await?;
        }
        if self.takes("mark-control-plane") {
            mark_control_plane(api, &self.node).await?;
        }
        if self.takes("show-join-command") && !self.selection.is_whole() {
            println!("{}", self.join_command()?.worker());
        }
        Ok(())
    }

    async fn upload_config(&self, api: &Api) -> anyhow::Result<()> {
        let mut all = Vec::new();
        if self.selection.takes_part("upload-config", "kubeadm") {
            println!(
                "[upload-config] Storing the configuration used in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace"
            );
            let text = configuration::print("ClusterConfiguration", &self.cluster.configuration)?;
            all.extend(objects::kubeadm_config(&text));
        }
        if self.selection.takes_part("upload-config", "kubelet") {
            println!(
                "[kubelet] Creating a ConfigMap \"kubelet-config\" in namespace kube-system with the configuration for the kubelets in the cluster"
            );
            let [kubelet, kube_proxy] = [&self.kubelet, &self.kube_proxy].map(formats::yaml::text);
            all.extend(objects::kubelet_config(&kubelet, &kube_proxy));
        }
        apply_all(api, &all).await
    }

    async fn upload_certs(&mut self, api: &Api) -> anyhow::Result<()> {
        if !self.upload_certs {
            println!("[upload-certs] Skipping phase. Please see --upload-certs");
            return Ok(());
        }
        let key = match self.certificate_key.take() {
            Some(key) => key,
            None => CertificateKey::generate()?,
        };
        upload_certs(api, &self.pki(), &key, self.external_etcd()).await?;
        println!(
            "[upload-certs] Storing the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace"
        );
        if !self.options.skip_certificate_key_print && !self.selection.is_whole() {
            println!("[upload-certs] Using certificate key:\n{}", key.text());
        }
        self.certificate_key = Some(key);
        Ok(())
    }

    async fn bootstrap_token(&mut self, api: &Api) -> anyhow::Result<()> {
        let mut all = Vec::new();
        for token in &mut self.tokens {
            let terms = Terms::new(token, Timestamp::now())?;
            token.token = terms.token.text();
            if !self.options.skip_token_print {
                println!("[bootstrap-token] Using token: {}", token.token);
            }
            all.push(terms.secret());
        }
        println!("[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles");
        all.extend(objects::joining());
        all.extend(objects::node_certificates());
        println!(
            "[bootstrap-token] Creating the \"cluster-info\" ConfigMap in the \"kube-public\" namespace"
        );
        all.extend(objects::cluster_info(&public_kubeconfig(&self.shared_target()?)));
        apply_all(api, &all).await
    }

    async fn add_ons(&self, api: &Api) -> anyhow::Result<()> {
        for add_on in addons::ADD_ONS {
            let disabled = add_on.phase == "coredns" && self.cluster.configuration.dns.disabled;
            if !self.selection.takes_part("addon", add_on.phase) || disabled {
                continue;
            }
            apply_all(api, &add_on.objects(&self.cluster)?).await?;
            println!("[addons] Applied essential addon: {}", add_on.title);
        }
        if let Some(addresses) = &self.options.load_balancer_addresses
            && self.selection.takes_part("addon", "load-balancer")
        {
            api.apply(&addons::load_balancer(addresses)).await?;
            println!("[addons] Applied addon: load-balancer with the addresses {addresses}");
        }
        Ok(())
    }

    fn join_command(&self) -> anyhow::Result<JoinCommand> {
        let token = self.tokens.first().map(|token| token.token.clone()).unwrap_or_default();
        join_command::of(&self.shared_target()?, &token)
    }

    pub(super) fn farewell(&self) -> anyhow::Result<()> {
        let command = self.join_command()?;
        println!(
            "
Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=/etc/kubernetes/admin.conf

The pod network {} is there: podnet runs on every node.{}
",
            configuration::ClusterSettings::joined(&self.cluster.pods),
            if self.pod_network_by_default { " (Choose another with --pod-network-cidr.)" } else { "" }
        );
        if self.cluster.endpoint.is_some() {
            match &self.certificate_key {
                Some(key) if self.upload_certs => {
                    let key = if self.options.skip_certificate_key_print {
                        "<value withheld>".into()
                    } else {
                        key.text()
                    };
                    println!(
                        "You can now join any number of control-plane nodes running the following command on each as root:\n\n  {}\n\n\
                         Please note that the certificate-key gives access to cluster sensitive data, keep it secret!\n\
                         As a safeguard, uploaded-certs will be deleted in two hours; If necessary, you can use\n\
                         \"kubeadm init phase upload-certs --upload-certs\" to reload certs afterward.\n",
                        command.control_plane(Some(&key))
                    );
                }
                _ => println!(
                    "You can now join any number of control-plane nodes by copying certificate authorities\n\
                     and service account keys on each node and then running the following as root:\n\n  {}\n",
                    command.control_plane(None)
                ),
            }
        }
        let command =
            if self.options.skip_token_print { command.without_token().worker() } else { command.worker() };
        println!(
            "Then you can join any number of worker nodes by running the following on each as root:\n\n{command}"
        );
        Ok(())
    }
}

/// Writes objects, a few at once; the first of them before the rest, which may live in it.
pub async fn apply_all(api: &Api, all: &[Value]) -> anyhow::Result<()> {
    use futures::{StreamExt as _, TryStreamExt as _};
    let Some((first, rest)) = all.split_first() else { return Ok(()) };
    api.apply(first).await?;
    futures::stream::iter(rest.iter().map(|object| api.apply(object)))
        // One connection carries them all; this many keep the API server busy.
        .buffer_unordered(8)
        .try_for_each(|_| async { Ok(()) })
        .await
}

/// Seals the keys of this machine into the cluster for two hours: they belong to a token that ends then.
pub async fn upload_certs(
    api: &Api,
    pki: &std::path::Path,
    key: &CertificateKey,
    external_etcd: bool,
) -> anyhow::Result<()> {
    let given = BootstrapToken {
        description: "Proxy for managing TTL for the kubeadm-certs secret".into(),
        ttl: Some("2h".into()),
        ..BootstrapToken::default()
    };
    let mut owner = Terms::new(&given, Timestamp::now())?;
    // Nobody can do anything with it.
    owner.usages.clear();
    owner.groups.clear();
    let owner = api.create(SECRETS, &owner.secret()).await?;
    // One sealed with an earlier key has another owner.
    api.delete(sealed::PATH).await?;
    apply_all(api, &sealed::objects(pki, key, external_etcd, &owner)?).await
}

/// Labels and taints this machine's node, as soon as its kubelet has made it.
pub async fn mark_control_plane(api: &Api, node: &NodeSettings) -> anyhow::Result<()> {
    println!(
        "[mark-control-plane] Marking the node {} as control-plane by adding the labels: [node-role.kubernetes.io/control-plane node.kubernetes.io/exclude-from-external-load-balancers]",
        node.name
    );
    if !node.taints.is_empty() {
        let taints: Vec<String> =
            node.taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect();
        println!(
            "[mark-control-plane] Marking the node {} as control-plane by adding the taints [{}]",
            node.name,
            taints.join(" ")
        );
    }
    let path = format!("/api/v1/nodes/{}", node.name);
    let mut tries = 0;
    loop {
        let found = api
            .wait(&path, REGISTRATION, |_| true)
            .await
            .context("the kubelet has not registered its node; see journalctl -u kubelet")?;
        match api.merge(&path, &objects::control_plane_node(&found, &node.taints)).await {
            // Others write to a node that has just been made.
            Err(_) if tries < 10 => tries += 1,
            result => return result.map(drop),
        }
    }
}

/// The kubeconfig that everybody may read: where the cluster is and whom it trusts, and no user.
fn public_kubeconfig(target: &Target) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    formats::yaml::text(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "", "cluster": {
            "server": target.server,
            "certificate-authority-data": BASE64_STANDARD.encode(&target.authority),
        }}],
        "contexts": null,
        "current-context": "",
        "preferences": {},
        "users": null,
    }))
}
