//! Addresses and ports of Services: who has which, and who is about to get which.
//!
//! What is taken is what the Services in the cache have. What a write that is under way has chosen is reserved in
//! the process until its Service shows in the cache. Between servers, an IPAddress object per address decides, and one
//! bit per node port.

mod claim;
mod fields;
mod ip;
mod pools;
mod port;
pub mod port_record;
mod taken;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::ObjectExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use storage::{Object, Query, Store};

pub use self::claim::{Claim, Readiness};
pub use self::ip::Ranges;
pub use self::port::PortRange;
use self::taken::Taken;
use crate::handlers::call::Call;
use crate::handlers::{create, write};
use crate::server::Server;

/// Addresses and ports of all Services.
pub struct Services {
    ranges: Ranges,
    ports: PortRange,
    reserved: Arc<Mutex<Reserved>>,
}

/// What is taken, and what writes under way have chosen.
#[derive(Debug, Default)]
struct Reserved {
    taken: Taken,
    addresses: HashSet<IpAddr>,
    ports: HashSet<u16>,
}

impl Services {
    /// Hands out from these ranges.
    pub fn new(ranges: Ranges, ports: PortRange) -> Self {
        Self { ranges, ports, reserved: Arc::default() }
    }

    /// The service ranges.
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// A claim on nothing yet, for one write.
    pub fn claim(&self) -> Claim {
        Claim::new(self.reserved.clone())
    }

    /// Frees what a deleted Service had.
    pub async fn forget(&self, call: &Call<'_>, object: &Object) {
        if !is_service(call) {
            return;
        }
        if let Ok(service) = object.value() {
            for address in fields::addresses(&service) {
                delete_address(&call.server.store, address, service.namespace(), service.name()).await;
            }
            let ports = fields::node_ports(&service);
            if !ports.is_empty() {
                port_record::give_back(&call.server.store, self.ports, &ports).await;
            }
        }
    }

    /// Makes sure that what Services have is taken, and what none has is free.
    pub async fn repair(&self, store: &Store, leaked: &mut HashMap<u16, u32>) {
        repair_addresses(store).await;
        if let Err(status) = port_record::repair(store, self.ports, leaked).await {
            tracing::warn!(%status, "cannot compare node ports and Services");
        }
    }
}

fn is_service(call: &Call<'_>) -> bool {
    call.entry.row.prefix == "services/specs" && call.entry.group().is_empty()
}

/// The name of an address's object: its canonical text.
fn address_name(address: IpAddr) -> String {
    address.to_string()
}

/// The object that says whose an address is.
fn address_object(address: IpAddr, namespace: &str, name: &str) -> Value {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let mut object = json!({
        "kind": "IPAddress", "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": address_name(address),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": { "parentRef": { "group": "", "resource": "services", "namespace": namespace, "name": name } },
    });
    create::fill_system_fields(&mut object);
    object
}

/// Takes an address for a Service; says whether it was free, or this Service's already.
async fn create_address(
    store: &Store,
    address: IpAddr,
    namespace: &str,
    name: &str,
) -> Result<bool, storage::Error> {
    let Some(cache) = store.cache("ipaddresses") else { return Ok(true) };
    let mut object = address_object(address, namespace, name);
    let stored = write::stored_bytes(&mut object);
    match store.create(&cache, &address_name(address), stored, None).await {
        Ok(_) => Ok(true),
        Err(storage::Error::Exists) => {
            let owner =
                store.get_live(&cache, &address_name(address)).await?.and_then(|object| object.value().ok());
            Ok(owner.is_some_and(|owner| belongs_to(&owner, namespace, name)))
        }
        Err(error) => Err(error),
    }
}

fn belongs_to(address: &Value, namespace: &str, name: &str) -> bool {
    let text = |field| address.at(&["spec", "parentRef", field]).and_then(Value::as_str).unwrap_or_default();
    text("resource") == "services" && text("namespace") == namespace && text("name") == name
}

/// Gives an address back, if it is this Service's.
async fn delete_address(store: &Store, address: IpAddr, namespace: &str, name: &str) {
    let Some(cache) = store.cache("ipaddresses") else { return };
    let result = store
        .update::<storage::Error, _>(&cache, &address_name(address), None, |current| {
            let owner = current.and_then(|object| object.value().ok());
            Ok(match owner {
                Some(owner) if belongs_to(&owner, namespace, name) => storage::Change::Delete,
                _ => storage::Change::Keep,
            })
        })
        .await;
    match result {
        Ok(_) | Err(storage::Error::NotFound) => {}
        Err(error) => tracing::warn!(%error, %address, "cannot give an address back"),
    }
}

/// How often it is looked whether addresses, ports and Services agree, as upstream.
const ROUND: Duration = Duration::from_secs(180);

/// Looks now and then whether addresses, ports and Services agree.
pub async fn keep_repaired(server: Arc<Server>) {
    let mut leaked = HashMap::new();
    loop {
        tokio::time::sleep(ROUND).await;
        server.services.repair(&server.store, &mut leaked).await;
    }
}

/// Makes sure that every Service's address has its object: for Services of before there were such objects, and
/// for those whose server stopped half-way.
async fn repair_addresses(store: &Store) {
    let Some(cache) = store.cache("services/specs") else { return };
    let mut wanted = Vec::new();
    cache.visit(&Query::default(), |object| {
        if let Ok(service) = object.value() {
            for address in fields::addresses(&service) {
                wanted.push((address, service.namespace().to_owned(), service.name().to_owned()));
            }
        }
        true
    });
    let Some(addresses) = store.cache("ipaddresses") else { return };
    for (address, namespace, name) in &wanted {
        if addresses.get(&address_name(*address)).is_none() {
            match create_address(store, *address, namespace, name).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(%address, namespace, name, "two Services have the same cluster IP");
                }
                Err(error) => tracing::warn!(%error, %address, "cannot record a Service's address"),
            }
        }
    }
    let mut orphans = Vec::new();
    addresses.visit(&Query::default(), |object| {
        if let Ok(value) = object.value()
            && let Ok(address) = object.name().parse::<IpAddr>()
            && value.label("ipaddress.kubernetes.io/managed-by") == Some("ipallocator.k8s.io")
            && !wanted.iter().any(|(taken, _, _)| *taken == address)
        {
            let text = |field| {
                value.at(&["spec", "parentRef", field]).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            orphans.push((address, text("namespace"), text("name"), value.creation_timestamp().to_owned()));
        }
        true
    });
    for (address, namespace, name, created) in orphans {
        // A Service that is just being made has its address first.
        let age = apimachinery::time::parse(&created).map(|at| jiff::Timestamp::now().duration_since(at));
        if age.is_none_or(|age| age.as_secs() > 60) {
            delete_address(store, address, &namespace, &name).await;
        }
    }
}
