//! Deletion of namespaces.
//!
//! Keeps true: a namespace on its way out is emptied of everything, pods first, and then let go.
//! Woken by: changes of namespaces; the end of pods in such a namespace; time, while something remains.
//! Reads: namespaces, pods, what the API serves, what is left of each resource.
//! Writes: deletes collections and objects; the namespace's conditions and finalizers.
//! Gives up when: never; what remains, and why, is said in the namespace's conditions.

use std::sync::Arc;
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Api, Delete, Error, Propagation};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::{Namespace, Pod};
use informer::{Change, Key, Object, Outcome, Store, WorkQueue, run_workers};
use serde_json::{Value, json};

use crate::discovery::{Discovered, Served, discover};
use content::Content;

mod content;

/// The finalizer that this controller takes away.
const FINALIZER: &str = "kubernetes";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.namespaces;
    let shell = Arc::new(Shell {
        namespaces: context.stores.of(),
        pods: context.stores.of(),
        queue: WorkQueue::new("namespace"),
        api: context.api.clone(),
    });
    context.stores.close_at_shutdown(&shell.queue);
    let on_namespace = Arc::clone(&shell);
    shell.namespaces.on_change(move |change| {
        if change.object().metadata.is_deleting() {
            on_namespace.queue.add(change.object().key());
        }
    });
    let on_pod = Arc::clone(&shell);
    shell.pods.on_change(move |change| {
        if let Change::Deleted(pod) = change
            && on_pod.is_deleting(&pod.metadata.namespace)
        {
            on_pod.queue.add(Key::new("", &pod.metadata.namespace));
        }
    });
    Some(Box::pin(async move {
        shell.namespaces.ready().await;
        run_workers("namespace", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    namespaces: Store<Namespace>,
    pods: Store<Pod>,
    queue: WorkQueue<Key>,
    api: Api,
}

impl Shell {
    fn is_deleting(&self, namespace: &str) -> bool {
        self.namespaces.get(namespace).is_some_and(|namespace| namespace.metadata.is_deleting())
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(namespace) = self.namespaces.get(key.as_str()) else { return Ok(Outcome::Done) };
        if !namespace.metadata.is_deleting() || namespace.spec.finalizers.is_empty() {
            return Ok(Outcome::Done);
        }
        match self.empty(&namespace).await {
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            other => other,
        }
    }

    async fn empty(&self, namespace: &Namespace) -> Result<Outcome, Error> {
        let discovered = discover(&self.api).await?;
        let content = self.delete_content(&namespace.metadata.name, &discovered).await;
        let conditions = content.conditions(&namespace.status.conditions, now());
        let told = conditions != namespace.status.conditions || namespace.status.phase != "Terminating";
        if told && (!content.is_gone() || !namespace.status.conditions.is_empty()) {
            let status = json!({"phase": "Terminating", "conditions": conditions});
            match self.api.update_status(namespace, &status).await {
                Err(error) if error.is_conflict() => return Ok(Outcome::Again),
                other => other?,
            }
        }
        if !content.is_gone() {
            return Ok(content.look_again().map_or(Outcome::Again, Outcome::After));
        }
        self.finalize(namespace).await?;
        Ok(Outcome::Done)
    }

    /// Deletes everything in a namespace, pods before the rest, and notes what remains.
    async fn delete_content(&self, namespace: &str, discovered: &Discovered) -> Content {
        let mut content = Content::new(discovered.failed.clone());
        let deletable = |resource: &&Served| resource.namespaced && resource.can(&["delete"]);
        let is_pods = |resource: &&Served| resource.plural == "pods" && resource.group.is_empty();
        for resource in discovered.resources.iter().filter(deletable).filter(is_pods) {
            self.delete_all(namespace, resource, &mut content).await;
        }
        // Pods may need what else is in the namespace to end well: the rest waits for them.
        if content.is_waiting() {
            return content;
        }
        for resource in discovered.resources.iter().filter(deletable).filter(|one| !is_pods(one)) {
            self.delete_all(namespace, resource, &mut content).await;
        }
        content
    }

    async fn delete_all(&self, namespace: &str, resource: &Served, content: &mut Content) {
        if !resource.can(&["list"]) {
            if resource.can(&["deletecollection"]) {
                let deleted =
                    self.api.delete_collection(&resource.path(namespace), Propagation::Background).await;
                content.note_failure(resource, deleted.err());
            }
            return;
        }
        match self.delete_listed(namespace, resource).await {
            Ok(remaining) => content.note(resource, &remaining, self.longest_grace(namespace, resource)),
            // A resource that is gone since discovery, or that cannot be listed, holds nothing up.
            Err(error) if error.is_not_found() || error.is_method_not_supported() => {}
            Err(error) => content.note_failure(resource, Some(error)),
        }
    }

    /// Deletes all objects of a resource and returns what is left then.
    async fn delete_listed(&self, namespace: &str, resource: &Served) -> Result<Vec<Value>, Error> {
        let path = resource.path(namespace);
        let present = self.list(&path).await?;
        if present.is_empty() {
            return Ok(present);
        }
        if resource.can(&["deletecollection"]) {
            self.api.delete_collection(&path, Propagation::Background).await?;
        } else {
            for object in &present {
                let Some(name) = object["metadata"]["name"].as_str() else { continue };
                let delete = Delete { propagation: Some(Propagation::Background), ..Delete::default() };
                match self.api.delete(&format!("{path}/{name}"), delete).await {
                    Err(error) if error.is_not_found() => {}
                    other => drop(other?),
                }
            }
        }
        self.list(&path).await
    }

    async fn list(&self, path: &str) -> Result<Vec<Value>, Error> {
        let mut list = self.api.list_metadata(path).await?;
        Ok(match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        })
    }

    /// How long the pods of a namespace may still take.
    fn longest_grace(&self, namespace: &str, resource: &Served) -> Option<Duration> {
        if resource.plural != "pods" || !resource.group.is_empty() {
            return None;
        }
        let pods = self.pods.in_namespace(namespace);
        let graces = pods
            .iter()
            .filter(|pod| !pod.is_terminal())
            .filter_map(|pod| u64::try_from(pod.metadata.deletion_grace_period_seconds?).ok());
        graces.max().map(Duration::from_secs)
    }

    async fn finalize(&self, namespace: &Namespace) -> Result<(), Error> {
        let path = path_of(namespace);
        let mut live = self.api.get(&path).await?;
        let left = live["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
        let left: Vec<Value> = left.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
        live["spec"]["finalizers"] = left.into();
        self.api.update(&format!("{path}/finalize"), &live).await.map(drop)
    }
}
