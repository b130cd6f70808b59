//! A full cluster's worth of pods: what they take in the watch cache, and how soon a server that starts has them.

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use serde_json::json;

use crate::load::spread;
use crate::process;
use crate::server::Server;
use crate::table::Row;

/// What a pod takes in etcd.
const BYTES: usize = 3 << 10;
/// Stands for the pod's number in its name and uid, and has as many characters as the number gets.
const MARK: &str = "0123456789";
/// Stands for the pod's node.
const NODE: &str = "node-mark";
/// How many nodes the pods are on.
const NODES: usize = 1000;
const KEY: &str = "/registry/pods/default/pod-";

/// Fills etcd with pods and starts an API server on it.
pub async fn measure(pods: usize) -> anyhow::Result<Vec<Row>> {
    let mut server = Server::start().await?;
    let pattern = pattern(&server).await?;
    let empty = process::resident(server.pid())?;
    fill(&server, &pattern, pods).await?;
    let etcd_before = process::cpu_time(server.etcd_pid())?;
    server.restart().await?;
    let spent = process::cpu_time(server.pid())?.as_secs_f64();
    let etcd_spent = process::cpu_time(server.etcd_pid())?.saturating_sub(etcd_before).as_secs_f64();
    let mut client = server.client().await?;
    let listed = client.send(Method::GET, "/api/v1/pods?limit=1", Bytes::new()).await?;
    let listed: serde_json::Value = serde_json::from_slice(&listed)?;
    let left = listed["metadata"]["remainingItemCount"].as_u64().context("the pods are not all there")?;
    anyhow::ensure!(left as usize == pods, "{left} of {pods} pods are there");
    let held = (process::resident(server.pid())? - empty) * 1024.0 * 1024.0;
    let bytes = (pods * pattern.len()) as f64;
    Ok(vec![
        Row::new(
            format!("{pods} pods of {} bytes: ready after", pattern.len()),
            server.ready_after.as_secs_f64(),
            "s",
            "≤ 5",
            "",
        ),
        Row::new("the same: the API server's processor time", spent, "s", "", ""),
        Row::new("the same: etcd's processor time", etcd_spent, "s", "", ""),
        Row::new("the same: held in memory, over their bytes", held / bytes, "times", "≤ 1.5", ""),
    ])
}

/// A pod as the server stores it, with a mark where pods differ.
async fn pattern(server: &Server) -> anyhow::Result<String> {
    let mut client = server.client().await?;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    client.send(Method::POST, accounts, Bytes::from(account.to_string())).await?;
    let mut etcd = etcd_client::Client::connect([&server.etcd_url], Some(server.etcd_options()?)).await?;
    let mut padding = 0;
    loop {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("pod-{MARK}"),
                "labels": {"app": "bench", "pod-template-hash": "5d4f8c7b9"},
                "annotations": {"padding": "x".repeat(padding)},
            },
            "spec": {"nodeName": NODE, "containers": [{
                "name": "main", "image": "registry.example/bench:1.0",
                "env": [{"name": "PORT", "value": "8080"}],
                "ports": [{"containerPort": 8080}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            }]},
        });
        let path = "/api/v1/namespaces/default/pods";
        client.send(Method::POST, path, Bytes::from(pod.to_string())).await?;
        let key = format!("{KEY}{MARK}");
        let mut found = etcd.get(key.as_str(), None).await?;
        let stored = found.take_kvs().pop().context("the pod is not in etcd")?;
        let text = String::from_utf8(stored.into_key_value().1).context("a pod is stored as text")?;
        if text.len() >= BYTES || padding > 0 {
            let uid: serde_json::Value = serde_json::from_str(&text)?;
            let uid = uid["metadata"]["uid"].as_str().context("a pod has a uid")?.to_owned();
            // The first ten characters of a uid hold one dash.
            let marked = format!("{}-{}{}", &MARK[..8], &MARK[8..], &uid[11..]);
            return Ok(text.replace(&uid, &marked));
        }
        padding = BYTES - text.len();
        client.send(Method::DELETE, &format!("{path}/pod-{MARK}?gracePeriodSeconds=0"), Bytes::new()).await?;
    }
}

/// Puts the pods where the server finds them.
async fn fill(server: &Server, pattern: &str, pods: usize) -> anyhow::Result<()> {
    let mut connections = Vec::new();
    for _ in 0..16 {
        let client = etcd_client::Client::connect([&server.etcd_url], Some(server.etcd_options()?)).await?;
        connections.push(client.kv_client());
    }
    let pattern = pattern.to_owned();
    let uid = format!("{}-{}", &MARK[..8], &MARK[8..]);
    spread(&connections, pods, move |mut etcd, number| {
        let (node, number) = (format!("node-{:04}", number % NODES), format!("{number:010}"));
        let value = pattern
            .replace(&uid, &format!("{}-{}", &number[..8], &number[8..]))
            .replace(MARK, &number)
            .replace(NODE, &node);
        async move {
            etcd.put(format!("{KEY}{number}"), value, None).await?;
            Ok(())
        }
    })
    .await?;
    Ok(())
}
