//! Slices written and not yet seen back: until then the store shows an older state, and packing it again would
//! write everything twice.

use std::collections::HashMap;

use controller_runtime::objects::EndpointSlice;
use informer::Key;
use serde_json::Value;

/// What is waited for, by service and uid of slice.
#[derive(Debug, Default)]
pub struct Tracker {
    waiting: HashMap<Key, HashMap<String, Awaited>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Awaited {
    /// A version at least as new as this.
    Version(u64),
    Gone,
}

impl Tracker {
    /// Notes what was written.
    pub fn wrote(&mut self, service: &Key, written: &Value) {
        let metadata = &written["metadata"];
        let version = metadata["resourceVersion"].as_str().and_then(|version| version.parse().ok());
        if let (Some(uid), Some(version)) = (metadata["uid"].as_str(), version) {
            let slices = self.waiting.entry(service.clone()).or_default();
            slices.insert(uid.to_owned(), Awaited::Version(version));
        }
    }

    /// Notes that a slice is about to be deleted.
    pub fn deleting(&mut self, service: &Key, slice: &EndpointSlice) {
        let slices = self.waiting.entry(service.clone()).or_default();
        slices.insert(slice.metadata.uid.clone(), Awaited::Gone);
    }

    /// Takes word of a slice; tells whether it was waited for and others of its service still are.
    pub fn seen(&mut self, slice: &EndpointSlice) -> bool {
        let version: u64 = slice.metadata.resource_version.parse().unwrap_or(u64::MAX);
        self.settle(&slice.metadata.uid, |awaited| match awaited {
            Awaited::Version(awaited) => version >= *awaited,
            Awaited::Gone => false,
        })
    }

    /// Takes word that a slice is gone; tells as [`Tracker::seen`] does.
    pub fn seen_gone(&mut self, slice: &EndpointSlice) -> bool {
        self.settle(&slice.metadata.uid, |_| true)
    }

    /// Tells whether everything written for a service was seen.
    pub fn is_seen(&self, service: &Key) -> bool {
        !self.waiting.contains_key(service)
    }

    /// Forgets a service.
    pub fn forget(&mut self, service: &Key) {
        self.waiting.remove(service);
    }

    fn settle(&mut self, uid: &str, is_it: impl Fn(&Awaited) -> bool) -> bool {
        let Some((key, slices)) = self.waiting.iter_mut().find(|(_, slices)| slices.contains_key(uid)) else {
            return false;
        };
        if slices.get(uid).is_some_and(is_it) {
            slices.remove(uid);
        }
        if slices.is_empty() {
            let key = key.clone();
            self.waiting.remove(&key);
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn waits_until_every_write_was_seen() {
        let slice = |uid: &str, version: &str| -> EndpointSlice {
            serde_json::from_value(json!({"metadata": {"uid": uid, "resourceVersion": version}})).unwrap()
        };
        let key = Key::new("default", "web");
        let mut tracker = Tracker::default();
        tracker.wrote(&key, &json!({"metadata": {"uid": "a", "resourceVersion": "7"}}));
        tracker.deleting(&key, &slice("b", "3"));
        assert!(!tracker.is_seen(&key));
        assert!(tracker.seen(&slice("a", "6")), "older than what was written");
        assert!(tracker.seen(&slice("a", "7")), "one more to come");
        assert!(!tracker.seen_gone(&slice("b", "3")), "the last wakes the service");
        assert!(tracker.is_seen(&key));
        assert!(!tracker.seen(&slice("stranger", "9")));
    }
}
