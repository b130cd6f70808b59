//! The proxy's view of the cluster: an index that watches feed, and which services changed in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use netrules::Family;

use crate::endpoints::Slice;
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
    pub services: BTreeMap<ServiceKey, Arc<Service>>,
    slices: BTreeMap<ServiceKey, BTreeMap<Box<str>, Arc<Slice>>>,
    /// The service of each known slice, for slices that are deleted or change their label.
    owners: BTreeMap<Box<str>, ServiceKey>,
    /// What each ServiceCIDR adds to the range of cluster addresses.
    ranges: BTreeMap<Box<str>, Vec<IpNet>>,
    changed: BTreeSet<ServiceKey>,
    base_changed: bool,
    /// When endpoints changed in the cluster that the kernel does not know of yet.
    triggered: Vec<Timestamp>,
    counts: Counts,
}

/// How many changes were told of, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of services, since the start.
    pub services: u64,
    /// Of their endpoints, since the start.
    pub endpoints: u64,
    /// Services that changed since the last look.
    pub pending_services: u64,
    /// Changes of endpoints since the last look.
    pub pending_endpoints: u64,
}

/// So many times of changes are kept until the next look; more say nothing more.
const MOST_TRIGGERS: usize = 4096;

/// What changed since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Services that changed themselves or in their endpoints.
    pub services: BTreeSet<ServiceKey>,
    /// Whether this node or the range of cluster addresses changed, which can touch every rule.
    pub base: bool,
    /// When the endpoints among them changed in the cluster, where that is known.
    pub triggered: Vec<Timestamp>,
}

impl Changes {
    /// Tells whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && !self.base
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
            ranges: BTreeMap::new(),
            changed: BTreeSet::new(),
            base_changed: false,
            triggered: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The slices of a service.
    pub fn slices_of(&self, service: &str) -> impl Iterator<Item = &Slice> {
        self.slices.get(service).into_iter().flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    /// Takes what changed; the next call reports only later changes.
    pub fn take_changes(&mut self) -> Changes {
        (self.counts.pending_services, self.counts.pending_endpoints) = (0, 0);
        Changes {
            services: std::mem::take(&mut self.changed),
            base: std::mem::take(&mut self.base_changed),
            triggered: std::mem::take(&mut self.triggered),
        }
    }

    /// How many changes were told of.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Notes when a change of endpoints that was just applied happened in the cluster.
    pub fn note_trigger(&mut self, at: Timestamp) {
        if self.triggered.len() < MOST_TRIGGERS {
            self.triggered.push(at);
        }
    }

    /// Tells whether something changed since the last take.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || self.base_changed
    }

    /// Holds a service as it is now; none when it is gone or of no interest.
    pub fn apply_service(&mut self, key: &str, service: Option<Arc<Service>>) {
        self.counts.services += 1;
        match service.filter(|service| service.cluster_ip(self.family).is_some()) {
            Some(new) if self.services.get(key) == Some(&new) => {}
            Some(new) => {
                let key = ServiceKey::from(key);
                self.services.insert(key.clone(), new);
                self.changed.insert(key);
                self.counts.pending_services += 1;
            }
            None => {
                if let Some((key, _)) = self.services.remove_entry(key) {
                    self.changed.insert(key);
                    self.counts.pending_services += 1;
                }
            }
        }
    }

    /// Holds a slice (by `namespace/name`) with the key of its service; none when it is gone or of no interest. Tells whether
    /// that changes anything.
    pub fn apply_slice(&mut self, name: &str, slice: Option<(String, Arc<Slice>)>) -> bool {
        self.counts.endpoints += 1;
        let Some((owner, new)) = slice.filter(|(_, slice)| slice.family == Some(self.family)) else {
            return self.delete_slice(name);
        };
        if self.owners.get(name).is_some_and(|old| **old != *owner) {
            self.delete_slice(name);
        }
        let owner = ServiceKey::from(owner);
        let slices = self.slices.entry(owner.clone()).or_default();
        let changes = slices.get(name) != Some(&new);
        if changes {
            slices.insert(name.into(), new);
            self.owners.insert(name.into(), owner.clone());
            self.changed.insert(owner);
            self.counts.pending_endpoints += 1;
        }
        changes
    }

    fn delete_slice(&mut self, name: &str) -> bool {
        let Some(owner) = self.owners.remove(name) else { return false };
        if let Some(slices) = self.slices.get_mut(&owner) {
            slices.remove(name);
            if slices.is_empty() {
                self.slices.remove(&owner);
            }
        }
        self.changed.insert(owner);
        self.counts.pending_endpoints += 1;
        true
    }

    /// Holds this node as it is now.
    pub fn apply_node(&mut self, node: Node) {
        if self.node != node {
            self.node = node;
            self.base_changed = true;
        }
    }

    /// Holds what a ServiceCIDR adds to the range of cluster addresses; none when it is gone.
    pub fn apply_range(&mut self, name: &str, networks: Option<Vec<IpNet>>) {
        let networks = networks
            .map(|networks| {
                networks.into_iter().filter(|network| self.family.holds(network.addr())).collect()
            })
            .filter(|networks: &Vec<IpNet>| !networks.is_empty());
        let changed = match networks {
            Some(new) => self.ranges.insert(name.into(), new.clone()) != Some(new),
            None => self.ranges.remove(name).is_some(),
        };
        self.base_changed |= changed;
    }

    /// The networks that cluster addresses come from, each once.
    pub fn service_networks(&self) -> Vec<IpNet> {
        let networks: BTreeSet<IpNet> = self.ranges.values().flatten().copied().collect();
        networks.into_iter().collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use k8s_openapi::api::core::v1::Service as ApiService;
    use k8s_openapi::api::discovery::v1::EndpointSlice;

    use super::*;
    use crate::endpoints::SERVICE_NAME_LABEL;

    /// Reads a service with its key.
    pub fn service(yaml: &str) -> (String, Option<Arc<Service>>) {
        let service: ApiService = serde_saphyr::from_str(yaml).unwrap();
        let metadata = service.metadata;
        let key = format!("{}/{}", metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
        let labels = metadata.labels.unwrap_or_default();
        (key, Service::from_api(&labels, service.spec.as_ref(), service.status.as_ref()).map(Arc::new))
    }

    /// Reads a slice with its name and its service.
    pub fn slice(yaml: &str) -> (String, Option<(String, Arc<Slice>)>) {
        let slice: EndpointSlice = serde_saphyr::from_str(yaml).unwrap();
        let metadata = &slice.metadata;
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let name = format!("{namespace}/{}", metadata.name.clone().unwrap_or_default());
        let service = metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL));
        let owner = service.map(|service| format!("{namespace}/{service}"));
        (name, owner.zip(Slice::from_api(&slice).map(Arc::new)))
    }

    impl State {
        /// Applies what the readers above give.
        pub fn apply(&mut self, service: (String, Option<Arc<Service>>)) {
            self.apply_service(&service.0, service.1);
        }

        /// Applies what the readers above give.
        pub fn apply_named(&mut self, slice: (String, Option<(String, Arc<Slice>)>)) {
            self.apply_slice(&slice.0, slice.1);
        }
    }

    fn web(name: &str, service: &str, ip: &str) -> (String, Option<(String, Arc<Slice>)>) {
        slice(&format!(
            "{{metadata: {{namespace: d, name: {name}, labels: {{kubernetes.io/service-name: {service}}}}},
             addressType: IPv4, ports: [{{port: 80}}], endpoints: [{{addresses: [{ip}]}}]}}"
        ))
    }

    fn changed(state: &mut State) -> Vec<String> {
        state.take_changes().services.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_decides_about_packets_counts_as_a_change() {
        let mut state = State::new(Family::V4, "here");
        state.apply_named(web("a", "web", "10.0.0.1"));
        assert_eq!(changed(&mut state), ["d/web"]);
        state.apply_named(web("a", "web", "10.0.0.1"));
        assert_eq!(changed(&mut state), [""; 0]);
    }

    #[test]
    fn changes_are_counted_as_they_come_and_until_somebody_looks() {
        let mut state = State::new(Family::V4, "here");
        let yaml = "{metadata: {namespace: d, name: web}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}";
        let counts = |state: &State| {
            let Counts { services, endpoints, pending_services, pending_endpoints } = state.counts();
            [services, endpoints, pending_services, pending_endpoints]
        };
        state.apply(service(yaml));
        state.apply(service(yaml));
        state.apply_named(web("a", "web", "10.0.0.1"));
        assert_eq!(counts(&state), [2, 1, 1, 1]);
        state.note_trigger(Timestamp::UNIX_EPOCH);
        assert_eq!(state.take_changes().triggered, [Timestamp::UNIX_EPOCH]);
        assert_eq!(counts(&state), [2, 1, 0, 0]);
        let (name, unchanged) = web("a", "web", "10.0.0.1");
        assert!(!state.apply_slice(&name, unchanged));
        assert!(state.apply_slice(&name, None) && !state.apply_slice(&name, None));
        state.apply_service("d/web", None);
        assert_eq!(counts(&state), [3, 4, 1, 1]);
        assert!(state.take_changes().triggered.is_empty());
    }

    #[test]
    fn a_slice_that_moves_to_another_service_changes_both() {
        let mut state = State::new(Family::V4, "here");
        state.apply_named(web("a", "web", "10.0.0.1"));
        state.take_changes();
        state.apply_named(web("a", "api", "10.0.0.1"));
        assert_eq!(changed(&mut state), ["d/api", "d/web"]);
        assert_eq!(state.slices_of("d/web").count(), 0);
        state.apply_slice("d/a", None);
        assert_eq!(changed(&mut state), ["d/api"]);
        assert_eq!(state.slices_of("d/api").count(), 0);
    }

    #[test]
    fn ranges_of_the_family_are_known_and_their_changes_told() {
        let networks = |all: &[&str]| Some(all.iter().map(|one| one.parse().unwrap()).collect());
        let mut state = State::new(Family::V4, "here");
        let mut check = |name, range, changes, known: &[&str]| {
            state.apply_range(name, range);
            assert_eq!(state.take_changes().base, changes, "{name}");
            assert_eq!(state.service_networks().iter().map(ToString::to_string).collect::<Vec<_>>(), known);
        };
        check("kubernetes", networks(&["10.96.0.0/12", "fd00::/108"]), true, &["10.96.0.0/12"]);
        check("kubernetes", networks(&["10.96.0.0/12", "fd00::/108"]), false, &["10.96.0.0/12"]);
        check("six", networks(&["fd01::/108"]), false, &["10.96.0.0/12"]);
        check("more", networks(&["10.0.0.0/24"]), true, &["10.0.0.0/24", "10.96.0.0/12"]);
        check("again", networks(&["10.0.0.0/24"]), true, &["10.0.0.0/24", "10.96.0.0/12"]);
        check("kubernetes", None, true, &["10.0.0.0/24"]);
        check("kubernetes", None, false, &["10.0.0.0/24"]);
    }

    #[test]
    fn services_and_slices_of_another_family_are_not_held() {
        let mut state = State::new(Family::V4, "here");
        state.apply(service(
            "{metadata: {namespace: d, name: six}, spec: {clusterIP: 'fd00::1', ports: [{port: 80}]}}",
        ));
        state.apply_named(slice(
            "{metadata: {namespace: d, name: six, labels: {kubernetes.io/service-name: six}}, addressType: IPv6, endpoints: []}",
        ));
        assert!(!state.has_changes());
    }
}
