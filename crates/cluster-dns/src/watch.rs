//! Feeding the records from watches: objects are decoded straight into what names need, and nothing else is kept.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use component::{Latch, Runtime};
use informer::{IdentityRef, Object, Sink, Watch, follow, null_is_default};
use kube::Client;
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;

use crate::records::{Endpoint, Port, Protocol, Records, Service, Slice, dashed};

const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// The part of an object's metadata that is used.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    name: String,
    namespace: String,
    resource_version: String,
    #[serde(deserialize_with = "null_is_default")]
    labels: Labels,
}

/// The labels of EndpointSlices that are used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "kubernetes.io/service-name")]
    service: Option<String>,
    #[serde(rename = "endpointslice.kubernetes.io/managed-by")]
    managed_by: Option<String>,
    #[serde(rename = "service.kubernetes.io/headless")]
    headless: Option<String>,
}

/// A kind that the records hold.
pub trait Recorded: Object {
    /// Puts the object into the records.
    fn record(self, records: &mut Records);
    /// Takes the object of this key out of the records.
    fn erase(key: &str, records: &mut Records);
    /// Returns the keys of this kind's objects in the records.
    fn keys(records: &Records) -> Vec<Box<str>>;
}

macro_rules! identified {
    ($watched:ty) => {
        impl Object for $watched {
            fn identity(&self) -> IdentityRef<'_> {
                IdentityRef {
                    namespace: &self.metadata.namespace,
                    name: &self.metadata.name,
                    // Nothing here outlives its name: an object and its successor have the same records.
                    uid: "",
                    resource_version: &self.metadata.resource_version,
                }
            }
        }
    };
}

/// A Namespace on the wire.
#[derive(Debug, Deserialize)]
pub struct WireNamespace {
    metadata: Identity,
}

identified!(WireNamespace);

impl Recorded for WireNamespace {
    fn record(self, records: &mut Records) {
        records.apply_namespace(&self.metadata.name);
    }
    fn erase(key: &str, records: &mut Records) {
        records.delete_namespace(key);
    }
    fn keys(records: &Records) -> Vec<Box<str>> {
        records.namespace_keys()
    }
}

/// A Service on the wire.
#[derive(Debug, Deserialize)]
pub struct WireService {
    metadata: Identity,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: WireServiceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireServiceSpec {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "null_is_default")]
    cluster_ips: Vec<String>,
    external_name: Option<String>,
    #[serde(deserialize_with = "null_is_default")]
    publish_not_ready_addresses: bool,
    #[serde(deserialize_with = "null_is_default")]
    ports: Vec<WirePort>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WirePort {
    name: Option<String>,
    protocol: Option<String>,
    port: Option<u16>,
}

impl WirePort {
    fn port(self) -> Option<Port> {
        Some(Port {
            name: self.name.unwrap_or_default().to_ascii_lowercase().into(),
            protocol: Protocol::from_api(self.protocol.as_deref())?,
            number: self.port?,
        })
    }
}

identified!(WireService);

impl Recorded for WireService {
    fn record(self, records: &mut Records) {
        let key = self.key();
        records.apply_service(key.as_str(), self.spec.service());
    }
    fn erase(key: &str, records: &mut Records) {
        records.delete_service(key);
    }
    fn keys(records: &Records) -> Vec<Box<str>> {
        records.service_keys()
    }
}

impl WireServiceSpec {
    fn service(self) -> Service {
        if self.kind.as_deref() == Some("ExternalName") {
            let name = self.external_name.unwrap_or_default().to_ascii_lowercase();
            return Service::ExternalName(name.trim_end_matches('.').into());
        }
        if self.cluster_ip.as_deref() == Some("None") {
            return Service::Headless { publish_not_ready: self.publish_not_ready_addresses };
        }
        let given = if self.cluster_ips.is_empty() {
            self.cluster_ip.into_iter().collect()
        } else {
            self.cluster_ips
        };
        Service::ClusterIp {
            addresses: given.iter().filter_map(|address| address.parse().ok()).collect(),
            ports: self.ports.into_iter().filter_map(WirePort::port).collect(),
        }
    }
}

/// An EndpointSlice on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireSlice {
    metadata: Identity,
    #[serde(default, deserialize_with = "null_is_default")]
    ports: Vec<WirePort>,
    #[serde(default, deserialize_with = "null_is_default")]
    endpoints: Vec<WireEndpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireEndpoint {
    #[serde(deserialize_with = "null_is_default")]
    addresses: Vec<String>,
    hostname: Option<String>,
    #[serde(deserialize_with = "null_is_default")]
    conditions: WireConditions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireConditions {
    ready: Option<bool>,
}

identified!(WireSlice);

impl Recorded for WireSlice {
    fn record(self, records: &mut Records) {
        let key = self.key();
        match self.service() {
            Some(service) => records.apply_slice(key.as_str(), &service, self.slice()),
            None => records.delete_slice(key.as_str()),
        }
    }
    fn erase(key: &str, records: &mut Records) {
        records.delete_slice(key);
    }
    fn keys(records: &Records) -> Vec<Box<str>> {
        records.slice_keys()
    }
}

impl WireSlice {
    /// The key of the Service, unless names do not lead to this slice.
    ///
    /// The controller marks the slices of headless Services; what it does not mark, most slices of a cluster, is not
    /// held. Slices that others make need not be marked.
    fn service(&self) -> Option<String> {
        let labels = &self.metadata.labels;
        if labels.managed_by.as_deref() == Some(CONTROLLER) && labels.headless.is_none() {
            return None;
        }
        Some(format!("{}/{}", self.metadata.namespace, labels.service.as_deref()?))
    }

    fn slice(self) -> Slice {
        let endpoints = self.endpoints.into_iter().filter_map(|endpoint| {
            // The API: all addresses of one endpoint are the same one; consumers use the first.
            let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
            let name = match endpoint.hostname.filter(|hostname| !hostname.is_empty()) {
                Some(hostname) => hostname.to_ascii_lowercase().into(),
                None => dashed(address),
            };
            Some(Endpoint { name, address, ready: endpoint.conditions.ready != Some(false) })
        });
        let endpoints = endpoints.collect();
        Slice::new(self.ports.into_iter().filter_map(WirePort::port).collect(), endpoints)
    }
}

/// Takes one kind's watch into the records.
struct Feed<K> {
    records: Arc<RwLock<Records>>,
    /// Keys seen since a listing from nothing began.
    seen: Mutex<Option<HashSet<Box<str>>>>,
    latch: Mutex<Option<Latch>>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Recorded> Feed<K> {
    fn new(records: &Arc<RwLock<Records>>, latch: Latch) -> Self {
        records.write().await_listing();
        Feed {
            records: Arc::clone(records),
            seen: Mutex::default(),
            latch: Mutex::new(Some(latch)),
            kind: PhantomData,
        }
    }
}

impl<K: Recorded> Sink<K> for Feed<K> {
    fn apply(&self, object: K) {
        if let Some(seen) = &mut *self.seen.lock() {
            seen.insert(object.key().as_str().into());
        }
        object.record(&mut self.records.write());
    }

    fn delete(&self, key: &str, _: Option<K>) {
        K::erase(key, &mut self.records.write());
    }

    fn restart(&self) {
        *self.seen.lock() = Some(HashSet::new());
    }

    fn restarted(&self) {
        let Some(seen) = self.seen.lock().take() else { return };
        let records = &mut *self.records.write();
        for key in K::keys(records) {
            if !seen.contains(&key) {
                K::erase(&key, records);
            }
        }
        if let Some(latch) = self.latch.lock().take() {
            records.listed();
            latch.open();
        }
    }
}

/// Starts the watches that feed the records; the runtime is ready once each has listed.
pub fn start(runtime: &Runtime, client: &Client, records: &Arc<RwLock<Records>>) {
    let namespaces = Watch::resource("", "v1", "namespaces", "").metadata_only();
    spawn::<WireNamespace>(runtime, "namespaces", client, namespaces, records);
    spawn::<WireService>(runtime, "services", client, Watch::resource("", "v1", "services", ""), records);
    let slices = Watch::resource("discovery.k8s.io", "v1", "endpointslices", "");
    spawn::<WireSlice>(runtime, "endpoint slices", client, slices, records);
}

fn spawn<K: Recorded>(
    runtime: &Runtime,
    name: &str,
    client: &Client,
    watch: Watch,
    records: &Arc<RwLock<Records>>,
) {
    let feed = Feed::<K>::new(records, runtime.latch(name));
    follow(runtime, client, watch, feed);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Puts the object of a YAML document into the records.
    pub fn apply<K: Recorded>(records: &mut Records, yaml: &str) {
        serde_saphyr::from_str::<K>(yaml).unwrap().record(records);
    }

    #[test]
    fn slices_of_services_with_an_address_are_not_held() {
        let mut records = Records::default();
        let slice = |labels: &str| {
            format!(
                "{{metadata: {{name: s, namespace: d, labels: {{kubernetes.io/service-name: web{labels}}}}},
                   addressType: IPv4, endpoints: [{{addresses: [10.0.0.1]}}]}}"
            )
        };
        let managed = ", endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io";
        apply::<WireSlice>(&mut records, &slice(""));
        assert_eq!(records.slices("d/web").count(), 1, "somebody's own slice");
        apply::<WireSlice>(&mut records, &slice(managed));
        assert_eq!(records.slices("d/web").count(), 0);
        apply::<WireSlice>(&mut records, &slice(&format!("{managed}, service.kubernetes.io/headless: ''")));
        assert_eq!(records.slices("d/web").count(), 1);
    }

    #[test]
    fn a_new_listing_replaces_what_was_there() {
        let runtime = Runtime::detached();
        let records = Arc::new(RwLock::new(Records::default()));
        let feed = Feed::<WireNamespace>::new(&records, runtime.latch("namespaces"));
        let namespace =
            |name: &str| WireNamespace { metadata: Identity { name: name.into(), ..Identity::default() } };
        feed.restart();
        feed.apply(namespace("a"));
        feed.apply(namespace("b"));
        assert!(!records.read().is_whole() && !runtime.readiness().is_ready());
        feed.restarted();
        assert!(records.read().is_whole() && runtime.readiness().is_ready());

        feed.restart();
        feed.apply(namespace("b"));
        feed.restarted();
        assert!(!records.read().has_namespace("a") && records.read().has_namespace("b"));
        assert!(records.read().is_whole());
    }

    #[test]
    fn nulls_and_what_is_left_out_are_read() {
        let service: WireService = serde_json::from_str(
            r#"{"metadata":{"name":"a","labels":null},"spec":{"clusterIPs":null,"ports":null}}"#,
        )
        .unwrap();
        let empty = Service::ClusterIp { addresses: Box::new([]), ports: Box::new([]) };
        assert_eq!(service.spec.service(), empty);
    }
}
