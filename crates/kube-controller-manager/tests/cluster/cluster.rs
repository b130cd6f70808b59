//! A control plane with the controller manager under its own identity. The tests play scheduler and kubelets.

use std::ops::Deref;

use clap::Parser;
use component::client::Connection;
use control_plane::ControlPlane;
use http::Request;
use kube::Client;
use kube_controller_manager::Config;
use serde_json::{Value, json};

/// A control plane without scheduler and kubelets.
pub struct Cluster {
    plane: ControlPlane,
    /// A client without credentials.
    nobody: Client,
}

impl Deref for Cluster {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        &self.plane
    }
}

impl Cluster {
    pub async fn start(extra: &[&str]) -> Cluster {
        let plane = ControlPlane::start().await;
        let manager = plane.kubeconfig("system:kube-controller-manager", &[]);
        let file = |name: &str| plane.directory().join(name).display().to_string();
        let mut arguments = vec![
            "kube-controller-manager".to_owned(),
            format!("--kubeconfig={}", manager.display()),
            "--secure-port=0".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            "--allocate-node-cidrs=true".to_owned(),
            "--cluster-cidr=172.16.0.0/16".to_owned(),
            format!("--root-ca-file={}", file("ca.crt")),
            format!("--cluster-signing-cert-file={}", file("ca.crt")),
            format!("--cluster-signing-key-file={}", file("ca.key")),
            format!("--service-account-private-key-file={}", file("sa.key")),
            "--controllers=*,bootstrapsigner,tokencleaner".to_owned(),
        ];
        arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
        let config = Config::parse_from(arguments);
        kube_controller_manager::run(config, plane.runtime().clone()).await.unwrap();

        let connection = Connection { kubeconfig: Some(&manager), master: None, user_agent: "test" };
        let mut nobody = component::client::config(&connection).await.unwrap();
        nobody.auth_info = kube::config::AuthInfo::default();
        let nobody = component::client::from_config(nobody).unwrap();
        plane.eventually("/api/v1/namespaces/default/serviceaccounts/default", |_| true).await;
        Cluster { plane, nobody }
    }

    /// Removes a pod at once, as its kubelet does at the end.
    pub async fn remove(&self, path: &str) {
        self.delete_with(path, json!({"gracePeriodSeconds": 0})).await;
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
