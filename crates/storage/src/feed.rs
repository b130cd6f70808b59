//! Keeps all caches at etcd's heels: one read of everything, then one watch of everything, for ever.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::cache::{Cache, Resource};
use crate::etcd::wire::{Event, WatchResponse, event::EventType};
use crate::{Error, Etcd, Object, Progress, compaction};

/// How many keys the first read of the load asks for.
const FIRST_CHUNK: i64 = 500;
/// How many bytes each further one shall bring: etcd counts all keys behind the first for each read, so that few large
/// reads cost it less, but what was read and not yet worked off is in memory twice.
const CHUNK: usize = 8 << 20;
/// How many keys a read may ask for, however small they are.
const KEYS: std::ops::RangeInclusive<i64> = 50..=10_000;

/// A resource that is to be cached from now on, or no longer.
pub(crate) enum Register {
    Add { cache: Arc<Cache>, done: oneshot::Sender<()> },
    Remove { prefix: Box<str> },
}

/// The caches by the prefix of their keys.
#[derive(Debug, Default, Clone)]
pub(crate) struct Caches {
    by_prefix: HashMap<Box<str>, Arc<Cache>>,
}

impl Caches {
    pub(crate) fn insert(&mut self, cache: Arc<Cache>) {
        self.by_prefix.insert(cache.resource.prefix.as_str().into(), cache);
    }

    pub(crate) fn remove(&mut self, prefix: &str) -> Option<Arc<Cache>> {
        self.by_prefix.remove(prefix)
    }

    pub(crate) fn get(&self, prefix: &str) -> Option<&Arc<Cache>> {
        self.by_prefix.get(prefix)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Cache>> {
        self.by_prefix.values()
    }

    /// Finds the cache of a key, and the key within it. Prefixes have one segment or two.
    fn of<'a>(&self, key: &'a str) -> Option<(&Arc<Cache>, &'a str)> {
        let first = key.find('/')?;
        if let Some(cache) = self.by_prefix.get(&key[..first]) {
            return Some((cache, &key[first + 1..]));
        }
        let second = first + 1 + key[first + 1..].find('/')?;
        Some((self.by_prefix.get(&key[..second])?, &key[second + 1..]))
    }
}

/// The task that feeds the caches.
pub struct Feed {
    etcd: Etcd,
    caches: Caches,
    progress: Arc<Progress>,
    register: mpsc::Receiver<Register>,
    ready: Option<oneshot::Sender<()>>,
}

enum Broken {
    /// Begin again behind the last revision.
    Reconnect(String),
    /// What lies between is gone: read everything again.
    Reload(String),
}

impl Feed {
    pub(crate) fn new(
        etcd: Etcd,
        caches: Caches,
        progress: Arc<Progress>,
        register: mpsc::Receiver<Register>,
        ready: oneshot::Sender<()>,
    ) -> Self {
        Self { etcd, caches, progress, register, ready: Some(ready) }
    }

    /// Runs until the process ends.
    pub async fn run(mut self) {
        let mut pause = Duration::ZERO;
        let mut loaded = false;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).clamp(Duration::from_millis(50), Duration::from_secs(3));
            if !loaded {
                match self.load().await {
                    Ok(()) => loaded = true,
                    Err(error) => {
                        tracing::warn!(%error, "cannot read the objects from etcd, trying again in {pause:?}");
                        continue;
                    }
                }
                if let Some(ready) = self.ready.take() {
                    let _ = ready.send(());
                }
            }
            match self.follow(&mut pause).await {
                Broken::Reconnect(reason) => {
                    let revision = self.progress.reached();
                    tracing::warn!(reason, revision, "lost the watch on etcd, connecting again in {pause:?}");
                }
                Broken::Reload(reason) => {
                    tracing::warn!(reason, "cannot go on from the last revision, reading everything again");
                    loaded = false;
                }
            }
        }
    }

    /// Reads everything there is at one revision. While objects are made of one read's keys, the next is on its way.
    async fn load(&mut self) -> Result<(), Error> {
        let mut listing = self.etcd.list(None, "", None, FIRST_CHUNK, 0).await?;
        let revision = listing.revision;
        let mut load = Load { etcd: self.etcd.clone(), caches: self.caches.clone(), found: HashMap::new() };
        while let Some((last, _, _)) = listing.items.last()
            && listing.more
        {
            let (last, keys) = (last.clone(), next_chunk(&listing.items));
            let take = tokio::task::spawn_blocking(move || {
                load.take(listing.items);
                load
            });
            let next = self.etcd.list(None, "", Some(&last), keys, revision);
            let (took, next) = tokio::join!(take, next);
            load = took.map_err(|_| Error::Timeout)?;
            listing = next?;
        }
        load.take(listing.items);
        let mut found = load.found;
        for cache in self.caches.iter() {
            cache.load(found.remove(&cache.resource.prefix).unwrap_or_default(), revision);
        }
        self.progress.reach(revision);
        tracing::info!(revision, "read the objects from etcd");
        Ok(())
    }

    /// Follows etcd's history from where the caches are.
    async fn follow(&mut self, pause: &mut Duration) -> Broken {
        let mut stream = match self.etcd.watch(self.progress.reached() + 1).await {
            Ok(stream) => stream,
            Err(error) => return Broken::Reconnect(error.to_string()),
        };
        loop {
            tokio::select! {
                biased;
                message = stream.next::<WatchResponse>() => {
                    let response = match message {
                        Ok(Some(response)) => response,
                        Ok(None) => return Broken::Reconnect("etcd ended the watch".into()),
                        Err(error) => return Broken::Reconnect(error.to_string()),
                    };
                    if response.canceled {
                        let reason = format!("etcd cancelled the watch: {}", response.cancel_reason);
                        return if response.compact_revision > 0 {
                            Broken::Reload(reason)
                        } else {
                            Broken::Reconnect(reason)
                        };
                    }
                    if response.created {
                        *pause = Duration::ZERO;
                        let revision = response.header.map_or(0, |header| header.revision);
                        if revision < self.progress.reached() {
                            return Broken::Reload(format!(
                                "etcd is at revision {revision}, behind {}: was it restored from a backup?",
                                self.progress.reached()
                            ));
                        }
                    }
                    let values = response.events.iter().filter_map(|event| Some(&*event.kv.as_ref()?.value));
                    self.etcd.unlock(values).await;
                    self.apply(&response.events);
                }
                Some(register) = self.register.recv() => match register {
                    Register::Add { cache, done } => {
                        if let Err(error) = self.add(&cache).await {
                            return Broken::Reconnect(format!("cannot read a new resource: {error}"));
                        }
                        let _ = done.send(());
                    }
                    Register::Remove { prefix } => drop(self.caches.remove(&prefix)),
                },
            }
        }
    }

    fn apply(&self, events: &[Event]) {
        let prefix = self.etcd.prefix();
        let mut last = 0;
        for event in events {
            let Some(item) = &event.kv else { continue };
            last = item.mod_revision;
            let Ok(key) = std::str::from_utf8(&item.key) else { continue };
            if key == compaction::KEY {
                let revision = std::str::from_utf8(&item.value).ok().and_then(|text| text.parse().ok());
                self.progress.compact(revision.unwrap_or(0));
            }
            let Some(key) = key.strip_prefix(prefix).and_then(|key| key.strip_prefix('/')) else { continue };
            let Some((cache, key)) = self.caches.of(key) else { continue };
            match event.r#type() {
                EventType::Put => match self.etcd.open(&cache.resource, key, &item.value) {
                    Ok(opened) => cache.put(key, &opened.value, last, item.create_revision == last),
                    Err(reason) => unreadable(&cache.resource, key, reason),
                },
                EventType::Delete => cache.delete(key, last),
            }
        }
        if last > 0 {
            self.progress.reach(last);
        }
    }

    /// Fills the cache of a resource that is new while the feed runs, at the revision the others are at.
    async fn add(&mut self, cache: &Arc<Cache>) -> Result<(), Error> {
        let revision = self.progress.reached();
        let listing = self.etcd.list(Some(&cache.resource), "", None, 0, revision).await?;
        let objects = listing
            .items
            .iter()
            .filter_map(|(key, value, revision)| read(&self.etcd, &cache.resource, key, value, *revision))
            .collect();
        cache.load(objects, revision);
        self.caches.insert(cache.clone());
        Ok(())
    }
}

/// Everything that was read so far, by the prefix of its resource.
struct Load {
    etcd: Etcd,
    caches: Caches,
    found: HashMap<String, Vec<Arc<Object>>>,
}

impl Load {
    fn take(&mut self, items: Vec<(String, Bytes, i64)>) {
        for (key, value, revision) in items {
            let Some((cache, key)) = self.caches.of(&key) else { continue };
            let Some(object) = read(&self.etcd, &cache.resource, key, &value, revision) else { continue };
            match self.found.get_mut(&cache.resource.prefix) {
                Some(objects) => objects.push(object),
                None => {
                    self.found.insert(cache.resource.prefix.clone(), vec![object]);
                }
            }
        }
    }
}

/// How many keys to ask for next, from the sizes of those before.
fn next_chunk(before: &[(String, Bytes, i64)]) -> i64 {
    let bytes: usize = before.iter().map(|(key, value, _)| key.len() + value.len()).sum();
    let keys = CHUNK.saturating_mul(before.len()) / bytes.max(1);
    i64::try_from(keys).unwrap_or(i64::MAX).clamp(*KEYS.start(), *KEYS.end())
}

fn read(etcd: &Etcd, resource: &Resource, key: &str, value: &[u8], revision: i64) -> Option<Arc<Object>> {
    let read = etcd
        .open(resource, key, value)
        .and_then(|opened| Object::read(resource, crate::EventType::Added, key, &opened.value, revision));
    read.map(Arc::new).inspect_err(|reason| unreadable(resource, key, reason)).ok()
}

fn unreadable(resource: &Resource, key: &str, reason: &str) {
    tracing::error!(resource = resource.prefix, key, reason, "stored value is unreadable");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_asks_for_as_many_keys_as_fit() {
        let of = |count: usize, size: usize| vec![(String::new(), Bytes::from(vec![0; size]), 0); count];
        assert_eq!(next_chunk(&of(500, 3 << 10)), 2730);
        assert_eq!(next_chunk(&of(4, 1 << 20)), 50);
        assert_eq!(next_chunk(&of(10, 1)), 10_000);
        assert_eq!(next_chunk(&[]), 50);
    }
}
