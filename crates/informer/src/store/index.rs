//! One index of a store: keys of objects by a value computed from each.

use std::collections::{BTreeSet, HashMap};

use crate::Key;

type Values<K> = Box<dyn Fn(&K) -> Vec<String> + Send + Sync>;

pub(super) struct Index<K> {
    pub(super) name: &'static str,
    values: Values<K>,
    keys: HashMap<String, BTreeSet<Key>>,
}

impl<K> Index<K> {
    pub(super) fn new(name: &'static str, values: Values<K>) -> Index<K> {
        Index { name, values, keys: HashMap::new() }
    }

    pub(super) fn insert(&mut self, key: &Key, object: &K) {
        for value in (self.values)(object) {
            self.keys.entry(value).or_default().insert(key.clone());
        }
    }

    pub(super) fn remove(&mut self, key: &Key, object: &K) {
        for value in (self.values)(object) {
            if let Some(keys) = self.keys.get_mut(&value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.keys.remove(&value);
                }
            }
        }
    }

    pub(super) fn keys(&self, value: &str) -> impl Iterator<Item = &Key> + use<'_, K> {
        self.keys.get(value).into_iter().flatten()
    }
}
