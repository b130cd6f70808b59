//! The shell: the port is bound, watches and rounds begin, requests are answered until it is told to stop.

use std::sync::Arc;

use anyhow::Context as _;
use component::access::Access;
use component::access::clients::Clients;
use component::{Runtime, client};
use parking_lot::RwLock;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::objects::Cluster;
use crate::points::Points;
use crate::scrape::Scraper;
use crate::server::{self, Server};

/// Starts the server.
pub async fn start(runtime: Runtime, config: Config) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.address)
        .await
        .with_context(|| format!("listening on {}", config.address))?;
    let tls = server::tls(&config)?;
    let connection = client::Connection {
        kubeconfig: config.kubeconfig.as_deref(),
        master: None,
        user_agent: "metrics-server",
    };
    let credentials = client::config(&connection).await?;
    let client = client::from_config(credentials.clone())?;
    let scraper = Scraper::new(credentials, config.kubelets.clone())?;

    let access =
        Access::new(client.clone(), Clients::new(&config.clients, client.clone())?, config.open.clone());
    access.follow(&runtime);
    let (latch, told) = (runtime.latch("extension-apiserver-authentication"), access.clone());
    runtime.spawn_session(async move {
        told.known().await;
        latch.open();
    });

    let cluster = Cluster::new();
    cluster.start(&runtime, &client, &config.node_selector);
    let points = Arc::new(RwLock::new(Points::default()));
    let rounds = scraper.run(
        cluster.clone(),
        points.clone(),
        config.resolution,
        runtime.latch("metric-storage-ready"),
        runtime.shutdown(),
    );
    runtime.spawn("rounds", async move {
        rounds.await;
        anyhow::Ok(())
    });
    let server = Server { access, cluster, points, readiness: runtime.readiness().clone() };
    let address = listener.local_addr()?;
    let serving = server::serve(Arc::new(server), listener, tls, runtime.shutdown());
    runtime.spawn("https", async move {
        serving.await;
        anyhow::Ok(())
    });
    tracing::info!(%address, "serving");
    Ok(())
}
