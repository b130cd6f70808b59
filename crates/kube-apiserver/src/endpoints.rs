//! Where the API servers are: a lease per server in etcd, and the endpoints of the Service `kubernetes`.
//!
//! Keeps true: the Endpoints and the EndpointSlice `default/kubernetes` name exactly the servers with a lease.
//! Woken by: time, every ten seconds. Reads: `/registry/masterleases`. Writes: its own lease and both objects.
//! Gives up when: never; a failed round is tried again.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectExt, Status};
use serde_json::{Value, json};
use storage::{Change, Query};
use tokio_util::sync::CancellationToken;

use crate::bootstrap::{change, create_missing};
use crate::server::Server;

/// Where the leases are, as upstream.
pub const LEASES: &str = "masterleases";
/// How long a server that is gone without a word stays among the endpoints.
const LIFETIME: Duration = Duration::from_secs(15);
/// How often the lease is renewed.
const ROUND: Duration = Duration::from_secs(10);

/// Keeps the endpoints until the server stops, then takes this server out of them.
pub async fn run(server: Arc<Server>, stop: CancellationToken) {
    loop {
        if let Err(error) = round(&server).await {
            tracing::warn!(%error, "cannot keep the endpoints of the Service kubernetes");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => break,
        }
    }
    if let Err(error) = leave(&server).await {
        tracing::warn!(%error, "cannot leave the endpoints of the Service kubernetes");
    }
}

async fn round(server: &Server) -> Result<(), Status> {
    let own = server.options.advertise_address.to_string();
    let lease = json!({
        "kind": "Endpoints", "apiVersion": "v1", "metadata": { "name": own },
        "subsets": [{ "addresses": [{ "ip": own }] }],
    });
    let Some(cache) = server.store.cache(LEASES) else { return Ok(()) };
    let mut generation = 0_i64;
    server
        .store
        .update::<storage::Error, _>(&cache, &own, Some(LIFETIME), |current| {
            // A changed value, so that the write is made and the lease with it.
            generation = current.and_then(|old| old.value().ok()).map_or(0, |old| old.generation()) + 1;
            let mut lease = lease.clone();
            lease.set_at(&["metadata", "generation"], generation.into());
            Ok(Change::Write(serde_json::to_vec(&lease).unwrap_or_default()))
        })
        .await
        .map_err(crate::refusal::of_collection)?;
    publish(server).await
}

async fn leave(server: &Server) -> Result<(), Status> {
    let own = server.options.advertise_address.to_string();
    let Some(cache) = server.store.cache(LEASES) else { return Ok(()) };
    let left = server.store.update::<storage::Error, _>(&cache, &own, None, |_| Ok(Change::Delete)).await;
    match left {
        Ok(_) | Err(storage::Error::NotFound) => publish(server).await,
        Err(error) => Err(crate::refusal::of_collection(error)),
    }
}

/// The servers with a lease, sorted.
fn addresses(server: &Server) -> Vec<String> {
    let mut addresses = Vec::new();
    if let Some(cache) = server.store.cache(LEASES) {
        cache.visit(&Query::default(), |lease| {
            addresses.push(lease.name().to_owned());
            true
        });
    }
    addresses.sort();
    addresses
}

async fn publish(server: &Server) -> Result<(), Status> {
    let (addresses, port) = (addresses(server), server.options.port);
    let endpoints = endpoints(&addresses, port);
    let subsets = endpoints["subsets"].clone();
    if !create_missing(server, "", "endpoints", endpoints).await? {
        change(server, "", "endpoints", "default/kubernetes", |old| {
            let mut new = old.clone();
            new.set_at(&["subsets"], subsets.clone());
            new.set_at(&["metadata", "labels", "endpointslice.kubernetes.io/skip-mirror"], "true".into());
            (new != *old).then_some(new)
        })
        .await?;
    }
    let slice = slice(&addresses, port, server.options.advertise_address.is_ipv4());
    let (points, ports) = (slice["endpoints"].clone(), slice["ports"].clone());
    if !create_missing(server, "discovery.k8s.io", "endpointslices", slice).await? {
        change(server, "discovery.k8s.io", "endpointslices", "default/kubernetes", |old| {
            let mut new = old.clone();
            new.set_at(&["endpoints"], points.clone());
            new.set_at(&["ports"], ports.clone());
            (new != *old).then_some(new)
        })
        .await?;
    }
    Ok(())
}

fn endpoints(addresses: &[String], port: u16) -> Value {
    let points: Vec<Value> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
    let subsets = if points.is_empty() {
        json!([])
    } else {
        json!([{ "addresses": points, "ports": [{ "name": "https", "port": port, "protocol": "TCP" }] }])
    };
    json!({
        "kind": "Endpoints", "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
        },
        "subsets": subsets,
    })
}

fn slice(addresses: &[String], port: u16, is_v4: bool) -> Value {
    let points: Vec<Value> = addresses
        .iter()
        .map(|address| json!({ "addresses": [address], "conditions": { "ready": true } }))
        .collect();
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "kubernetes.io/service-name": "kubernetes" },
        },
        "addressType": if is_v4 { "IPv4" } else { "IPv6" },
        "endpoints": points,
        "ports": [{ "name": "https", "port": port, "protocol": "TCP" }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_an_endpoint() {
        let addresses = ["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
        assert_eq!(endpoints(&addresses, 6443)["subsets"][0]["addresses"][1]["ip"], "10.0.0.2");
        assert_eq!(slice(&addresses, 6443, true)["endpoints"][0]["addresses"], json!(["10.0.0.1"]));
        assert_eq!(endpoints(&[], 6443)["subsets"], json!([]));
    }
}
