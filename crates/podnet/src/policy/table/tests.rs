use expect_test::{Expect, expect};
use netrules::nft::whole;
use serde::de::DeserializeOwned;

use super::*;
use crate::policy::sandboxes::Addresses;

/// A cluster of pods: `db` and `web` here, `far` elsewhere, `other` in another namespace, `host` in the node's network.
const PODS: [&str; 6] = [
    "{metadata: {namespace: default, name: db, labels: {app: db}}, spec: {nodeName: here, containers: [{ports: \
     [{name: sql, containerPort: 5432}, {name: status, protocol: UDP, containerPort: 99}]}]}, status: {phase: Running, \
     podIP: 172.16.1.2}}",
    "{metadata: {namespace: default, name: web, labels: {app: web}}, spec: {nodeName: here}, status: {phase: Running, \
     podIP: 172.16.1.3}}",
    "{metadata: {namespace: default, name: far, labels: {app: web}}, spec: {nodeName: there, containers: [{ports: \
     [{name: sql, containerPort: 15432}]}]}, status: {phase: Running, podIPs: [{ip: 'fd00::4'}, {ip: 172.16.2.4}]}}",
    "{metadata: {namespace: blue, name: other, labels: {app: web}}, spec: {nodeName: there}, status: {phase: Running, \
     podIP: 172.16.2.5}}",
    "{metadata: {namespace: default, name: host, labels: {app: db}}, spec: {nodeName: here, hostNetwork: true}, status: \
     {phase: Running, podIP: 192.168.1.101}}",
    "{metadata: {namespace: default, name: done, labels: {app: db}}, spec: {nodeName: here}, status: {phase: Succeeded, \
     podIP: 172.16.1.3}}",
];

fn read<T: DeserializeOwned>(yaml: &str) -> Arc<T> {
    Arc::new(serde_saphyr::from_str(yaml).unwrap())
}

fn table_of(policies: &[&str], sandboxes: &Addresses) -> Option<Table> {
    let pods: Vec<Arc<Pod>> = PODS.into_iter().map(read).collect();
    let labels = |name: &str| BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.to_owned())]);
    let (default, blue) = (labels("default"), labels("blue"));
    let namespaces = BTreeMap::from([("default", &default), ("blue", &blue)]);
    let policies: Vec<Arc<Policy>> = policies
        .iter()
        .zip(["p", "q"])
        .map(|(spec, name)| {
            read(&format!("{{metadata: {{namespace: default, name: {name}}}, spec: {spec}}}"))
        })
        .collect();
    table(&View { node: "here", policies: &policies, pods: &pods, namespaces: &namespaces, sandboxes })
}

/// Shows what differs from one policy to another: no base chains, no hashes.
fn check(spec: &str, expected: Expect) {
    let shown = match table_of(&[spec], &Addresses::new()) {
        None => "no pod of this node is isolated\n".to_owned(),
        Some(table) => {
            let text = whole(&table);
            let lines = text.lines().skip(3).filter_map(|line| {
                let line = line.replace(" inet podnet", "");
                let is_of_all = ["forward-", "input-", "add map", "add chain", "self"]
                    .iter()
                    .any(|part| line.contains(part) && !line.contains("vmap"));
                (!is_of_all && !line.contains("vmap")).then(|| without_hashes(&line) + "\n")
            });
            lines.collect()
        }
    };
    expected.assert_eq(&shown);
}

fn without_hashes(line: &str) -> String {
    let is_hash = |part: &str| part.len() == 20 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    line.split('-')
        .map(|part| {
            let (head, rest) = part.split_at_checked(20).unwrap_or((part, ""));
            if is_hash(head) && !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                format!("H{rest}")
            } else {
                part.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("-")
}

#[test]
fn deny_all_isolates_every_pod_of_the_namespace_that_has_a_network() {
    check(
        "{podSelector: {}}",
        expect![[r#"
        add element ingress { 172.16.1.2 : goto ingress-pods-H, 172.16.1.3 : goto ingress-pods-H }
        add rule ingress-pods-H jump ingress-H-default/p
        add rule ingress-pods-H drop
    "#]],
    );
    check(
        "{podSelector: {}, policyTypes: [Ingress, Egress]}",
        expect![[r#"
        add element egress { 172.16.1.2 : goto egress-pods-H, 172.16.1.3 : goto egress-pods-H }
        add element ingress { 172.16.1.2 : goto ingress-pods-H, 172.16.1.3 : goto ingress-pods-H }
        add rule egress-pods-H jump egress-H-default/p
        add rule egress-pods-H drop
        add rule ingress-pods-H jump ingress-H-default/p
        add rule ingress-pods-H drop
    "#]],
    );
}

#[test]
fn without_types_egress_rules_isolate_too_and_nobody_else_is_isolated() {
    check(
        "{podSelector: {matchLabels: {app: db}}, egress: [{}]}",
        expect![[r#"
        add element egress { 172.16.1.2 : goto egress-pods-H }
        add element ingress { 172.16.1.2 : goto ingress-pods-H }
        add rule egress-H-default/p accept
        add rule egress-pods-H jump egress-H-default/p
        add rule egress-pods-H drop
        add rule ingress-pods-H jump ingress-H-default/p
        add rule ingress-pods-H drop
    "#]],
    );
    check(
        "{podSelector: {matchLabels: {app: none}}}",
        expect![[r#"
        no pod of this node is isolated
    "#]],
    );
    assert_eq!(table_of(&[], &Addresses::new()), None);
}

#[test]
fn peers_are_pods_of_the_own_namespace_of_others_or_of_both() {
    check(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
        expect![[r#"
            add set pods-H { type ipv4_addr; comment "pods 'app=web' of default"; }
            add element pods-H { 172.16.1.3, 172.16.2.4 }
            add element ingress { 172.16.1.2 : goto ingress-pods-H }
            add rule ingress-H-default/p ip saddr @pods-H accept
            add rule ingress-pods-H jump ingress-H-default/p
            add rule ingress-pods-H drop
        "#]],
    );
    check(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchExpressions: \
         [{key: app, operator: In, values: [web]}]}}]}]}",
        expect![[r#"
            add set pods-H { type ipv4_addr; comment "pods 'app in (web)' of namespaces all"; }
            add element pods-H { 172.16.1.3, 172.16.2.4, 172.16.2.5 }
            add element ingress { 172.16.1.2 : goto ingress-pods-H }
            add rule ingress-H-default/p ip saddr @pods-H accept
            add rule ingress-pods-H jump ingress-H-default/p
            add rule ingress-pods-H drop
        "#]],
    );
    check(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: \
         {kubernetes.io/metadata.name: blue}}}, {podSelector: {}}]}]}",
        expect![[r#"
            add set pods-H { type ipv4_addr; comment "pods all of namespaces 'kubernetes.io/metadata.name=blue', pods all of default"; }
            add element pods-H { 172.16.1.2, 172.16.1.3, 172.16.2.4, 172.16.2.5 }
            add element ingress { 172.16.1.2 : goto ingress-pods-H }
            add rule ingress-H-default/p ip saddr @pods-H accept
            add rule ingress-pods-H jump ingress-H-default/p
            add rule ingress-pods-H drop
        "#]],
    );
}

#[test]
fn ranges_of_addresses_have_exceptions_and_those_of_ipv6_are_nobody() {
    check(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, \
         10.1.2.0/24, 10.9.0.0/16]}}, {ipBlock: {cidr: 192.168.1.7/32}}, {ipBlock: {cidr: 192.168.0.0/16}}]}]}",
        expect![[r#"
            add element ingress { 172.16.1.2 : goto ingress-pods-H }
            add rule ingress-H-default/p ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16, 10.9.0.0/16 } accept
            add rule ingress-H-default/p ip saddr 192.168.0.0/16 accept
            add rule ingress-pods-H jump ingress-H-default/p
            add rule ingress-pods-H drop
        "#]],
    );
    check(
        "{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 'fd00::/8'}}]}, \
         {to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
        expect![[r#"
            add element egress { 172.16.1.2 : goto egress-pods-H }
            add rule egress-H-default/p ip daddr 0.0.0.0/0 accept
            add rule egress-pods-H jump egress-H-default/p
            add rule egress-pods-H drop
        "#]],
    );
}

#[test]
fn ports_are_numbers_ranges_and_whole_protocols() {
    check(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80}, {port: 443}, {port: 8000, endPort: 9000}, \
         {port: 8500}, {protocol: UDP}, {protocol: UDP, port: 53}, {protocol: SCTP, port: 7}]}]}",
        expect![[r#"
            add element ingress { 172.16.1.2 : goto ingress-pods-H }
            add rule ingress-H-default/p tcp dport { 80, 443, 8000-9000 } accept
            add rule ingress-H-default/p meta l4proto udp accept
            add rule ingress-H-default/p sctp dport 7 accept
            add rule ingress-pods-H jump ingress-H-default/p
            add rule ingress-pods-H drop
        "#]],
    );
}

#[test]
fn a_named_port_is_the_destinations() {
    check(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: \
         [{port: sql}, {protocol: UDP, port: status}, {port: status}]}]}",
        expect![[r#"
            add set pods-H { type ipv4_addr; comment "pods 'app=web' of default"; }
            add set ports-H { type ipv4_addr . inet_service; comment "port sql of ingress"; }
            add set ports-H { type ipv4_addr . inet_service; comment "port status of ingress"; }
            add set ports-H { type ipv4_addr . inet_service; comment "port status of ingress"; }
            add element pods-H { 172.16.1.3, 172.16.2.4 }
            add element ports-H { 172.16.1.2 . 5432 }
            add element ports-H { 172.16.1.2 . 99 }
            add element ingress { 172.16.1.2 : goto ingress-pods-H }
            add rule ingress-H-default/p ip saddr @pods-H ip daddr . tcp dport @ports-H accept
            add rule ingress-H-default/p ip saddr @pods-H ip daddr . tcp dport @ports-H accept
            add rule ingress-H-default/p ip saddr @pods-H ip daddr . udp dport @ports-H accept
            add rule ingress-pods-H jump ingress-H-default/p
            add rule ingress-pods-H drop
        "#]],
    );
    check(
        "{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: \
         web}}}, {ipBlock: {cidr: 172.16.1.0/24}}], ports: [{port: sql}]}, {ports: [{port: sql}, {port: 53}]}]}",
        expect![[r#"
            add set ports-H { type ipv4_addr . inet_service; comment "port sql of egress"; }
            add set ports-H { type ipv4_addr . inet_service; comment "port sql of egress"; }
            add element ports-H { 172.16.1.2 . 5432, 172.16.2.4 . 15432 }
            add element ports-H { 172.16.1.2 . 5432, 172.16.2.4 . 15432 }
            add element egress { 172.16.1.2 : goto egress-pods-H }
            add rule egress-H-default/p ip daddr . tcp dport @ports-H accept
            add rule egress-H-default/p ip daddr . tcp dport @ports-H accept
            add rule egress-H-default/p tcp dport 53 accept
            add rule egress-pods-H jump egress-H-default/p
            add rule egress-pods-H drop
        "#]],
    );
}

#[test]
fn the_whole_table_of_two_policies() {
    let policies = ["{podSelector: {}}", "{podSelector: {matchLabels: {app: db}}, ingress: [{}]}"];
    let table = table_of(&policies, &Addresses::new()).unwrap();
    expect![[r#"
        add table inet podnet
        delete table inet podnet
        add table inet podnet
        add set inet podnet self { type ipv4_addr . ipv4_addr; comment "a pod may always reach itself"; }
        add map inet podnet egress { type ipv4_addr : verdict; }
        add map inet podnet ingress { type ipv4_addr : verdict; }
        add chain inet podnet forward-egress { type filter hook forward priority -6; policy accept; }
        add chain inet podnet forward-ingress { type filter hook forward priority -5; policy accept; }
        add chain inet podnet ingress-319315a14994c755ff1b-default/q
        add chain inet podnet ingress-9b12a56b1da01680ccc1-default/p
        add chain inet podnet ingress-pods-52623811eba385b4821a
        add chain inet podnet ingress-pods-58d2fc9339ca6db0e970
        add chain inet podnet input-egress { type filter hook input priority -6; policy accept; }
        add element inet podnet self { 172.16.1.2 . 172.16.1.2, 172.16.1.3 . 172.16.1.3 }
        add element inet podnet ingress { 172.16.1.2 : goto ingress-pods-52623811eba385b4821a, 172.16.1.3 : goto ingress-pods-58d2fc9339ca6db0e970 }
        add rule inet podnet forward-egress ct state established,related accept
        add rule inet podnet forward-egress iifname "cni0" meta nfproto ipv6 drop
        add rule inet podnet forward-egress ip saddr . ip daddr @self accept
        add rule inet podnet forward-egress ip saddr vmap @egress
        add rule inet podnet forward-ingress ct state established,related accept
        add rule inet podnet forward-ingress iifname "cni0" meta nfproto ipv6 drop
        add rule inet podnet forward-ingress ip saddr . ip daddr @self accept
        add rule inet podnet forward-ingress ip daddr vmap @ingress
        add rule inet podnet ingress-319315a14994c755ff1b-default/q accept
        add rule inet podnet ingress-pods-52623811eba385b4821a jump ingress-9b12a56b1da01680ccc1-default/p
        add rule inet podnet ingress-pods-52623811eba385b4821a jump ingress-319315a14994c755ff1b-default/q
        add rule inet podnet ingress-pods-52623811eba385b4821a drop
        add rule inet podnet ingress-pods-58d2fc9339ca6db0e970 jump ingress-9b12a56b1da01680ccc1-default/p
        add rule inet podnet ingress-pods-58d2fc9339ca6db0e970 drop
        add rule inet podnet input-egress ct state established,related accept
        add rule inet podnet input-egress iifname "cni0" meta nfproto ipv6 drop
        add rule inet podnet input-egress ip saddr . ip daddr @self accept
        add rule inet podnet input-egress ip saddr vmap @egress
    "#]].assert_eq(&whole(&table));
}

#[test]
fn a_sandboxs_address_counts_before_its_pods_status_tells() {
    let address = Ipv4Addr::new(172, 16, 1, 77);
    let sandboxes = Addresses::from([
        ("default/web".to_owned(), BTreeSet::from([address])),
        // Elsewhere another pod has this key's note; a finished pod's address is given to others.
        ("default/far".to_owned(), BTreeSet::from([Ipv4Addr::new(172, 16, 1, 78)])),
        ("default/done".to_owned(), BTreeSet::from([Ipv4Addr::new(172, 16, 1, 79)])),
    ]);
    let table = table_of(&["{podSelector: {matchLabels: {app: web}}}"], &sandboxes).unwrap();
    let isolated: Vec<String> = table.maps[INGRESS].keys().map(Ipv4Addr::to_string).collect();
    assert_eq!(isolated, ["172.16.1.3", "172.16.1.77"]);
}

#[test]
fn names_fit_however_long_a_policys_is() {
    let long = "p".repeat(253);
    let policy: Arc<Policy> =
        read(&format!("{{metadata: {{namespace: default, name: {long}}}, spec: {{podSelector: {{}}}}}}"));
    assert!(policy_chain(&policy, Direction::Ingress).len() <= NAME);
}
