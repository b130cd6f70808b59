//! The lab's certificates, keys and kubeconfigs, under the names that kubeadm gives them.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use pki::{Authority, Credentials, Issued, Kubeconfig, Leaf, Usage, write_private, write_public};

use crate::topology::{KUBERNETES_SERVICE, Node, Topology};

const CA_YEARS: i64 = 10;

/// The authorities of a cluster, kept in `<state>/pki`.
struct Authorities {
    cluster: Authority,
    front_proxy: Authority,
    etcd: Authority,
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
        cluster: Authority::new("kubernetes", CA_YEARS, now)?,
        front_proxy: Authority::new("front-proxy-ca", CA_YEARS, now)?,
        etcd: Authority::new("etcd-ca", CA_YEARS, now)?,
    };
    for node in &topology.nodes {
        let directory = kubernetes_directory(topology, node);
        write_public(&directory.join("pki/ca.crt"), authorities.cluster.certificate())?;
        node_files(topology, node, &authorities, now)?;
    }
    for node in topology.etcd_nodes() {
        etcd_files(&kubernetes_directory(topology, node).join("pki/etcd"), node, &authorities, now)?;
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
    let file = |name: &str| directory.join(name);
    write_kubeconfig(topology, authorities, &file("kubelet.conf"), &user, &["system:nodes"], now)?;
    write_kubeconfig(topology, authorities, &file("kube-proxy.conf"), "system:kube-proxy", &[], now)?;
    write_kubeconfig(topology, authorities, &file("podnet.conf"), "system:podnet", &[], now)?;
    let mut serving = Leaf::server(&user, &[&node.name], &[IpAddr::V4(node.address)]);
    serving.organizations = vec!["system:nodes".into()];
    authorities.cluster.issue(&serving, now)?.write(&directory.join("pki"), "kubelet-server")?;
    Ok(())
}

fn etcd_files(
    directory: &Path,
    node: &Node,
    authorities: &Authorities,
    now: Timestamp,
) -> anyhow::Result<()> {
    let addresses = [IpAddr::V4(node.address), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let leaf = Leaf::server(&node.name, &[&node.name, "localhost"], &addresses).usage(Usage::Both);
    write_public(&directory.join("ca.crt"), authorities.etcd.certificate())?;
    authorities.etcd.issue(&leaf, now)?.write(directory, "server")?;
    authorities.etcd.issue(&leaf, now)?.write(directory, "peer")?;
    Ok(())
}

fn control_plane_files(topology: &Topology, authorities: &Authorities, now: Timestamp) -> anyhow::Result<()> {
    let node = topology.control_plane();
    let directory = kubernetes_directory(topology, node);
    let pki = directory.join("pki");
    authorities.cluster.issued().write(&pki, "ca")?;
    authorities.front_proxy.issued().write(&pki, "front-proxy-ca")?;
    authorities.etcd.issued().write(&pki.join("etcd"), "ca")?;
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        node.name.as_str(),
    ];
    let addresses = [KUBERNETES_SERVICE, node.address, Ipv4Addr::LOCALHOST].map(IpAddr::V4);
    authorities
        .cluster
        .issue(&Leaf::server("kube-apiserver", &names, &addresses), now)?
        .write(&pki, "apiserver")?;
    authorities
        .cluster
        .issue(&Leaf::client("kube-apiserver-kubelet-client", &["system:masters"]), now)?
        .write(&pki, "apiserver-kubelet-client")?;
    authorities
        .etcd
        .issue(&Leaf::client("kube-apiserver-etcd-client", &[]), now)?
        .write(&pki, "apiserver-etcd-client")?;
    authorities
        .front_proxy
        .issue(&Leaf::client("front-proxy-client", &[]), now)?
        .write(&pki, "front-proxy-client")?;
    let (private, public) = pki::signing_key()?;
    write_private(&pki.join("sa.key"), &private)?;
    write_public(&pki.join("sa.pub"), &public)?;
    for component in ["kube-scheduler", "kube-controller-manager", "cloud-controller-manager"] {
        let path = directory.join(format!("{}.conf", component.trim_start_matches("kube-")));
        write_kubeconfig(topology, authorities, &path, &format!("system:{component}"), &[], now)?;
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
