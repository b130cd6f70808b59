//! The connection to etcd: guarded writes, reads at a revision, and retries while it is away.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, GetOptions, Identity, KeyValue, PutOptions,
    TlsOptions, Txn, TxnOp, TxnOpResponse,
};

use crate::encryption::{Encryption, Opened};
use crate::{Error, Resource};

/// A list of everything may be as large as everything.
const MESSAGE: usize = i32::MAX as usize;
/// How long a call goes on trying while etcd is away: longer than an election or a restart takes, and less than the
/// ten seconds in which a leader must renew its lease, so that it gets to try twice.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where etcd is and how to prove who we are.
#[derive(Debug, Clone, Default)]
pub struct EtcdConfig {
    /// `--etcd-servers`.
    pub servers: Vec<String>,
    /// `--etcd-cafile`: who etcd must be signed by.
    pub ca_file: Option<PathBuf>,
    /// `--etcd-certfile`.
    pub certificate_file: Option<PathBuf>,
    /// `--etcd-keyfile`.
    pub key_file: Option<PathBuf>,
    /// `--etcd-prefix`.
    pub prefix: String,
}

/// Told of every call, for metrics: operation name and how long it took.
pub type Observer = Arc<dyn Fn(&'static str, Duration, bool) + Send + Sync>;

/// A connection to etcd, shared by cloning.
#[derive(Clone)]
pub struct Etcd {
    client: Client,
    prefix: Arc<str>,
    observer: Option<Observer>,
    encryption: Arc<Encryption>,
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Etcd").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A stored value as etcd returned it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) value: Vec<u8>,
    pub(crate) revision: i64,
}

/// How often a key service is asked for a seed, and how long after a refusal.
const UNLOCKS: u32 = 3;
const UNLOCK_AGAIN: Duration = Duration::from_millis(300);

/// Part of a range.
#[derive(Debug)]
pub struct Listing {
    /// The keys and values, keys without the prefix that was asked for, with the revision of each.
    pub items: Vec<(String, Vec<u8>, i64)>,
    /// The revision at which the range was read.
    pub revision: i64,
    /// There is more behind the last key.
    pub more: bool,
    /// How many keys the range has from the first one returned on.
    pub count: i64,
}

/// How a guarded write ended.
#[derive(Debug)]
pub(crate) enum Guarded {
    /// It was done, at this revision.
    Done(i64),
    /// The key is at another revision; what is there now.
    Changed(Option<Stored>),
}

impl Etcd {
    /// Prepares the connection. It is opened, and opened again, as calls need it.
    pub async fn connect(config: &EtcdConfig) -> Result<Self, Error> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(Duration::from_secs(2))
            // A member whose machine lost its power is noticed within 7 s; calls made meanwhile go to the others, which
            // have less under way. etcd bears no more than one question in 5 s (`--grpc-keepalive-min-time`).
            .with_keep_alive(Duration::from_secs(5), Duration::from_secs(2))
            .with_keep_alive_while_idle(true);
        if config.ca_file.is_some() || config.certificate_file.is_some() {
            options = options.with_tls(tls(config)?);
        }
        let client = Client::connect(&config.servers, Some(options)).await?;
        let prefix = if config.prefix.is_empty() { "/registry" } else { config.prefix.trim_end_matches('/') };
        let prefix = if prefix.starts_with('/') { prefix.to_owned() } else { format!("/{prefix}") };
        Ok(Self { client, prefix: prefix.into(), observer: None, encryption: Arc::default() })
    }

    /// Sets who is told of every call.
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets how values are encrypted; without it they are stored as they are.
    pub fn encrypted_by(mut self, encryption: Arc<Encryption>) -> Self {
        self.encryption = encryption;
        self
    }

    /// A value of a resource as it is to be written.
    pub(crate) fn seal<'a>(
        &self,
        resource: &Resource,
        key: &str,
        value: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, Error> {
        let prefix = &self.prefix;
        self.encryption
            .seal(resource, format_args!("{prefix}/{}/{key}", resource.prefix), value)
            .map_err(|reason| Error::Corrupt { key: key.to_owned(), reason })
    }

    /// A value of a resource that was read.
    pub(crate) fn open<'a>(
        &self,
        resource: &Resource,
        key: &str,
        value: &'a [u8],
    ) -> Result<Opened<'a>, &'static str> {
        let prefix = &self.prefix;
        self.encryption.open(resource, format_args!("{prefix}/{}/{key}", resource.prefix), value)
    }

    /// How values are encrypted.
    pub fn encryption(&self) -> &Arc<Encryption> {
        &self.encryption
    }

    /// Makes sure that what decrypts values is at hand. A key service that is away for a moment is asked again; a value
    /// whose seed it does not give is an error for whoever reads that value.
    pub(crate) async fn unlock<'a>(&self, values: impl Iterator<Item = &'a [u8]> + Clone) {
        for attempt in 1..=UNLOCKS {
            let Err(error) = self.encryption.unlock(values.clone()).await else { return };
            if attempt == UNLOCKS {
                tracing::error!(error, "values stay encrypted");
                return;
            }
            tokio::time::sleep(UNLOCK_AGAIN).await;
        }
    }

    /// What all keys begin with: `/registry` unless configured.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn full_key(&self, resource: &str, key: &str) -> String {
        let mut full = String::with_capacity(self.prefix.len() + resource.len() + key.len() + 2);
        full.push_str(&self.prefix);
        full.push('/');
        full.push_str(resource);
        full.push('/');
        full.push_str(key);
        full
    }

    async fn observe<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let start = Instant::now();
        let result = call.await;
        if let Some(observer) = &self.observer {
            observer(operation, start.elapsed(), result.is_ok());
        }
        result.map_err(Error::from)
    }

    /// Etcd's revision, confirmed by its quorum. Counts one key that is small and always cheap to find.
    pub async fn current_revision(&self) -> Result<i64, Error> {
        let read = || async {
            let options = GetOptions::new().with_count_only();
            let mut client = self.client.kv_client();
            let response = self.observe("get", client.get("compact_rev_key", Some(options))).await?;
            Ok(response.header().map_or(0, |header| header.revision()))
        };
        patiently(read).await
    }

    /// Asks whether etcd answers, for health checks; does not retry.
    pub async fn ping(&self) -> Result<(), Error> {
        let options = GetOptions::new().with_count_only();
        self.observe("get", self.client.kv_client().get("health", Some(options))).await.map(|_| ())
    }

    /// The size of etcd's database in bytes.
    pub async fn database_size(&self) -> Result<i64, Error> {
        Ok(self.client.maintenance_client().status().await?.db_size())
    }

    pub(crate) async fn get(&self, resource: &str, key: &str) -> Result<Option<Stored>, Error> {
        let full = self.full_key(resource, key);
        let read = || async {
            let mut client = self.client.kv_client().max_decoding_message_size(MESSAGE);
            let mut response = self.observe("get", client.get(full.as_str(), None)).await?;
            Ok(response.take_kvs().pop().map(stored))
        };
        let found: Option<Stored> = patiently(read).await?;
        self.unlock(found.iter().map(|found| found.value.as_slice())).await;
        Ok(found)
    }

    /// Reads keys in order, at a revision (0: now), from after a key, at most `limit` (0: all).
    pub async fn list(
        &self,
        resource: &str,
        within: &str,
        after: Option<&str>,
        limit: i64,
        revision: i64,
    ) -> Result<Listing, Error> {
        let start =
            if resource.is_empty() { format!("{}/", self.prefix) } else { self.full_key(resource, "") };
        let from = match after {
            // The smallest key that is greater.
            Some(after) => format!("{start}{after}\0"),
            None => format!("{start}{within}"),
        };
        let mut end = format!("{start}{within}").into_bytes();
        // Prefixes end in a slash, so the next byte exists.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let read = || async {
            let options = GetOptions::new().with_range(end.clone()).with_limit(limit).with_revision(revision);
            let mut client = self.client.kv_client().max_decoding_message_size(MESSAGE);
            self.observe("list", client.get(from.as_str(), Some(options))).await
        };
        let mut response = patiently(read).await?;
        let read_at = response.header().map_or(0, |header| header.revision());
        let (more, count) = (response.more(), response.count());
        self.unlock(response.kvs().iter().map(KeyValue::value)).await;
        let items = response
            .take_kvs()
            .into_iter()
            .filter_map(|item| {
                let revision = item.mod_revision();
                let (key, value) = item.into_key_value();
                let key = String::from_utf8(key).ok()?;
                Some((key.get(start.len()..)?.to_owned(), value, revision))
            })
            .collect();
        Ok(Listing { items, revision: if revision > 0 { revision } else { read_at }, more, count })
    }

    /// Writes a key if it is still at a revision; 0 means that it must not exist.
    pub(crate) async fn put(
        &self,
        resource: &str,
        key: &str,
        value: &[u8],
        at: i64,
        lease: Option<i64>,
    ) -> Result<Guarded, Error> {
        let full = self.full_key(resource, key);
        let options = lease.map(|lease| PutOptions::new().with_lease(lease));
        let operation = if at == 0 { "create" } else { "update" };
        let first = TxnOp::put(full.as_str(), value, options.clone());
        let error = match self.guarded(operation, &full, at, first).await {
            Err(error) if error.is_transient() => error,
            other => return other,
        };
        // It may have been done without our hearing of it. What is there tells: the value holds a uid or a
        // content that only this write has. Others may have written upon it meanwhile: its place is then among the
        // versions since, and a conflict would be told of what is stored.
        tracing::warn!(%error, key = full, "write to etcd broke off, trying again");
        let again = || async {
            let put = TxnOp::put(full.as_str(), value, options.clone());
            match self.guarded(operation, &full, at, put).await? {
                Guarded::Changed(Some(now)) if now.revision > at => {
                    match self.written_since(&full, value, at, &now).await? {
                        Trace::Found(revision) => Ok(Some(Guarded::Done(revision))),
                        Trace::Never => Ok(Some(Guarded::Changed(Some(now)))),
                        Trace::Lost => Ok(None),
                    }
                }
                // Whoever deleted it may have deleted what this write made of it.
                Guarded::Changed(None) => Ok(None),
                other => Ok(Some(other)),
            }
        };
        patiently(again).await?.ok_or(error)
    }

    /// Looks among the versions of a key after a revision, from the newest back, for one of this value.
    async fn written_since(
        &self,
        full: &str,
        value: &[u8],
        at: i64,
        newest: &Stored,
    ) -> Result<Trace, Error> {
        if newest.value == value {
            return Ok(Trace::Found(newest.revision));
        }
        let mut before = newest.revision;
        for _ in 0..VERSIONS {
            let options = GetOptions::new().with_revision(before - 1);
            let mut client = self.client.kv_client().max_decoding_message_size(MESSAGE);
            let found = match self.observe("get", client.get(full, Some(options))).await {
                Ok(mut response) => response.take_kvs().pop().map(stored),
                Err(error) if error.is_transient() => return Err(error),
                // Compacted meanwhile.
                Err(_) => return Ok(Trace::Lost),
            };
            match found {
                Some(found) if found.revision <= at => return Ok(Trace::Never),
                Some(found) if found.value == value => return Ok(Trace::Found(found.revision)),
                Some(found) => before = found.revision,
                // Before this version there was none: it was not this write that made the key.
                None if at == 0 => return Ok(Trace::Never),
                None => return Ok(Trace::Lost),
            }
        }
        Ok(Trace::Lost)
    }

    /// Deletes a key if it is still at a revision.
    pub(crate) async fn delete(&self, resource: &str, key: &str, at: i64) -> Result<Guarded, Error> {
        let full = self.full_key(resource, key);
        let delete = || self.guarded("delete", &full, at, TxnOp::delete(full.as_str(), None));
        patiently(delete).await
    }

    async fn guarded(
        &self,
        operation: &'static str,
        full: &str,
        at: i64,
        write: TxnOp,
    ) -> Result<Guarded, Error> {
        let txn = Txn::new()
            .when([Compare::mod_revision(full, CompareOp::Equal, at)])
            .and_then([write])
            .or_else([TxnOp::get(full, None)]);
        let mut client = self.client.kv_client().max_decoding_message_size(MESSAGE);
        let response = self.observe(operation, client.txn(txn)).await?;
        if response.succeeded() {
            return Ok(Guarded::Done(response.header().map_or(0, |header| header.revision())));
        }
        let now = response.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(mut got) => got.take_kvs().pop(),
            _ => None,
        });
        let now = now.map(stored);
        self.unlock(now.iter().map(|now| now.value.as_slice())).await;
        Ok(Guarded::Changed(now))
    }
}

/// Whether a write that broke off is among the versions of its key.
#[derive(Debug, PartialEq, Eq)]
enum Trace {
    /// It became this revision.
    Found(i64),
    /// It was not done.
    Never,
    /// The versions are gone: nobody can tell.
    Lost,
}

/// How many versions of a key are looked through: more are not written within a request's time.
const VERSIONS: usize = 256;

fn stored(item: KeyValue) -> Stored {
    let revision = item.mod_revision();
    Stored { value: item.into_key_value().1, revision }
}

fn tls(config: &EtcdConfig) -> Result<TlsOptions, Error> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            let error = std::io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            Error::Etcd(Arc::new(etcd_client::Error::IoError(error)))
        })
    };
    let mut options = TlsOptions::new();
    if let Some(path) = &config.ca_file {
        options = options.ca_certificate(Certificate::from_pem(read(path)?));
    }
    if let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) {
        options = options.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(options)
}

/// Calls until it works or is refused, as long as etcd is merely away.
async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = Duration::from_millis(20);
    let start = Instant::now();
    loop {
        match call().await {
            Err(error) if error.is_transient() && start.elapsed() < PATIENCE => {
                tracing::debug!(%error, "etcd is away, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_that_others_wrote_upon_is_found_among_the_versions() {
        let server = testkit::Etcd::start().unwrap();
        let config =
            EtcdConfig { servers: vec![server.url()], prefix: "/registry".into(), ..EtcdConfig::default() };
        let etcd = Etcd::connect(&config).await.unwrap();
        let mut revisions = vec![0];
        for value in ["a", "b", "c", "d"] {
            let at = *revisions.last().unwrap();
            match etcd.put("things", "k", value.as_bytes(), at, None).await.unwrap() {
                Guarded::Done(revision) => revisions.push(revision),
                Guarded::Changed(_) => panic!("nobody else writes"),
            }
        }
        let newest = etcd.get("things", "k").await.unwrap().unwrap();
        let full = etcd.full_key("things", "k");
        for (value, at, expected) in [
            ("d", 3, Trace::Found(revisions[4])),
            ("b", 1, Trace::Found(revisions[2])),
            ("a", 0, Trace::Found(revisions[1])),
            ("x", 1, Trace::Never),
            ("x", 0, Trace::Never),
            // Of before: another write of the same value.
            ("a", 2, Trace::Never),
        ] {
            let at = revisions[at];
            assert_eq!(
                etcd.written_since(&full, value.as_bytes(), at, &newest).await.unwrap(),
                expected,
                "{value}"
            );
        }
    }
}
