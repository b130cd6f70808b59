//! The lab's certificates, keys and kubeconfigs, under the names that kubeadm gives them.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use pki::{
    Authority, Credentials, Issued, Kubeconfig, Leaf,
    cluster::{CERTIFICATES, CONTROL_PLANE_USERS, ControlPlane, NODE_USERS, Signer, User},
    write_private, write_public,
};

use crate::topology::{KUBERNETES_SERVICE, Node, Topology};

const CA_YEARS: i64 = 10;

/// The authorities of a cluster, kept in `<state>/pki`.
struct Authorities {
    cluster: Authority,
    front_proxy: Authority,
    etcd: Authority,
}

impl Authorities {
    fn of(&self, signer: Signer) -> &Authority {
        match signer {
            Signer::Cluster => &self.cluster,
            Signer::FrontProxy => &self.front_proxy,
            Signer::Etcd => &self.etcd,
        }
    }
}

/// Directory that a node sees as `/etc/kubernetes`.
fn kubernetes_directory(topology: &Topology, node: &Node) -> PathBuf {
    topology.node_state(node).join("etc/kubernetes")
}

/// Makes whatever is not there yet. Certificates of an earlier start stay, so that a restarted lab knows its users.
pub fn create(topology: &Topology, now: Timestamp) -> anyhow::Result<()> {
    if topology.kubeconfig().exists() {
        return Ok(());
    }
    let authorities = Authorities {
        cluster: Authority::new(Signer::Cluster.common_name(), CA_YEARS, now)?,
        front_proxy: Authority::new(Signer::FrontProxy.common_name(), CA_YEARS, now)?,
        etcd: Authority::new(Signer::Etcd.common_name(), CA_YEARS, now)?,
    };
    for node in &topology.nodes {
        let directory = kubernetes_directory(topology, node);
        write_public(&directory.join("pki/ca.crt"), authorities.cluster.certificate())?;
        node_files(topology, node, &authorities, now)?;
    }
    for node in topology.etcd_nodes() {
        etcd_files(&kubernetes_directory(topology, node).join("pki"), node, &authorities, now)?;
    }
    control_plane_files(topology, &authorities, now)?;
    // Last: its presence says that all the rest is there.
    let admin = authorities
        .cluster
        .issue(&Leaf::client("kubernetes-admin", &["kubeadm:cluster-admins", "system:masters"]), now)?;
    let server = format!("https://127.0.0.1:{}", topology.api_port);
    kubeconfig(&authorities, &server, "kubernetes-admin", &admin).write(&topology.kubeconfig())?;
    Ok(())
}

fn server_url(topology: &Topology) -> String {
    format!("https://{}:6443", topology.control_plane().address)
}

fn kubeconfig<'a>(
    authorities: &'a Authorities,
    server: &'a str,
    user: &'a str,
    issued: &'a Issued,
) -> Kubeconfig<'a> {
    Kubeconfig {
        cluster: "kubernetes",
        server,
        authority: authorities.cluster.certificate(),
        user,
        credentials: Credentials::Certificate { certificate: &issued.certificate, key: &issued.key },
    }
}

/// Writes a component's kubeconfig for a user of groups.
fn write_kubeconfig(
    topology: &Topology,
    authorities: &Authorities,
    path: &Path,
    user: &str,
    groups: &[&str],
    now: Timestamp,
) -> anyhow::Result<()> {
    let issued = authorities.cluster.issue(&Leaf::client(user, groups), now)?;
    kubeconfig(authorities, &server_url(topology), user, &issued).write(path)?;
    Ok(())
}

fn node_files(
    topology: &Topology,
    node: &Node,
    authorities: &Authorities,
    now: Timestamp,
) -> anyhow::Result<()> {
    let directory = kubernetes_directory(topology, node);
    let user = format!("system:node:{}", node.name);
    let path = directory.join("kubelet.conf");
    write_kubeconfig(topology, authorities, &path, &user, &["system:nodes"], now)?;
    for user in NODE_USERS {
        write_user(topology, authorities, &directory, user, now)?;
    }
    let mut serving = Leaf::server(&user, &[&node.name], &[IpAddr::V4(node.address)]);
    serving.organizations = vec!["system:nodes".into()];
    authorities.cluster.issue(&serving, now)?.write(&directory.join("pki"), "kubelet-server")?;
    Ok(())
}

fn write_user(
    topology: &Topology,
    authorities: &Authorities,
    directory: &Path,
    user: &User,
    now: Timestamp,
) -> anyhow::Result<()> {
    let path = directory.join(format!("{}.conf", user.file));
    write_kubeconfig(topology, authorities, &path, user.name, user.groups, now)
}

/// A node as the table of certificates sees it.
fn machine(node: &Node) -> ControlPlane {
    ControlPlane {
        node: node.name.clone(),
        address: node.address.into(),
        service: KUBERNETES_SERVICE.into(),
        domain: "cluster.local".into(),
        api_names: Vec::new(),
        etcd_names: Vec::new(),
        etcd_peer_names: Vec::new(),
    }
}

fn etcd_files(pki: &Path, node: &Node, authorities: &Authorities, now: Timestamp) -> anyhow::Result<()> {
    write_public(&pki.join("etcd/ca.crt"), authorities.etcd.certificate())?;
    for certificate in CERTIFICATES.iter().filter(|one| matches!(one.name, "etcd-server" | "etcd-peer")) {
        authorities
            .of(certificate.signer)
            .issue(&(certificate.leaf)(&machine(node)), now)?
            .write(pki, certificate.file)?;
    }
    Ok(())
}

fn control_plane_files(topology: &Topology, authorities: &Authorities, now: Timestamp) -> anyhow::Result<()> {
    let node = topology.control_plane();
    let directory = kubernetes_directory(topology, node);
    let pki = directory.join("pki");
    for signer in Signer::ALL {
        authorities.of(signer).issued().write(&pki, signer.file())?;
    }
    for certificate in CERTIFICATES.iter().filter(|one| !matches!(one.name, "etcd-server" | "etcd-peer")) {
        let mut leaf = (certificate.leaf)(&machine(node));
        // In the lab nobody binds kubeadm's group of administrators.
        leaf.organizations = leaf.organizations.iter().map(|_| "system:masters".to_owned()).collect();
        authorities.of(certificate.signer).issue(&leaf, now)?.write(&pki, certificate.file)?;
    }
    let (private, public) = pki::signing_key()?;
    write_private(&pki.join("sa.key"), &private)?;
    write_public(&pki.join("sa.pub"), &public)?;
    for user in CONTROL_PLANE_USERS.iter().filter(|user| !user.file.ends_with("admin")) {
        write_user(topology, authorities, &directory, user, now)?;
    }
    let administrators = ["kubeadm:cluster-admins", "system:masters"];
    write_kubeconfig(
        topology,
        authorities,
        &directory.join("admin.conf"),
        "kubernetes-admin",
        &administrators,
        now,
    )?;
    // What a test of a refused client needs: a certificate of an authority that nobody trusts.
    let stranger = Authority::new("stranger", 1, now)?;
    let intruder = stranger.issue(&Leaf::client("kubernetes-admin", &["system:masters"]), now)?;
    let server = format!("https://127.0.0.1:{}", topology.api_port);
    fs::create_dir_all(&topology.state)?;
    kubeconfig(authorities, &server, "kubernetes-admin", &intruder)
        .write(&topology.state.join("stranger.conf"))?;
    Ok(())
}
