//! The ConfigMaps and Secrets that this node's pods refer to, each kept current by a watch of its own.
//!
//! The API server lets a node see only the objects its pods name, one by one, so there is one watch an object; it ends
//! when the last pod that names it is gone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use informer::{Store, Watch, reflect};
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret, Volume};
use kube::Client;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};

use crate::{
    container::env,
    pod::{self, PodRef},
};

/// How long a pod's start waits for an object's first answer before it is reported and tried again.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// An object a pod refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    kind: ObjectKind,
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum ObjectKind {
    ConfigMap,
    Secret,
}

/// Why an object could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there.
    #[error("{kind} \"{name}\" not found")]
    NotFound {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The API server has not answered yet.
    #[error("failed to sync {kind} cache: timed out waiting for the condition")]
    NotSynced {
        /// `configmap` or `secret`.
        kind: &'static str,
    },
}

type Changed = Arc<dyn Fn(&str) + Send + Sync>;

/// The objects and who refers to them. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    client: Option<Client>,
    entries: Arc<Mutex<HashMap<ObjectRef, Entry>>>,
    changed: Changed,
    watches: Arc<Mutex<JoinSet<()>>>,
}

struct Entry {
    stored: Stored,
    watch: AbortHandle,
    /// Uids of the pods that refer to it.
    users: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
enum Stored {
    ConfigMap(Store<ConfigMap>),
    Secret(Store<Secret>),
}

impl Objects {
    /// Makes an empty set. `changed` is called with the uid of each pod that refers to an object that changed.
    pub fn new(client: Option<Client>, changed: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { client, entries: Arc::default(), changed: Arc::new(changed), watches: Arc::default() }
    }

    /// Begins to watch what a pod refers to.
    pub fn register(&self, pod: &Pod) {
        let Some(client) = &self.client else { return };
        let uid = pod::uid(pod);
        let mut entries = self.entries.lock();
        for object in references(pod) {
            let entry = entries.entry(object.clone()).or_insert_with(|| self.start(client.clone(), &object));
            let mut users = entry.users.lock();
            if !users.iter().any(|user| user == uid) {
                users.push(uid.to_owned());
            }
        }
    }

    /// Ends what only this pod referred to.
    pub fn unregister(&self, pod: &PodRef) {
        self.entries.lock().retain(|_, entry| {
            let mut users = entry.users.lock();
            users.retain(|user| *user != pod.uid);
            if users.is_empty() {
                entry.watch.abort();
            }
            !users.is_empty()
        });
    }

    fn start(&self, client: Client, object: &ObjectRef) -> Entry {
        let users: Arc<Mutex<Vec<String>>> = Arc::default();
        let selector = format!("metadata.name={}", object.name);
        let tell = {
            let (users, changed) = (Arc::clone(&users), Arc::clone(&self.changed));
            move || {
                let current = users.lock().clone();
                current.iter().for_each(|uid| changed(uid));
            }
        };
        let mut watches = self.watches.lock();
        while watches.try_join_next().is_some() {}
        let (stored, watch) = match object.kind {
            ObjectKind::ConfigMap => {
                let store = Store::<ConfigMap>::new();
                store.on_change(move |_| tell());
                let watch = Watch::namespaced::<ConfigMap>(&object.namespace).fields(&selector);
                (Stored::ConfigMap(store.clone()), watches.spawn(reflect(client, watch, store)))
            }
            ObjectKind::Secret => {
                let store = Store::<Secret>::new();
                store.on_change(move |_| tell());
                let watch = Watch::namespaced::<Secret>(&object.namespace).fields(&selector);
                (Stored::Secret(store.clone()), watches.spawn(reflect(client, watch, store)))
            }
        };
        Entry { stored, watch, users }
    }

    fn stored(&self, kind: ObjectKind, namespace: &str, name: &str) -> Option<Stored> {
        let object = ObjectRef { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        self.entries.lock().get(&object).map(|entry| entry.stored.clone())
    }

    /// Reads a ConfigMap that a registered pod refers to.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, Error> {
        let not_found = || Error::NotFound { kind: "configmap", name: name.to_owned() };
        match self.stored(ObjectKind::ConfigMap, namespace, name) {
            Some(Stored::ConfigMap(store)) => {
                let answered = tokio::time::timeout(FIRST_ANSWER, store.ready()).await;
                answered.map_err(|_| Error::NotSynced { kind: "configmap" })?;
                store.find(namespace, name).ok_or_else(not_found)
            }
            _ => Err(not_found()),
        }
    }

    /// Reads a Secret that a registered pod refers to.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, Error> {
        let not_found = || Error::NotFound { kind: "secret", name: name.to_owned() };
        match self.stored(ObjectKind::Secret, namespace, name) {
            Some(Stored::Secret(store)) => {
                let answered = tokio::time::timeout(FIRST_ANSWER, store.ready()).await;
                answered.map_err(|_| Error::NotSynced { kind: "secret" })?;
                store.find(namespace, name).ok_or_else(not_found)
            }
            _ => Err(not_found()),
        }
    }

    /// Collects what a container's environment refers to. What is not there is noted as missing.
    pub async fn environment(&self, pod: &Pod, container: &Container) -> Result<env::Objects, Error> {
        let (config_maps, secrets) = env::references(container);
        let namespace = pod::namespace(pod);
        let mut objects = env::Objects::default();
        for name in config_maps {
            let found = present(self.config_map(namespace, &name).await)?;
            objects.config_maps.insert(name, found);
        }
        for name in secrets {
            let found = present(self.secret(namespace, &name).await)?;
            objects.secrets.insert(name, found);
        }
        Ok(objects)
    }
}

fn present<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists everything a pod refers to: volumes, environment, pull secrets.
fn references(pod: &Pod) -> Vec<ObjectRef> {
    let namespace = pod::namespace(pod);
    let of = |kind, name: &str| ObjectRef { kind, namespace: namespace.to_owned(), name: name.to_owned() };
    let mut objects = Vec::new();
    for volume in pod::spec(pod).volumes.iter().flatten() {
        let (config_maps, secrets) = volume_references(volume);
        objects.extend(config_maps.iter().map(|name| of(ObjectKind::ConfigMap, name)));
        objects.extend(secrets.iter().map(|name| of(ObjectKind::Secret, name)));
    }
    for (_, container) in pod::containers(pod) {
        let (config_maps, secrets) = env::references(&container);
        objects.extend(config_maps.iter().map(|name| of(ObjectKind::ConfigMap, name)));
        objects.extend(secrets.iter().map(|name| of(ObjectKind::Secret, name)));
    }
    let pull_secrets = pod::spec(pod).image_pull_secrets.iter().flatten();
    objects.extend(pull_secrets.map(|secret| of(ObjectKind::Secret, &secret.name)));
    objects.retain(|object| !object.name.is_empty());
    objects.sort();
    objects.dedup();
    objects
}

fn volume_references(volume: &Volume) -> (Vec<String>, Vec<String>) {
    let (mut config_maps, mut secrets) = (Vec::new(), Vec::new());
    config_maps.extend(volume.config_map.as_ref().map(|source| source.name.clone()));
    secrets.extend(volume.secret.as_ref().and_then(|source| source.secret_name.clone()));
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        config_maps.extend(source.config_map.as_ref().map(|source| source.name.clone()));
        secrets.extend(source.secret.as_ref().map(|source| source.name.clone()));
    }
    (config_maps, secrets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_a_pod_names_is_found_once() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {
                "imagePullSecrets": [{"name": "pull"}],
                "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "a"}}],
                    "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}],
                "volumes": [{"name": "v", "configMap": {"name": "a"}}, {"name": "w", "secret": {"secretName": "t"}},
                    {"name": "x", "projected": {"sources": [{"configMap": {"name": "b"}}, {"secret": {"name": "s"}}]}}],
            },
        }))
        .unwrap();
        let found: Vec<String> =
            references(&pod).iter().map(|object| format!("{:?} {}", object.kind, object.name)).collect();
        assert_eq!(found, ["ConfigMap a", "ConfigMap b", "Secret pull", "Secret s", "Secret t"]);
    }
}
