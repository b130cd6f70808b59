//! The connection to etcd: guarded writes, reads at a revision, and retries while it is away.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::{
    CompactionRequest, CompactionResponse, Compare, DeleteRangeRequest, KeyValue, LeaseGrantRequest,
    LeaseGrantResponse, PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseHeader, StatusRequest,
    StatusResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest, compare, request_op,
    response_op, watch_request,
};

pub(crate) use self::members::Answers;
use self::members::Members;
use crate::encryption::{Encryption, Opened};
use crate::{CallError, Error, Resource};

pub(crate) mod framing;
mod members;

/// The messages of etcd's API, generated from `proto/etcd.proto`. Their values are slices of what arrived.
#[allow(missing_docs, clippy::all)]
pub(crate) mod wire {
    tonic::include_proto!("etcdserverpb");
}

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

/// Told of every call, for metrics.
pub type Observer = Arc<dyn Fn(&Told<'_>) + Send + Sync>;

/// What is told of a call.
#[derive(Debug)]
pub struct Told<'a> {
    /// `get`, `list`, `create`, `update` or `delete`.
    pub operation: &'static str,
    /// Whose objects it was about: group and plural; none for what is about no resource.
    pub resource: Option<&'a Resource>,
    /// How long it took.
    pub took: Duration,
    /// Whether it was answered.
    pub well: bool,
}

/// A connection to etcd, shared by cloning.
#[derive(Clone)]
pub struct Etcd {
    members: Arc<Members>,
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
    pub(crate) value: Bytes,
    pub(crate) revision: i64,
}

/// How often a key service is asked for a seed, and how long after a refusal.
const UNLOCKS: u32 = 3;
const UNLOCK_AGAIN: Duration = Duration::from_millis(300);

/// Part of a range.
#[derive(Debug)]
pub struct Listing {
    /// The keys and values, keys without the prefix that was asked for, with the revision of each.
    pub items: Vec<(String, Bytes, i64)>,
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
    /// Prepares the connections. They are opened, and opened again, by themselves.
    pub fn connect(config: &EtcdConfig) -> Result<Self, Error> {
        let members = Arc::new(Members::connect(config)?);
        let prefix = if config.prefix.is_empty() { "/registry" } else { config.prefix.trim_end_matches('/') };
        let prefix = if prefix.starts_with('/') { prefix.to_owned() } else { format!("/{prefix}") };
        Ok(Self { members, prefix: prefix.into(), observer: None, encryption: Arc::default() })
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

    pub(crate) fn full_key(&self, resource: &str, key: &str) -> String {
        let mut full = String::with_capacity(self.prefix.len() + resource.len() + key.len() + 2);
        full.push_str(&self.prefix);
        full.push('/');
        full.push_str(resource);
        full.push('/');
        full.push_str(key);
        full
    }

    async fn observe<T>(
        &self,
        operation: &'static str,
        resource: Option<&Resource>,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let result = call.await;
        if let Some(observer) = &self.observer {
            observer(&Told { operation, resource, took: start.elapsed(), well: result.is_ok() });
        }
        result.map_err(Error::from)
    }

    async fn range(
        &self,
        operation: &'static str,
        resource: Option<&Resource>,
        range: &RangeRequest,
    ) -> Result<RangeResponse, Error> {
        self.observe(operation, resource, self.members.unary(RANGE, range)).await
    }

    /// Etcd's revision, confirmed by its quorum. Counts one key that is small and always cheap to find.
    pub async fn current_revision(&self) -> Result<i64, Error> {
        let range = counting("compact_rev_key");
        let read = || async { Ok(revision(self.range("get", None, &range).await?.header.as_ref())) };
        patiently(read).await
    }

    /// Asks whether etcd answers, for health checks; does not retry.
    pub async fn ping(&self) -> Result<(), Error> {
        self.range("get", None, &counting("health")).await.map(drop)
    }

    /// The size of etcd's database in bytes.
    pub async fn database_size(&self) -> Result<i64, Error> {
        let status: StatusResponse = self.members.unary(STATUS, &StatusRequest {}).await?;
        Ok(status.db_size)
    }

    /// A lease that deletes what is written with it after so many seconds.
    pub(crate) async fn grant(&self, seconds: i64) -> Result<i64, Error> {
        let question = LeaseGrantRequest { ttl: seconds, id: 0 };
        let granted: LeaseGrantResponse = self.members.unary(GRANT, &question).await?;
        if granted.error.is_empty() {
            Ok(granted.id)
        } else {
            Err(CallError::from(tonic::Status::unknown(granted.error)).into())
        }
    }

    /// Forgets what lies before a revision.
    pub(crate) async fn compact(&self, revision: i64) -> Result<(), Error> {
        let _: CompactionResponse = self.members.unary(COMPACT, &CompactionRequest { revision }).await?;
        Ok(())
    }

    /// Puts a small value if its key has been written so often (0: there is none); gives etcd's revision, and where
    /// others were faster how often it has been written.
    pub(crate) async fn put_if_version(
        &self,
        key: &'static str,
        version: i64,
        value: String,
    ) -> Result<(i64, Option<i64>), Error> {
        let put = PutRequest { key: key.into(), value: value.into(), lease: 0 };
        let txn = TxnRequest {
            compare: vec![Compare {
                result: compare::CompareResult::Equal.into(),
                target: compare::CompareTarget::Version.into(),
                key: key.into(),
                target_union: Some(compare::TargetUnion::Version(version)),
            }],
            success: vec![operation(request_op::Request::RequestPut(put))],
            failure: vec![operation(request_op::Request::RequestRange(one(key.into())))],
        };
        let response: TxnResponse = self.members.unary(TXN, &txn).await?;
        let now = revision(response.header.as_ref());
        if response.succeeded {
            return Ok((now, None));
        }
        Ok((now, Some(found(response).map_or(0, |item| item.version))))
    }

    /// Watches all keys from a revision on.
    pub(crate) async fn watch(&self, start_revision: i64) -> Result<Answers, Error> {
        // From the smallest key there is to the end of all.
        let all = Bytes::from_static(b"\0");
        let create = WatchCreateRequest { key: all.clone(), range_end: all, start_revision };
        let union = Some(watch_request::RequestUnion::CreateRequest(create));
        Ok(self.members.stream(WATCH, &WatchRequest { request_union: union }).await?)
    }

    pub(crate) async fn get(&self, resource: &Resource, key: &str) -> Result<Option<Stored>, Error> {
        let range = one(self.full_key(&resource.prefix, key).into());
        let read = || async { Ok(self.range("get", Some(resource), &range).await?.kvs.pop().map(stored)) };
        let found: Option<Stored> = patiently(read).await?;
        self.unlock(found.iter().map(|found| &*found.value)).await;
        Ok(found)
    }

    /// Reads keys in order, of a resource or all, at a revision (0: now), from after a key, at most `limit` (0: all).
    pub async fn list(
        &self,
        resource: Option<&Resource>,
        within: &str,
        after: Option<&str>,
        limit: i64,
        revision: i64,
    ) -> Result<Listing, Error> {
        let start = match resource {
            Some(resource) => self.full_key(&resource.prefix, ""),
            None => format!("{}/", self.prefix),
        };
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
        let range =
            RangeRequest { key: from.into(), range_end: end.into(), limit, revision, count_only: false };
        let response = patiently(|| self.range("list", resource, &range)).await?;
        let read_at = self::revision(response.header.as_ref());
        self.unlock(response.kvs.iter().map(|item| &*item.value)).await;
        let items = response
            .kvs
            .into_iter()
            .filter_map(|item| {
                let key = std::str::from_utf8(&item.key).ok()?.get(start.len()..)?;
                Some((key.to_owned(), item.value, item.mod_revision))
            })
            .collect();
        let (more, count) = (response.more, response.count);
        Ok(Listing { items, revision: if revision > 0 { revision } else { read_at }, more, count })
    }

    /// Writes a key if it is still at a revision; 0 means that it must not exist.
    pub(crate) async fn put(
        &self,
        resource: &Resource,
        key: &str,
        value: &[u8],
        at: i64,
        lease: Option<i64>,
    ) -> Result<Guarded, Error> {
        let full: Bytes = self.full_key(&resource.prefix, key).into();
        let operation = if at == 0 { "create" } else { "update" };
        let put = PutRequest {
            key: full.clone(),
            value: Bytes::copy_from_slice(value),
            lease: lease.unwrap_or_default(),
        };
        let txn = guarded(&full, at, request_op::Request::RequestPut(put));
        let error = match self.guarded(operation, resource, &txn).await {
            Err(error) if error.is_transient() => error,
            other => return other,
        };
        // It may have been done without our hearing of it. What is there tells: the value holds a uid or a
        // content that only this write has. Others may have written upon it meanwhile: its place is then among the
        // versions since, and a conflict would be told of what is stored.
        tracing::warn!(%error, key = self.full_key(&resource.prefix, key), "write to etcd broke off, trying again");
        let again = || async {
            match self.guarded(operation, resource, &txn).await? {
                Guarded::Changed(Some(now)) if now.revision > at => {
                    match self.written_since(resource, &full, value, at, &now).await? {
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
        resource: &Resource,
        full: &Bytes,
        value: &[u8],
        at: i64,
        newest: &Stored,
    ) -> Result<Trace, Error> {
        if newest.value == value {
            return Ok(Trace::Found(newest.revision));
        }
        let mut before = newest.revision;
        for _ in 0..VERSIONS {
            let range = RangeRequest { revision: before - 1, ..one(full.clone()) };
            let found = match self.range("get", Some(resource), &range).await {
                Ok(mut response) => response.kvs.pop().map(stored),
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
    pub(crate) async fn delete(&self, resource: &Resource, key: &str, at: i64) -> Result<Guarded, Error> {
        let full: Bytes = self.full_key(&resource.prefix, key).into();
        let delete = request_op::Request::RequestDeleteRange(DeleteRangeRequest { key: full.clone() });
        let txn = guarded(&full, at, delete);
        patiently(|| self.guarded("delete", resource, &txn)).await
    }

    async fn guarded(
        &self,
        operation: &'static str,
        resource: &Resource,
        txn: &TxnRequest,
    ) -> Result<Guarded, Error> {
        let response: TxnResponse =
            self.observe(operation, Some(resource), self.members.unary(TXN, txn)).await?;
        if response.succeeded {
            return Ok(Guarded::Done(revision(response.header.as_ref())));
        }
        let now = found(response).map(stored);
        self.unlock(now.iter().map(|now| &*now.value)).await;
        Ok(Guarded::Changed(now))
    }
}

const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";
const COMPACT: &str = "/etcdserverpb.KV/Compact";
const WATCH: &str = "/etcdserverpb.Watch/Watch";
const GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
const STATUS: &str = "/etcdserverpb.Maintenance/Status";

/// A write if its key is still at a revision (0: there is none); what is there if not.
fn guarded(key: &Bytes, at: i64, write: request_op::Request) -> TxnRequest {
    TxnRequest {
        compare: vec![Compare {
            result: compare::CompareResult::Equal.into(),
            target: compare::CompareTarget::Mod.into(),
            key: key.clone(),
            target_union: Some(compare::TargetUnion::ModRevision(at)),
        }],
        success: vec![operation(write)],
        failure: vec![operation(request_op::Request::RequestRange(one(key.clone())))],
    }
}

fn operation(request: request_op::Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

/// Reads one key.
fn one(key: Bytes) -> RangeRequest {
    RangeRequest { key, ..RangeRequest::default() }
}

/// Says only whether there is a key.
fn counting(key: &'static str) -> RangeRequest {
    RangeRequest { count_only: true, ..one(Bytes::from_static(key.as_bytes())) }
}

fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

/// What the reading part of a transaction found.
fn found(response: TxnResponse) -> Option<KeyValue> {
    response.responses.into_iter().find_map(|response| match response.response? {
        response_op::Response::ResponseRange(mut read) => read.kvs.pop(),
    })
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
    Stored { value: item.value, revision: item.mod_revision }
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
        let etcd = Etcd::connect(&config).unwrap();
        let things = Resource::new("things", false, Vec::new());
        let mut revisions = vec![0];
        for value in ["a", "b", "c", "d"] {
            let at = *revisions.last().unwrap();
            match etcd.put(&things, "k", value.as_bytes(), at, None).await.unwrap() {
                Guarded::Done(revision) => revisions.push(revision),
                Guarded::Changed(_) => panic!("nobody else writes"),
            }
        }
        let newest = etcd.get(&things, "k").await.unwrap().unwrap();
        let full = etcd.full_key("things", "k").into();
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
                etcd.written_since(&things, &full, value.as_bytes(), at, &newest).await.unwrap(),
                expected,
                "{value}"
            );
        }
    }
}
