//! The namespaces that are always there.

use apimachinery::Status;
use serde_json::json;

use super::create_missing;
use crate::server::Server;

/// Makes them where they are missing.
pub(super) async fn ensure(server: &Server) -> Result<(), Status> {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let namespace = json!({
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        });
        create_missing(server, "", "namespaces", namespace).await?;
    }
    Ok(())
}
