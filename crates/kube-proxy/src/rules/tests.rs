use expect_test::{Expect, expect};
use netrules::{Family, Ruleset};

use super::*;
use crate::node::Node;

/// A state from YAML documents of Services and EndpointSlices, on the node `here`.
fn state(documents: &str) -> State {
    let mut state = State::new(Family::V4, "here");
    for document in documents.split("---") {
        let value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
        match value["kind"].as_str() {
            Some("Service") => state.apply_service(&serde_json::from_value(value).unwrap()),
            Some("EndpointSlice") => state.apply_slice(&serde_json::from_value(value).unwrap()),
            other => panic!("unexpected kind {other:?}"),
        }
    }
    let name = "here".into();
    state.apply_node(Node { name, addresses: vec!["192.168.1.101".parse().unwrap()], ..Node::default() });
    state
}

fn options() -> Options {
    Options { local: LocalDetector::Cidr("172.16.0.0/16".parse().unwrap()), ..Options::default() }
}

/// Compares the rules that services cause (not the base rules) as text.
fn check(documents: &str, expected: Expect) {
    check_with(documents, &options(), expected);
}

fn check_with(documents: &str, options: &Options, expected: Expect) {
    expected.assert_eq(&lines(&rules(&state(documents), options), &base_chains(options)));
}

fn lines(ruleset: &Ruleset, without: &Ruleset) -> String {
    let skip: std::collections::BTreeSet<&String> =
        without.tables.values().flat_map(|table| table.chains.keys()).collect();
    let mut out = String::new();
    for (table, rules) in &ruleset.tables {
        for (chain, rules) in rules.chains.iter().filter(|(chain, _)| !skip.contains(chain)) {
            for rule in rules {
                out.push_str(table.name());
                out.push(' ');
                netrules::append(&mut out, chain, rule);
            }
        }
    }
    out
}

fn slice(service: &str, ports: &str, endpoints: &str) -> String {
    format!(
        "{{kind: EndpointSlice, metadata: {{namespace: default, name: {service}-x, labels: {{kubernetes.io/service-name: {service}}}}},
          addressType: IPv4, ports: [{ports}], endpoints: [{endpoints}]}}"
    )
}

fn service(name: &str, spec: &str) -> String {
    format!("{{kind: Service, metadata: {{namespace: default, name: {name}}}, spec: {{{spec}}}}}")
}

#[test]
fn the_whole_rule_set_without_services() {
    let ruleset = rules(&State::new(Family::V4, "here"), &options());
    let mut text = ruleset.render();
    for jump in &ruleset.jumps {
        text.push_str(&format!("{} ", jump.table.name()));
        netrules::append(&mut text, jump.chain, &jump.rule);
    }
    expect![[r#""#]].assert_eq(&text);
}

#[test]
fn a_cluster_ip_spreads_evenly_over_three_endpoints() {
    let web = service("web", "clusterIP: 10.96.0.9, ports: [{port: 80}]");
    let endpoints = slice(
        "web",
        "{port: 8080}",
        "{addresses: [172.16.1.2]}, {addresses: [172.16.2.2]}, {addresses: [172.16.1.3]}",
    );
    check(&format!("{web}\n---\n{endpoints}"), expect![[r#""#]]);
}

#[test]
fn a_node_port_is_masqueraded_and_named_ports_are_told_apart() {
    let web = service(
        "web",
        "type: NodePort, clusterIP: 10.96.0.9, ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, protocol: UDP}]",
    );
    let endpoints =
        slice("web", "{name: a, port: 8080}, {name: b, port: 53, protocol: UDP}", "{addresses: [172.16.1.2]}");
    check(&format!("{web}\n---\n{endpoints}"), expect![[r#""#]]);
}

#[test]
fn nobody_there_means_refused() {
    check(
        &service("web", "type: NodePort, clusterIP: 10.96.0.9, externalIPs: [192.0.2.1], ports: [{port: 80, nodePort: 30080}]"),
        expect![[r#""#]],
    );
}

#[test]
fn session_affinity_remembers_the_client_at_its_endpoint() {
    let web = service(
        "web",
        "clusterIP: 10.96.0.9, ports: [{port: 80}], sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}",
    );
    let endpoints = slice("web", "{port: 8080}", "{addresses: [172.16.1.2]}, {addresses: [172.16.2.2]}");
    check(&format!("{web}\n---\n{endpoints}"), expect![[r#""#]]);
}

const BALANCED: &str = "type: LoadBalancer, clusterIP: 10.96.0.9, externalTrafficPolicy: Local, healthCheckNodePort: 30999,
     loadBalancerSourceRanges: [192.168.0.0/16], ports: [{port: 80, nodePort: 30080}]";

fn balanced(endpoints: &str) -> String {
    let web = service("web", BALANCED);
    let web = web.strip_suffix('}').unwrap();
    let status = "status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}}";
    format!("{web}, {status}}}\n---\n{}", slice("web", "{port: 8080}", endpoints))
}

#[test]
fn a_load_balancer_of_policy_local_keeps_to_this_node_within_its_source_ranges() {
    let endpoints = "{addresses: [172.16.1.2], nodeName: here}, {addresses: [172.16.2.2], nodeName: there}";
    check(&balanced(endpoints), expect![[r#""#]]);
}

#[test]
fn policy_local_without_local_endpoints_drops_so_that_balancers_go_elsewhere() {
    check(&balanced("{addresses: [172.16.2.2], nodeName: there}"), expect![[r#""#]]);
}

#[test]
fn internal_policy_local_uses_only_this_nodes_endpoints() {
    let web = service("web", "clusterIP: 10.96.0.9, internalTrafficPolicy: Local, ports: [{port: 80}]");
    let endpoints = slice(
        "web",
        "{port: 8080}",
        "{addresses: [172.16.1.2], nodeName: here}, {addresses: [172.16.2.2], nodeName: there}",
    );
    check(&format!("{web}\n---\n{endpoints}"), expect![[r#""#]]);
    let elsewhere = slice("web", "{port: 8080}", "{addresses: [172.16.2.2], nodeName: there}");
    check(&format!("{web}\n---\n{elsewhere}"), expect![[r#""#]]);
}

#[test]
fn node_ports_can_be_bound_to_addresses_and_everything_masqueraded() {
    let web = service("web", "clusterIP: 10.96.0.9, ports: [{port: 80, nodePort: 30080}]");
    let endpoints = slice("web", "{port: 8080}", "{addresses: [172.16.1.2]}");
    let options = Options {
        masquerade_all: true,
        localhost_node_ports: false,
        node_port_addresses: NodePortAddresses::Only(vec!["192.168.1.101".parse().unwrap()]),
        ..Options::default()
    };
    check_with(&format!("{web}\n---\n{endpoints}"), &options, expect![[r#""#]]);
}
