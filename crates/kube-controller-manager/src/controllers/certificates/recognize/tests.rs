use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use serde_json::{Value, json};

use super::*;

/// Nodes w1 (10.0.0.1) and w2 (10.0.0.2, 10.0.0.9), which also claims 10.0.0.1's neighbour 10.0.0.3 that w1 has too.
struct Known;

fn node(name: &str, addresses: &[&str]) -> Arc<Node> {
    let addresses: Vec<Value> =
        addresses.iter().map(|address| json!({"type": "InternalIP", "address": address})).collect();
    Arc::new(
        serde_json::from_value(json!({"metadata": {"name": name}, "status": {"addresses": addresses}}))
            .unwrap(),
    )
}

impl Nodes for Known {
    fn named(&self, name: &str) -> Option<Arc<Node>> {
        match name {
            "w1" => Some(node("w1", &["10.0.0.1", "10.0.0.3", "10.96.0.1", "127.0.0.1"])),
            "w2" => Some(node("w2", &["10.0.0.2", "10.0.0.3"])),
            _ => None,
        }
    }

    fn other_with(&self, address: &str, name: &str) -> Option<String> {
        (address == "10.0.0.3" && name == "w1").then(|| "w2".to_owned())
    }

    fn is_service(&self, address: std::net::IpAddr) -> bool {
        address.to_string().starts_with("10.96.")
    }
}

/// A request as its asker made it: `O/CN` and alternative names.
struct Case {
    signer: &'static str,
    asker: &'static str,
    groups: &'static [&'static str],
    subject: (&'static [&'static str], &'static str),
    names: &'static [&'static str],
    usages: &'static [&'static str],
}

impl Case {
    fn check(&self, expected: Result<&[Recognized], &str>) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for organization in self.subject.0 {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        params.distinguished_name.push(DnType::CommonName, self.subject.1);
        params.subject_alt_names = self
            .names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        let object: CertificateSigningRequest = serde_json::from_value(json!({"spec": {
            "signerName": self.signer, "username": self.asker, "groups": self.groups, "usages": self.usages,
        }}))
        .unwrap();
        let found = recognize(&object, &Request::from_pem(&pem).unwrap(), &Known);
        let found = found.as_deref().map_err(String::as_str);
        assert_eq!(found, expected, "{} of {} for {}", self.signer, self.asker, self.subject.1);
    }
}

const CLIENT_USE: &[&str] = &["digital signature", "client auth"];
const SERVER_USE: &[&str] = &["digital signature", "server auth"];
const NODES: &[&str] = &["system:nodes", "system:authenticated"];
const REJOINERS: &[&str] = &[REJOINING, "system:authenticated"];

/// What a node asks for when it renews its client certificate.
const OWN: Case = Case {
    signer: KUBELET_CLIENT,
    asker: "system:node:w1",
    groups: NODES,
    subject: (&["system:nodes"], "system:node:w1"),
    names: &[],
    usages: CLIENT_USE,
};
/// What it asks for to serve with.
const SERVING: Case = Case { signer: KUBELET_SERVING, names: &["w1", "10.0.0.1"], usages: SERVER_USE, ..OWN };
/// What it asks for to rejoin with later.
const REJOIN: Case = Case { signer: NODE_REJOIN, subject: (&[REJOINING], "system:node-rejoin:w1"), ..OWN };
/// What it asks for then.
const REJOINS: Case = Case { asker: "system:node-rejoin:w1", groups: REJOINERS, ..OWN };
/// What it asks for its kube-proxy.
const AGENT: Case = Case { signer: CLIENT, subject: (&[], "system:kube-proxy"), ..OWN };

#[test]
fn a_client_certificate_is_a_nodes_own_or_a_bootstrap_tokens() {
    OWN.check(Ok(&[Recognized::OwnClient, Recognized::Client]));
    Case { asker: "system:bootstrap:abcdef", groups: &["system:bootstrappers"], ..OWN }
        .check(Ok(&[Recognized::Client]));
    Case { names: &["w1"], ..OWN }.check(Err("DNS subjectAltNames are not allowed"));
    Case { subject: (&["system:masters"], "system:node:w1"), ..OWN }
        .check(Err("subject organization is not system:nodes"));
    Case { usages: &["client auth", "server auth", "digital signature"], ..OWN }
        .check(Err("usages did not match [client auth digital signature key encipherment]"));
    Case { signer: "example.org/any", ..OWN }
        .check(Err("requests to example.org/any are not approved without a person"));
}

#[test]
fn a_node_rejoins_as_itself_while_it_is_in_the_cluster() {
    REJOINS.check(Ok(&[Recognized::Rejoining]));
    Case { subject: (&["system:nodes"], "system:node:w2"), ..REJOINS }
        .check(Err("system:node-rejoin:w1 asks for another node's certificate"));
    Case { asker: "system:node-rejoin:w3", subject: (&["system:nodes"], "system:node:w3"), ..REJOINS }
        .check(Err("node \"w3\" does not exist: it must join anew"));
    Case { groups: &["system:authenticated"], ..REJOINS }
        .check(Err("the asker is not in group system:bootstrappers:node-rejoin"));
    // It is good for nothing else.
    Case { asker: "system:node-rejoin:w1", groups: REJOINERS, ..SERVING }
        .check(Err("the asker is not a node"));
    Case { asker: "system:node-rejoin:w1", groups: REJOINERS, ..AGENT }.check(Err("the asker is not a node"));
    Case { asker: "system:node-rejoin:w1", groups: REJOINERS, ..REJOIN }
        .check(Err("the asker is not a node"));
}

#[test]
fn a_rejoin_certificate_is_the_asking_nodes() {
    REJOIN.check(Ok(&[Recognized::Rejoin]));
    Case { subject: (&[REJOINING], "system:node-rejoin:w2"), ..REJOIN }
        .check(Err("system:node:w1 asks to rejoin as another node"));
    Case { subject: (&["system:nodes"], "system:node-rejoin:w1"), ..REJOIN }
        .check(Err("subject organization is not system:bootstrappers:node-rejoin"));
    Case { subject: (&[REJOINING, "system:masters"], "system:node-rejoin:w1"), ..REJOIN }
        .check(Err("subject organization is not system:bootstrappers:node-rejoin"));
    Case { subject: (&[REJOINING], "system:node:w1"), ..REJOIN }
        .check(Err("subject common name does not begin with system:node-rejoin:"));
    Case { names: &["w1"], ..REJOIN }.check(Err("subjectAltNames are not allowed"));
    Case { usages: SERVER_USE, ..REJOIN }
        .check(Err("usages did not match [client auth digital signature key encipherment]"));
    Case { groups: &[], ..REJOIN }.check(Err("the asker is not a node"));
}

#[test]
fn a_serving_certificate_has_the_nodes_name_and_addresses_that_it_alone_has() {
    SERVING.check(Ok(&[Recognized::OwnServing]));
    Case { names: &["10.0.0.1"], ..SERVING }.check(Ok(&[Recognized::OwnServing]));
    Case { names: &[], ..SERVING }.check(Err("DNS or IP subjectAltName is required"));
    Case { asker: "system:node:w2", ..SERVING }.check(Err("subject common name is not the asker's"));
    Case { asker: "jane", ..SERVING }.check(Err("the asker is not a node"));
    Case { asker: "system:node:w3", subject: (&["system:nodes"], "system:node:w3"), ..SERVING }
        .check(Err("node \"w3\" does not exist"));
    Case { names: &["w1", "kubernetes.default"], ..SERVING }
        .check(Err("DNS subjectAltName \"kubernetes.default\" is not the node's name"));
    Case { names: &["10.0.0.2"], ..SERVING }
        .check(Err("IP subjectAltName 10.0.0.2 is not an address of node \"w1\""));
    Case { names: &["10.0.0.3"], ..SERVING }
        .check(Err("IP subjectAltName 10.0.0.3 is an address of node \"w2\" too"));
    Case { names: &["127.0.0.1"], ..SERVING }
        .check(Err("IP subjectAltName 127.0.0.1 is of no single machine"));
    Case { names: &["10.96.0.1"], ..SERVING }
        .check(Err("IP subjectAltName 10.96.0.1 is in the range of Services"));
    Case { usages: CLIENT_USE, ..SERVING }
        .check(Err("usages did not match [digital signature key encipherment server auth]"));
}

#[test]
fn an_agents_certificate_is_asked_for_by_a_node_and_names_the_agent_alone() {
    AGENT.check(Ok(&[Recognized::Agent]));
    Case { subject: (&[], "system:podnet"), ..AGENT }.check(Ok(&[Recognized::Agent]));
    let other = "subject common name is not system:kube-proxy or system:podnet";
    Case { subject: (&[], "system:kube-scheduler"), ..AGENT }.check(Err(other));
    Case { subject: (&["system:masters"], "system:kube-proxy"), ..AGENT }
        .check(Err("subject organizations are not allowed"));
    Case { names: &["w1"], ..AGENT }.check(Err("subjectAltNames are not allowed"));
    Case { usages: SERVER_USE, ..AGENT }
        .check(Err("usages did not match [client auth digital signature key encipherment]"));
    Case { asker: "jane", groups: &["developers"], ..AGENT }.check(Err("the asker is not a node"));
}
