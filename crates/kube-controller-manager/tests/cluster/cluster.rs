//! An API server, its etcd and the controller manager, each under its own identity, and an administrator's requests.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use clap::Parser;
use component::Runtime;
use component::client::{Connection, connect};
use http::Request;
use kube::Client;
use kube_apiserver::Flags;
use kube_controller_manager::Config;
use pki::{Authority, Credentials, Kubeconfig, Leaf};
use serde_json::{Value, json};
use testkit::{Etcd, eventually};

/// A control plane without scheduler and kubelets: the tests play those.
pub struct Cluster {
    client: Client,
    /// A client without credentials.
    nobody: Client,
    runtime: Runtime,
    _etcd: Etcd,
    _directory: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.runtime.shutdown().cancel();
    }
}

impl Cluster {
    pub async fn start(extra: &[&str]) -> Cluster {
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
        let manager = kubeconfig(path, &authority, &url, "system:kube-controller-manager", &[]);

        let mut arguments = vec![
            "kube-controller-manager".to_owned(),
            format!("--kubeconfig={manager}"),
            "--secure-port=0".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            "--allocate-node-cidrs=true".to_owned(),
            "--cluster-cidr=172.16.0.0/16".to_owned(),
            format!("--root-ca-file={}", path.join("ca.crt").display()),
            format!("--cluster-signing-cert-file={}", path.join("ca.crt").display()),
            format!("--cluster-signing-key-file={}", path.join("ca.key").display()),
            format!("--service-account-private-key-file={}", path.join("sa.key").display()),
            "--controllers=*,bootstrapsigner,tokencleaner".to_owned(),
        ];
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        kube_controller_manager::run(Config::parse_from(arguments), runtime.clone()).await.unwrap();
        let connection = Connection { kubeconfig: Some(Path::new(&admin)), master: None, user_agent: "test" };
        let client = connect(&connection).await.unwrap();
        let mut nobody = component::client::config(&connection).await.unwrap();
        nobody.auth_info = kube::config::AuthInfo::default();
        let nobody = component::client::from_config(nobody).unwrap();
        let cluster = Cluster { client, nobody, runtime, _etcd: etcd, _directory: directory };
        cluster.eventually("/api/v1/namespaces/default/serviceaccounts/default", |_| true).await;
        cluster
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
        self.try_create(path, object).await.unwrap()
    }

    pub async fn try_create(&self, path: &str, object: Value) -> Result<Value, String> {
        self.ask("POST", path, "application/json", object).await
    }

    pub async fn patch(&self, path: &str, patch: Value) -> Value {
        self.ask("PATCH", path, "application/strategic-merge-patch+json", patch).await.unwrap()
    }

    pub async fn delete(&self, path: &str, propagation: &str) {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation});
        self.ask("DELETE", path, "application/json", options).await.unwrap();
    }

    /// Removes a pod at once, as its kubelet does at the end.
    pub async fn remove(&self, path: &str) {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
        self.ask("DELETE", path, "application/json", options).await.unwrap();
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

    /// Waits until a collection has so many objects that count, and returns them.
    pub async fn count(&self, path: &str, count: usize, counts: impl Fn(&Value) -> bool) -> Vec<Value> {
        let of = |list: &Value| -> Vec<Value> {
            let items = list["items"].as_array().cloned().unwrap_or_default();
            items.into_iter().filter(|item| counts(item)).collect()
        };
        let list = self.eventually(path, |list| of(list).len() == count).await;
        of(&list)
    }

    /// Asks as someone with a token.
    pub async fn get_with_token(&self, path: &str, token: &str) -> Result<Value, String> {
        let request = Request::builder().uri(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Vec::new()).unwrap();
        self.nobody.request(request).await.map_err(|error| error.to_string())
    }

    /// Does a kubelet's part: reports a phase, ready if it runs.
    pub async fn report(&self, pod: &Value, phase: &str, address: &str) {
        let ready = if phase == "Running" { "True" } else { "False" };
        let condition =
            json!({"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let mut status = json!({"phase": phase, "conditions": [condition]});
        if !address.is_empty() {
            status["podIP"] = address.into();
            status["podIPs"] = json!([{"ip": address}]);
        }
        self.patch(&format!("{}/status", path_of(pod)), json!({ "status": status })).await;
    }

    /// Reports all pods of a namespace that run nowhere yet as running.
    pub async fn run_pods(&self) {
        let list = self.get("/api/v1/namespaces/default/pods").await.unwrap();
        for pod in list["items"].as_array().into_iter().flatten() {
            if pod["status"]["phase"] == "Pending" {
                self.report(pod, "Running", "").await;
            }
        }
    }
}

/// Where a pod is.
pub fn path_of(pod: &Value) -> String {
    let metadata = &pod["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str().unwrap(), metadata["name"].as_str().unwrap());
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

/// Tells whether an object is not on its way out.
pub fn lives(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_null()
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
