//! A control plane without controllers and kubelets (the tests play those), and a user with only the rights it needs.

use std::ops::Deref;
use std::path::PathBuf;

use control_plane::ControlPlane;
use serde_json::{Value, json};

/// What the sidecar and its driver stand in.
pub struct Cluster(ControlPlane);

impl Deref for Cluster {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        &self.0
    }
}

impl Cluster {
    pub async fn start() -> Cluster {
        Cluster(ControlPlane::start().await)
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
        self.kubeconfig(name, &[])
    }

    /// Waits for an event with this message.
    pub async fn hears(&self, message: &str) {
        let has = |list: &Value| {
            list["items"].as_array().into_iter().flatten().any(|event| event["message"] == message)
        };
        self.eventually("/api/v1/namespaces/default/events", has).await;
    }
}
