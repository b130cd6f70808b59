//! Endpoint slices.
//!
//! Keeps true: the slices of a service with a selector hold its pods, up to 100 in each, with as few writes as can be.
//! Woken by: changes of services, of pods behind them, of their slices, of nodes' zones.
//! Reads: services, pods, slices, nodes. Writes: slices managed by `endpointslice-controller.k8s.io`.
//! Gives up when: never; a service whose slices it has not yet seen back waits for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use component::cause::whole;
use controller_runtime::Running;
use controller_runtime::api::path::{path_of, resource_path};
use controller_runtime::api::{Delete, Error};
use controller_runtime::context::Context;
use controller_runtime::objects::{EndpointSlice, Node, Pod, Resource, Service};
use controller_runtime::ownership::controller_reference;
use informer::{Change, Key, Outcome, Store, WorkQueue, run_workers};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::service_pods::{self, pods_of, services_of, wake};
use super::trigger_time::{TriggerTimes, annotate};
use desired::desired;
use metrics::Synced;
use packing::{Packing, Slice, pack};
use tracker::Tracker;

mod desired;
mod metrics;
mod packing;
#[cfg(test)]
mod tests;
mod tracker;

/// The label that names the service of a slice.
const SERVICE: &str = "kubernetes.io/service-name";
/// The label that names who keeps a slice.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// The index of slices by service.
const BY_SERVICE: &str = "service";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.endpoint_slices;
    let shell = Arc::new(Shell {
        services: context.stores.of(),
        pods: context.stores.of(),
        nodes: context.stores.of(),
        slices: context.stores.of(),
        tracker: Mutex::new(Tracker::default()),
        times: Mutex::default(),
        queue: WorkQueue::new("endpoint_slice"),
        context,
    });
    shell.slices.index(BY_SERVICE, |slice: &EndpointSlice| {
        service_of(slice).map(|key| key.to_string()).into_iter().collect()
    });
    shell.context.stores.close_at_shutdown(&shell.queue);
    wake(&shell.services, &shell.pods, &shell.queue);
    let on_slice = Arc::clone(&shell);
    shell.slices.on_change(move |change| on_slice.slice_changed(change));
    let on_node = Arc::clone(&shell);
    shell.nodes.on_change(move |change| on_node.node_changed(change));
    let slices = shell.slices.clone();
    component::metrics::before_reading(move || metrics::held(&slices.list()));
    Some(Box::pin(async move {
        shell.services.ready().await;
        shell.pods.ready().await;
        shell.nodes.ready().await;
        shell.slices.ready().await;
        run_workers("endpointslice", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    context: Context,
    services: Store<Service>,
    pods: Store<Pod>,
    nodes: Store<Node>,
    slices: Store<EndpointSlice>,
    /// What was written and not yet seen back.
    tracker: Mutex<Tracker>,
    /// What of the services and pods is known to have changed.
    times: Mutex<TriggerTimes>,
    queue: WorkQueue<Key>,
}

impl Shell {
    fn slice_changed(&self, change: &Change<'_, EndpointSlice>) {
        let slice = change.object();
        let is_own = match change {
            Change::Applied { new, .. } => self.tracker.lock().seen(new),
            Change::Deleted(slice) => self.tracker.lock().seen_gone(slice),
        };
        // Own writes come back as changes too; only the last of those a service waits for wakes it.
        if let Some(key) = service_of(slice)
            && !is_own
        {
            self.queue.add(key);
        }
        // A slice that was ours and has been given away leaves a hole.
        if let Change::Applied { old: Some(old), new } = change
            && let Some(before) = service_of(old)
            && service_of(new).as_ref() != Some(&before)
        {
            self.queue.add(before);
        }
    }

    fn node_changed(&self, change: &Change<'_, Node>) {
        let Change::Applied { old, new } = change else { return };
        if old.is_none_or(|old| old.zone() == new.zone()) {
            return;
        }
        for pod in self.pods.list() {
            if pod.spec.node_name == new.metadata.name {
                services_of(&self.services, &pod).into_iter().for_each(|key| self.queue.add(key));
            }
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(service) = self.services.get(key.as_str()) else {
            // The garbage collector removes what the service owned.
            self.tracker.lock().forget(&key);
            self.times.lock().forget(&key);
            return Ok(Outcome::Done);
        };
        let Some(pods) = pods_of(&service, &self.pods) else { return Ok(Outcome::Done) };
        if service.metadata.is_deleting() {
            return Ok(Outcome::Done);
        }
        if !self.tracker.lock().is_seen(&key) {
            metrics::synced(Synced::Stale);
            return Ok(Outcome::Done);
        }
        let triggered = self.times.lock().look(&service, &pods);
        let own = self.slices.by_index(BY_SERVICE, key.as_str());
        let own: Vec<_> = own.into_iter().filter(|slice| !slice.metadata.is_deleting()).collect();
        let mut zones = HashMap::new();
        for pod in &pods {
            if !zones.contains_key(&pod.spec.node_name)
                && let Some(node) = self.nodes.get(&pod.spec.node_name)
            {
                zones.insert(pod.spec.node_name.clone(), node.zone().to_owned());
            }
        }
        let labels = labels(&service);
        let packing = pack(&own, desired(&service, &pods, &zones), &labels);
        metrics::packed(&packing, &service.spec.traffic_distribution);
        let result = self.carry_out(&key, &service, packing, &labels, triggered).await;
        metrics::synced(if result.is_ok() { Synced::Well } else { Synced::Failed });
        if let Err(error) = &result {
            if error.is_namespace_terminating() || error.is_not_found() {
                return Ok(Outcome::Done);
            }
            let message = format!("Error updating Endpoint Slices for Service {key}: {}", whole(error));
            self.context.warning(&*service, "FailedToUpdateEndpointSlices", message);
        }
        result.map(|()| Outcome::Done)
    }

    /// Waits for a write to come back, unless the watch was faster than the answer.
    fn await_sight(&self, service: &Key, written: &Value) {
        self.tracker.lock().wrote(service, written);
        let name = written["metadata"]["name"].as_str().unwrap_or_default();
        if let Some(slice) = self.slices.find(service.namespace(), name) {
            self.tracker.lock().seen(&slice);
        }
    }

    async fn carry_out(
        &self,
        key: &Key,
        service: &Service,
        packing: Packing,
        labels: &BTreeMap<String, String>,
        triggered: Option<Timestamp>,
    ) -> Result<(), Error> {
        let api = &self.context.api;
        let annotated = |mut annotations: BTreeMap<String, String>| {
            annotate(&mut annotations, triggered);
            annotations
        };
        for slice in &packing.create {
            let metadata = json!({
                "generateName": format!("{}-", service.metadata.name),
                "namespace": service.metadata.namespace,
                "labels": labels,
                "annotations": annotated(BTreeMap::new()),
                "ownerReferences": [controller_reference(service)],
            });
            let path = resource_path::<EndpointSlice>(&service.metadata.namespace);
            let written = api.create(&path, &object(metadata, slice)).await?;
            metrics::changed("create");
            self.await_sight(key, &written);
        }
        for (present, slice) in &packing.update {
            let metadata = json!({
                "name": present.metadata.name,
                "namespace": present.metadata.namespace,
                "uid": present.metadata.uid,
                "resourceVersion": present.metadata.resource_version,
                "generateName": format!("{}-", service.metadata.name),
                "labels": labels,
                "annotations": annotated(present.metadata.annotations.clone()),
                "ownerReferences": [controller_reference(service)],
            });
            let written = api.update(&path_of(&**present), &object(metadata, slice)).await?;
            metrics::changed("update");
            self.await_sight(key, &written);
        }
        for slice in &packing.delete {
            let delete = Delete { uid: Some(&slice.metadata.uid), ..Delete::default() };
            self.tracker.lock().deleting(key, slice);
            match api.delete(&path_of(&**slice), delete).await {
                Ok(_) => metrics::changed("delete"),
                Err(error) if error.is_not_found() => {
                    self.tracker.lock().seen_gone(slice);
                }
                Err(error) => {
                    self.tracker.lock().seen_gone(slice);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Returns the key of the service that a slice of this controller belongs to.
fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let labels = &slice.metadata.labels;
    if labels.get(MANAGED_BY).is_none_or(|manager| manager != MANAGER) {
        return None;
    }
    Some(Key::new(&slice.metadata.namespace, labels.get(SERVICE)?))
}

/// The labels of a service's slices.
fn labels(service: &Service) -> BTreeMap<String, String> {
    service_pods::labels(service, [(SERVICE, &service.metadata.name), (MANAGED_BY, MANAGER)])
}

fn object(metadata: Value, slice: &Slice) -> Value {
    json!({
        "apiVersion": EndpointSlice::api_version(),
        "kind": EndpointSlice::KIND,
        "metadata": metadata,
        "addressType": slice.address_type,
        "endpoints": slice.endpoints,
        "ports": slice.ports,
    })
}
