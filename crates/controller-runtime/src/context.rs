//! What every controller is given: stores to read, an API to write, a recorder of events.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use component::Runtime;
use component::events::{Kind, Recorder};
use informer::{Object, Store, Watch, WorkQueue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use parking_lot::Mutex;

use crate::Options;
use crate::api::Api;
use crate::objects::Resource;

/// What a controller is given.
#[derive(Clone)]
pub struct Context {
    /// The shared stores.
    pub stores: Stores,
    /// Requests in the controller's name.
    pub api: Api,
    /// Events in the controller's name.
    pub events: Recorder,
    /// The flags.
    pub options: Arc<Options>,
}

impl Context {
    /// Records an event about an object that went as it should.
    pub fn normal<K: Resource>(&self, about: &K, reason: &str, message: impl Into<String>) {
        self.events.record(reference(about), Kind::Normal, reason, message);
    }

    /// Records an event about an object that someone should know of.
    pub fn warning<K: Resource>(&self, about: &K, reason: &str, message: impl Into<String>) {
        self.events.record(reference(about), Kind::Warning, reason, message);
    }
}

/// Returns the reference by which events name an object.
pub fn reference<K: Resource>(object: &K) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version()),
        kind: Some(K::KIND.to_owned()),
        namespace: Some(object.namespace().to_owned()).filter(|namespace| !namespace.is_empty()),
        name: Some(object.name().to_owned()),
        uid: Some(object.uid().to_owned()),
        resource_version: Some(object.resource_version().to_owned()),
        field_path: None,
    }
}

/// Returns now in whole seconds, as the API writes times.
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

/// The stores of all controllers: one for each type, watched from the first time that a controller asks for it.
#[derive(Clone)]
pub struct Stores {
    client: Client,
    runtime: Runtime,
    typed: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
}

impl Stores {
    /// Makes an empty set, which watches through this client.
    pub fn new(client: Client, runtime: Runtime) -> Stores {
        Stores { client, runtime, typed: Arc::default() }
    }

    /// Returns the one store of a type.
    pub fn of<K: Resource>(&self) -> Store<K> {
        let mut typed = self.typed.lock();
        if let Some(store) = typed.get(&TypeId::of::<K>()).and_then(|store| store.downcast_ref::<Store<K>>())
        {
            return store.clone();
        }
        let store = Store::<K>::new();
        typed.insert(TypeId::of::<K>(), Box::new(store.clone()));
        drop(typed);
        self.feed(Watch::resource(K::GROUP, K::VERSION, K::PLURAL, ""), store.clone());
        store
    }

    /// Returns a store of what a watch of one's own shows.
    pub fn watch<K: Object>(&self, watch: Watch) -> Store<K> {
        let store = Store::new();
        self.feed(watch, store.clone());
        store
    }

    fn feed<K: Object>(&self, watch: Watch, store: Store<K>) {
        let latch = self.runtime.latch(format!("informer {}", watch.path()));
        let shutdown = self.runtime.shutdown();
        let client = self.client.clone();
        let name = format!("watch of {}", watch.path());
        self.runtime.spawn(name, async move {
            let opened = async {
                store.ready().await;
                latch.open();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = informer::reflect(client, watch, store.clone()) => {}
                () = opened => {}
                () = shutdown.cancelled() => {}
            }
            anyhow::Ok(())
        });
    }

    /// Closes a queue when the process stops, which ends its workers.
    pub fn close_at_shutdown<K: Clone + Eq + std::hash::Hash + Send + 'static>(&self, queue: &WorkQueue<K>) {
        let (shutdown, queue) = (self.runtime.shutdown(), queue.clone());
        self.runtime.spawn_transient(async move {
            shutdown.cancelled().await;
            queue.close();
        });
    }

    /// Returns the runtime, for what else must be supervised.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns the manager's own client.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
