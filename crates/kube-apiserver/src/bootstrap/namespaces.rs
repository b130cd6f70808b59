//! The namespaces that are always there.

use apimachinery::Status;
use serde_json::json;

use super::create_missing;
use crate::server::Server;

/// Makes them where they are missing.
pub(super) async fn ensure(server: &Server) -> Result<(), Status> {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        provide(server, name).await?;
    }
    Ok(())
}

/// Makes a namespace unless it is there.
pub async fn provide(server: &Server, name: &str) -> Result<(), Status> {
    let namespace = json!({
        "kind": "Namespace", "apiVersion": "v1",
        "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    });
    create_missing(server, "", "namespaces", namespace).await.map(drop)
}
