//! The names of Services, of their ports and of the endpoints of headless ones.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{ENDPOINT_TTL, Found, Lookup, MOST, SERVICE_TTL, address_record, below_domain};
use crate::records::{Endpoint, Port, Protocol, Service, Slice};

/// Which ports SRV records are wanted of.
enum Ports<'a> {
    All,
    Named(Protocol, &'a str),
}

impl Ports<'_> {
    fn include(&self, port: &Port) -> bool {
        match self {
            Ports::All => true,
            Ports::Named(protocol, name) => port.protocol == *protocol && *port.name == **name,
        }
    }
}

impl Lookup<'_> {
    /// `<service>.<namespace>.svc`
    pub(super) fn service(&self, namespace: &str, name: &str) -> Found {
        let key = format!("{namespace}/{name}");
        match self.records.service(&key) {
            None => Found::Nothing,
            // A name that cannot be one leads nowhere, but the Service is there.
            Some(Service::ExternalName(target)) => match Name::from_ascii(format!("{target}.")) {
                Ok(target) if !target.is_root() => Found::Alias(target),
                _ => Found::empty(),
            },
            Some(Service::ClusterIp { addresses, ports }) => {
                let mut answers = self.addresses(self.owner, addresses.iter().copied(), SERVICE_TTL);
                let mut additionals = Vec::new();
                if self.kind == RecordType::SRV {
                    (answers, additionals) =
                        self.service_ports(namespace, name, addresses, ports, &Ports::All);
                }
                Found::Records { answers, additionals }
            }
            Some(Service::Headless { publish_not_ready }) => {
                let visible = self.visible(&key, *publish_not_ready);
                // The specification: without ready endpoints there is no such name.
                if visible.clone().next().is_none() {
                    return Found::Nothing;
                }
                if self.kind == RecordType::SRV {
                    let (answers, additionals) = self.endpoint_ports(namespace, name, visible, &Ports::All);
                    return Found::Records { answers, additionals };
                }
                Found::answers(self.in_turn(visible.map(|(_, endpoint)| endpoint.address)))
            }
        }
    }

    /// `<hostname>.<service>.<namespace>.svc`, and `_tcp` there, which only has names below it.
    pub(super) fn below(&self, namespace: &str, name: &str, label: &str) -> Found {
        let key = format!("{namespace}/{name}");
        match (self.records.service(&key), Protocol::from_label(label)) {
            (Some(Service::ClusterIp { ports, .. }), Some(protocol)) => {
                Found::empty_if(ports.iter().any(|port| has_name(port, protocol)))
            }
            (Some(Service::Headless { publish_not_ready }), Some(protocol)) => {
                let mut visible = self.visible(&key, *publish_not_ready);
                Found::empty_if(
                    visible.any(|(slice, _)| slice.ports().iter().any(|port| has_name(port, protocol))),
                )
            }
            (Some(Service::Headless { publish_not_ready }), None) => {
                let named = self.records.slices(&key).flat_map(|slice| slice.named(label));
                let named = named.filter(|endpoint| endpoint.ready || *publish_not_ready);
                if named.clone().next().is_none() {
                    return Found::Nothing;
                }
                Found::answers(self.in_turn(named.map(|endpoint| endpoint.address)))
            }
            (Some(Service::ClusterIp { .. } | Service::ExternalName(_)) | None, _) => Found::Nothing,
        }
    }

    /// `_<port>._<protocol>.<service>.<namespace>.svc`
    pub(super) fn named_port(&self, namespace: &str, name: &str, protocol: &str, port: &str) -> Found {
        let Some(protocol) = Protocol::from_label(protocol) else { return Found::Nothing };
        let Some(port) = port.strip_prefix('_').filter(|port| !port.is_empty()) else {
            return Found::Nothing;
        };
        let key = format!("{namespace}/{name}");
        let ports = Ports::Named(protocol, port);
        let (answers, additionals) = match self.records.service(&key) {
            Some(Service::ClusterIp { addresses, ports: all }) => {
                self.service_ports(namespace, name, addresses, all, &ports)
            }
            Some(Service::Headless { publish_not_ready }) => {
                let visible = self.visible(&key, *publish_not_ready);
                self.endpoint_ports(namespace, name, visible, &ports)
            }
            Some(Service::ExternalName(_)) | None => return Found::Nothing,
        };
        if answers.is_empty() {
            Found::Nothing
        } else if self.wants(RecordType::SRV) {
            Found::Records { answers, additionals }
        } else {
            Found::empty()
        }
    }

    fn visible(
        &self,
        key: &str,
        publish_not_ready: bool,
    ) -> impl Iterator<Item = (&Slice, &Endpoint)> + Clone {
        self.records
            .slices(key)
            .flat_map(|slice| slice.endpoints().iter().map(move |endpoint| (slice, endpoint)))
            .filter(move |(_, endpoint)| endpoint.ready || publish_not_ready)
    }

    /// The records of addresses, each once, beginning with another one each time.
    fn in_turn(&self, addresses: impl Iterator<Item = IpAddr>) -> Vec<Record> {
        let addresses: BTreeSet<IpAddr> = addresses.take(MOST).collect();
        let mut records = self.addresses(self.owner, addresses, ENDPOINT_TTL);
        if !records.is_empty() {
            let first = self.turn % records.len();
            records.rotate_left(first);
        }
        records
    }

    fn service_ports(
        &self,
        namespace: &str,
        name: &str,
        addresses: &[IpAddr],
        ports: &[Port],
        wanted: &Ports<'_>,
    ) -> (Vec<Record>, Vec<Record>) {
        let Some(target) = below_domain(self.zones, &[name, namespace, "svc"]) else {
            return Default::default();
        };
        let ports = ports.iter().filter(|port| wanted.include(port));
        let answers: Vec<Record> =
            ports.map(|port| self.srv(port.number, target.clone(), SERVICE_TTL)).collect();
        let addresses = addresses.iter().map(|address| address_record(target.clone(), *address, SERVICE_TTL));
        (answers, addresses.collect())
    }

    fn endpoint_ports<'a>(
        &self,
        namespace: &str,
        name: &str,
        visible: impl Iterator<Item = (&'a Slice, &'a Endpoint)>,
        wanted: &Ports<'_>,
    ) -> (Vec<Record>, Vec<Record>) {
        let mut targets = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for (slice, endpoint) in visible {
            for port in slice.ports().iter().filter(|port| wanted.include(port)) {
                targets.insert((&*endpoint.name, port.number));
                addresses.insert((&*endpoint.name, endpoint.address));
            }
            if targets.len() >= MOST {
                break;
            }
        }
        let target = |endpoint: &str| below_domain(self.zones, &[endpoint, name, namespace, "svc"]);
        let mut answers: Vec<Record> = targets
            .into_iter()
            .filter_map(|(endpoint, port)| Some(self.srv(port, target(endpoint)?, ENDPOINT_TTL)))
            .collect();
        if !answers.is_empty() {
            let first = self.turn % answers.len();
            answers.rotate_left(first);
        }
        let additionals = addresses
            .into_iter()
            .filter_map(|(endpoint, address)| Some(address_record(target(endpoint)?, address, ENDPOINT_TTL)));
        (answers, additionals.collect())
    }

    fn srv(&self, port: u16, target: Name, ttl: u32) -> Record {
        // Priority and weight mean nothing here; CoreDNS' values for a single target.
        Record::from_rdata(self.owner.clone(), ttl, RData::SRV(SRV::new(0, 100, port, target)))
    }
}

fn has_name(port: &Port, protocol: Protocol) -> bool {
    port.protocol == protocol && !port.name.is_empty()
}
