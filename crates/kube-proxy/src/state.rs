//! The proxy's view of the cluster: an index that watches feed, and which services changed in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service as ApiService;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use netrules::Family;

use crate::endpoints::{SERVICE_NAME_LABEL, Slice};
use crate::node::Node;
use crate::service::Service;

/// `namespace/name` of a service.
pub type ServiceKey = Arc<str>;

/// Services, their endpoints and this node.
#[derive(Debug)]
pub struct State {
    family: Family,
    /// This node.
    pub node: Node,
    /// The services that packets are steered for.
    pub services: BTreeMap<ServiceKey, Service>,
    slices: BTreeMap<ServiceKey, BTreeMap<Box<str>, Slice>>,
    /// The service of each known slice, for slices that are deleted or change their label.
    owners: BTreeMap<Box<str>, ServiceKey>,
    changed: BTreeSet<ServiceKey>,
    node_changed: bool,
}

/// What changed since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Services that changed themselves or in their endpoints.
    pub services: BTreeSet<ServiceKey>,
    /// Whether this node changed, which can touch every rule.
    pub node: bool,
}

impl Changes {
    /// Tells whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && !self.node
    }
}

impl State {
    /// Makes an empty view for the node of that name.
    pub fn new(family: Family, node_name: &str) -> Self {
        State {
            family,
            node: Node { name: node_name.into(), ..Node::default() },
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            owners: BTreeMap::new(),
            changed: BTreeSet::new(),
            node_changed: false,
        }
    }

    /// The slices of a service.
    pub fn slices_of(&self, service: &str) -> impl Iterator<Item = &Slice> {
        self.slices.get(service).into_iter().flat_map(BTreeMap::values)
    }

    /// Takes what changed; the next call reports only later changes.
    pub fn take_changes(&mut self) -> Changes {
        Changes { services: std::mem::take(&mut self.changed), node: std::mem::take(&mut self.node_changed) }
    }

    /// Tells whether something changed since the last take.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || self.node_changed
    }

    /// Holds a service as it is now.
    pub fn apply_service(&mut self, service: &ApiService) {
        let key = key(service.metadata.namespace.as_deref(), service.metadata.name.as_deref());
        match Service::from_api(service, self.family) {
            Some(new) if self.services.get(&key) == Some(&new) => {}
            Some(new) => {
                self.services.insert(key.clone(), new);
                self.changed.insert(key);
            }
            None => self.delete_service(&key),
        }
    }

    /// Forgets a service.
    pub fn delete_service(&mut self, key: &str) {
        if let Some((key, _)) = self.services.remove_entry(key) {
            self.changed.insert(key);
        }
    }

    /// Forgets the services that are not in the list.
    pub fn retain_services(&mut self, listed: &BTreeSet<Box<str>>) {
        let gone: Vec<_> = self.services.keys().filter(|key| !listed.contains(&***key)).cloned().collect();
        gone.iter().for_each(|key| self.delete_service(key));
    }

    /// Holds a slice as it is now.
    pub fn apply_slice(&mut self, slice: &EndpointSlice) {
        let metadata = &slice.metadata;
        let name = slice_name(slice);
        let service = metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL));
        let new = service.and_then(|service| {
            let owner = key(metadata.namespace.as_deref(), Some(service));
            Some((owner, Slice::from_api(slice, self.family, &self.node.name)?))
        });
        let Some((owner, new)) = new else { return self.delete_slice(&name) };
        if self.owners.get(&name).is_some_and(|old| *old != owner) {
            self.delete_slice(&name);
        }
        let slices = self.slices.entry(owner.clone()).or_default();
        if slices.get(&name) != Some(&new) {
            slices.insert(name.clone(), new);
            self.owners.insert(name, owner.clone());
            self.changed.insert(owner);
        }
    }

    /// Forgets a slice, by `namespace/name`.
    pub fn delete_slice(&mut self, name: &str) {
        let Some(owner) = self.owners.remove(name) else { return };
        if let Some(slices) = self.slices.get_mut(&owner) {
            slices.remove(name);
            if slices.is_empty() {
                self.slices.remove(&owner);
            }
        }
        self.changed.insert(owner);
    }

    /// Forgets the slices that are not in the list.
    pub fn retain_slices(&mut self, listed: &BTreeSet<Box<str>>) {
        let gone: Vec<_> = self.owners.keys().filter(|name| !listed.contains(*name)).cloned().collect();
        gone.iter().for_each(|name| self.delete_slice(name));
    }

    /// Holds this node as it is now.
    pub fn apply_node(&mut self, node: Node) {
        if self.node != node {
            self.node = node;
            self.node_changed = true;
        }
    }
}

/// `namespace/name` of a service.
pub fn key(namespace: Option<&str>, name: Option<&str>) -> ServiceKey {
    format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default()).into()
}

/// `namespace/name` of a slice.
pub fn slice_name(slice: &EndpointSlice) -> Box<str> {
    let metadata = &slice.metadata;
    format!(
        "{}/{}",
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str, service: &str, ip: &str) -> EndpointSlice {
        serde_saphyr::from_str(&format!(
            "{{metadata: {{namespace: d, name: {name}, labels: {{kubernetes.io/service-name: {service}}}}},
             addressType: IPv4, ports: [{{port: 80}}], endpoints: [{{addresses: [{ip}]}}]}}"
        ))
        .unwrap()
    }

    fn changed(state: &mut State) -> Vec<String> {
        state.take_changes().services.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_decides_about_packets_counts_as_a_change() {
        let mut state = State::new(Family::V4, "here");
        state.apply_slice(&slice("a", "web", "10.0.0.1"));
        assert_eq!(changed(&mut state), ["d/web"]);
        let mut annotated = slice("a", "web", "10.0.0.1");
        annotated.metadata.resource_version = Some("9".into());
        state.apply_slice(&annotated);
        assert_eq!(changed(&mut state), [""; 0]);
    }

    #[test]
    fn a_slice_that_moves_to_another_service_changes_both() {
        let mut state = State::new(Family::V4, "here");
        state.apply_slice(&slice("a", "web", "10.0.0.1"));
        state.take_changes();
        state.apply_slice(&slice("a", "api", "10.0.0.1"));
        assert_eq!(changed(&mut state), ["d/api", "d/web"]);
        assert_eq!(state.slices_of("d/web").count(), 0);
        state.retain_slices(&BTreeSet::new());
        assert_eq!(changed(&mut state), ["d/api"]);
        assert_eq!(state.slices_of("d/api").count(), 0);
    }
}
