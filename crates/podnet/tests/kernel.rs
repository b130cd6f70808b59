//! Bridge, routes and network policies in a real kernel, in a network namespace that lives as long as the test's thread.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use netrules::nft::{Load as _, Nft, Table, changes, whole};
use nix::sched::{CloneFlags, unshare};
use podnet::netlink::Netlink;
use podnet::plan::{Plan, Routes};
use podnet::policy::objects::{Pod, Policy};
use podnet::policy::table::{BASE, TABLE, View, table};

fn in_a_namespace(test: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("skipped: cannot make a network namespace: {error}");
            return;
        }
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

async fn ip(arguments: &str) -> String {
    run("ip", arguments).await
}

async fn run(program: &str, arguments: &str) -> String {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = netrules::program::succeed(program, &arguments, b"", Duration::from_secs(10)).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn plan(pod_cidr: &str) -> Plan {
    Plan { pod_cidr: pod_cidr.parse().unwrap(), routes: Routes::new() }
}

#[test]
fn the_bridge_is_made_once_and_made_anew_when_it_is_gone_or_elsewhere() {
    in_a_namespace(async {
        let (driver, netlink) = Netlink::open().unwrap();
        tokio::spawn(driver);
        for _ in 0..2 {
            netlink.ensure_bridge(&plan("172.16.1.0/24")).await.unwrap();
        }
        let link = ip("addr show cni0").await;
        assert!(
            link.contains("0a:58:ac:10:01:01") && link.contains("172.16.1.1/24") && link.contains("UP"),
            "{link}"
        );
        // A port comes and goes: the address is the bridge's own.
        ip("link add v0 type veth peer name v1").await;
        ip("link set v0 master cni0").await;
        ip("link del v0").await;
        assert!(ip("link show cni0").await.contains("0a:58:ac:10:01:01"));
        netlink.ensure_bridge(&plan("172.16.5.0/24")).await.unwrap();
        let moved = ip("addr show cni0").await;
        assert!(moved.contains("172.16.5.1/24") && !moved.contains("172.16.1.1"), "{moved}");
        ip("link set cni0 down").await;
        netlink.ensure_bridge(&plan("172.16.5.0/24")).await.unwrap();
        assert!(ip("link show cni0").await.contains("UP"));
        netlink.remove_bridge().await.unwrap();
        netlink.remove_bridge().await.unwrap();
        assert!(!ip("link show").await.contains("cni0"));
    });
}

#[test]
fn only_its_own_routes_are_seen_and_changed() {
    in_a_namespace(async {
        let (driver, netlink) = Netlink::open().unwrap();
        tokio::spawn(driver);
        ip("link add d0 type veth peer name d1").await;
        ip("link set d0 up").await;
        ip("addr add 192.168.1.101/24 dev d0").await;
        ip("route add 172.16.9.0/24 via 192.168.1.9").await;
        assert_eq!(netlink.routes().await.unwrap(), Routes::new());
        let (cidr, first, second) = (
            "172.16.2.0/24".parse().unwrap(),
            "192.168.1.102".parse().unwrap(),
            "192.168.1.103".parse().unwrap(),
        );
        netlink.set_route(cidr, first).await.unwrap();
        netlink.set_route(cidr, second).await.unwrap();
        assert_eq!(netlink.routes().await.unwrap(), Routes::from([(cidr, second)]));
        netlink.remove_route(cidr, second).await.unwrap();
        netlink.remove_route(cidr, second).await.unwrap();
        assert_eq!(netlink.routes().await.unwrap(), Routes::new());
        assert!(ip("route").await.contains("172.16.9.0/24"));
        assert!(netlink.set_route(cidr, "10.9.9.9".parse().unwrap()).await.is_err(), "out of reach");
    });
}

#[test]
fn addresses_of_load_balancers_come_and_go_and_others_stay() {
    in_a_namespace(async {
        let (driver, netlink) = Netlink::open().unwrap();
        tokio::spawn(driver);
        ip("link add d0 type veth peer name d1").await;
        ip("link set d0 up").await;
        ip("addr add 192.168.1.101/24 dev d0").await;
        ip("addr add 192.168.1.9/32 dev d0").await;
        let (link, address) = (netlink.addresses().await.unwrap()[0].link, "192.168.1.11".parse().unwrap());
        for _ in 0..2 {
            netlink.announce(link, address).await.unwrap();
        }
        let announced: Vec<String> = netlink
            .addresses()
            .await
            .unwrap()
            .iter()
            .filter(|one| one.is_announced)
            .map(|one| one.address.to_string())
            .collect();
        assert_eq!(announced, ["192.168.1.11/32"]);
        assert!(!ip("route show table local").await.contains("broadcast 192.168.1.11 "));
        // Somebody else's address of the same form is not podnet's to withdraw.
        netlink.withdraw(link, "192.168.1.9".parse().unwrap()).await.unwrap();
        for _ in 0..2 {
            netlink.withdraw(link, address).await.unwrap();
        }
        let left = ip("-4 address show dev d0").await;
        assert!(left.contains("192.168.1.9/32") && !left.contains("192.168.1.11"), "{left}");
    });
}

/// The table of a policy for a pod of this node, with a peer elsewhere.
fn policy(spec: &str) -> Table {
    let pod = |name: &str, node: &str, address: &str| -> Arc<Pod> {
        serde_saphyr::from_str(&format!(
            "{{metadata: {{namespace: d, name: {name}, labels: {{app: {name}}}}}, spec: {{nodeName: {node}, containers: [{{ports: \
             [{{name: http, containerPort: 80}}]}}]}}, status: {{podIP: {address}}}}}"
        ))
        .unwrap()
    };
    let policy: Arc<Policy> =
        serde_saphyr::from_str(&format!("{{metadata: {{namespace: d, name: web.v1}}, spec: {spec}}}"))
            .unwrap();
    let view = View {
        node: "here",
        policies: &[policy],
        pods: &[pod("web", "here", "172.16.1.2"), pod("far", "there", "172.16.2.2")],
        namespaces: &BTreeMap::new(),
        sandboxes: &BTreeMap::new(),
    };
    table(&view).unwrap()
}

#[test]
fn the_kernel_takes_every_kind_of_rule_and_every_change() {
    in_a_namespace(async {
        let tables = [
            policy("{podSelector: {}}"),
            policy(
                "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: far}}}], ports: [{port: http}]}]}",
            ),
            policy(
                "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 11.0.0.0/8]}}, {ipBlock: \
                 {cidr: 10.1.0.0/16}}, {ipBlock: {cidr: 10.3.0.0/16}}], ports: [{port: 80}, {port: 100, endPort: 200}, \
                 {protocol: UDP}, {protocol: SCTP, port: 7}]}], egress: [{ports: [{port: http}]}, {to: [{podSelector: {}}]}]}",
            ),
            policy("{podSelector: {}, policyTypes: [Egress], egress: [{}]}"),
        ];
        let listing = || run("nft", "list table inet podnet");
        for before in &tables {
            for after in &tables {
                Nft.load(&whole(after)).await.unwrap();
                let wanted = listing().await;
                Nft.load(&whole(before)).await.unwrap();
                let step = changes(before, after);
                if !step.is_empty() {
                    Nft.load(&step).await.unwrap_or_else(|error| panic!("{error}\n{step}"));
                }
                assert_eq!(lines(&listing().await), lines(&wanted), "{step}");
            }
        }
        assert!(Nft.has_chain(TABLE, BASE).await.unwrap());
        podnet::policy::remove(Nft).await.unwrap();
        assert!(!Nft.has_chain(TABLE, BASE).await.unwrap());
    });
}

/// A listing's lines in order: sets and chains stand in it as they were made.
fn lines(listing: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = listing.lines().collect();
    lines.sort_unstable();
    lines
}
