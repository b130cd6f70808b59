//! Which services a change of a pod concerns.

use std::collections::BTreeSet;

use informer::{Change, Key, Store};

use crate::objects::{Pod, Service, find};

/// Returns the keys of the services before or behind which a changed pod is; none if nothing of it matters to them.
pub fn services_of_change(services: &Store<Service>, change: &Change<'_, Pod>) -> BTreeSet<Key> {
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
