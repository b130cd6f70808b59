//! The phases that change this machine: certificates, kubeconfigs, units.

use std::{fs, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use pki::cluster::{CERTIFICATES, CONTROL_PLANE_USERS, NODE_USERS, Signer};
use tokio::task::JoinHandle;

use super::Init;
use crate::{
    addons, arguments,
    certificates::{self, Made},
    container_runtime, kubeconfigs, machine, node_files, systemd,
};

impl Init {
    /// Prepares containerd; images are imported beside what follows.
    pub(super) async fn container_runtime(&self) -> anyhow::Result<Option<JoinHandle<anyhow::Result<()>>>> {
        if self.dry_run {
            println!("[dryrun] Would configure containerd and import the cluster's images into it");
            return Ok(None);
        }
        machine::load_modules().await;
        if let Some(written) = container_runtime::prepare(&self.paths).await? {
            println!(
                "[container-runtime] Wrote {:?} and restarted containerd",
                written.display().to_string()
            );
        }
        let archives = container_runtime::archives(&self.paths)?;
        println!(
            "[container-runtime] Importing {} image archives from {:?}",
            archives.len(),
            "/usr/share/magnetite/images"
        );
        let importing = tokio::spawn(container_runtime::import(archives));
        if self.selection.is_whole() {
            return Ok(Some(importing));
        }
        importing.await??;
        Ok(None)
    }

    pub(super) async fn machine_phases(&self) -> anyhow::Result<()> {
        let now = Timestamp::now();
        if self.takes("certs") {
            self.certs(now)?;
        }
        if self.takes("kubeconfig") {
            self.kubeconfigs(now)?;
        }
        if self.takes("etcd") && !self.external_etcd() {
            self.etcd().await?;
        }
        if self.takes("control-plane") {
            self.control_plane().await?;
        }
        if self.takes("kubelet-start") {
            self.kubelet_start().await?;
        }
        if self.takes("addon") {
            self.node_agents().await?;
        }
        Ok(())
    }

    fn certs(&self, now: Timestamp) -> anyhow::Result<()> {
        let pki = self.pki();
        println!("[certs] Using certificateDir folder {:?}", pki.display().to_string());
        let part = |name: &str| self.selection.takes_part("certs", name);
        let external = self.cluster.configuration.etcd.external.as_ref();
        let machine = self.cluster.control_plane(&self.node);
        let said = |made: Made, what: &str| match made {
            Made::New => println!("[certs] Generating {what}"),
            Made::Kept => println!("[certs] Using existing {what}"),
        };
        for signer in Signer::ALL {
            let name = signer.file().replace('/', "-");
            if part(&name) && (external.is_none() || signer != Signer::Etcd) {
                let made = certificates::make_authority(&pki, signer, self.lifetimes(), now)?;
                said(made, &format!("{:?} certificate and key", signer.file()));
            }
            for certificate in CERTIFICATES.iter().filter(|one| one.signer == signer && part(one.name)) {
                if external.is_some() && signer == Signer::Etcd {
                    continue;
                }
                let made = certificates::make(&pki, certificate, &machine, self.lifetimes(), now)?;
                said(made, &format!("{:?} certificate and key", certificate.file));
                if made == Made::New && matches!(certificate.name, "apiserver" | "etcd-server" | "etcd-peer")
                {
                    let leaf = (certificate.leaf)(&machine);
                    let addresses: Vec<String> = leaf.addresses.iter().map(ToString::to_string).collect();
                    println!(
                        "[certs] {} serving cert is signed for DNS names [{}] and IPs [{}]",
                        certificate.file,
                        leaf.dns_names.join(" "),
                        addresses.join(" ")
                    );
                }
            }
        }
        if let Some(external) = external {
            // Units read them at one place.
            for (from, to, private) in [
                (&external.ca_file, "etcd/ca.crt", false),
                (&external.cert_file, "apiserver-etcd-client.crt", false),
                (&external.key_file, "apiserver-etcd-client.key", true),
            ] {
                let text = fs::read_to_string(from)
                    .with_context(|| format!("external etcd mode: reading {from:?}"))?;
                let to = pki.join(to);
                if private { pki::write_private(&to, &text)? } else { pki::write_public(&to, &text)? }
            }
            println!(
                "[certs] External etcd mode: copied its authority and the API server's client certificate"
            );
        }
        if part("sa") {
            said(certificates::make_service_account_keys(&pki)?, "\"sa\" key and public key");
        }
        Ok(())
    }

    fn kubeconfigs(&self, now: Timestamp) -> anyhow::Result<()> {
        println!("[kubeconfig] Using kubeconfig folder \"/etc/kubernetes\"");
        let authority = certificates::authority(&self.pki(), Signer::Cluster)
            .context("kubeconfigs need the authority's key")?;
        let (local, shared) = (self.local_target()?, self.shared_target()?);
        let days = self.lifetimes().leaf;
        for user in CONTROL_PLANE_USERS.iter().chain(NODE_USERS) {
            if !self.selection.takes_part("kubeconfig", user.file) {
                continue;
            }
            let path = self.paths.kubeconfig(user.file);
            let target = if user.file.ends_with("admin") { &shared } else { &local };
            if kubeconfigs::is_for(&path, target)? {
                println!("[kubeconfig] Using existing kubeconfig file: {:?}", path.display().to_string());
                continue;
            }
            println!("[kubeconfig] Writing \"{}.conf\" kubeconfig file", user.file);
            pki::write_private(&path, &kubeconfigs::issue(&authority, target, user, days, now)?)?;
        }
        if self.selection.takes_part("kubeconfig", "kubelet") {
            let path = self.paths.kubeconfig("kubelet");
            if kubeconfigs::is_for(&path, &local)? {
                println!("[kubeconfig] Using existing kubeconfig file: {:?}", path.display().to_string());
            } else {
                println!("[kubeconfig] Writing \"kubelet.conf\" kubeconfig file");
                let text =
                    kubeconfigs::issue_kubelet(&self.paths, &authority, &local, &self.node.name, days, now)?;
                pki::write_private(&path, &text)?;
            }
        }
        Ok(())
    }

    async fn etcd(&self) -> anyhow::Result<()> {
        println!("[etcd] Starting the local etcd member as unit \"kube-etcd\"");
        let arguments = arguments::etcd(&self.cluster, &self.node, &[], false);
        node_files::write_env(&self.paths, "kube-etcd", &arguments)?;
        self.start(&["kube-etcd"]).await
    }

    async fn control_plane(&self) -> anyhow::Result<()> {
        let mut units = Vec::new();
        let part = |name: &str| self.selection.takes_part("control-plane", name);
        if part("apiserver") {
            write_authentication(&self.paths)?;
            units.push(("kube-apiserver", arguments::apiserver(&self.cluster, &self.node)));
        }
        if part("controller-manager") {
            units.push(("kube-controller-manager", arguments::controller_manager(&self.cluster)));
        }
        if part("cloud-controller-manager") {
            units.push(("cloud-controller-manager", arguments::cloud_controller_manager()));
        }
        if part("scheduler") {
            units.push(("kube-scheduler", arguments::scheduler(&self.cluster)));
        }
        for (unit, arguments) in &units {
            println!("[control-plane] Starting the unit {unit:?}");
            node_files::write_env(&self.paths, unit, arguments)?;
        }
        let names: Vec<&str> = units.iter().map(|(unit, _)| *unit).collect();
        self.start(&names).await?;
        if !self.dry_run {
            systemd::enable_existing(&["kubeadm-renew-boot.service"]).await?;
        }
        Ok(())
    }

    async fn kubelet_start(&self) -> anyhow::Result<()> {
        println!(
            "[kubelet-start] Writing kubelet environment file with flags to file \"/etc/kubernetes/env/kubelet.env\""
        );
        println!("[kubelet-start] Writing kubelet configuration to file \"/var/lib/kubelet/config.yaml\"");
        node_files::write_kubelet(&self.paths, &self.node, &self.kubelet)?;
        println!("[kubelet-start] Starting the kubelet");
        self.start(&["kubelet"]).await?;
        if !self.dry_run {
            systemd::enable_existing(&["kubeadm-renew.timer"]).await?;
        }
        Ok(())
    }

    /// kube-proxy and podnet: units here where upstream has DaemonSets, started before there is anything to wait for.
    async fn node_agents(&self) -> anyhow::Result<()> {
        let part = |name: &str| self.selection.takes_part("addon", name);
        let mut units = Vec::new();
        if part("kube-proxy") && !self.cluster.configuration.proxy.disabled {
            node_files::write_kube_proxy(&self.paths, &self.node, &self.kube_proxy)?;
            units.push("kube-proxy");
        }
        if part("podnet") {
            node_files::write_podnet(&self.paths, &self.cluster, &self.node)?;
            units.push("podnet");
        }
        for unit in &units {
            println!("[addons] Starting the unit {unit:?}");
        }
        self.start(&units).await
    }

    async fn start(&self, units: &[&str]) -> anyhow::Result<()> {
        if self.dry_run || units.is_empty() {
            return Ok(());
        }
        node_files::enable_and_start(units).await
    }

    pub(super) async fn wait_control_plane(&self) -> anyhow::Result<()> {
        println!(
            "[wait-control-plane] Waiting for the control plane to be healthy. This can take up to {:?}",
            self.patience
        );
        let begun = std::time::Instant::now();
        let end = tokio::time::Instant::now() + self.patience;
        if !self.external_etcd() {
            node_files::wait_active(&["kube-etcd"], self.patience).await?;
        }
        node_files::wait_active(&["kube-apiserver"], self.patience).await?;
        let api = self.connect().await?;
        while let Err(error) = api.ready().await {
            anyhow::ensure!(
                tokio::time::Instant::now() < end,
                "the API server is not ready: {error:#}\n{}",
                systemd::last_words("kube-apiserver").await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("[control-plane-check] kube-apiserver is healthy after {:.3?}", begun.elapsed());
        Ok(())
    }

    pub(super) fn say_what_the_rest_would_do(&self) {
        let Some(directory) = &self.rehearsal else { return };
        println!("[dryrun] Would start the units of the control plane, the kubelet, kube-proxy and podnet");
        println!(
            "[dryrun] Would store the configuration in the ConfigMaps kubeadm-config, kubelet-config and kube-proxy"
        );
        println!("[dryrun] Would label the node {:?} as a control plane", self.node.name);
        println!("[dryrun] Would make the bootstrap token and the ConfigMap cluster-info");
        for add_on in addons::ADD_ONS {
            println!("[dryrun] Would apply the addon {}", add_on.title);
        }
        println!("[dryrun] Would have written these files:");
        for path in files_below(directory.path()) {
            let absolute = path.strip_prefix(directory.path()).unwrap_or(&path);
            println!("\t/{}", absolute.display());
        }
    }
}

/// Writes who may reach the API server without a name.
pub fn write_authentication(paths: &crate::paths::Paths) -> anyhow::Result<()> {
    let path = paths.kubernetes().join("authentication.yaml");
    if path.exists() {
        return Ok(());
    }
    Ok(pki::write_public(&path, &formats::yaml::text(&addons::authentication()))?)
}

fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
