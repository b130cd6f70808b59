//! The Service `kubernetes`, its address, and the range that it is from.

use std::collections::HashMap;

use apimachinery::{ObjectExt, Status, time};
use serde_json::{Value, json};

use super::{change, create_missing};
use crate::server::Server;

/// Makes them where they are missing.
pub(super) async fn ensure(server: &Server) -> Result<(), Status> {
    range(server).await?;
    let address = server.services.ranges().first_address();
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let port = json!({ "name": "https", "port": 443, "protocol": "TCP", "targetPort": server.options.port });
    let service = json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "component": "apiserver", "provider": "kubernetes" },
        },
        "spec": {
            "clusterIP": address.to_string(), "clusterIPs": [address.to_string()],
            "ipFamilies": [family], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
            "ports": [port], "sessionAffinity": "None", "type": "ClusterIP",
        },
    });
    if !create_missing(server, "", "services", service).await? {
        change(server, "", "services", "default/kubernetes", |old| {
            let mut new = old.clone();
            new.set_at(&["spec", "ports"], json!([port]));
            (new != *old).then_some(new)
        })
        .await?;
    }
    server.services.repair(&server.store, &mut HashMap::new()).await;
    Ok(())
}

/// The ServiceCIDR by which all servers know the ranges.
async fn range(server: &Server) -> Result<(), Status> {
    if server.registry.stored("networking.k8s.io", "servicecidrs").is_none() {
        return Ok(());
    }
    let ranges: Vec<String> = server.services.ranges().iter().map(ToString::to_string).collect();
    let range = json!({
        "kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
        "metadata": { "name": "kubernetes" }, "spec": { "cidrs": ranges },
    });
    create_missing(server, "networking.k8s.io", "servicecidrs", range).await?;
    change(server, "networking.k8s.io", "servicecidrs", "kubernetes", |old| {
        let ready = old.at(&["status", "conditions"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if ready {
            return None;
        }
        let mut new = old.clone();
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": time::now_rfc3339(),
        });
        new.set_at(&["status", "conditions"], json!([condition]));
        Some(new)
    })
    .await
}
