use expect_test::{Expect, expect};
use netrules::{Family, Ruleset};

use super::*;
use crate::node::Node;

/// A state from YAML documents of Services and EndpointSlices, on the node `here`.
fn state(documents: &str) -> State {
    let mut state = State::new(Family::V4, "here");
    for document in documents.split("---") {
        if document.contains("EndpointSlice") {
            state.apply_named(crate::state::tests::slice(document));
        } else {
            state.apply(crate::state::tests::service(document));
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
    expect![[r#"
        *filter
        :KUBE-EXTERNAL-SERVICES - [0:0]
        :KUBE-FIREWALL - [0:0]
        :KUBE-FORWARD - [0:0]
        :KUBE-NODEPORTS - [0:0]
        :KUBE-PROXY-CANARY - [0:0]
        :KUBE-PROXY-FIREWALL - [0:0]
        :KUBE-SERVICES - [0:0]
        -A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
        -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
        -A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
        -A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        COMMIT
        *nat
        :KUBE-MARK-MASQ - [0:0]
        :KUBE-NODEPORTS - [0:0]
        :KUBE-POSTROUTING - [0:0]
        :KUBE-PROXY-CANARY - [0:0]
        :KUBE-SERVICES - [0:0]
        -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
        -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
        -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
        -A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
        -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        COMMIT
        *mangle
        :KUBE-PROXY-CANARY - [0:0]
        COMMIT
        filter -A INPUT -m comment --comment "kubernetes externally-visible service portals" -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        filter -A FORWARD -m comment --comment "kubernetes externally-visible service portals" -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        filter -A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
        filter -A FORWARD -m comment --comment "kubernetes service portals" -m conntrack --ctstate NEW -j KUBE-SERVICES
        filter -A OUTPUT -m comment --comment "kubernetes service portals" -m conntrack --ctstate NEW -j KUBE-SERVICES
        filter -A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
        filter -A INPUT -m comment --comment "kubernetes load balancer firewall" -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        filter -A OUTPUT -m comment --comment "kubernetes load balancer firewall" -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        filter -A FORWARD -m comment --comment "kubernetes load balancer firewall" -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        nat -A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
        nat -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
        nat -A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
        filter -A INPUT -j KUBE-FIREWALL
        filter -A OUTPUT -j KUBE-FIREWALL
    "#]].assert_eq(&text);
}

#[test]
fn what_no_service_takes_of_the_service_range_goes_nowhere() {
    let service_networks = vec!["10.96.0.0/12".parse().unwrap(), "10.0.0.0/24".parse().unwrap()];
    let text = base_chains(&Options { service_networks, ..options() }).render();
    let rules: Vec<&str> = text.lines().filter(|line| line.starts_with("-A KUBE-FORWARD")).skip(3).collect();
    expect![[r#"
        -A KUBE-FORWARD -m comment --comment "kubernetes service address without a service" -d 10.96.0.0/12 -j DROP
        -A KUBE-FORWARD -m comment --comment "kubernetes service address without a service" -d 10.0.0.0/24 -j DROP
    "#]]
    .assert_eq(&(rules.join("\n") + "\n"));
}

#[test]
fn a_cluster_ip_spreads_evenly_over_three_endpoints() {
    let web = service("web", "clusterIP: 10.96.0.9, ports: [{port: 80}]");
    let endpoints = slice(
        "web",
        "{port: 8080}",
        "{addresses: [172.16.1.2]}, {addresses: [172.16.2.2]}, {addresses: [172.16.1.3]}",
    );
    check(
        &format!("{web}\n---\n{endpoints}"),
        expect![[r#"
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -s 172.16.2.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.2.2:8080
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -s 172.16.1.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.1.2:8080
        nat -A KUBE-SEP-IRRPQ7CMB775MIYJ -m comment --comment "default/web" -s 172.16.1.3/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-IRRPQ7CMB775MIYJ -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.1.3:8080
        nat -A KUBE-SERVICES -m comment --comment "default/web cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web cluster IP" ! -s 172.16.0.0/16 -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.2:8080" -m statistic --mode random --probability 0.3333333333 -j KUBE-SEP-6JEIGBTSR6T4ID7M
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.3:8080" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-IRRPQ7CMB775MIYJ
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.2.2:8080" -j KUBE-SEP-26VK65ZHF2KKS55H
    "#]],
    );
}

#[test]
fn a_node_port_is_masqueraded_and_named_ports_are_told_apart() {
    let web = service(
        "web",
        "type: NodePort, clusterIP: 10.96.0.9, ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, protocol: UDP}]",
    );
    let endpoints = slice(
        "web",
        "{name: a, port: 8080}, {name: b, port: 53, protocol: UDP}",
        "{addresses: [172.16.1.2]}",
    );
    check(
        &format!("{web}\n---\n{endpoints}"),
        expect![[r#"
        nat -A KUBE-EXT-Y32N7BVAXOFQ75ZE -m comment --comment "masquerade traffic for default/web:a external destinations" -j KUBE-MARK-MASQ
        nat -A KUBE-EXT-Y32N7BVAXOFQ75ZE -j KUBE-SVC-Y32N7BVAXOFQ75ZE
        nat -A KUBE-NODEPORTS -m comment --comment "default/web:a" -p tcp -m tcp --dport 30080 -j KUBE-EXT-Y32N7BVAXOFQ75ZE
        nat -A KUBE-SEP-3ICFO3O44LJPOVP2 -m comment --comment "default/web:b" -s 172.16.1.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-3ICFO3O44LJPOVP2 -m comment --comment "default/web:b" -p udp -m udp -j DNAT --to-destination 172.16.1.2:53
        nat -A KUBE-SEP-4AOBBK3TTG7OS4Q4 -m comment --comment "default/web:a" -s 172.16.1.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-4AOBBK3TTG7OS4Q4 -m comment --comment "default/web:a" -p tcp -m tcp -j DNAT --to-destination 172.16.1.2:8080
        nat -A KUBE-SERVICES -m comment --comment "default/web:a cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-Y32N7BVAXOFQ75ZE
        nat -A KUBE-SERVICES -m comment --comment "default/web:b cluster IP" -d 10.96.0.9/32 -p udp -m udp --dport 53 -j KUBE-SVC-WUIFYKRHVTWUTAWT
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        nat -A KUBE-SVC-WUIFYKRHVTWUTAWT -m comment --comment "default/web:b cluster IP" ! -s 172.16.0.0/16 -d 10.96.0.9/32 -p udp -m udp --dport 53 -j KUBE-MARK-MASQ
        nat -A KUBE-SVC-WUIFYKRHVTWUTAWT -m comment --comment "default/web:b -> 172.16.1.2:53" -j KUBE-SEP-3ICFO3O44LJPOVP2
        nat -A KUBE-SVC-Y32N7BVAXOFQ75ZE -m comment --comment "default/web:a cluster IP" ! -s 172.16.0.0/16 -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
        nat -A KUBE-SVC-Y32N7BVAXOFQ75ZE -m comment --comment "default/web:a -> 172.16.1.2:8080" -j KUBE-SEP-4AOBBK3TTG7OS4Q4
    "#]],
    );
}

#[test]
fn nobody_there_means_refused() {
    check(
        &service(
            "web",
            "type: NodePort, clusterIP: 10.96.0.9, externalIPs: [192.0.2.1], ports: [{port: 80, nodePort: 30080}]",
        ),
        expect![[r#"
            filter -A KUBE-EXTERNAL-SERVICES -m comment --comment "default/web has no endpoints" -d 192.0.2.1/32 -p tcp -m tcp --dport 80 -j REJECT
            filter -A KUBE-EXTERNAL-SERVICES -m comment --comment "default/web has no endpoints" -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 30080 -j REJECT
            filter -A KUBE-SERVICES -m comment --comment "default/web has no endpoints" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j REJECT
            nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        "#]],
    );
}

#[test]
fn session_affinity_remembers_the_client_at_its_endpoint() {
    let web = service(
        "web",
        "clusterIP: 10.96.0.9, ports: [{port: 80}], sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}",
    );
    let endpoints = slice("web", "{port: 8080}", "{addresses: [172.16.1.2]}, {addresses: [172.16.2.2]}");
    check(
        &format!("{web}\n---\n{endpoints}"),
        expect![[r#"
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -s 172.16.2.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -m recent --name KUBE-SEP-26VK65ZHF2KKS55H --set -p tcp -m tcp -j DNAT --to-destination 172.16.2.2:8080
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -s 172.16.1.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -m recent --name KUBE-SEP-6JEIGBTSR6T4ID7M --set -p tcp -m tcp -j DNAT --to-destination 172.16.1.2:8080
        nat -A KUBE-SERVICES -m comment --comment "default/web cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web cluster IP" ! -s 172.16.0.0/16 -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.2:8080" -m recent --name KUBE-SEP-6JEIGBTSR6T4ID7M --rcheck --seconds 60 --reap -j KUBE-SEP-6JEIGBTSR6T4ID7M
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.2.2:8080" -m recent --name KUBE-SEP-26VK65ZHF2KKS55H --rcheck --seconds 60 --reap -j KUBE-SEP-26VK65ZHF2KKS55H
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.2:8080" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-6JEIGBTSR6T4ID7M
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.2.2:8080" -j KUBE-SEP-26VK65ZHF2KKS55H
    "#]],
    );
}

const BALANCED: &str =
    "type: LoadBalancer, clusterIP: 10.96.0.9, externalTrafficPolicy: Local, healthCheckNodePort: 30999,
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
    check(
        &balanced(endpoints),
        expect![[r#"
        filter -A KUBE-NODEPORTS -m comment --comment "default/web health check node port" -p tcp -m tcp --dport 30999 -j ACCEPT
        filter -A KUBE-PROXY-FIREWALL -m comment --comment "default/web traffic not accepted by KUBE-FW-LOLE4ISW44XBNF3G" -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j DROP
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment "pod traffic for default/web external destinations" -s 172.16.0.0/16 -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment "masquerade LOCAL traffic for default/web external destinations" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment "route LOCAL traffic for default/web external destinations" -m addrtype --src-type LOCAL -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -j KUBE-SVL-LOLE4ISW44XBNF3G
        nat -A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "default/web loadbalancer IP" -s 192.168.0.0/16 -j KUBE-EXT-LOLE4ISW44XBNF3G
        nat -A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "default/web loadbalancer IP" -s 203.0.113.1/32 -j KUBE-EXT-LOLE4ISW44XBNF3G
        nat -A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "other traffic to default/web will be dropped by KUBE-PROXY-FIREWALL"
        nat -A KUBE-NODEPORTS -m comment --comment "default/web" -p tcp -m tcp --dport 30080 -j KUBE-EXT-LOLE4ISW44XBNF3G
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -s 172.16.2.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.2.2:8080
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -s 172.16.1.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.1.2:8080
        nat -A KUBE-SERVICES -m comment --comment "default/web cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "default/web loadbalancer IP" -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j KUBE-FW-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web cluster IP" ! -s 172.16.0.0/16 -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.2:8080" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-6JEIGBTSR6T4ID7M
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.2.2:8080" -j KUBE-SEP-26VK65ZHF2KKS55H
        nat -A KUBE-SVL-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.2:8080" -j KUBE-SEP-6JEIGBTSR6T4ID7M
    "#]],
    );
}

#[test]
fn policy_local_without_local_endpoints_drops_so_that_balancers_go_elsewhere() {
    check(
        &balanced("{addresses: [172.16.2.2], nodeName: there}"),
        expect![[r#"
        filter -A KUBE-EXTERNAL-SERVICES -m comment --comment "default/web has no local endpoints" -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j DROP
        filter -A KUBE-EXTERNAL-SERVICES -m comment --comment "default/web has no local endpoints" -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 30080 -j DROP
        filter -A KUBE-NODEPORTS -m comment --comment "default/web health check node port" -p tcp -m tcp --dport 30999 -j ACCEPT
        filter -A KUBE-PROXY-FIREWALL -m comment --comment "default/web traffic not accepted by KUBE-FW-LOLE4ISW44XBNF3G" -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j DROP
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment "pod traffic for default/web external destinations" -s 172.16.0.0/16 -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment "masquerade LOCAL traffic for default/web external destinations" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment "route LOCAL traffic for default/web external destinations" -m addrtype --src-type LOCAL -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "default/web loadbalancer IP" -s 192.168.0.0/16 -j KUBE-EXT-LOLE4ISW44XBNF3G
        nat -A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "default/web loadbalancer IP" -s 203.0.113.1/32 -j KUBE-EXT-LOLE4ISW44XBNF3G
        nat -A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "other traffic to default/web will be dropped by KUBE-PROXY-FIREWALL"
        nat -A KUBE-NODEPORTS -m comment --comment "default/web" -p tcp -m tcp --dport 30080 -j KUBE-EXT-LOLE4ISW44XBNF3G
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -s 172.16.2.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-26VK65ZHF2KKS55H -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.2.2:8080
        nat -A KUBE-SERVICES -m comment --comment "default/web cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "default/web loadbalancer IP" -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j KUBE-FW-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web cluster IP" ! -s 172.16.0.0/16 -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.2.2:8080" -j KUBE-SEP-26VK65ZHF2KKS55H
    "#]],
    );
}

#[test]
fn internal_policy_local_uses_only_this_nodes_endpoints() {
    let web = service("web", "clusterIP: 10.96.0.9, internalTrafficPolicy: Local, ports: [{port: 80}]");
    let endpoints = slice(
        "web",
        "{port: 8080}",
        "{addresses: [172.16.1.2], nodeName: here}, {addresses: [172.16.2.2], nodeName: there}",
    );
    check(
        &format!("{web}\n---\n{endpoints}"),
        expect![[r#"
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -s 172.16.1.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.1.2:8080
        nat -A KUBE-SERVICES -m comment --comment "default/web cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVL-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        nat -A KUBE-SVL-LOLE4ISW44XBNF3G -m comment --comment "default/web cluster IP" ! -s 172.16.0.0/16 -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
        nat -A KUBE-SVL-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.2:8080" -j KUBE-SEP-6JEIGBTSR6T4ID7M
    "#]],
    );
    let elsewhere = slice("web", "{port: 8080}", "{addresses: [172.16.2.2], nodeName: there}");
    check(
        &format!("{web}\n---\n{elsewhere}"),
        expect![[r#"
        filter -A KUBE-SERVICES -m comment --comment "default/web has no local endpoints" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j DROP
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
    "#]],
    );
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
    check_with(
        &format!("{web}\n---\n{endpoints}"),
        &options,
        expect![[r#"
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment "masquerade traffic for default/web external destinations" -j KUBE-MARK-MASQ
        nat -A KUBE-EXT-LOLE4ISW44XBNF3G -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-NODEPORTS -m comment --comment "default/web" -p tcp -m tcp --dport 30080 -j KUBE-EXT-LOLE4ISW44XBNF3G
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -s 172.16.1.2/32 -j KUBE-MARK-MASQ
        nat -A KUBE-SEP-6JEIGBTSR6T4ID7M -m comment --comment "default/web" -p tcp -m tcp -j DNAT --to-destination 172.16.1.2:8080
        nat -A KUBE-SERVICES -m comment --comment "default/web cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G
        nat -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -d 192.168.1.101/32 -j KUBE-NODEPORTS
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web cluster IP" -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
        nat -A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web -> 172.16.1.2:8080" -j KUBE-SEP-6JEIGBTSR6T4ID7M
    "#]],
    );
}
