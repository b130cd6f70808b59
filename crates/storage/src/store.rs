//! What the API server calls: reads from the caches as fresh as asked for, and guarded writes to etcd.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use crate::cache::{Cache, Page, Query, Resource, Source};
use crate::etcd::{Guarded, Stored};
use crate::feed::{Caches, Feed, Register};
use crate::lease::Leases;
use crate::{Error, Etcd, EventType, Freshness, Object, Progress};

/// How long a read waits for the caches to reach its revision, as upstream.
const CATCH_UP: Duration = Duration::from_secs(3);
/// How long a write waits until it shows in the cache before it is reported anyway: it is done.
const SHOW: Duration = Duration::from_secs(1);

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Whatever the cache has.
    Any,
    /// Nothing older than this revision.
    NotOlderThan(i64),
    /// Everything that was acknowledged before the read began.
    Latest,
}

/// What an update function decided.
#[derive(Debug)]
pub enum Change {
    /// Store these bytes (the object without resourceVersion).
    Write(Vec<u8>),
    /// Delete the object.
    Delete,
    /// Leave it as it is.
    Keep,
}

/// Etcd with a cache in front of it.
pub struct Store {
    etcd: Etcd,
    caches: RwLock<Caches>,
    progress: Arc<Progress>,
    freshness: Freshness,
    leases: Leases,
    register: mpsc::Sender<Register>,
}

impl Store {
    /// Makes the store over resources known from the start, the feed that must run for it, and the signal
    /// that the caches are filled.
    pub fn new(
        etcd: Etcd,
        freshness: Freshness,
        resources: Vec<Resource>,
    ) -> (Arc<Self>, Feed, oneshot::Receiver<()>) {
        let progress = Arc::new(Progress::default());
        let (mut caches, mut fed) = (Caches::default(), Caches::default());
        for resource in resources {
            let cache = Arc::new(Cache::new(resource, progress.clone()));
            caches.insert(cache.clone());
            fed.insert(cache);
        }
        let (register, registrations) = mpsc::channel(16);
        let (ready, is_ready) = oneshot::channel();
        let feed = Feed::new(etcd.clone(), fed, progress.clone(), registrations, ready);
        let store = Self {
            etcd,
            caches: RwLock::new(caches),
            progress,
            freshness,
            leases: Leases::default(),
            register,
        };
        (Arc::new(store), feed, is_ready)
    }

    /// The connection below.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// How far the caches have come.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The cache of a resource by the prefix of its keys.
    pub fn cache(&self, prefix: &str) -> Option<Arc<Cache>> {
        self.caches.read().get(prefix).cloned()
    }

    /// All caches.
    pub fn caches(&self) -> Vec<Arc<Cache>> {
        self.caches.read().iter().cloned().collect()
    }

    /// Caches one more resource; returns when its cache is filled.
    pub async fn add(&self, resource: Resource) -> Result<Arc<Cache>, Error> {
        let cache = Arc::new(Cache::new(resource, self.progress.clone()));
        let (done, is_done) = oneshot::channel();
        let register = Register::Add { cache: cache.clone(), done };
        self.register.send(register).await.map_err(|_| Error::Timeout)?;
        is_done.await.map_err(|_| Error::Timeout)?;
        self.caches.write().insert(cache.clone());
        Ok(cache)
    }

    /// Caches a resource no longer and ends its watches.
    pub async fn remove(&self, prefix: &str) {
        let cache = self.caches.write().remove(prefix);
        if let Some(cache) = cache {
            // The feed only goes when the server does.
            let _ = self.register.send(Register::Remove { prefix: prefix.into() }).await;
            cache.end_watches();
        }
    }

    /// Waits until a read from the caches is as fresh as asked for.
    pub async fn catch_up(&self, consistency: Consistency) -> Result<(), Error> {
        let revision = match consistency {
            Consistency::Any => return Ok(()),
            Consistency::NotOlderThan(revision) => revision,
            Consistency::Latest => self.freshness.revision().await?,
        };
        match self.progress.wait(revision, CATCH_UP).await {
            Err(Error::Timeout) if matches!(consistency, Consistency::NotOlderThan(_)) => {
                Err(Error::Future { asked: revision, current: self.progress.reached() })
            }
            other => other,
        }
    }

    /// Reads one object.
    pub async fn get(
        &self,
        cache: &Cache,
        key: &str,
        consistency: Consistency,
    ) -> Result<Arc<Object>, Error> {
        match self.catch_up(consistency).await {
            Ok(()) => cache.get(key).ok_or(Error::NotFound),
            // The watch lags but etcd answers: one object can be had directly.
            Err(Error::Timeout) => self.get_live(cache, key).await?.ok_or(Error::NotFound),
            Err(error) => Err(error),
        }
    }

    /// Reads one object from etcd itself.
    pub async fn get_live(&self, cache: &Cache, key: &str) -> Result<Option<Arc<Object>>, Error> {
        Ok(self.live(cache, key).await?.map(|(object, _)| object))
    }

    /// Reads one object from etcd itself, and whether it is to be written anew even if it does not change.
    async fn live(&self, cache: &Cache, key: &str) -> Result<Option<(Arc<Object>, bool)>, Error> {
        let stored = self.etcd.get(&cache.resource, key).await?;
        stored.map(|stored| self.read(cache, key, &stored)).transpose()
    }

    fn read(&self, cache: &Cache, key: &str, stored: &Stored) -> Result<(Arc<Object>, bool), Error> {
        let opened = self.etcd.open(&cache.resource, key, &stored.value);
        let read = opened.and_then(|opened| {
            let event = EventType::Modified;
            let object = Object::read(&cache.resource, event, key, &opened.value, stored.revision)?;
            let stale = opened.stale || object.is_rewritten;
            Ok((Arc::new(object), stale))
        });
        read.map_err(|reason| Error::Corrupt { key: key.to_owned(), reason })
    }

    /// Reads a page as it was at a revision: from the cache if nothing changed since, else from etcd.
    pub async fn page_at(
        &self,
        cache: &Cache,
        query: &Query,
        limit: usize,
        revision: i64,
        predicate: Option<&(dyn Fn(&Object) -> bool + Sync)>,
    ) -> Result<Page, Error> {
        self.catch_up(Consistency::NotOlderThan(revision)).await?;
        if cache.changed() <= revision && revision >= self.progress.compacted() {
            let predicate: Option<&dyn Fn(&Object) -> bool> = match predicate {
                Some(predicate) => Some(predicate),
                None => None,
            };
            let (page, fetched) = cache.pick(query, limit, predicate);
            // It may have changed between the two looks.
            if cache.changed() <= revision {
                cache.count_page(query, &page, fetched);
                return Ok(Page { revision, ..page });
            }
        }
        let within = if query.namespace.is_empty() { String::new() } else { format!("{}/", query.namespace) };
        let (mut objects, mut after) = (Vec::new(), query.after.clone());
        let mut fetched = 0;
        loop {
            let missing = if limit == 0 { 0 } else { (limit - objects.len()) as i64 };
            let listing =
                self.etcd.list(Some(&cache.resource), &within, after.as_deref(), missing, revision).await?;
            let behind = listing.count - listing.items.len() as i64;
            after = listing.items.last().map(|(key, _, _)| key.clone());
            fetched += listing.items.len();
            for (key, value, at) in listing.items {
                let stored = Stored { value, revision: at };
                let (object, _) = self.read(cache, &key, &stored)?;
                let indexed = query.indexed.as_deref().zip(cache.resource.indexed);
                if indexed.is_none_or(|(value, field)| object.field(&cache.resource, field) == value)
                    && predicate.is_none_or(|takes| takes(&object))
                {
                    objects.push(object);
                }
            }
            if !listing.more || (limit != 0 && objects.len() >= limit) {
                cache.count_list(Source::Storage, fetched, fetched, objects.len());
                let filtered = predicate.is_some() || query.indexed.is_some();
                let remaining = (listing.more && !filtered).then_some(behind);
                return Ok(Page { objects, revision, more: listing.more, remaining });
            }
        }
    }

    /// Stores a new object; `lifetime` ends it by itself.
    pub async fn create(
        &self,
        cache: &Cache,
        key: &str,
        stored: Vec<u8>,
        lifetime: Option<Duration>,
    ) -> Result<Arc<Object>, Error> {
        let lease = self.lease(lifetime).await?;
        let sealed = self.etcd.seal(&cache.resource, key, &stored)?;
        match self.etcd.put(&cache.resource, key, &sealed, 0, lease).await? {
            Guarded::Done(revision) => self.shown(cache, key, &stored, revision, EventType::Added).await,
            Guarded::Changed(_) => Err(Error::Exists),
        }
    }

    /// Changes an object by a function that may be called again with a newer state.
    ///
    /// The first call gets what the cache has, which saves a read; what the function refuses because the
    /// cache was behind, it is asked again with the state from etcd.
    pub async fn update<E, F>(
        &self,
        cache: &Cache,
        key: &str,
        lifetime: Option<Duration>,
        mut decide: F,
    ) -> Result<(Arc<Object>, Outcome), E>
    where
        E: From<Error>,
        F: FnMut(Option<&Arc<Object>>) -> Result<Change, E>,
    {
        let mut current = cache.get(key);
        // Whether the state is etcd's own, and whether it is encrypted by another key than the present one.
        let (mut live, mut stale) = (false, false);
        let known = |found: Option<(Arc<Object>, bool)>| match found {
            Some((object, stale)) => (Some(object), stale),
            None => (None, false),
        };
        if current.is_none() {
            (current, stale) = known(self.live(cache, key).await?);
            live = true;
        }
        loop {
            let decision = decide(current.as_ref());
            let unsure = match &decision {
                Err(_) | Ok(Change::Keep) => true,
                Ok(Change::Write(stored)) => current.as_ref().is_some_and(|current| current.stores(stored)),
                Ok(Change::Delete) => false,
            };
            if unsure && !live {
                // Refusing or changing nothing must not rest on a state that is gone.
                let (now, now_stale) = known(self.live(cache, key).await?);
                (live, stale) = (true, now_stale);
                let same =
                    now.as_ref().map(|now| now.revision()) == current.as_ref().map(|old| old.revision());
                if !same {
                    current = now;
                    continue;
                }
            }
            let stored = match (decision?, &current) {
                (Change::Keep, Some(object)) => return Ok((object.clone(), Outcome::Unchanged)),
                (Change::Keep | Change::Delete, None) => return Err(Error::NotFound.into()),
                (Change::Write(stored), Some(object)) if object.stores(&stored) && !stale => {
                    return Ok((object.clone(), Outcome::Unchanged));
                }
                (Change::Delete, Some(object)) => {
                    match self.etcd.delete(&cache.resource, key, object.revision()).await? {
                        Guarded::Done(revision) => {
                            self.wait_shown(revision).await;
                            return Ok((object.ended(&cache.resource, revision), Outcome::Deleted));
                        }
                        Guarded::Changed(now) => {
                            (current, stale) = known(now.map(|now| self.read(cache, key, &now)).transpose()?);
                            live = true;
                            continue;
                        }
                    }
                }
                (Change::Write(stored), _) => stored,
            };
            let at = current.as_ref().map_or(0, |current| current.revision());
            let lease = self.lease(lifetime).await?;
            let sealed = self.etcd.seal(&cache.resource, key, &stored)?;
            match self.etcd.put(&cache.resource, key, &sealed, at, lease).await? {
                Guarded::Done(revision) => {
                    let (event, outcome) = match at {
                        0 => (EventType::Added, Outcome::Created),
                        _ => (EventType::Modified, Outcome::Updated),
                    };
                    return Ok((self.shown(cache, key, &stored, revision, event).await?, outcome));
                }
                Guarded::Changed(now) => {
                    (current, stale) = known(now.map(|now| self.read(cache, key, &now)).transpose()?);
                    live = true;
                }
            }
        }
    }

    async fn lease(&self, lifetime: Option<Duration>) -> Result<Option<i64>, Error> {
        match lifetime {
            Some(lifetime) => Ok(Some(self.leases.lease(&self.etcd, lifetime).await?)),
            None => Ok(None),
        }
    }

    async fn wait_shown(&self, revision: i64) {
        if self.progress.wait(revision, SHOW).await.is_err() {
            tracing::warn!(
                revision,
                reached = self.progress.reached(),
                "the watch cache lags behind a write"
            );
        }
    }

    /// Waits until a write shows in the cache, so that whoever wrote finds it, and returns the version written.
    async fn shown(
        &self,
        cache: &Cache,
        key: &str,
        stored: &[u8],
        revision: i64,
        event: EventType,
    ) -> Result<Arc<Object>, Error> {
        self.wait_shown(revision).await;
        match cache.get(key) {
            Some(object) if object.revision() == revision => Ok(object),
            // Somebody changed it since, or the cache lags.
            _ => Object::read(&cache.resource, event, key, stored, revision)
                .map(Arc::new)
                .map_err(|reason| Error::Corrupt { key: key.to_owned(), reason }),
        }
    }
}

/// What an update came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing before.
    Created,
    /// The object was replaced.
    Updated,
    /// The object is as it was; nothing was written.
    Unchanged,
    /// The object is gone.
    Deleted,
}
