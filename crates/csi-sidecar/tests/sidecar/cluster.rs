//! An API server with its etcd, and an administrator's requests.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use clap::Parser;
use component::Runtime;
use component::client::{Connection, connect};
use http::Request;
use kube::Client;
use pki::{Authority, Credentials, Kubeconfig, Leaf};
use serde_json::{Value, json};
use testkit::{Etcd, eventually};

/// A control plane without controllers and kubelets: the tests play those.
pub struct Cluster {
    client: Client,
    authority: Authority,
    url: String,
    pub runtime: Runtime,
    _etcd: Etcd,
    pub directory: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.runtime.shutdown().cancel();
    }
}

impl Cluster {
    pub async fn start() -> Cluster {
        let etcd = Etcd::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let authority = Authority::new("kubernetes", 1, jiff::Timestamp::now()).unwrap();
        authority.issued().write(path, "ca").unwrap();
        let server = Leaf::server("kube-apiserver", &["localhost"], &[IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        authority.issue(&server, jiff::Timestamp::now()).unwrap().write(path, "apiserver").unwrap();
        let (private, public) = pki::signing_key().unwrap();
        pki::write_private(&path.join("sa.key"), &private).unwrap();
        pki::write_public(&path.join("sa.pub"), &public).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::detached();
        let flags = api_server_flags(path, &etcd.url());
        let (api_server, address) = kube_apiserver::run::serve(&runtime, flags).await.unwrap();
        eventually(|| async {
            if api_server.health.is_ready() { Ok(()) } else { Err("API server not ready") }
        })
        .await;
        let url = format!("https://{address}");
        let admin = kubeconfig(path, &authority, &url, "admin", &["system:masters"]);
        let connection = Connection { kubeconfig: Some(&admin), master: None, user_agent: "test" };
        let client = connect(&connection).await.unwrap();
        Cluster { client, authority, url, runtime, _etcd: etcd, directory }
    }

    /// Makes a user who may do no more than these rules say, and returns the kubeconfig.
    pub async fn user(&self, name: &str, rules: Value) -> PathBuf {
        const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": rules});
        self.create(&format!("{RBAC}/clusterroles"), role).await;
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]});
        self.create(&format!("{RBAC}/clusterrolebindings"), binding).await;
        kubeconfig(self.directory.path(), &self.authority, &self.url, name, &[])
    }

    async fn ask(&self, method: &str, path: &str, kind: &str, body: Value) -> Result<Value, String> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request =
            Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
        self.client.request(request).await.map_err(|error| error.to_string())
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask("GET", path, "", Value::Null).await
    }

    pub async fn create(&self, path: &str, object: Value) -> Value {
        self.ask("POST", path, "application/json", object).await.unwrap()
    }

    pub async fn patch(&self, path: &str, patch: Value) -> Value {
        self.ask("PATCH", path, "application/strategic-merge-patch+json", patch).await.unwrap()
    }

    pub async fn delete(&self, path: &str) {
        self.ask("DELETE", path, "", Value::Null).await.unwrap();
    }

    /// Waits until what is at a path is as it should be; shows what it was last if it never is.
    pub async fn eventually(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let is_so = &is_so;
        eventually(|| async move {
            match self.get(path).await {
                Ok(found) if is_so(&found) => Ok(found),
                Ok(found) => Err(found.to_string()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Waits until nothing is at a path.
    pub async fn gone(&self, path: &str) {
        eventually(|| async move {
            match self.get(path).await {
                Err(error) if error.contains("not found") => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }

    /// Waits for an event with this message.
    pub async fn hears(&self, message: &str) {
        let has = |list: &Value| {
            list["items"].as_array().into_iter().flatten().any(|event| event["message"] == message)
        };
        self.eventually("/api/v1/namespaces/default/events", has).await;
    }
}

fn api_server_flags(path: &Path, etcd: &str) -> kube_apiserver::Flags {
    let file = |name: &str| path.join(name).display().to_string();
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

fn kubeconfig(path: &Path, authority: &Authority, server: &str, user: &str, groups: &[&str]) -> PathBuf {
    let issued = authority.issue(&Leaf::client(user, groups), jiff::Timestamp::now()).unwrap();
    let file = path.join(format!("{user}.conf"));
    let credentials = Credentials::Certificate { certificate: &issued.certificate, key: &issued.key };
    let authority = authority.certificate();
    Kubeconfig { cluster: "test", server, authority, user, credentials }.write(&file).unwrap();
    file
}
