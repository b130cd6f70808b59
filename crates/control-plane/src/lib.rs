//! An API server with its etcd inside a test's own process, its users' kubeconfigs, and an administrator's requests.
//! Tests of controllers and of node agents wrap it: they start their component beside it and play what is absent.

#![allow(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

mod requests;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use clap::Parser as _;
use component::Runtime;
use component::client::{Connection, connect};
use kube::Client;
use pki::{Authority, Credentials, Kubeconfig, Leaf};
use testkit::{Etcd, eventually};

/// An API server with its etcd. Both end when it is dropped.
pub struct ControlPlane {
    client: Client,
    authority: Authority,
    url: String,
    runtime: Runtime,
    _etcd: Etcd,
    directory: tempfile::TempDir,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.runtime.shutdown().cancel();
    }
}

impl ControlPlane {
    /// Starts both and waits until the API server is ready.
    pub async fn start() -> ControlPlane {
        let etcd = Etcd::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let authority = authority(directory.path());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::detached();
        let flags = flags(directory.path(), &etcd.url());
        let (server, address) = kube_apiserver::run::serve(&runtime, flags).await.unwrap();
        eventually(|| async {
            if server.health.is_ready() { Ok(()) } else { Err("the API server is not ready") }
        })
        .await;
        let url = format!("https://{address}");
        let admin = kubeconfig(directory.path(), &authority, &url, "admin", &["system:masters"]);
        let connection = Connection { kubeconfig: Some(&admin), master: None, user_agent: "test" };
        let client = connect(&connection).await.unwrap();
        ControlPlane { client, authority, url, runtime, _etcd: etcd, directory }
    }

    /// Where the API server is: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The tasks of this control plane; what is started here ends with it.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A folder of the test's own, which holds `ca.crt`, `ca.key`, `sa.key` and `sa.pub`; removed at the end.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Issues a client certificate to a user of groups and returns the kubeconfig.
    pub fn kubeconfig(&self, user: &str, groups: &[&str]) -> PathBuf {
        kubeconfig(self.directory(), &self.authority, &self.url, user, groups)
    }
}

/// Makes the authority and all that the API server reads.
fn authority(directory: &Path) -> Authority {
    let now = jiff::Timestamp::now();
    let authority = Authority::new("kubernetes", 1, now).unwrap();
    authority.issued().write(directory, "ca").unwrap();
    let server = Leaf::server("kube-apiserver", &["localhost"], &[IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    authority.issue(&server, now).unwrap().write(directory, "apiserver").unwrap();
    let (private, public) = pki::signing_key().unwrap();
    pki::write_private(&directory.join("sa.key"), &private).unwrap();
    pki::write_public(&directory.join("sa.pub"), &public).unwrap();
    authority
}

fn flags(directory: &Path, etcd: &str) -> kube_apiserver::Flags {
    let file = |name: &str| directory.join(name).display().to_string();
    kube_apiserver::Flags::parse_from([
        "kube-apiserver".to_owned(),
        format!("--etcd-servers={etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--secure-port=0".to_owned(),
        "--advertise-address=10.0.0.5".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
    ])
}

fn kubeconfig(directory: &Path, authority: &Authority, server: &str, user: &str, groups: &[&str]) -> PathBuf {
    let issued = authority.issue(&Leaf::client(user, groups), jiff::Timestamp::now()).unwrap();
    let file = directory.join(format!("{}.conf", user.replace(':', "-")));
    let credentials = Credentials::Certificate { certificate: &issued.certificate, key: &issued.key };
    let authority = authority.certificate();
    Kubeconfig { cluster: "test", server, authority, user, credentials }.write(&file).unwrap();
    file
}
