//! The same writes straight to etcd: what no API server can be faster than.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{load::spread, server::Server};

/// Which etcd is measured with.
pub fn version() -> anyhow::Result<String> {
    let output = Command::new("etcd").arg("--version").output().context("running etcd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next().and_then(|line| line.strip_prefix("etcd Version: "));
    Ok(format!("etcd {}", version.context("etcd --version names none")?))
}

/// Options for clients, with the certificates of a directory.
pub fn options(directory: &Path) -> anyhow::Result<etcd_client::ConnectOptions> {
    let read = |name: &str| std::fs::read(directory.join(name));
    let tls = etcd_client::TlsOptions::new()
        .ca_certificate(etcd_client::Certificate::from_pem(read("ca.crt")?))
        .identity(etcd_client::Identity::from_pem(read("apiserver.crt")?, read("apiserver.key")?));
    Ok(etcd_client::ConnectOptions::new().with_tls(tls))
}

/// Waits until etcd has a leader and answers: it listens long before.
pub async fn wait_until_it_serves(url: &str, options: &etcd_client::ConnectOptions) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let answer = async {
            let client = etcd_client::Client::connect([url], Some(options.clone())).await?;
            client.kv_client().get("health", None).await
        };
        match answer.await {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > Duration::from_secs(20) => {
                anyhow::bail!("etcd does not serve: {error}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Puts `total` values over as many connections as there are clients; gives the time it took.
pub async fn puts(server: &Server, clients: usize, total: usize, value: &[u8]) -> anyhow::Result<Duration> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        let client = etcd_client::Client::connect([&server.etcd_url], Some(server.etcd_options()?)).await?;
        connections.push(client.kv_client());
    }
    let value = value.to_vec();
    spread(&connections, total, move |mut client, number| {
        let value = value.clone();
        async move {
            client.put(format!("/bench/{number}"), value, None).await?;
            Ok(())
        }
    })
    .await
}

/// Puts values one after another; gives the time of each.
pub async fn sequential_puts(server: &Server, total: usize, value: &[u8]) -> anyhow::Result<Vec<f64>> {
    let client = etcd_client::Client::connect([&server.etcd_url], Some(server.etcd_options()?)).await?;
    let mut client = client.kv_client();
    let mut milliseconds = Vec::with_capacity(total);
    for number in 0..total {
        let begun = Instant::now();
        client.put(format!("/bench/one/{number}"), value.to_vec(), None).await?;
        milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(milliseconds)
}
