//! Services and the pods behind them: which a change concerns, and what their endpoints have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use controller_runtime::objects::{Pod, Service, find};
use informer::{Change, Key, Object as _, Store, WorkQueue};

/// The label on the endpoints of services without an address of their own.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Wakes the keys of services that change, and of those behind which pods change.
pub fn wake(services: &Store<Service>, pods: &Store<Pod>, queue: &WorkQueue<Key>) {
    let on_service = queue.clone();
    services.on_change(move |change| on_service.add(change.object().key()));
    let (on_pod, services) = (queue.clone(), services.clone());
    pods.on_change(move |change| {
        services_of_change(&services, change).into_iter().for_each(|key| on_pod.add(key));
    });
}

/// Returns the pods that a service selects; none for one without a selector, whose endpoints are kept by others.
pub fn pods_of(service: &Service, pods: &Store<Pod>) -> Option<Vec<Arc<Pod>>> {
    let selector = service.selector()?;
    let mut pods = pods.in_namespace(&service.metadata.namespace);
    pods.retain(|pod| selector.matches_map(Some(&pod.metadata.labels)));
    Some(pods)
}

/// Returns the labels of a service's endpoints: its own, and those that say what they are.
pub fn labels<const N: usize>(service: &Service, more: [(&str, &str); N]) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone();
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.extend(more.map(|(key, value)| (key.to_owned(), value.to_owned())));
    labels
}

/// Returns the keys of the services before or behind which a changed pod is; none if nothing of it matters to them.
fn services_of_change(services: &Store<Service>, change: &Change<'_, Pod>) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    match change {
        Change::Applied { old: Some(old), new } => {
            let labels_differ = old.metadata.labels != new.metadata.labels;
            if !labels_differ && !matters(old, new) {
                return keys;
            }
            keys.extend(services_of(services, new));
            if labels_differ {
                keys.extend(services_of(services, old));
            }
        }
        Change::Applied { old: None, new } => keys.extend(services_of(services, new)),
        Change::Deleted(pod) => keys.extend(services_of(services, pod)),
    }
    keys
}

/// Returns the keys of the services that select a pod.
pub fn services_of(services: &Store<Service>, pod: &Pod) -> Vec<Key> {
    let behind = services.in_namespace(&pod.metadata.namespace).into_iter().filter(|service| {
        service.selector().is_some_and(|selector| selector.matches_map(Some(&pod.metadata.labels)))
    });
    behind.map(|service| service.metadata.key()).collect()
}

/// Tells whether two versions of a pod make different endpoints.
fn matters(old: &Pod, new: &Pod) -> bool {
    let addresses =
        |pod: &Pod| -> Vec<String> { pod.status.pod_ips.iter().map(|ip| ip.ip.clone()).collect() };
    let ready = |pod: &Pod| find(&pod.status.conditions, "Ready").map(|condition| condition.status.clone());
    old.metadata.is_deleting() != new.metadata.is_deleting()
        || old.is_terminal() != new.is_terminal()
        || old.spec.node_name != new.spec.node_name
        || old.spec.hostname != new.spec.hostname
        || old.spec.subdomain != new.spec.subdomain
        || old.status.pod_ip != new.status.pod_ip
        || addresses(old) != addresses(new)
        || ready(old) != ready(new)
}
