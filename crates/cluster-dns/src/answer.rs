//! From a question to its answer: the names of Services, endpoints and pods, forward and reverse.
//!
//! The schema is that of the Kubernetes DNS specification 1.1. Beyond it, as CoreDNS has it: SRV of a Service's own
//! name gives all its ports, and `ns.dns.<domain>` names the server.

use std::net::IpAddr;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use ipnet::IpNet;

use crate::records::{Records, Service};

mod reverse;
mod service;
#[cfg(test)]
mod tests;

/// The version of the schema, answered for `dns-version.<domain>`.
const SCHEMA: &str = "1.1.0";
/// Seconds that a Service's address may be kept: it stays as long as the Service.
const SERVICE_TTL: u32 = 30;
/// Seconds that endpoints, and the lack of a name, may be kept: they come and go.
const ENDPOINT_TTL: u32 = 5;
/// Records looked at for one answer: more do not fit into the largest message there is.
const MOST: usize = 4096;
/// Names followed from one ExternalName to another within the cluster.
const ALIASES: usize = 8;

/// The part of the name space that is the cluster's.
#[derive(Debug, Clone)]
pub struct Zones {
    /// The cluster's domain, in lower case.
    pub domain: Name,
    /// Networks whose reverse names nobody else knows.
    pub networks: Vec<IpNet>,
}

/// What is said to a question about the cluster's names.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// How it went.
    pub code: ResponseCode,
    /// Records of the name asked for, after the aliases that lead to it.
    pub answers: Vec<Record>,
    /// The zone's SOA when there are no answers.
    pub authorities: Vec<Record>,
    /// Addresses of SRV targets.
    pub additionals: Vec<Record>,
    /// A name outside the cluster that the last alias leads to.
    pub elsewhere: Option<Name>,
}

/// Whose question it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The cluster's.
    Answered(Answer),
    /// Somebody else's.
    Elsewhere,
}

/// What a name has for a type.
enum Found {
    /// The name does not exist.
    Nothing,
    /// The name exists, with or without records of the type.
    Records { answers: Vec<Record>, additionals: Vec<Record> },
    /// The name stands for another one.
    Alias(Name),
}

impl Found {
    fn empty() -> Self {
        Self::Records { answers: Vec::new(), additionals: Vec::new() }
    }

    fn empty_if(exists: bool) -> Self {
        if exists { Self::empty() } else { Self::Nothing }
    }

    fn answers(answers: Vec<Record>) -> Self {
        Self::Records { answers, additionals: Vec::new() }
    }
}

/// Answers a question. `turn` says which of several addresses comes first, so that callers spread.
pub fn answer(records: &Records, zones: &Zones, query: &Query, turn: usize) -> Outcome {
    let kind = query.query_type();
    let lower = query.name().to_lowercase();
    let domain: Vec<&[u8]> = zones.domain.iter().rev().collect();
    let labels: Vec<&[u8]> = lower.iter().rev().collect();
    if !labels.starts_with(&domain) {
        return reverse::answer(records, zones, query, &labels);
    }
    if query.query_class() != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return Outcome::Answered(Answer::failure(ResponseCode::Refused));
    }
    if !records.is_whole() {
        return Outcome::Answered(Answer::failure(ResponseCode::ServFail));
    }
    let mut answers = Vec::new();
    let mut owner = query.name().clone();
    for _ in 0..ALIASES {
        let lower = owner.to_lowercase();
        let labels: Vec<&[u8]> = lower.iter().rev().collect();
        let Some(relative) = labels.strip_prefix(&*domain) else { break };
        let lookup = Lookup { records, zones, owner: &owner, kind, turn };
        match lookup.find(relative) {
            Found::Nothing => {
                let soa = soa(records, zones, zones.domain.clone());
                let code = ResponseCode::NXDomain;
                return Outcome::Answered(Answer { authorities: vec![soa], ..Answer::new(code, answers) });
            }
            Found::Records { answers: found, additionals } => {
                let authorities = match found.is_empty() {
                    true => vec![soa(records, zones, zones.domain.clone())],
                    false => Vec::new(),
                };
                answers.extend(found);
                let answer = Answer::new(ResponseCode::NoError, answers);
                return Outcome::Answered(Answer { authorities, additionals, ..answer });
            }
            Found::Alias(target) => {
                let alias = RData::CNAME(CNAME(target.clone()));
                answers.push(Record::from_rdata(owner, SERVICE_TTL, alias));
                owner = target;
                if kind == RecordType::CNAME {
                    return Outcome::Answered(Answer::new(ResponseCode::NoError, answers));
                }
            }
        }
    }
    // Aliases that lead in a circle, or nearly so.
    if zones.domain.zone_of(&owner) {
        return Outcome::Answered(Answer::failure(ResponseCode::ServFail));
    }
    Outcome::Answered(Answer { elsewhere: Some(owner), ..Answer::new(ResponseCode::NoError, answers) })
}

impl Answer {
    fn new(code: ResponseCode, answers: Vec<Record>) -> Self {
        Answer { code, answers, authorities: Vec::new(), additionals: Vec::new(), elsewhere: None }
    }

    /// An answer that says only that there is none.
    pub fn failure(code: ResponseCode) -> Self {
        Self::new(code, Vec::new())
    }
}

/// One name being looked up.
struct Lookup<'a> {
    records: &'a Records,
    zones: &'a Zones,
    /// The name as it was spelt in the question.
    owner: &'a Name,
    kind: RecordType,
    turn: usize,
}

impl Lookup<'_> {
    /// Finds a name by its labels below the cluster's domain, the last one first.
    fn find(&self, labels: &[&[u8]]) -> Found {
        let text: Option<Vec<&str>> =
            labels.iter().take(6).map(|label| std::str::from_utf8(label).ok()).collect();
        let Some(text) = text else { return Found::Nothing };
        match *text {
            [] => self.apex(),
            ["dns-version"] => {
                let version = || RData::TXT(TXT::new(vec![SCHEMA.to_owned()]));
                Found::answers(self.only(RecordType::TXT, version))
            }
            ["dns" | "svc" | "pod"] => Found::empty(),
            ["dns", "ns"] => match self.records.service("kube-system/kube-dns") {
                Some(Service::ClusterIp { addresses, .. }) => {
                    Found::answers(self.addresses(self.owner, addresses.iter().copied(), SERVICE_TTL))
                }
                _ => Found::empty(),
            },
            ["svc" | "pod", namespace] => Found::empty_if(self.records.has_namespace(namespace)),
            ["pod", namespace, address] => self.pod(namespace, address),
            ["svc", namespace, service] => self.service(namespace, service),
            ["svc", namespace, service, below] => self.below(namespace, service, below),
            ["svc", namespace, service, protocol, port] => {
                self.named_port(namespace, service, protocol, port)
            }
            _ => Found::Nothing,
        }
    }

    fn apex(&self) -> Found {
        let mut answers = self.only(RecordType::NS, || RData::NS(NS(name_server(self.zones))));
        if self.wants(RecordType::SOA) {
            answers.push(soa(self.records, self.zones, self.owner.clone()));
        }
        Found::answers(answers)
    }

    /// Any address is a pod of any namespace there is: what the address says is all that is asked.
    fn pod(&self, namespace: &str, label: &str) -> Found {
        if !self.records.has_namespace(namespace) {
            return Found::Nothing;
        }
        match undashed(label) {
            Some(address) => Found::answers(self.addresses(self.owner, [address], ENDPOINT_TTL)),
            None => Found::Nothing,
        }
    }

    fn wants(&self, kind: RecordType) -> bool {
        self.kind == kind || self.kind == RecordType::ANY
    }

    fn only(&self, kind: RecordType, data: impl FnOnce() -> RData) -> Vec<Record> {
        if !self.wants(kind) {
            return Vec::new();
        }
        vec![Record::from_rdata(self.owner.clone(), SERVICE_TTL, data())]
    }

    /// The A and AAAA records wanted of a name.
    fn addresses(&self, owner: &Name, addresses: impl IntoIterator<Item = IpAddr>, ttl: u32) -> Vec<Record> {
        let wanted = addresses.into_iter().filter(|address| match address {
            IpAddr::V4(_) => self.wants(RecordType::A),
            IpAddr::V6(_) => self.wants(RecordType::AAAA),
        });
        wanted.map(|address| address_record(owner.clone(), address, ttl)).collect()
    }
}

fn address_record(owner: Name, address: IpAddr, ttl: u32) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(owner, ttl, data)
}

/// Reads an address with dashes for dots or colons.
fn undashed(label: &str) -> Option<IpAddr> {
    label.replace('-', ".").parse().or_else(|_| label.replace('-', ":").parse()).ok()
}

/// Puts labels before the cluster's domain. None when that is too long to be a name.
fn below_domain(zones: &Zones, labels: &[&str]) -> Option<Name> {
    let labels = labels.iter().map(|label| label.as_bytes());
    Name::from_labels(labels).ok()?.append_domain(&zones.domain).ok()
}

fn name_server(zones: &Zones) -> Name {
    below_domain(zones, &["ns", "dns"]).unwrap_or_else(|| zones.domain.clone())
}

fn soa(records: &Records, zones: &Zones, zone: Name) -> Record {
    let mailbox = below_domain(zones, &["hostmaster"]).unwrap_or_else(|| zones.domain.clone());
    let ttl = ENDPOINT_TTL;
    let data = SOA::new(name_server(zones), mailbox, records.serial(), 7200, 1800, 86400, ttl);
    Record::from_rdata(zone, ttl, RData::SOA(data))
}
