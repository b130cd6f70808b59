//! The watch cache of one resource: its objects in key order, a window of past events, and its watchers.

#![allow(clippy::mutable_key_type, reason = "objects are ordered by their key, which never changes")]

mod lists;
mod watchers;
mod window;

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

use self::lists::Counter;
pub use self::lists::{Lists, Source};
use self::watchers::Watchers;
pub use self::watchers::{Accepts, Filter, Watch, WatchEvent};
use self::window::Window;
use crate::object::ByKey;
use crate::scan::{Paths, SelectableField};
use crate::{Error, EventType, Object, Progress};

/// What the store must know about a resource.
#[derive(Debug)]
pub struct Resource {
    /// Where its keys are below the store's prefix: `pods`, `services/specs`.
    pub prefix: String,
    /// Its group, as a configuration of encryption names it.
    pub group: String,
    /// Its plural, as a configuration of encryption names it; empty for what the server keeps for itself.
    pub plural: String,
    /// Whether keys are `namespace/name` or `name`.
    pub namespaced: bool,
    /// The fields that field selectors can name, besides `metadata.name` and `metadata.namespace`.
    pub fields: Vec<SelectableField>,
    /// The field by which objects and watchers are indexed: `spec.nodeName` of pods.
    pub indexed: Option<usize>,
    /// Brings what was stored before the present rules into their form.
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) paths: Paths,
}

/// Brings a stored value into another form; gives nothing where it has that already.
#[derive(Clone)]
pub struct Rewrite(Arc<Rewriting>);

type Rewriting = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

impl Rewrite {
    /// By this function.
    pub fn by(function: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(crate) fn apply(&self, stored: &[u8]) -> Option<Vec<u8>> {
        (self.0)(stored)
    }
}

impl std::fmt::Debug for Rewrite {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Rewrite")
    }
}

impl Resource {
    /// Describes a resource.
    pub fn new(prefix: &str, namespaced: bool, fields: Vec<SelectableField>) -> Self {
        let paths = Paths::new(fields.iter().flat_map(|field| field.paths.iter().map(Vec::as_slice)));
        let (group, plural) = Default::default();
        Self {
            prefix: prefix.to_owned(),
            group,
            plural,
            namespaced,
            fields,
            indexed: None,
            rewrite: None,
            paths,
        }
    }

    /// Names the resource as the API does.
    pub fn named(mut self, group: &str, plural: &str) -> Self {
        self.group = group.to_owned();
        self.plural = plural.to_owned();
        self
    }

    /// Indexes objects and watchers by a selectable field.
    pub fn indexed_by(mut self, field: &str) -> Self {
        self.indexed = self.fields.iter().position(|known| known.name == field);
        self
    }

    /// Brings stored values into another form as they are read. Writing one of them is a change, even to what it is read
    /// as.
    pub fn rewritten(mut self, rewrite: Option<Rewrite>) -> Self {
        self.rewrite = rewrite;
        self
    }

    /// The position of a selectable field.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

/// Which part of the resource a list looks at.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only this namespace; empty means all.
    pub namespace: String,
    /// Only objects whose indexed field has this value.
    pub indexed: Option<String>,
    /// Only keys after this one.
    pub after: Option<String>,
    /// Only this key.
    pub key: Option<String>,
}

/// Part of a list.
#[derive(Debug)]
pub struct Page {
    /// The objects of the page, in key order.
    pub objects: Vec<Arc<Object>>,
    /// The revision at which they were so.
    pub revision: i64,
    /// There is more behind the last object.
    pub more: bool,
    /// How many objects of the query are behind the page, where that is known.
    pub remaining: Option<i64>,
}

/// What has happened in a cache since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often it was filled.
    pub loads: u64,
    /// Changes that etcd told of.
    pub received: u64,
    /// Objects and earlier changes that watches began with.
    pub first: u64,
    /// Watches that were ended because nobody read them.
    pub ended: u64,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchStart {
    /// With the events after this revision.
    After(i64),
    /// With all objects there are, as added, then what changes.
    Objects,
}

struct State {
    objects: BTreeSet<ByKey>,
    index: HashMap<Box<str>, BTreeSet<ByKey>>,
    window: Window,
    watchers: Watchers,
    /// The revision of the last event of this resource: its content is the same at every later revision.
    changed: i64,
    loaded: bool,
    counts: Counts,
    /// The server stops: a watch ends when it has begun.
    ending: bool,
}

/// The watch cache of one resource.
pub struct Cache {
    /// What is cached.
    pub resource: Resource,
    progress: Arc<Progress>,
    state: RwLock<State>,
    /// What lists cost, by [`Source`].
    lists: [Counter; 3],
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("prefix", &self.resource.prefix).finish_non_exhaustive()
    }
}

impl Cache {
    /// Makes an empty cache that is filled by the feed.
    pub fn new(resource: Resource, progress: Arc<Progress>) -> Self {
        Self {
            resource,
            progress,
            state: RwLock::new(State {
                objects: BTreeSet::new(),
                index: HashMap::new(),
                window: Window::default(),
                watchers: Watchers::default(),
                changed: 0,
                loaded: false,
                counts: Counts::default(),
                ending: false,
            }),
            lists: Default::default(),
        }
    }

    /// Replaces everything by what was read from etcd at one revision. Watchers end, since what happened
    /// between is unknown: they list again.
    pub(crate) fn load(&self, objects: Vec<Arc<Object>>, revision: i64) {
        self.count_list(Source::Storage, objects.len(), objects.len(), objects.len());
        let mut state = self.state.write();
        let index = self.resource.indexed.map_or_else(HashMap::new, |field| {
            let mut index: HashMap<Box<str>, BTreeSet<ByKey>> = HashMap::new();
            for object in &objects {
                let value = object.field(&self.resource, field);
                if !value.is_empty() {
                    index.entry(value.into()).or_default().insert(ByKey(object.clone()));
                }
            }
            index
        });
        // Deletions may have been missed: nobody may take the content for unchanged since before.
        state.changed = revision;
        state.objects = objects.into_iter().map(ByKey).collect();
        state.index = index;
        state.window = Window::starting_at(revision);
        state.loaded = true;
        state.counts.loads += 1;
        drop(std::mem::take(&mut state.watchers));
    }

    /// Whether the cache has been filled.
    pub fn is_loaded(&self) -> bool {
        self.state.read().loaded
    }

    /// Applies a write that etcd reports.
    pub(crate) fn put(&self, key: &str, stored: &[u8], revision: i64, created: bool) {
        let event = if created { EventType::Added } else { EventType::Modified };
        match Object::read(&self.resource, event, key, stored, revision) {
            Ok(object) => self.apply(Arc::new(object), false),
            Err(reason) => {
                tracing::error!(resource = self.resource.prefix, key, reason, "stored value is unreadable");
            }
        }
    }

    /// Applies a deletion that etcd reports.
    pub(crate) fn delete(&self, key: &str, revision: i64) {
        let before = self.state.read().objects.get(key).cloned();
        if let Some(ByKey(before)) = before {
            self.apply(before.ended(&self.resource, revision), true);
        }
    }

    fn apply(&self, object: Arc<Object>, deleted: bool) {
        let mut guard = self.state.write();
        let state = &mut *guard;
        if object.revision() < state.changed {
            // Happens only while a resource is added to a running feed: its load was newer.
            return;
        }
        state.changed = object.revision();
        let indexed = |object: &Object| -> Option<Box<str>> {
            let value = object.field(&self.resource, self.resource.indexed?);
            (!value.is_empty()).then(|| value.into())
        };
        let before = if deleted {
            state.objects.take(object.key()).map(|ByKey(object)| object)
        } else {
            state.objects.replace(ByKey(object.clone())).map(|ByKey(object)| object)
        };
        if self.resource.indexed.is_some() {
            if let Some(value) = before.as_deref().and_then(indexed)
                && let Some(members) = state.index.get_mut(&value)
            {
                members.remove(object.key());
                if members.is_empty() {
                    state.index.remove(&value);
                }
            }
            if !deleted && let Some(value) = indexed(&object) {
                state.index.entry(value).or_default().insert(ByKey(object.clone()));
            }
        }
        let event = window::Event { object, before, deleted };
        state.counts.received += 1;
        state.counts.ended += state.watchers.send(&self.resource, &event);
        state.window.push(event);
    }

    /// The object with this key as the cache has it.
    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.state.read().objects.get(key).map(|ByKey(object)| object.clone())
    }

    /// The same version of an object in another form, by the JSON of that.
    pub fn in_form(&self, object: &Object, json: &[u8]) -> Result<Arc<Object>, &'static str> {
        let (event, revision) = (object.event(), object.revision());
        Object::read_as_it_is(&self.resource, event, object.key(), json, revision).map(Arc::new)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has happened here since the start.
    pub fn counts(&self) -> Counts {
        self.state.read().counts
    }

    /// The revision of the resource's last change: a read at any later revision sees the same.
    pub fn changed(&self) -> i64 {
        self.state.read().changed
    }

    /// Visits the objects of a query in key order until the visitor has enough; returns the revision at which
    /// they were so.
    pub fn visit(&self, query: &Query, mut visitor: impl FnMut(&Arc<Object>) -> bool) -> i64 {
        // Read before the content: whatever happened up to it is in the content.
        let reached = self.progress.reached();
        let state = self.state.read();
        let reached = reached.max(state.changed);
        if let Some(key) = &query.key {
            if let Some(ByKey(object)) = state.objects.get(key.as_str()) {
                visitor(object);
            }
            return reached;
        }
        let objects = match &query.indexed {
            None => &state.objects,
            Some(value) => match state.index.get(value.as_str()) {
                Some(members) => members,
                None => return reached,
            },
        };
        let (mut from, mut to) = (String::new(), String::new());
        if !query.namespace.is_empty() {
            from = format!("{}/", query.namespace);
            // The byte after the slash: the end of the namespace's keys.
            to = format!("{}0", query.namespace);
        }
        let mut lower = Bound::Included(from.as_str());
        if let Some(after) = &query.after
            && after.as_str() >= from.as_str()
        {
            lower = Bound::Excluded(after.as_str());
        }
        let upper = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to.as_str()) };
        // A continue token may name a key behind the namespace; a range that ends before it starts panics.
        if let (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to)) = (lower, upper)
            && from >= to
        {
            return reached;
        }
        for ByKey(object) in objects.range::<str, _>((lower, upper)) {
            if !visitor(object) {
                break;
            }
        }
        reached
    }

    /// What lists from a source have cost since the start.
    pub fn lists(&self, source: Source) -> Lists {
        self.lists[source as usize].read()
    }

    pub(crate) fn count_list(&self, source: Source, fetched: usize, evaluated: usize, returned: usize) {
        self.lists[source as usize].add(fetched, evaluated, returned);
    }

    /// The objects of a query that the predicate takes, at most `limit` (0: all).
    pub fn page(&self, query: &Query, limit: usize, predicate: Option<&dyn Fn(&Object) -> bool>) -> Page {
        let (page, fetched) = self.pick(query, limit, predicate);
        self.count_page(query, &page, fetched);
        page
    }

    /// Counts a list that was answered with a page, for which so many objects were looked at.
    pub(crate) fn count_page(&self, query: &Query, page: &Page, fetched: usize) {
        let source = if query.indexed.is_some() { Source::Index } else { Source::Cache };
        self.count_list(source, fetched, fetched, page.objects.len());
    }

    /// The same, uncounted; and how many objects were looked at.
    pub(crate) fn pick(
        &self,
        query: &Query,
        limit: usize,
        predicate: Option<&dyn Fn(&Object) -> bool>,
    ) -> (Page, usize) {
        let mut objects = Vec::new();
        let (mut more, mut behind, mut fetched) = (false, 0, 0);
        let revision = self.visit(query, |object| {
            if limit != 0 && objects.len() == limit {
                more = true;
                behind += 1;
                // Counting what is left is only right where every object counts.
                return predicate.is_none();
            }
            fetched += 1;
            if predicate.is_none_or(|takes| takes(object)) {
                objects.push(object.clone());
            }
            true
        });
        let remaining = (more && predicate.is_none()).then_some(behind);
        (Page { objects, revision, more, remaining }, fetched)
    }

    /// Opens a watch. `accepts` decides by labels and fields; `filter` says where to look.
    ///
    /// The revision of the snapshot that the watch begins with is returned with it; it is at least what the
    /// cache had reached, which the caller has waited for.
    pub fn watch(self: &Arc<Self>, start: WatchStart, filter: Filter) -> Result<(Watch, i64), Error> {
        let reached = self.progress.reached();
        let mut guard = self.state.write();
        let state = &mut *guard;
        let mut first = Vec::new();
        match start {
            WatchStart::After(revision) => {
                if !state.window.covers(revision) {
                    return Err(Error::Compacted);
                }
                for event in state.window.after(revision) {
                    first.extend(watchers::seen(&self.resource, &filter, event));
                }
            }
            WatchStart::Objects => {
                let all = filter.indexed.as_deref().map(|value| state.index.get(value));
                let objects = match &all {
                    None => Some(&state.objects),
                    Some(members) => *members,
                };
                for ByKey(object) in objects.into_iter().flatten() {
                    if filter.takes(object) {
                        first.push(WatchEvent { event: EventType::Added, object: object.clone() });
                    }
                }
            }
        }
        let revision = reached.max(state.changed);
        let after = match start {
            WatchStart::After(revision) => revision,
            WatchStart::Objects => 0,
        };
        state.counts.first += first.len() as u64;
        let watch = state.watchers.add(self, filter, after, first);
        if state.ending {
            drop(std::mem::take(&mut state.watchers));
        }
        Ok((watch, revision))
    }

    /// How many watches are open.
    pub fn watch_count(&self) -> usize {
        self.state.read().watchers.len()
    }

    /// Ends every watch, and from now on each that is opened: a client whose watch has ended opens another at once, and
    /// a server that stops would wait for that.
    pub fn end_watches(&self) {
        let mut state = self.state.write();
        state.ending = true;
        drop(std::mem::take(&mut state.watchers));
    }

    fn forget(&self, filter: &watchers::Interest, id: u64) {
        self.state.write().watchers.remove(filter, id);
    }

    /// The object as a tree that is kept with this version.
    pub fn value(&self, key: &str) -> Option<Arc<Value>> {
        self.get(key)?.kept_value()
    }
}
