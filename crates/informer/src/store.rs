//! The shared map of one resource: objects by key, indexes by closure, handlers of changes.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::{Key, Object};
use index::Index;

mod index;
#[cfg(test)]
mod tests;

/// One change of a store, as a handler sees it.
#[derive(Debug)]
pub enum Change<'a, K> {
    /// An object is new or has another version.
    Applied {
        /// The version before, if there was one.
        old: Option<&'a Arc<K>>,
        /// The version now.
        new: &'a Arc<K>,
    },
    /// An object is gone; this is its last known state.
    Deleted(&'a Arc<K>),
}

impl<'a, K> Change<'a, K> {
    /// Returns the object as it is, or as it last was.
    pub fn object(&self) -> &'a Arc<K> {
        match self {
            Change::Applied { new, .. } => new,
            Change::Deleted(last) => last,
        }
    }
}

type Handler<K> = Box<dyn Fn(&Change<'_, K>) + Send + Sync>;

/// What a watch fills: a [`Store`], or an index of one's own that keeps less than whole objects.
pub trait Sink<K>: Send + Sync {
    /// Takes an object that is new or changed.
    fn apply(&self, object: K);
    /// Takes word that the object of this key is gone; `last` is its state at the end if it is known.
    fn delete(&self, key: &str, last: Option<K>);
    /// A listing from nothing begins.
    fn restart(&self);
    /// The listing ends: what was not applied since its beginning is gone.
    fn restarted(&self);
}

impl<K: Object> Sink<K> for Store<K> {
    fn apply(&self, object: K) {
        Store::apply(self, object);
    }
    fn delete(&self, key: &str, last: Option<K>) {
        Store::delete(self, key, last);
    }
    fn restart(&self) {
        Store::restart(self);
    }
    fn restarted(&self) {
        Store::restarted(self);
    }
}

/// The objects of one resource as the watch last showed them.
///
/// Cheap to clone; all clones are the same store. Objects are shared, never copied. A handler runs inside the
/// watch's task: it must not block, and typically puts a key into a `WorkQueue`, which bounds what a burst of
/// changes can hold to one entry per object.
///
/// Fed by [`reflect`](crate::reflect), or in tests by [`Store::apply`] and [`Store::delete`].
pub struct Store<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    content: RwLock<Content<K>>,
    /// Held while one change is applied and handled, so that a late handler misses nothing and sees nothing twice.
    handlers: Mutex<Vec<Handler<K>>>,
    /// Keys seen since a restarted listing began; what is not among them at its end is gone.
    restart: Mutex<Option<HashSet<Key>>>,
    ready: watch::Sender<bool>,
}

struct Content<K> {
    objects: BTreeMap<Key, Arc<K>>,
    indexes: Vec<Index<K>>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Store { shared: Arc::clone(&self.shared) }
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.shared.content.read().objects.len();
        f.debug_struct("Store").field("objects", &count).finish_non_exhaustive()
    }
}

impl<K: Object> Default for Store<K> {
    fn default() -> Self {
        Store::new()
    }
}

impl<K: Object> Store<K> {
    /// Makes an empty store that is not ready.
    pub fn new() -> Store<K> {
        let content = Content { objects: BTreeMap::new(), indexes: Vec::new() };
        Store {
            shared: Arc::new(Shared {
                content: RwLock::new(content),
                handlers: Mutex::new(Vec::new()),
                restart: Mutex::new(None),
                ready: watch::Sender::new(false),
            }),
        }
    }

    /// Adds an index: `values` gives the values under which an object is found by [`Store::by_index`].
    ///
    /// An index of a name that exists already is left as it is, so that several users may ask for the same one.
    pub fn index(&self, name: &'static str, values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) {
        let content = &mut *self.shared.content.write();
        if content.indexes.iter().any(|index| index.name == name) {
            return;
        }
        let mut index = Index::new(name, Box::new(values));
        for (key, object) in &content.objects {
            index.insert(key, object);
        }
        content.indexes.push(index);
    }

    /// Adds a handler, which first sees every object already there as new and then each change.
    pub fn on_change(&self, handler: impl Fn(&Change<'_, K>) + Send + Sync + 'static) {
        let mut handlers = self.shared.handlers.lock();
        for object in self.list() {
            handler(&Change::Applied { old: None, new: &object });
        }
        handlers.push(Box::new(handler));
    }

    /// Returns the object of this key (`namespace/name` or `name`).
    pub fn get(&self, key: &str) -> Option<Arc<K>> {
        self.shared.content.read().objects.get(key).cloned()
    }

    /// Returns the object of this namespace (empty for cluster-scoped) and name.
    pub fn find(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.get(Key::new(namespace, name).as_str())
    }

    /// Returns all objects in the order of their keys.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.shared.content.read().objects.values().cloned().collect()
    }

    /// Returns all keys in order.
    pub fn keys(&self) -> Vec<Key> {
        self.shared.content.read().objects.keys().cloned().collect()
    }

    /// Returns the objects of one namespace in the order of their names.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        // '0' follows '/': the range holds exactly the keys that start with `namespace/`.
        let (first, end) = (format!("{namespace}/"), format!("{namespace}0"));
        let content = self.shared.content.read();
        let range = content.objects.range::<str, _>((Bound::Included(&*first), Bound::Excluded(&*end)));
        range.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// Returns the objects that an index holds under a value, in no particular order.
    pub fn by_index(&self, name: &str, value: &str) -> Vec<Arc<K>> {
        let content = self.shared.content.read();
        let index = content.indexes.iter().find(|index| index.name == name);
        debug_assert!(index.is_some(), "no index {name}");
        let keys = index.into_iter().flat_map(|index| index.keys(value));
        keys.filter_map(|key| content.objects.get(key).cloned()).collect()
    }

    /// Returns how many objects there are.
    pub fn len(&self) -> usize {
        self.shared.content.read().objects.len()
    }

    /// Tells whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether the store has once held everything that the server had.
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Waits until the store has once held everything that the server had.
    pub async fn ready(&self) {
        let mut ready = self.shared.ready.subscribe();
        // The sender lives in `self`: it cannot be gone.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// Stores an object, trimmed, and tells the handlers, unless this very version is there already.
    pub fn apply(&self, mut object: K) {
        object.trim();
        let key = object.key();
        if let Some(seen) = &mut *self.shared.restart.lock() {
            seen.insert(key.clone());
        }
        let new = Arc::new(object);
        let handlers = self.shared.handlers.lock();
        let old = {
            let content = &mut *self.shared.content.write();
            let old = content.objects.get(&key).cloned();
            let same = old.as_ref().is_some_and(|old| {
                !new.resource_version().is_empty()
                    && old.resource_version() == new.resource_version()
                    && old.uid() == new.uid()
            });
            if same {
                return;
            }
            if let Some(old) = &old {
                content.indexes.iter_mut().for_each(|index| index.remove(&key, old));
            }
            content.indexes.iter_mut().for_each(|index| index.insert(&key, &new));
            content.objects.insert(key, Arc::clone(&new));
            old
        };
        // Another uid is another object: its predecessor's deletion was missed and is told now.
        match old {
            Some(old) if old.uid() != new.uid() => {
                for handler in handlers.iter() {
                    handler(&Change::Deleted(&old));
                    handler(&Change::Applied { old: None, new: &new });
                }
            }
            old => {
                for handler in handlers.iter() {
                    handler(&Change::Applied { old: old.as_ref(), new: &new });
                }
            }
        }
    }

    /// Removes the object of this key and tells the handlers; `last` is its state at the end if it is known.
    pub fn delete(&self, key: &str, last: Option<K>) {
        let handlers = self.shared.handlers.lock();
        let old = {
            let content = &mut *self.shared.content.write();
            let Some((key, old)) = content.objects.remove_entry(key) else { return };
            content.indexes.iter_mut().for_each(|index| index.remove(&key, &old));
            old
        };
        let last = match last {
            Some(mut last) => {
                last.trim();
                Arc::new(last)
            }
            None => old,
        };
        for handler in handlers.iter() {
            handler(&Change::Deleted(&last));
        }
    }

    /// Begins a listing from nothing: until its end, what is applied is noted.
    pub fn restart(&self) {
        *self.shared.restart.lock() = Some(HashSet::new());
    }

    /// Ends a listing: what was not applied since its beginning is gone, and the store is ready.
    pub fn restarted(&self) {
        if let Some(seen) = self.shared.restart.lock().take() {
            let gone: Vec<Key> = self.keys().into_iter().filter(|key| !seen.contains(key)).collect();
            for key in gone {
                self.delete(key.as_str(), None);
            }
        }
        self.shared.ready.send_replace(true);
    }
}
