//! The priority classes of what keeps a cluster and its nodes running.

use apimachinery::Status;
use serde_json::json;

use super::create_missing;
use crate::server::Server;

/// Upstream's names, values and descriptions.
const CLASSES: [(&str, i32, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

/// Makes them where they are missing.
pub(super) async fn ensure(server: &Server) -> Result<(), Status> {
    for (name, value, description) in CLASSES {
        let class = json!({
            "kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1",
            "metadata": { "name": name }, "value": value, "description": description,
        });
        create_missing(server, "scheduling.k8s.io", "priorityclasses", class).await?;
    }
    Ok(())
}
