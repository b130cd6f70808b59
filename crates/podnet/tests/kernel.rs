//! Bridge and routes in a real kernel, in a network namespace that lives as long as the test's thread.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use podnet::netlink::Netlink;
use podnet::plan::{Plan, Routes};

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
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = netrules::program::succeed("ip", &arguments, b"", Duration::from_secs(10)).await.unwrap();
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
