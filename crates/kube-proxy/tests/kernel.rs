//! The proxy's rules in a real kernel: a node and its pods as network namespaces that live as long as the test.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "kernel/net.rs"]
mod net;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_proxy::cleanup::cleanup;
use kube_proxy::endpoints::Slice;
use kube_proxy::node::LocalDetector;
use kube_proxy::rules::Options;
use kube_proxy::service::Service;
use kube_proxy::state::{Changes, State};
use kube_proxy::sync::{Outcome, Syncer};
use net::{Pod, ip, on_a_node};
use netrules::{Family, Iptables, Kernel, Table};
use serde_json::{Value, json};

fn syncer() -> Syncer<Iptables> {
    let local = LocalDetector::Cidr("172.16.0.0/16".parse().unwrap());
    Syncer::new(Iptables::new(Family::V4), Options { local, ..Options::default() })
}

fn set_service(state: &mut State, name: &str, spec: Value) {
    let (spec, status) = (spec.clone(), json!({"loadBalancer": {"ingress": spec["ingress"].clone()}}));
    let status = serde_json::from_value(status).unwrap_or_default();
    let spec = serde_json::from_value(spec).unwrap();
    let service = Service::from_api(&BTreeMap::new(), Some(&spec), Some(&status));
    state.apply_service(&format!("d/{name}"), service.map(Arc::new));
}

fn set_endpoints(state: &mut State, service: &str, protocol: &str, addresses: &[&str]) {
    let endpoints: Vec<Value> =
        addresses.iter().map(|address| json!({"addresses": [address], "nodeName": "node"})).collect();
    let slice = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints,
        "ports": [{"port": 8080, "protocol": protocol}]});
    let slice = Slice::from_api(&serde_json::from_value(slice).unwrap()).map(Arc::new);
    state.apply_slice(&format!("d/{service}-x"), slice.map(|slice| (format!("d/{service}"), slice)));
}

async fn sync(syncer: &mut Syncer<Iptables>, state: &mut State) -> Outcome {
    let changes = state.take_changes();
    let plan = syncer.plan(state, &changes);
    syncer.carry_out(plan).await.unwrap()
}

async fn saved() -> String {
    let mut out = String::new();
    for table in ["filter", "nat", "mangle"] {
        let output =
            netrules::program::succeed("iptables-save", &["-t", table], b"", Duration::from_secs(10)).await;
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        out.extend(text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            // Counters of the built-in chains move.
            format!("{}\n", line.split(" [").next().unwrap_or_default())
        }));
    }
    out
}

#[test]
fn every_kind_of_rule_loads_and_cleanup_leaves_nothing() {
    on_a_node(async {
        let kernel = Iptables::new(Family::V4);
        // Makes the tables appear in both states that are compared.
        kernel.restore("*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\nCOMMIT\n").await.unwrap();
        let before = saved().await;
        let mut state = State::new(Family::V4, "node");
        set_service(
            &mut state,
            "all",
            json!({
            "type": "LoadBalancer", "clusterIP": "10.96.0.9", "externalIPs": ["192.0.2.1"], "ingress": [{"ip": "203.0.113.1"}],
            "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local", "healthCheckNodePort": 30999,
            "loadBalancerSourceRanges": ["198.51.100.0/24"], "sessionAffinity": "ClientIP",
            "ports": [{"port": 80, "nodePort": 30080}]}),
        );
        set_endpoints(&mut state, "all", "TCP", &["172.16.1.2", "172.16.1.3"]);
        set_service(
            &mut state,
            "udp",
            json!({"clusterIP": "10.96.0.10", "ports": [{"port": 53, "protocol": "UDP", "nodePort": 30053}]}),
        );
        set_endpoints(&mut state, "udp", "UDP", &["172.16.1.2"]);
        set_service(
            &mut state,
            "none",
            json!({"clusterIP": "10.96.0.11", "ports": [{"port": 80, "nodePort": 30081}]}),
        );
        let mut syncer = syncer();
        assert!(sync(&mut syncer, &mut state).await.full);
        // What a fresh proxy finds there is no trouble to it.
        let mut second = self::syncer();
        let plan = second.plan(&state, &Changes::default());
        second.carry_out(plan).await.unwrap();
        set_endpoints(&mut state, "udp", "UDP", &["172.16.1.4"]);
        state.apply_service("d/none", None);
        assert!(!sync(&mut syncer, &mut state).await.full);
        assert!(!syncer.was_flushed().await.unwrap());
        assert!(saved().await.contains("KUBE-SEP-"));
        cleanup(&kernel).await.unwrap();
        pretty_eq(&saved().await, &before);
        assert!(syncer.was_flushed().await.unwrap());
    });
}

#[track_caller]
fn pretty_eq(left: &str, right: &str) {
    assert!(left == right, "left over:\n{left}\nbefore:\n{right}");
}

#[test]
fn traffic_reaches_the_endpoints_by_cluster_ip_node_port_and_hairpin() {
    on_a_node(async {
        ip("addr add 192.168.77.1/32 dev lo").await;
        let a = Pod::start("a", "172.16.1.2").await;
        let b = Pod::start("b", "172.16.1.3").await;
        let client = Pod::start("client", "172.16.1.4").await;
        // Somebody outside the pod network.
        let outside = Pod::start("outside", "198.51.100.7").await;
        // Without any route, the node's own packets to a service address would not even be made.
        ip("route add default dev v-outside src 192.168.77.1").await;
        let mut state = State::new(Family::V4, "node");
        set_service(
            &mut state,
            "web",
            json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30080}]}),
        );
        set_endpoints(&mut state, "web", "TCP", &["172.16.1.2", "172.16.1.3"]);
        set_service(&mut state, "single", json!({"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}));
        set_endpoints(&mut state, "single", "TCP", &["172.16.1.2"]);
        set_service(&mut state, "none", json!({"clusterIP": "10.96.0.11", "ports": [{"port": 80}]}));
        let mut syncer = syncer();
        sync(&mut syncer, &mut state).await;

        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..60 {
            let answer = client.get("10.96.0.9:80").await.unwrap();
            let (server, seen) = answer.split_once(' ').unwrap();
            assert_eq!(seen, "172.16.1.4", "a pod is not masqueraded");
            *counts.entry(server.to_owned()).or_default() += 1;
        }
        assert!(counts["a"] >= 12 && counts["b"] >= 12, "{counts:?}");

        let by_node_port = outside.get("192.168.77.1:30080").await.unwrap();
        assert!(!by_node_port.ends_with("198.51.100.7"), "masqueraded: {by_node_port}");
        assert!(outside.get("10.96.0.9:80").await.is_ok(), "from outside the pod network");
        let hairpin = a.get("10.96.0.10:80").await.unwrap();
        assert!(hairpin.starts_with("a ") && !hairpin.ends_with("172.16.1.2"), "{hairpin}");
        assert!(net::get("10.96.0.9:80").await.is_ok(), "from the node itself");
        assert!(
            net::get("127.0.0.1:30080").await.is_ok() || !net::localnet_is_routed(),
            "node port at localhost"
        );
        let refused = client.get("10.96.0.11:80").await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

        // One endpoint goes: from then on only the other answers.
        set_endpoints(&mut state, "web", "TCP", &["172.16.1.3"]);
        sync(&mut syncer, &mut state).await;
        for _ in 0..10 {
            assert!(client.get("10.96.0.9:80").await.unwrap().starts_with("b "));
        }
        cleanup(syncer.kernel()).await.unwrap();
        assert!(!syncer.kernel().has_chain(Table::Nat, "KUBE-SERVICES").await.unwrap());
        drop((a, b, client, outside));
    });
}

/// Waits until a packet met the rule with that comment.
async fn met(comment: &str) {
    let list = ["-t", "filter", "-nvxL", "KUBE-FORWARD"];
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let output =
            netrules::program::succeed("iptables", &list, b"", Duration::from_secs(10)).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let rule = text.lines().find(|line| line.contains(comment)).unwrap();
        if rule.split_whitespace().next() != Some("0") {
            return;
        }
        assert!(Instant::now() < limit, "no packet met {rule}");
    }
}

#[test]
fn a_client_that_comes_before_the_rules_of_its_service_gets_through() {
    on_a_node(async {
        ip("addr add 192.168.77.1/32 dev lo").await;
        let web = Pod::start("web", "172.16.1.2").await;
        let client = Pod::start("client", "172.16.1.4").await;
        // Where packets to unknown addresses go, as they go to a machine's router.
        let outside = Pod::start("outside", "198.51.100.7").await;
        ip("route add default dev v-outside src 192.168.77.1").await;
        let mut state = State::new(Family::V4, "node");
        state.apply_range("kubernetes", Some(vec!["10.96.0.0/12".parse().unwrap()]));
        let mut syncer = syncer();
        let options = Options { service_networks: state.service_networks(), ..syncer.options().clone() };
        syncer.set_options(options);
        sync(&mut syncer, &mut state).await;
        let early = client.get("10.96.0.9:80");
        let service = async {
            met("kubernetes service address without a service").await;
            set_service(&mut state, "web", json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}));
            set_endpoints(&mut state, "web", "TCP", &["172.16.1.2"]);
            sync(&mut syncer, &mut state).await;
        };
        let (answer, ()) = tokio::join!(early, service);
        assert_eq!(answer.unwrap(), "web 172.16.1.4");
        cleanup(syncer.kernel()).await.unwrap();
        drop((web, client, outside));
    });
}

/// Prints what a change costs among many services; a bound far above the aim catches only a change of order.
#[test]
fn one_endpoint_change_among_a_thousand_services_is_quick() {
    on_a_node(async {
        let mut state = State::new(Family::V4, "node");
        for number in 0..1000u32 {
            let name = format!("s{number}");
            let address = format!("10.96.{}.{}", 1 + number / 250, 1 + number % 250);
            set_service(&mut state, &name, json!({"clusterIP": address, "ports": [{"port": 80}]}));
            let pods: Vec<String> =
                (0..3).map(|pod| format!("172.16.{}.{}", number / 80, 1 + number % 80 * 3 + pod)).collect();
            set_endpoints(&mut state, &name, "TCP", &pods.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let mut syncer = syncer();
        let began = Instant::now();
        assert!(sync(&mut syncer, &mut state).await.full);
        println!("full sync of {} rules: {:?}", syncer.rule_count(), began.elapsed());
        let mut took = Vec::new();
        for round in 0..9 {
            let pods =
                ["172.16.99.1", "172.16.99.2", if round % 2 == 0 { "172.16.99.3" } else { "172.16.99.4" }];
            set_endpoints(&mut state, "s500", "TCP", &pods);
            let began = Instant::now();
            assert!(!sync(&mut syncer, &mut state).await.full);
            took.push(began.elapsed());
        }
        took.sort();
        println!("one endpoint change: median {:?}, all {took:?}", took[took.len() / 2]);
        assert!(took[took.len() / 2] < Duration::from_millis(250), "{took:?}");
    });
}
