//! An API server, its etcd and the manager under its own identity, and an administrator's requests.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use clap::Parser;
use cloud_controller_manager::Config;
use component::Runtime;
use component::client::{Connection, connect};
use http::Request;
use kube::Client;
use kube_apiserver::Flags;
use pki::{Authority, Credentials, Kubeconfig, Leaf};
use serde_json::{Value, json};
use testkit::{Etcd, eventually};

/// A control plane of nothing but the API server and this manager.
pub struct Cluster {
    client: Client,
    runtime: Runtime,
    manager: Runtime,
    _etcd: Etcd,
    directory: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.manager.shutdown().cancel();
        self.runtime.shutdown().cancel();
    }
}

impl Cluster {
    /// Starts it with a configuration of the provider.
    pub async fn start(cloud: &str) -> Cluster {
        let etcd = Etcd::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let cloud = format!("apiVersion: magnetite/v1\nkind: CloudConfiguration\n{cloud}");
        std::fs::write(path.join("cloud.yaml"), cloud).unwrap();
        let now = jiff::Timestamp::now();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        authority.issued().write(path, "ca").unwrap();
        let server = Leaf::server("kube-apiserver", &["localhost"], &[IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        authority.issue(&server, now).unwrap().write(path, "apiserver").unwrap();
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
        kubeconfig(path, &authority, &url, "system:cloud-controller-manager", &[]);
        let admin = kubeconfig(path, &authority, &url, "admin", &["system:masters"]);
        let connection = Connection { kubeconfig: Some(Path::new(&admin)), master: None, user_agent: "test" };
        let client = connect(&connection).await.unwrap();
        let manager = manager(path).await;
        Cluster { client, runtime, manager, _etcd: etcd, directory }
    }

    /// Ends the manager and starts another, which knows nothing but what the API server has.
    pub async fn restart_manager(&mut self) {
        self.manager.shutdown().cancel();
        self.manager = manager(self.directory.path()).await;
    }

    async fn ask(&self, method: &str, path: &str, kind: &str, body: Value) -> Result<Value, String> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request =
            Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
        self.client.request(request).await.map_err(|error| error.to_string())
    }

    pub async fn create(&self, path: &str, object: Value) -> Value {
        self.ask("POST", path, "application/json", object).await.unwrap()
    }

    pub async fn patch(&self, path: &str, patch: Value) -> Value {
        self.ask("PATCH", path, "application/merge-patch+json", patch).await.unwrap()
    }

    pub async fn delete(&self, path: &str) {
        self.ask("DELETE", path, "application/json", Value::Null).await.unwrap();
    }

    /// Waits until what is at a path is as it should be; shows what it was last if it never is.
    pub async fn eventually(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let is_so = &is_so;
        eventually(|| async move {
            match self.ask("GET", path, "", Value::Null).await {
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
            match self.ask("GET", path, "", Value::Null).await {
                Err(error) if error.contains("not found") => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

async fn manager(path: &Path) -> Runtime {
    let runtime = Runtime::detached();
    let config = Config::parse_from([
        "cloud-controller-manager".to_owned(),
        format!("--kubeconfig={}", path.join("system-cloud-controller-manager.conf").display()),
        format!("--cloud-config={}", path.join("cloud.yaml").display()),
        "--secure-port=0".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
    ]);
    cloud_controller_manager::run(config, runtime.clone()).await.unwrap();
    runtime
}

fn api_server_flags(path: &Path, etcd: &str) -> Flags {
    let file = |name: &str| path.join(name).display().to_string();
    Flags::parse_from([
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

fn kubeconfig(path: &Path, authority: &Authority, server: &str, user: &str, groups: &[&str]) -> String {
    let issued = authority.issue(&Leaf::client(user, groups), jiff::Timestamp::now()).unwrap();
    let file = path.join(format!("{}.conf", user.replace(':', "-")));
    let credentials = Credentials::Certificate { certificate: &issued.certificate, key: &issued.key };
    let authority = authority.certificate();
    Kubeconfig { cluster: "test", server, authority, user, credentials }.write(&file).unwrap();
    file.display().to_string()
}

/// A Service of type LoadBalancer, with more of a spec.
pub fn balancer(name: &str, more: Value) -> Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]}});
    if let (Some(spec), Some(more)) = (service["spec"].as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    service
}

/// The addresses that a Service has.
pub fn addresses(service: &Value) -> Vec<String> {
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
    ingress.into_iter().flatten().filter_map(|one| Some(one["ip"].as_str()?.to_owned())).collect()
}
