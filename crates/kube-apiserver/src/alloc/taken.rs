//! What the Services in the cache have, kept up to date by a watch that is read when somebody asks.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use storage::{EventType, Filter, Object, Store, Watch, WatchStart};

use super::fields;

/// Addresses and ports of all Services.
#[derive(Debug, Default)]
pub(super) struct Taken {
    watch: Option<Watch>,
    services: HashMap<Box<str>, (Vec<IpAddr>, Vec<u16>)>,
    addresses: Counted<IpAddr>,
    ports: Counted<u16>,
}

/// How many Services have a thing: two, while one hands it to the other.
#[derive(Debug)]
struct Counted<K>(HashMap<K, u32>);

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Copy> Counted<K> {
    fn add(&mut self, keys: &[K]) {
        for key in keys {
            *self.0.entry(*key).or_default() += 1;
        }
    }

    fn remove(&mut self, keys: &[K]) {
        for key in keys {
            if let Some(count) = self.0.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(key);
                }
            }
        }
    }
}

impl Taken {
    /// Takes in what happened since the last time. A write that has returned is in the watch already.
    pub(super) fn refresh(&mut self, store: &Store) {
        if self.watch.as_ref().is_none_or(Watch::has_ended) {
            *self = Self::default();
            let Some(cache) = store.cache("services/specs") else { return };
            self.watch = cache.watch(WatchStart::Objects, Filter::default()).ok().map(|(watch, _)| watch);
        }
        while let Some(event) = self.watch.as_mut().and_then(Watch::try_next) {
            self.forget(event.object.key());
            if event.event != EventType::Deleted {
                self.remember(&event.object);
            }
        }
    }

    fn remember(&mut self, object: &Object) {
        let Ok(service) = object.value() else { return };
        let (addresses, ports) = (fields::addresses(&service), fields::node_ports(&service));
        self.addresses.add(&addresses);
        self.ports.add(&ports);
        self.services.insert(object.key().into(), (addresses, ports));
    }

    fn forget(&mut self, key: &str) {
        if let Some((addresses, ports)) = self.services.remove(key) {
            self.addresses.remove(&addresses);
            self.ports.remove(&ports);
        }
    }

    /// Whether a Service has the address.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.0.contains_key(&address)
    }

    /// Whether a Service has the port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.ports.0.contains_key(&port)
    }

    /// How many addresses are taken.
    pub(super) fn address_count(&self) -> usize {
        self.addresses.0.len()
    }
}
