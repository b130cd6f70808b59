//! Endpoints, the older form of endpoint slices.
//!
//! Keeps true: the endpoints object of a service with a selector lists its pods, grouped by equal ports.
//! Woken by: changes of services, of pods behind them, of endpoints.
//! Reads: services, pods, endpoints. Writes: endpoints of the service's name.
//! Gives up when: never; what others put into an object of a service without a selector is left alone, and so are
//! objects that are used for leader election.

use std::sync::Arc;

use component::cause::whole;
use controller_runtime::Running;
use controller_runtime::api::path::{named_path, path_of, resource_path};
use controller_runtime::api::{Delete, Error};
use controller_runtime::context::Context;
use controller_runtime::objects::{Endpoints, Pod, Service};
use informer::{Key, Object, Outcome, Store, WorkQueue, run_workers};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;

use super::service_pods::{labels, pods_of, wake};
use super::trigger_time::{TriggerTimes, annotate};
use subsets::{Desired, desired};

mod subsets;

/// The annotation of objects by which components once elected their leaders.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Says that not all addresses fitted in.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.endpoints;
    let shell = Arc::new(Shell {
        services: context.stores.of(),
        pods: context.stores.of(),
        endpoints: context.stores.of(),
        times: Mutex::default(),
        queue: WorkQueue::new("endpoint"),
        context,
    });
    shell.context.stores.close_at_shutdown(&shell.queue);
    wake(&shell.services, &shell.pods, &shell.queue);
    let on_endpoints = Arc::clone(&shell);
    shell.endpoints.on_change(move |change| on_endpoints.queue.add(change.object().key()));
    Some(Box::pin(async move {
        shell.services.ready().await;
        shell.pods.ready().await;
        shell.endpoints.ready().await;
        run_workers("endpoints", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    services: Store<Service>,
    pods: Store<Pod>,
    endpoints: Store<Endpoints>,
    /// What of the services and pods is known to have changed.
    times: Mutex<TriggerTimes>,
    queue: WorkQueue<Key>,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let present = self.endpoints.get(key.as_str());
        let Some(service) = self.services.get(key.as_str()) else {
            self.times.lock().forget(&key);
            return match present {
                Some(orphan) => self.remove(&orphan).await,
                None => Ok(Outcome::Done),
            };
        };
        let Some(pods) = pods_of(&service, &self.pods) else { return Ok(Outcome::Done) };
        let triggered = self.times.lock().look(&service, &pods);
        let desired = desired(&service, &pods);
        match self.write(&service, present.as_deref(), desired, triggered).await {
            Err(error) if error.is_namespace_terminating() => Ok(Outcome::Done),
            // Our own of a moment ago, not yet seen: nothing that anyone should know of.
            Err(error) if error.is_already_exists() => Err(error),
            Err(error) => {
                let (action, verb) =
                    if present.is_some() { ("Update", "updating") } else { ("Create", "creating") };
                let message = format!("Failed {verb} endpoint {key}: {}", whole(&error));
                self.context.warning(&*service, &format!("FailedTo{action}Endpoint"), message);
                Err(error)
            }
            Ok(()) => Ok(Outcome::Done),
        }
    }

    /// Removes the endpoints of a service that is gone, unless someone elects a leader by them.
    async fn remove(&self, orphan: &Endpoints) -> Result<Outcome, Error> {
        let is_ours = orphan.metadata.labels.get(MANAGED_BY).is_some_and(|manager| manager == MANAGER);
        if !is_ours || orphan.metadata.annotations.contains_key(LEADER) {
            return Ok(Outcome::Done);
        }
        let delete = Delete { uid: Some(&orphan.metadata.uid), ..Delete::default() };
        match self.context.api.delete(&path_of(orphan), delete).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(Outcome::Done),
        }
    }

    async fn write(
        &self,
        service: &Service,
        present: Option<&Endpoints>,
        desired: Desired,
        triggered: Option<Timestamp>,
    ) -> Result<(), Error> {
        let labels = labels(service, [(MANAGED_BY, MANAGER)]);
        let mut annotations = present.map(|present| present.metadata.annotations.clone()).unwrap_or_default();
        if desired.truncated {
            annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
        } else {
            annotations.remove(OVER_CAPACITY);
        }
        let unchanged = present.is_some_and(|present| {
            present.subsets == desired.subsets
                && present.metadata.labels == labels
                && present.metadata.annotations == annotations
        });
        if unchanged {
            return Ok(());
        }
        annotate(&mut annotations, triggered);
        let mut metadata = json!({
            "name": service.metadata.name,
            "namespace": service.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
        });
        if let Some(present) = present {
            metadata["uid"] = present.metadata.uid.clone().into();
            metadata["resourceVersion"] = present.metadata.resource_version.clone().into();
        }
        let object = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": desired.subsets});
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        let api = &self.context.api;
        match present {
            Some(_) => api.update(&named_path::<Endpoints>(namespace, name), &object).await.map(drop),
            None => api.create(&resource_path::<Endpoints>(namespace), &object).await.map(drop),
        }
    }
}
