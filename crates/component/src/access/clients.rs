//! Who is known by a certificate: the authorities that vouch for users, and those that vouch for front proxies, from
//! files or, as the API server has written them down, from the cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _};
use http::HeaderMap;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use parking_lot::Mutex;
use peers::{Authorities, CertificateError, ClientAuthority, Peer, RequestHeader, UserInfo};
use rustls::pki_types::CertificateDer;
use tokio::{sync::watch, time::timeout};

use crate::cause::whole;

/// How long a request waits for the first answer of the API server about whom to believe. Without one nobody is believed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The flags that say who is known by a certificate.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientFlags {
    /// Authorities whose clients are known by their certificates; the cluster's if absent
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// Authorities of front proxies, whose headers name users; the cluster's, with all else about them, if absent
    #[arg(long, value_name = "FILE")]
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Common names of front proxies; any if none is given
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub requestheader_allowed_names: Vec<String>,
    /// Headers that name the user
    #[arg(long, value_delimiter = ',', default_value = "x-remote-user", value_name = "HEADER,...")]
    pub requestheader_username_headers: Vec<String>,
    /// Headers that give the user's UID
    #[arg(long, value_delimiter = ',', value_name = "HEADER,...")]
    pub requestheader_uid_headers: Vec<String>,
    /// Headers that name the user's groups
    #[arg(long, value_delimiter = ',', default_value = "x-remote-group", value_name = "HEADER,...")]
    pub requestheader_group_headers: Vec<String>,
    /// What the names of headers begin with that tell more of the user
    #[arg(long, value_delimiter = ',', default_value = "x-remote-extra-", value_name = "PREFIX,...")]
    pub requestheader_extra_headers_prefix: Vec<String>,
    /// Do not take from the cluster what no flag says
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub authentication_skip_lookup: bool,
}

/// Who is known by a certificate, now.
pub struct Clients {
    /// What flags say; it counts before what the cluster tells.
    given: Authorities,
    /// The files of these.
    files: Vec<Bundle>,
    cluster: Option<Cluster>,
}

impl Clients {
    /// Reads the files that the flags name; the rest is what the cluster tells this client, once [`Clients::follow`]
    /// listens.
    pub fn new(flags: &ClientFlags, client: Client) -> anyhow::Result<Self> {
        let load = |path: &Option<PathBuf>, flag| {
            path.as_deref().map(|path| Bundle::load(path).context(flag)).transpose()
        };
        let users = load(&flags.client_ca_file, "--client-ca-file")?;
        let proxies = load(&flags.requestheader_client_ca_file, "--requestheader-client-ca-file")?;
        let given = Authorities {
            clients: users.as_ref().map(|bundle| bundle.authority.clone()),
            proxies: proxies.as_ref().map(|bundle| RequestHeader {
                authority: bundle.authority.clone(),
                allowed_names: flags.requestheader_allowed_names.clone(),
                username_headers: flags.requestheader_username_headers.clone(),
                uid_headers: flags.requestheader_uid_headers.clone(),
                group_headers: flags.requestheader_group_headers.clone(),
                extra_prefixes: flags.requestheader_extra_headers_prefix.clone(),
            }),
        };
        let asks = !flags.authentication_skip_lookup && (users.is_none() || proxies.is_none());
        let cluster = asks.then(|| Cluster { client, told: watch::Sender::new(Told::Nothing) });
        Ok(Self { given, files: users.into_iter().chain(proxies).collect(), cluster })
    }

    /// Listens to what the cluster tells, and never ends.
    pub async fn follow(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.follow(cluster.found()).await;
        }
        std::future::pending().await
    }

    /// Waits until the cluster has told whom to believe, where it is asked at all.
    pub async fn known(&self) {
        if let Some(cluster) = &self.cluster {
            // The sender lives as long as this does.
            let _ = cluster.told.subscribe().wait_for(|told| matches!(told, Told::This(_))).await;
        }
    }

    /// The user of a request over a connection on which this chain was shown: what a front proxy says, or who the
    /// certificate's subject is. Nothing where no certificate was shown.
    pub async fn user(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Option<Result<Arc<UserInfo>, CertificateError>> {
        if chain.is_empty() {
            return None;
        }
        for file in &self.files {
            file.look();
        }
        let told = match &self.cluster {
            Some(cluster) => cluster.told().await,
            None => Arc::default(),
        };
        let clients = self.given.clients.as_ref().or(told.clients.as_ref());
        let proxies = self.given.proxies.as_ref().or(told.proxies.as_ref());
        let now = Timestamp::now();
        Peer::new(chain, clients, proxies, now).user(proxies, headers, now)
    }
}

/// What the API server has written down.
struct Cluster {
    client: Client,
    told: watch::Sender<Told>,
}

/// What has been heard of the cluster.
enum Told {
    /// Nothing so far: who asks now waits.
    Nothing,
    /// Nothing, and it was asked: nobody is believed until it answers.
    NothingYet,
    /// Whom to believe.
    This(Arc<Authorities>),
}

impl Cluster {
    /// The ConfigMap as it is and as it changes.
    fn found(&self) -> impl Stream<Item = watcher::Result<Option<ConfigMap>>> + use<> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), Authorities::NAMESPACE);
        watcher::watch_object(maps, Authorities::CONFIG_MAP).default_backoff()
    }

    /// Takes in what is found, and lets nobody wait longer for what is not.
    async fn follow(&self, found: impl Stream<Item = watcher::Result<Option<ConfigMap>>>) {
        let mut found = pin!(found);
        while let Some(found) = found.next().await {
            let read = found.map_err(|error| whole(&error)).and_then(|map| {
                let data = map.and_then(|map| map.data).unwrap_or_default();
                Authorities::read(&data).map_err(|error| whole(&error))
            });
            match read {
                Ok(authorities) => {
                    self.told.send_replace(Told::This(Arc::new(authorities)));
                }
                Err(error) => {
                    let (namespace, name) = (Authorities::NAMESPACE, Authorities::CONFIG_MAP);
                    tracing::warn!(error, "ConfigMap {namespace}/{name}: whom to believe stays as it was");
                    self.told.send_if_modified(|told| {
                        let is_first = matches!(told, Told::Nothing);
                        if is_first {
                            *told = Told::NothingYet;
                        }
                        is_first
                    });
                }
            }
        }
    }

    /// Whom to believe now; nobody where the API server does not say.
    async fn told(&self) -> Arc<Authorities> {
        let mut told = self.told.subscribe();
        let heard = told.wait_for(|told| !matches!(told, Told::Nothing));
        match timeout(PATIENCE, heard).await.ok().and_then(Result::ok).as_deref() {
            Some(Told::This(authorities)) => Arc::clone(authorities),
            _ => Arc::default(),
        }
    }
}

/// Authorities in a file, read again when it has changed; one that cannot be read leaves the last good ones in use.
struct Bundle {
    path: PathBuf,
    authority: ClientAuthority,
    changed: Mutex<Option<SystemTime>>,
}

impl Bundle {
    fn load(path: &Path) -> anyhow::Result<Self> {
        let changed = Mutex::new(modified(path));
        Ok(Self { path: path.to_owned(), authority: ClientAuthority::from_pem(&fs::read(path)?)?, changed })
    }

    /// Looks whether the file has changed.
    fn look(&self) {
        let mut changed = self.changed.lock();
        let now = modified(&self.path);
        if now.is_none() || now == *changed {
            return;
        }
        let read = fs::read(&self.path).map_err(anyhow::Error::from);
        if let Err(error) = read.and_then(|pem| Ok(self.authority.replace(&pem)?)) {
            tracing::warn!("{}: {error:#}; whom to believe stays as it was", self.path.display());
        }
        *changed = now;
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests;
