//! The client to the API server: one HTTP/2 connection that all requests and watches of a component share.

mod connector;
mod credentials;
mod exec;
mod kubeconfig;
mod metrics;
mod tls;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
    config::KubeConfigOptions,
};
use tower::{ServiceBuilder, filter::AsyncFilterLayer};

pub use connector::Connections;
pub use credentials::Credentials;
pub use exec::{Token, parse as exec_credential};
pub use kubeconfig::read as read_kubeconfig;
pub use tls::client_config as tls_config;

/// Where the API server is and who asks.
#[derive(Debug, Clone, Default)]
pub struct Connection<'a> {
    /// `--kubeconfig`; `None` means the pod's service account.
    pub kubeconfig: Option<&'a Path>,
    /// `--master`: replaces the server of the kubeconfig.
    pub master: Option<&'a str>,
    /// Sent as `User-Agent`, with the version.
    pub user_agent: &'a str,
}

/// The flags that say where the API server is.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ConnectionFlags {
    /// Path to the kubeconfig; without it, the pod's service account is used
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The address of the API server, over the kubeconfig's
    #[arg(long, value_name = "URL")]
    pub master: Option<String>,
}

impl ConnectionFlags {
    /// Takes the kubeconfig that a configuration file names, if any, where no flag names one.
    #[must_use]
    pub fn or_kubeconfig(mut self, named: &str) -> Self {
        if self.kubeconfig.is_none() && !named.is_empty() {
            self.kubeconfig = Some(named.into());
        }
        self
    }

    /// Returns where to connect to, as this agent.
    pub fn connection<'a>(&'a self, user_agent: &'a str) -> Connection<'a> {
        Connection { kubeconfig: self.kubeconfig.as_deref(), master: self.master.as_deref(), user_agent }
    }
}

/// Reads the connection's configuration.
pub async fn config(connection: &Connection<'_>) -> anyhow::Result<Config> {
    let mut config = match connection.kubeconfig {
        Some(path) => {
            let kubeconfig =
                kubeconfig::read(path).with_context(|| format!("reading kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("kubeconfig {}", path.display()))?
        }
        None => Config::incluster().context("no --kubeconfig, and not in a pod")?,
    };
    if let Some(master) = connection.master.filter(|master| !master.is_empty()) {
        config.cluster_url = master.parse().with_context(|| format!("--master {master:?}"))?;
    }
    let agent = format!("{}/{} (linux/{})", connection.user_agent, crate::VERSION, std::env::consts::ARCH);
    config.headers.push((http::header::USER_AGENT, agent.parse().context("user agent")?));
    Ok(config)
}

/// Makes the client.
pub async fn connect(connection: &Connection<'_>) -> anyhow::Result<Client> {
    from_config(config(connection).await?)
}

/// Makes a client from a configuration.
///
/// Of a server with several addresses one that answers is found. A machine that is gone without a word is noticed within
/// seconds, a server that no longer answers within 30 s, so that no watch hangs on a connection that is gone.
pub fn from_config(config: Config) -> anyhow::Result<Client> {
    renewable(config).map(|(client, _)| client)
}

/// Makes a client whose connections can be renewed, for one whose certificate is replaced while it runs.
pub fn renewable(config: Config) -> anyhow::Result<(Client, Connections)> {
    let (tls, identity) = tls::with_identity(&config).context("TLS of the API server")?;
    let connections = Connections::with(identity);
    let tcp = connector::Connector::new(connections.clone());
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let builder = match &config.tls_server_name {
        Some(name) => builder.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(
            name.clone().try_into().context("tls-server-name")?,
        )),
        None => builder,
    };
    let connector = builder.enable_all_versions().wrap_connector(tcp);
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_initial_stream_window_size(512 * 1024)
        .http2_initial_connection_window_size(4 * 1024 * 1024)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .http2_keep_alive_while_idle(true)
        .build::<_, Body>(connector);
    let credentials = Credentials::of(&config.auth_info).context("credentials")?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(credentials.map(AsyncFilterLayer::new))
        .layer(config.extra_headers_layer().context("headers")?)
        .layer(metrics::Counting::of(&config.cluster_url))
        .map_err(tower::BoxError::from)
        .service(client);
    Ok((Client::new(service, config.default_namespace), connections))
}
