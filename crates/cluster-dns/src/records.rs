//! What is known of the cluster: an index of slim records, brought up to date one object at a time.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// `namespace/name` of a Service.
pub type ServiceKey = Arc<str>;

/// A Service as its names need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// Has addresses of its own (none as long as they are not allocated).
    ClusterIp {
        /// One for each family.
        addresses: Box<[IpAddr]>,
        /// For SRV.
        ports: Box<[Port]>,
    },
    /// Its names lead to its endpoints.
    Headless {
        /// Whether endpoints that are not ready count as well.
        publish_not_ready: bool,
    },
    /// Another name for something outside; lower case, without the final dot.
    ExternalName(Box<str>),
}

/// A port of a Service or of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Empty when it has none.
    pub name: Box<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The number.
    pub number: u16,
}

/// A transport protocol of Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// An EndpointSlice as names need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    ports: Box<[Port]>,
    /// In the order of their names, so that one is found without looking at all.
    endpoints: Box<[Endpoint]>,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The hostname it gives, or its address with dashes; lower case.
    pub name: Box<str>,
    /// Its address.
    pub address: IpAddr,
    /// Whether it can take requests.
    pub ready: bool,
}

/// Where the name of an address may be found.
#[derive(Debug, PartialEq, Eq)]
struct Holder {
    service: ServiceKey,
    /// The name of the endpoint; none for an address of the Service itself.
    endpoint: Option<Box<str>>,
}

/// A name that an address has.
#[derive(Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// `namespace/name` of the Service.
    pub service: &'a str,
    /// The endpoint's name; none for the Service itself.
    pub endpoint: Option<&'a str>,
}

/// All records. Every lookup is by hash, or by order within one slice.
#[derive(Debug, Default)]
pub struct Records {
    namespaces: HashSet<Box<str>>,
    services: HashMap<ServiceKey, Service>,
    slices: HashMap<ServiceKey, Vec<(Box<str>, Slice)>>,
    /// The Service of each slice, for slices that are deleted or change hands.
    owners: HashMap<Box<str>, ServiceKey>,
    addresses: HashMap<IpAddr, Vec<Holder>>,
    awaited: usize,
    serial: u32,
}

impl Protocol {
    /// Reads the API's spelling; none given means TCP.
    pub fn from_api(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// Reads a label such as `_tcp`, in lower case.
    pub fn from_label(label: &str) -> Option<Self> {
        match label {
            "_tcp" => Some(Self::Tcp),
            "_udp" => Some(Self::Udp),
            "_sctp" => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl Slice {
    /// Makes a slice.
    pub fn new(ports: Vec<Port>, mut endpoints: Vec<Endpoint>) -> Self {
        endpoints.sort_unstable_by(|one, other| (&one.name, one.address).cmp(&(&other.name, other.address)));
        Slice { ports: ports.into(), endpoints: endpoints.into() }
    }

    /// Returns the ports that all endpoints have.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Returns the endpoints of a name.
    pub fn named(&self, name: &str) -> &[Endpoint] {
        let first = self.endpoints.partition_point(|endpoint| *endpoint.name < *name);
        let count = self.endpoints[first..].partition_point(|endpoint| *endpoint.name == *name);
        &self.endpoints[first..first + count]
    }

    /// Returns all endpoints.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }
}

impl Records {
    /// Notes that a listing must come in before the records are whole.
    pub fn await_listing(&mut self) {
        self.awaited += 1;
    }

    /// Notes that a listing came in.
    pub fn listed(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
    }

    /// Tells whether everything was seen once: before that, a missing name says nothing.
    pub fn is_whole(&self) -> bool {
        self.awaited == 0
    }

    /// Counts changes, for SOA.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Tells whether there is such a namespace.
    pub fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.contains(name)
    }

    /// Returns the Service of this key.
    pub fn service(&self, key: &str) -> Option<&Service> {
        self.services.get(key)
    }

    /// Returns the slices of the Service of this key.
    pub fn slices(&self, key: &str) -> impl Iterator<Item = &Slice> + Clone {
        self.slices.get(key).into_iter().flatten().map(|(_, slice)| slice)
    }

    /// Returns the names of an address: of Services that have it, and of the visible endpoints of headless ones.
    pub fn names(&self, address: IpAddr) -> impl Iterator<Item = Named<'_>> {
        self.addresses.get(&address).into_iter().flatten().filter_map(move |holder| {
            let named = Named { service: &holder.service, endpoint: holder.endpoint.as_deref() };
            let visible = match (self.services.get(&holder.service)?, named.endpoint) {
                (Service::ClusterIp { .. }, None) => true,
                (Service::Headless { publish_not_ready }, Some(name)) => self
                    .slices(&holder.service)
                    .flat_map(|slice| slice.named(name))
                    .any(|endpoint| endpoint.address == address && (endpoint.ready || *publish_not_ready)),
                _ => false,
            };
            visible.then_some(named)
        })
    }

    /// Holds a namespace.
    pub fn apply_namespace(&mut self, name: &str) {
        if self.namespaces.insert(name.into()) {
            self.changed();
        }
    }

    /// Forgets a namespace.
    pub fn delete_namespace(&mut self, name: &str) {
        if self.namespaces.remove(name) {
            self.changed();
        }
    }

    /// Holds a Service by its key.
    pub fn apply_service(&mut self, key: &str, service: Service) {
        if self.services.get(key) == Some(&service) {
            return;
        }
        self.delete_service(key);
        let key = ServiceKey::from(key);
        if let Service::ClusterIp { addresses, .. } = &service {
            for address in addresses {
                let holder = Holder { service: key.clone(), endpoint: None };
                self.addresses.entry(*address).or_default().push(holder);
            }
        }
        self.services.insert(key, service);
        self.changed();
    }

    /// Forgets a Service.
    pub fn delete_service(&mut self, key: &str) {
        let Some((key, service)) = self.services.remove_entry(key) else { return };
        if let Service::ClusterIp { addresses, .. } = service {
            for address in addresses {
                self.unname(address, &Holder { service: key.clone(), endpoint: None });
            }
        }
        self.changed();
    }

    /// Holds a slice by its key, with the key of its Service.
    pub fn apply_slice(&mut self, key: &str, service: &str, slice: Slice) {
        let held = self.slices.get(service).into_iter().flatten().find(|(name, _)| **name == *key);
        if held.is_some_and(|(_, held)| *held == slice) {
            return;
        }
        self.delete_slice(key);
        let service =
            self.slices.get_key_value(service).map_or_else(|| service.into(), |(key, _)| key.clone());
        for endpoint in &slice.endpoints {
            let holder = Holder { service: service.clone(), endpoint: Some(endpoint.name.clone()) };
            self.addresses.entry(endpoint.address).or_default().push(holder);
        }
        self.owners.insert(key.into(), service.clone());
        self.slices.entry(service).or_default().push((key.into(), slice));
        self.changed();
    }

    /// Forgets a slice.
    pub fn delete_slice(&mut self, key: &str) {
        let Some(service) = self.owners.remove(key) else { return };
        let Some(slices) = self.slices.get_mut(&service) else { return };
        let Some(at) = slices.iter().position(|(name, _)| **name == *key) else { return };
        let (_, slice) = slices.swap_remove(at);
        if slices.is_empty() {
            self.slices.remove(&service);
        }
        for endpoint in slice.endpoints {
            let holder = Holder { service: service.clone(), endpoint: Some(endpoint.name) };
            self.unname(endpoint.address, &holder);
        }
        self.changed();
    }

    /// Returns the names of all namespaces.
    pub fn namespace_keys(&self) -> Vec<Box<str>> {
        self.namespaces.iter().cloned().collect()
    }

    /// Returns the keys of all Services.
    pub fn service_keys(&self) -> Vec<Box<str>> {
        self.services.keys().map(|key| (&**key).into()).collect()
    }

    /// Returns the keys of all slices.
    pub fn slice_keys(&self) -> Vec<Box<str>> {
        self.owners.keys().cloned().collect()
    }

    /// Takes away one holder of an address: two slices may hold the same endpoint while it moves between them.
    fn unname(&mut self, address: IpAddr, holder: &Holder) {
        let Some(holders) = self.addresses.get_mut(&address) else { return };
        if let Some(at) = holders.iter().position(|held| held == holder) {
            holders.swap_remove(at);
        }
        if holders.is_empty() {
            self.addresses.remove(&address);
        }
    }

    fn changed(&mut self) {
        self.serial = self.serial.wrapping_add(1);
    }
}

/// Returns the name of an endpoint that gives no hostname: its address with dashes.
pub fn dashed(address: IpAddr) -> Box<str> {
    address.to_string().replace(['.', ':'], "-").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(addresses: &[&str]) -> Slice {
        let endpoints = addresses.iter().map(|address| {
            let address = address.parse().unwrap();
            Endpoint { name: dashed(address), address, ready: true }
        });
        Slice::new(Vec::new(), endpoints.collect())
    }

    fn names(records: &Records, address: &str) -> Vec<String> {
        let named = records.names(address.parse().unwrap());
        let mut names: Vec<String> =
            named.map(|named| format!("{} {}", named.service, named.endpoint.unwrap_or("-"))).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_deleted_leaves_nothing_behind() {
        let mut records = Records::default();
        let headless = Service::Headless { publish_not_ready: false };
        let addresses = Box::new(["10.96.0.7".parse().unwrap()]);
        records.apply_service("d/db", headless);
        records.apply_service("d/web", Service::ClusterIp { addresses, ports: Box::new([]) });
        records.apply_slice("d/db-1", "d/db", slice(&["10.0.0.1", "10.0.0.2"]));
        assert_eq!(names(&records, "10.0.0.2"), ["d/db 10-0-0-2"]);
        assert_eq!(names(&records, "10.96.0.7"), ["d/web -"]);

        records.apply_slice("d/db-1", "d/db", slice(&["10.0.0.1"]));
        assert_eq!(names(&records, "10.0.0.2"), [""; 0]);
        records.delete_slice("d/db-1");
        records.delete_service("d/web");
        assert!(records.addresses.is_empty() && records.owners.is_empty() && records.slices.is_empty());
    }

    #[test]
    fn an_endpoint_in_two_slices_keeps_its_name_until_it_leaves_both() {
        let mut records = Records::default();
        records.apply_service("d/db", Service::Headless { publish_not_ready: false });
        records.apply_slice("d/one", "d/db", slice(&["10.0.0.1"]));
        records.apply_slice("d/two", "d/db", slice(&["10.0.0.1"]));
        records.delete_slice("d/one");
        assert_eq!(names(&records, "10.0.0.1"), ["d/db 10-0-0-1"]);
        records.delete_slice("d/two");
        assert_eq!(names(&records, "10.0.0.1"), [""; 0]);
    }

    #[test]
    fn a_slice_that_changes_hands_leaves_its_first_service() {
        let mut records = Records::default();
        for key in ["d/one", "d/two"] {
            records.apply_service(key, Service::Headless { publish_not_ready: false });
        }
        records.apply_slice("d/s", "d/one", slice(&["10.0.0.1"]));
        records.apply_slice("d/s", "d/two", slice(&["10.0.0.1"]));
        assert_eq!(records.slices("d/one").count(), 0);
        assert_eq!(names(&records, "10.0.0.1"), ["d/two 10-0-0-1"]);
    }

    #[test]
    fn the_same_again_is_no_change() {
        let mut records = Records::default();
        for _ in 0..2 {
            records.apply_namespace("d");
            records.apply_service("d/db", Service::Headless { publish_not_ready: false });
            records.apply_slice("d/s", "d/db", slice(&["10.0.0.1"]));
        }
        assert_eq!(records.serial(), 3);
    }
}
