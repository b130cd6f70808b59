//! What one write needs of addresses and ports, held from the choice until the Service shows in the cache.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use apimachinery::{FieldError, ObjectExt, Status};
use ipnet::IpNet;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::fields::{
    addresses, has_addresses, has_health_check_port, has_node_ports, node_ports, number, ports, text,
};
use super::pools;
use super::port::shares;
use super::port_record;
use super::{Reserved, Services, create_address, delete_address, is_service};
use crate::handlers::call::Call;
use crate::server::Server;

/// Addresses and ports held for one write.
pub struct Claim {
    reserved: Arc<Mutex<Reserved>>,
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
    /// Addresses whose objects were made before the Service is stored.
    recorded: Vec<IpAddr>,
    /// Ports whose bits were set before the Service is stored.
    recorded_ports: Vec<u16>,
    /// Addresses that the Service no longer has once it is stored.
    freed: Vec<IpAddr>,
    freed_ports: Vec<u16>,
    /// What another server gave to somebody else.
    lost: Vec<Lost>,
    /// Those of the ports that nobody asked for.
    chosen_ports: Vec<u16>,
    /// How many of them the write that is being made up has used.
    used_ports: usize,
    owner: (String, String),
}

/// What a change of a Service needs before it can be stored.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing.
    Ready,
    /// What was chosen is to be recorded by [`Claim::record_change`].
    MustRecord,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.addresses.is_empty() && self.ports.is_empty() && self.lost.is_empty() {
            return;
        }
        let mut reserved = self.reserved.lock();
        for address in &self.addresses {
            reserved.addresses.remove(address);
        }
        for port in &self.ports {
            reserved.ports.remove(port);
        }
        for lost in &self.lost {
            match lost {
                Lost::Address(address) => reserved.addresses.remove(address),
                Lost::Port(port) => reserved.ports.remove(port),
            };
        }
    }
}

impl Claim {
    pub(super) fn new(reserved: Arc<Mutex<Reserved>>) -> Self {
        Self {
            reserved,
            addresses: Vec::new(),
            ports: Vec::new(),
            recorded: Vec::new(),
            recorded_ports: Vec::new(),
            freed: Vec::new(),
            freed_ports: Vec::new(),
            lost: Vec::new(),
            chosen_ports: Vec::new(),
            used_ports: 0,
            owner: Default::default(),
        }
    }

    /// Gives a new Service what it needs. Does nothing for other kinds.
    pub async fn new_service(
        &mut self,
        call: &Call<'_>,
        service: &mut Value,
        dry_run: bool,
    ) -> Result<(), Status> {
        if !is_service(call) {
            return Ok(());
        }
        // An address that turns out to be another server's is left, and another one is tried.
        for _ in 0..10 {
            let mut wanted = service.clone();
            self.fill(call, &mut wanted, None)?;
            if dry_run {
                *service = wanted;
                return Ok(());
            }
            let lost = self.record(call, service).await?;
            let chosen_by_client = |address: &IpAddr| addresses(service).contains(address);
            match lost {
                None => {
                    *service = wanted;
                    return Ok(());
                }
                Some(Lost::Address(address)) if chosen_by_client(&address) => {
                    return Err(refuse(call, service, vec![allocated(service, address)]));
                }
                Some(Lost::Port(port)) if node_ports(service).contains(&port) => {
                    return Err(refuse(call, service, vec![allocated_port(service, port)]));
                }
                Some(_) => {}
            }
        }
        Err(Status::internal("failed to allocate a serviceIP: no free address was found"))
    }

    /// Gives a changed Service what it needs more than before, and notes what it gives back.
    pub fn change(&mut self, call: &Call<'_>, service: &mut Value, old: &Value) -> Result<Readiness, Status> {
        if !is_service(call) || !call.info.subresource.is_empty() {
            return Ok(Readiness::Ready);
        }
        self.fill(call, service, Some(old))?;
        let (now, ports) = (addresses(service), node_ports(service));
        self.freed = addresses(old).into_iter().filter(|address| !now.contains(address)).collect();
        self.freed_ports = node_ports(old).into_iter().filter(|port| !ports.contains(port)).collect();
        let recorded = self.addresses.iter().all(|address| self.recorded.contains(address))
            && self.ports.iter().all(|port| self.recorded_ports.contains(port));
        Ok(if recorded { Readiness::Ready } else { Readiness::MustRecord })
    }

    /// Records what a change has chosen, or refuses what it asks for and somebody else has. `service` is as it was to
    /// be stored, `asked` says whether a port or an address of it was asked for by the client.
    pub async fn record_change(&mut self, call: &Call<'_>, asked: &Value) -> Result<(), Status> {
        match self.record(call, asked).await? {
            Some(Lost::Address(address)) if addresses(asked).contains(&address) => {
                Err(refuse(call, asked, vec![allocated(asked, address)]))
            }
            Some(Lost::Port(port)) if node_ports(asked).contains(&port) => {
                Err(refuse(call, asked, vec![allocated_port(asked, port)]))
            }
            // Another one is chosen when the change is made up anew.
            Some(_) | None => Ok(()),
        }
    }

    /// Makes the objects of the addresses that were chosen and takes the ports; gives what another server has.
    async fn record(&mut self, call: &Call<'_>, service: &Value) -> Result<Option<Lost>, Status> {
        let new: Vec<u16> =
            self.ports.iter().copied().filter(|port| !self.recorded_ports.contains(port)).collect();
        if !new.is_empty() {
            let store = &call.server.store;
            if let Some(lost) = port_record::take(store, call.server.services.ports, &new).await? {
                // Stays reserved for this write: it is taken, only not yet known here.
                self.lost.push(Lost::Port(lost));
                self.ports.retain(|known| *known != lost);
                self.chosen_ports.retain(|known| *known != lost);
                return Ok(Some(Lost::Port(lost)));
            }
            self.recorded_ports.extend(new);
        }
        for address in self.addresses.clone() {
            if self.recorded.contains(&address) {
                continue;
            }
            let made = create_address(&call.server.store, address, service.namespace(), service.name())
                .await
                .map_err(crate::refusal::of_collection)?;
            if !made {
                self.addresses.retain(|known| *known != address);
                self.lost.push(Lost::Address(address));
                return Ok(Some(Lost::Address(address)));
            }
            self.recorded.push(address);
        }
        Ok(None)
    }

    /// The Service is stored: what it gave up is given back.
    pub async fn keep(mut self, server: &Server) {
        let (namespace, name) = self.owner.clone();
        if !self.freed_ports.is_empty() {
            port_record::give_back(&server.store, server.services.ports, &self.freed_ports).await;
        }
        for address in std::mem::take(&mut self.freed) {
            delete_address(&server.store, address, &namespace, &name).await;
        }
    }

    /// The Service was not stored: everything is given back.
    pub async fn release(mut self, server: &Server) {
        let (namespace, name) = self.owner.clone();
        for address in std::mem::take(&mut self.recorded) {
            delete_address(&server.store, address, &namespace, &name).await;
        }
        if !self.recorded_ports.is_empty() {
            port_record::give_back(&server.store, server.services.ports, &self.recorded_ports).await;
        }
    }

    fn fill(&mut self, call: &Call<'_>, service: &mut Value, old: Option<&Value>) -> Result<(), Status> {
        self.owner = (service.namespace().to_owned(), service.name().to_owned());
        self.used_ports = 0;
        let services = &call.server.services;
        families(services, service).map_err(|errors| refuse(call, service, errors))?;
        let had = old.map(|old| (addresses(old), node_ports(old))).unwrap_or_default();
        let needs_address = has_addresses(service)
            && text(service, "clusterIP") != "None"
            && (text(service, "clusterIP").is_empty()
                || addresses(service).iter().any(|address| !had.0.contains(address))
                || addresses(service).len() < wanted_families(service).len());
        let needs_port = has_node_ports(service) || has_health_check_port(service);
        let asks_port = node_ports(service).iter().any(|port| !had.1.contains(port));
        if !needs_address && !needs_port && !asks_port {
            return Ok(());
        }
        // Two writes at once must not choose the same: choosing is one step under the lock.
        let reserved = self.reserved.clone();
        let mut reserved = reserved.lock();
        reserved.taken.refresh(&call.server.store);
        if needs_address {
            self.fill_addresses(call, service, &had.0, &mut reserved)
                .map_err(|failure| failure.status(call, service))?;
        }
        self.fill_ports(services, service, &had.1, &mut reserved)
            .map_err(|failure| failure.status(call, service))
    }

    fn fill_addresses(
        &mut self,
        call: &Call<'_>,
        service: &mut Value,
        had: &[IpAddr],
        reserved: &mut Reserved,
    ) -> Result<(), Failure> {
        let mut chosen: Vec<IpAddr> = Vec::new();
        for family in wanted_families(service) {
            let ranges = pools::of(&call.server.store, &call.server.services.ranges, &family);
            if ranges.is_empty() {
                continue;
            }
            let asked =
                addresses(service).into_iter().find(|address| address.is_ipv4() == (family == "IPv4"));
            let before = self.addresses.iter().find(|known| known.is_ipv4() == (family == "IPv4")).copied();
            let address = match (asked, before) {
                (Some(address), _) if had.contains(&address) || self.addresses.contains(&address) => address,
                (Some(address), _) => {
                    if !ranges.iter().any(|range| pools::has(range, address)) {
                        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                        return Err(Failure::Invalid(out_of_range(service, address, &ranges.join(", "))));
                    }
                    if reserved.taken.has_address(address) || !reserved.addresses.insert(address) {
                        return Err(Failure::Invalid(allocated(service, address)));
                    }
                    self.addresses.push(address);
                    address
                }
                // Chosen when the write was made up before.
                (None, Some(address)) => address,
                (None, None) => {
                    let address = choose_address(&ranges, reserved)
                        .ok_or(Failure::Full("failed to allocate a serviceIP: range is full"))?;
                    reserved.addresses.insert(address);
                    self.addresses.push(address);
                    address
                }
            };
            chosen.push(address);
        }
        if let Some(first) = chosen.first() {
            service.set_at(&["spec", "clusterIP"], first.to_string().into());
            let all: Vec<String> = chosen.iter().map(IpAddr::to_string).collect();
            service.set_at(&["spec", "clusterIPs"], json!(all));
        }
        Ok(())
    }

    fn fill_ports(
        &mut self,
        services: &Services,
        service: &mut Value,
        had: &[u16],
        reserved: &mut Reserved,
    ) -> Result<(), Failure> {
        let allocate = has_node_ports(service);
        let mut chosen: HashSet<(u16, String)> = HashSet::new();
        for index in 0..ports(service).len() {
            let port = &ports(service)[index];
            let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned();
            let own = |port: u16, claimed: &[u16]| had.contains(&port) || claimed.contains(&port);
            let number = match number(port.get("nodePort")) {
                Some(asked) if own(asked, &self.ports) || shares(&chosen, asked, &protocol) => asked,
                Some(asked) => {
                    let field = format!("spec.ports[{index}].nodePort");
                    if !services.ports.contains(asked) {
                        let range = format!(
                            "provided port is not in the valid range. The range of valid ports is {}-{}",
                            services.ports.first, services.ports.last
                        );
                        return Err(Failure::Invalid(FieldError::invalid(field, asked, range)));
                    }
                    if reserved.taken.has_port(asked) || !reserved.ports.insert(asked) {
                        return Err(Failure::Invalid(FieldError::invalid(
                            field,
                            asked,
                            "provided port is already allocated",
                        )));
                    }
                    self.ports.push(asked);
                    asked
                }
                None if !allocate => continue,
                None => {
                    // As upstream: a port that another protocol of this Service has is shared.
                    let same_port = port.get("port").cloned();
                    let shared = ports(service)[..index].iter().find_map(|other| {
                        let of = other.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
                        (of != protocol && other.get("port").cloned() == same_port)
                            .then(|| super::fields::number(other.get("nodePort")))
                            .flatten()
                    });
                    match shared.filter(|port| !chosen.contains(&(*port, protocol.clone()))) {
                        Some(shared) => shared,
                        None => self.choose_port(services, reserved)?,
                    }
                }
            };
            chosen.insert((number, protocol));
            if let Some(port) =
                service.pointer_mut(&format!("/spec/ports/{index}")).and_then(Value::as_object_mut)
            {
                port.insert("nodePort".to_owned(), number.into());
            }
        }
        if has_health_check_port(service) && number(service.at(&["spec", "healthCheckNodePort"])).is_none() {
            let port = self.choose_port(services, reserved)?;
            service.set_at(&["spec", "healthCheckNodePort"], port.into());
        }
        Ok(())
    }

    fn choose_port(&mut self, services: &Services, reserved: &mut Reserved) -> Result<u16, Failure> {
        // Chosen when the write was made up before.
        if let Some(port) = self.chosen_ports.get(self.used_ports) {
            self.used_ports += 1;
            return Ok(*port);
        }
        let is_taken = |port| reserved.taken.has_port(port) || reserved.ports.contains(&port);
        let port = services
            .ports
            .choose(is_taken, rand::random())
            .ok_or(Failure::Full("failed to allocate a nodePort: range is full"))?;
        reserved.ports.insert(port);
        self.ports.push(port);
        self.chosen_ports.push(port);
        self.used_ports += 1;
        Ok(port)
    }
}

/// A free address of the first range that has one.
fn choose_address(ranges: &[IpNet], reserved: &Reserved) -> Option<IpAddr> {
    let is_taken = |address| reserved.taken.has_address(address) || reserved.addresses.contains(&address);
    let count = reserved.taken.address_count() + reserved.addresses.len();
    ranges.iter().find_map(|range| super::ip::choose(range, is_taken, count, rand::random()))
}

/// What another server gave to somebody else.
#[derive(Clone, Copy)]
enum Lost {
    Address(IpAddr),
    Port(u16),
}

enum Failure {
    Invalid(FieldError),
    Full(&'static str),
}

impl Failure {
    fn status(self, call: &Call<'_>, service: &Value) -> Status {
        match self {
            Self::Invalid(error) => refuse(call, service, vec![error]),
            Self::Full(why) => Status::internal(why),
        }
    }
}

fn refuse(call: &Call<'_>, service: &Value, errors: Vec<FieldError>) -> Status {
    Status::invalid(call.entry.group(), &call.entry.row.kind, service.name(), errors)
}

fn cluster_ips(service: &Value) -> Value {
    let list: Vec<String> = match service.at(&["spec", "clusterIPs"]).and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => vec![text(service, "clusterIP").to_owned()],
    };
    json!(list)
}

fn allocated(service: &Value, address: IpAddr) -> FieldError {
    let why = format!("failed to allocate IP {address}: provided IP is already allocated");
    FieldError::invalid("spec.clusterIPs", cluster_ips(service), why)
}

fn allocated_port(service: &Value, port: u16) -> FieldError {
    let index = ports(service).iter().position(|known| number(known.get("nodePort")) == Some(port));
    let field = match index {
        Some(index) => format!("spec.ports[{index}].nodePort"),
        None => "spec.healthCheckNodePort".to_owned(),
    };
    FieldError::invalid(field, port, "provided port is already allocated")
}

fn out_of_range(service: &Value, address: IpAddr, range: &str) -> FieldError {
    let why = format!(
        "failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}"
    );
    FieldError::invalid("spec.clusterIPs", cluster_ips(service), why)
}

fn wanted_families(service: &Value) -> Vec<String> {
    let families = service.at(&["spec", "ipFamilies"]).and_then(Value::as_array);
    families.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Fills in the families of a Service from its addresses, its policy and the server's ranges.
fn families(services: &Services, service: &mut Value) -> Result<(), Vec<FieldError>> {
    if !has_addresses(service) {
        return Ok(());
    }
    let offered = services.ranges.families();
    let mut wanted = wanted_families(service);
    if wanted.is_empty() {
        wanted = match addresses(service).as_slice() {
            [] => vec![offered[0].to_owned()],
            some => some.iter().map(|a| if a.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned()).collect(),
        };
    }
    for (index, family) in wanted.iter().enumerate() {
        if services.ranges.of(family).is_none() && text(service, "clusterIP") != "None" {
            let field = format!("spec.ipFamilies[{index}]");
            return Err(vec![FieldError::invalid(field, family.as_str(), "not configured on this cluster")]);
        }
    }
    let headless_without_selector = text(service, "clusterIP") == "None"
        && service.at(&["spec", "selector"]).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty);
    let policy = match text(service, "ipFamilyPolicy") {
        "" if wanted.len() == 2 || headless_without_selector => "RequireDualStack",
        "" => "SingleStack",
        policy => policy,
    }
    .to_owned();
    if policy == "RequireDualStack" && offered.len() < 2 && text(service, "clusterIP") != "None" {
        let why = "this cluster is not configured for dual-stack services";
        return Err(vec![FieldError::invalid("spec.ipFamilyPolicy", policy, why)]);
    }
    if policy != "SingleStack" && wanted.len() == 1 && (offered.len() == 2 || headless_without_selector) {
        wanted.push(if wanted[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
    }
    let policy =
        if headless_without_selector && text(service, "ipFamilyPolicy").is_empty() && offered.len() < 2 {
            // One family is all there is; the policy says that both are right for endpoints made by hand.
            wanted.truncate(1);
            "SingleStack".to_owned()
        } else {
            policy
        };
    service.set_at(&["spec", "ipFamilyPolicy"], policy.into());
    service.set_at(&["spec", "ipFamilies"], json!(wanted));
    if text(service, "clusterIP") == "None" {
        service.set_at(&["spec", "clusterIPs"], json!(["None"]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::{PortRange, Ranges};

    fn services(ranges: &str) -> Services {
        Services::new(Ranges::parse(ranges).unwrap(), PortRange { first: 30000, last: 32767 })
    }

    fn with_families(ranges: &str, spec: Value) -> String {
        let mut service = json!({"metadata": {"name": "a"}, "spec": spec});
        match families(&services(ranges), &mut service) {
            Ok(()) => format!("{} {}", text(&service, "ipFamilyPolicy"), wanted_families(&service).join("+")),
            Err(errors) => errors[0].to_string(),
        }
    }

    #[test]
    fn families_follow_policy_addresses_and_ranges() {
        assert_eq!(with_families("10.0.0.0/24", json!({})), "SingleStack IPv4");
        assert_eq!(
            with_families("10.0.0.0/24,fd00::/112", json!({"ipFamilyPolicy": "PreferDualStack"})),
            "PreferDualStack IPv4+IPv6"
        );
        assert_eq!(
            with_families("10.0.0.0/24", json!({"ipFamilyPolicy": "PreferDualStack"})),
            "PreferDualStack IPv4"
        );
        assert_eq!(
            with_families("10.0.0.0/24", json!({"ipFamilyPolicy": "RequireDualStack"})),
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
        );
        assert_eq!(
            with_families("10.0.0.0/24,fd00::/112", json!({"clusterIP": "fd00::5"})),
            "SingleStack IPv6"
        );
        assert_eq!(
            with_families("10.0.0.0/24", json!({"ipFamilies": ["IPv6"]})),
            "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"
        );
    }
}
