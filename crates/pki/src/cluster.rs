//! The keys and certificates of a cluster: what each is called, who signs it and what it says. Names are kubeadm's.

use std::net::{IpAddr, Ipv4Addr};

use crate::{Leaf, Usage};

/// An authority of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// Of the API server, the kubelets and all users.
    Cluster,
    /// Of who may pass on a user's name to aggregated API servers.
    FrontProxy,
    /// Of etcd's members and clients.
    Etcd,
}

impl Signer {
    /// Every authority.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::FrontProxy, Self::Etcd];

    /// Name of its files below the PKI's directory, without `.crt` and `.key`.
    pub fn file(self) -> &'static str {
        match self {
            Self::Cluster => "ca",
            Self::FrontProxy => "front-proxy-ca",
            Self::Etcd => "etcd/ca",
        }
    }

    /// Its subject's common name.
    pub fn common_name(self) -> &'static str {
        match self {
            Self::Cluster => "kubernetes",
            Self::FrontProxy => "front-proxy-ca",
            Self::Etcd => "etcd-ca",
        }
    }
}

/// The machine that certificates are for, and the names under which it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlane {
    /// Name of its node.
    pub node: String,
    /// Its address.
    pub address: IpAddr,
    /// Address of the Service `kubernetes`.
    pub service: IpAddr,
    /// The cluster's DNS domain.
    pub domain: String,
    /// Further names and addresses of the API server: the endpoint that several share, what the operator adds.
    pub api_names: Vec<String>,
    /// Further names and addresses of the etcd server.
    pub etcd_names: Vec<String>,
    /// Further names and addresses of the etcd peer.
    pub etcd_peer_names: Vec<String>,
}

impl ControlPlane {
    fn api_server(&self) -> Leaf {
        let domain = format!("kubernetes.default.svc.{}", self.domain);
        let names = [&self.node, "kubernetes", "kubernetes.default", "kubernetes.default.svc", &domain];
        with(Leaf::server("kube-apiserver", &names, &[self.service, self.address]), &self.api_names)
            // The components of the machine itself may take the short way.
            .also("localhost")
            .also("127.0.0.1")
    }

    fn etcd(&self, more: &[String]) -> Leaf {
        let local = [self.address, IpAddr::V4(Ipv4Addr::LOCALHOST), "::1".parse().unwrap_or(self.address)];
        with(Leaf::server(&self.node, &[&self.node, "localhost"], &local).usage(Usage::Both), more)
    }
}

fn with(leaf: Leaf, more: &[String]) -> Leaf {
    more.iter().fold(leaf, |leaf, name| leaf.also(name))
}

/// A certificate of a control plane.
#[derive(Debug, Clone, Copy)]
pub struct Certificate {
    /// What `kubeadm certs renew` calls it.
    pub name: &'static str,
    /// Name of its files below the PKI's directory, without `.crt` and `.key`.
    pub file: &'static str,
    /// Who signs it.
    pub signer: Signer,
    /// What it says.
    pub leaf: fn(&ControlPlane) -> Leaf,
}

/// Every certificate of a control plane that has a file of its own.
pub const CERTIFICATES: &[Certificate] = &[
    Certificate {
        name: "apiserver",
        file: "apiserver",
        signer: Signer::Cluster,
        leaf: ControlPlane::api_server,
    },
    Certificate {
        name: "apiserver-kubelet-client",
        file: "apiserver-kubelet-client",
        signer: Signer::Cluster,
        leaf: |_| Leaf::client("kube-apiserver-kubelet-client", &["kubeadm:cluster-admins"]),
    },
    Certificate {
        name: "front-proxy-client",
        file: "front-proxy-client",
        signer: Signer::FrontProxy,
        leaf: |_| Leaf::client("front-proxy-client", &[]),
    },
    Certificate {
        name: "etcd-server",
        file: "etcd/server",
        signer: Signer::Etcd,
        leaf: |machine| machine.etcd(&machine.etcd_names),
    },
    Certificate {
        name: "etcd-peer",
        file: "etcd/peer",
        signer: Signer::Etcd,
        leaf: |machine| machine.etcd(&machine.etcd_peer_names),
    },
    Certificate {
        name: "etcd-healthcheck-client",
        file: "etcd/healthcheck-client",
        signer: Signer::Etcd,
        leaf: |_| Leaf::client("kube-etcd-healthcheck-client", &[]),
    },
    Certificate {
        name: "apiserver-etcd-client",
        file: "apiserver-etcd-client",
        signer: Signer::Etcd,
        leaf: |_| Leaf::client("kube-apiserver-etcd-client", &[]),
    },
];

/// A user whose certificate is in a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Name of the kubeconfig without `.conf`.
    pub file: &'static str,
    /// Who it is.
    pub name: &'static str,
    /// In which groups.
    pub groups: &'static [&'static str],
}

impl User {
    /// Its client certificate.
    pub fn leaf(&self) -> Leaf {
        Leaf::client(self.name, self.groups)
    }
}

/// The users of a control plane, besides its kubelet.
pub const CONTROL_PLANE_USERS: &[User] = &[
    User { file: "admin", name: "kubernetes-admin", groups: &["kubeadm:cluster-admins"] },
    User { file: "super-admin", name: "kubernetes-super-admin", groups: &["system:masters"] },
    User { file: "controller-manager", name: "system:kube-controller-manager", groups: &[] },
    User { file: "cloud-controller-manager", name: "system:cloud-controller-manager", groups: &[] },
    User { file: "scheduler", name: "system:kube-scheduler", groups: &[] },
];

/// The users of every node, besides its kubelet.
pub const NODE_USERS: &[User] = &[
    User { file: "kube-proxy", name: "system:kube-proxy", groups: &[] },
    User { file: "podnet", name: "system:podnet", groups: &[] },
];

/// The user and the group of a node's kubelet.
pub fn kubelet(node: &str) -> Leaf {
    Leaf::client(&format!("system:node:{node}"), &["system:nodes"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_api_server_is_in_its_certificate() {
        let machine = ControlPlane {
            node: "m-k8s".into(),
            address: "192.168.1.10".parse().unwrap(),
            service: "10.96.0.1".parse().unwrap(),
            domain: "cluster.local".into(),
            api_names: vec!["api.example.org".into(), "192.168.1.10".into(), "203.0.113.9".into()],
            etcd_names: vec![],
            etcd_peer_names: vec![],
        };
        let leaf = (CERTIFICATES[0].leaf)(&machine);
        assert_eq!(
            leaf.dns_names,
            [
                "m-k8s",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "api.example.org",
                "localhost"
            ]
        );
        let addresses: Vec<String> = leaf.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.96.0.1", "192.168.1.10", "203.0.113.9", "127.0.0.1"]);
    }
}
