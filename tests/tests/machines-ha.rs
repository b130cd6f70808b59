//! Three control planes on three machines: any one of them may be lost.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::Duration};

use cluster_tests::{machines::Machines, release};
use machines::Software;

const MACHINES: [&str; 3] = ["m1", "m2", "m3"];
/// Every control plane's address under one name.
const ENDPOINT: &str = "printf '%s api\n' 192.168.1.10 192.168.1.11 192.168.1.12 >> /etc/hosts";
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn a_cluster_of_three_control_planes_survives_the_loss_of_any() {
    let packages = release::packed(1).unwrap();
    let machines = Machines::start("three", &MACHINES, Software::Packages(packages)).unwrap();
    three_control_planes(&machines);
    let leader = leader_of_etcd(&machines, MACHINES[0]);
    writes_go_on(&machines, &leader);
    machines.end().unwrap();
}

fn ready(machines: &Machines, on: &str, count: usize) {
    machines.until(on, "kubectl get nodes --no-headers", |seen| seen.out.matches(" Ready ").count() == count);
}

fn three_control_planes(machines: &Machines) {
    for machine in MACHINES {
        machines.types(machine, ENDPOINT).ok();
    }
    let init = format!(
        "kubeadm init --token 123456.1234567890123456 --pod-network-cidr=172.16.0.0/16 \
         --control-plane-endpoint=api:6443 --upload-certs --certificate-key={KEY} --apiserver-advertise-address=192.168.1.10"
    );
    machines
        .timed(MACHINES[0], &init)
        .0
        .shows(&["You can now join any number of", "--control-plane --certificate-key"]);
    for (machine, address) in [("m2", "192.168.1.11"), ("m3", "192.168.1.12")] {
        let join = format!(
            "kubeadm join api:6443 --token 123456.1234567890123456 --discovery-token-unsafe-skip-ca-verification \
             --control-plane --certificate-key={KEY} --apiserver-advertise-address={address}"
        );
        machines.timed(machine, &join).0.shows(&["This node has joined the cluster"]);
    }
    for machine in MACHINES {
        machines.types(machine, "mkdir -p .kube && cp /etc/kubernetes/admin.conf .kube/config").ok();
    }
    ready(machines, MACHINES[0], 3);
    let roles = machines.types(MACHINES[1], "kubectl get nodes --no-headers");
    assert_eq!(roles.ok().matches("control-plane").count(), 3, "{}", roles.out);
    let members = machines.types(MACHINES[0], &etcdctl("member list"));
    assert_eq!(members.ok().matches(", started, ").count(), 3, "{}", members.out);
    assert!(!members.out.contains(", true"), "a learner was not promoted: {}", members.out);
}

fn etcdctl(words: &str) -> String {
    format!(
        "ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt \
         --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key {words}"
    )
}

/// The machine whose member leads.
fn leader_of_etcd(machines: &Machines, from: &str) -> String {
    let status = machines.types(from, &etcdctl("endpoint status --cluster"));
    let line = status.ok().lines().find(|line| line.split(", ").nth(4) == Some("true"));
    let endpoint = line.unwrap_or_else(|| panic!("nobody leads: {}", status.out)).split(", ").next().unwrap();
    let known = [("192.168.1.10", "m1"), ("192.168.1.11", "m2"), ("192.168.1.12", "m3")];
    let found = known.iter().find(|(address, _)| endpoint.contains(&format!("{address}:")));
    found.unwrap_or_else(|| panic!("{endpoint}")).1.to_owned()
}

/// A client writes one object after the other while the machine of etcd's leader loses its power. Each write is tried
/// until it is acknowledged, and its time is noted.
fn writes_go_on(machines: &Machines, lost: &str) {
    let survivor = MACHINES.into_iter().find(|machine| *machine != lost).unwrap();
    println!("── {lost} leads etcd and loses its power; {survivor} writes");
    let writer = "for i in $(seq 10000); do
            until kubectl --request-timeout=3s create configmap write-$i --from-literal=a=b > /dev/null 2> why; do
                grep -q AlreadyExists why && break
            done
            echo \"$i $(date +%s%3N)\" >> written
        done";
    let child = machines
        .site()
        .command(survivor, "bash")
        .unwrap()
        .args(["-c", &format!("cd /root; {writer}")])
        .spawn();
    let mut child = child.unwrap();
    machines.until(survivor, "wc -l < /root/written", |seen| seen.out.trim().parse().unwrap_or(0) >= 20);
    machines.site().power_off(lost).unwrap();
    let count = |seen: &cluster_tests::Seen| seen.out.trim().parse().unwrap_or(0);
    let at_loss: u64 = count(&machines.types(survivor, "wc -l < /root/written"));
    machines.until(survivor, "wc -l < /root/written", |seen| count(seen) >= at_loss + 30);
    child.kill().unwrap();
    child.wait().unwrap();
    let written = machines.types(survivor, "cat /root/written").out;
    let times: Vec<u64> = written.lines().filter_map(|line| line.split_once(' ')?.1.parse().ok()).collect();
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    println!("   {} writes, the longest pause {gap} ms", times.len());
    assert!(gap < 5_000, "no write for {gap} ms");
    // None that was acknowledged is lost, as a survivor has them, and as the lost one has them when it is back.
    let wanted: BTreeSet<String> = written
        .lines()
        .filter_map(|line| Some(format!("configmap/write-{}", line.split_once(' ')?.0)))
        .collect();
    let missing = |machine: &str| {
        let seen = machines.until(machine, "kubectl get configmaps -o name", |seen| seen.code == 0);
        let found: BTreeSet<String> = seen.out.lines().map(str::to_owned).collect();
        wanted.difference(&found).cloned().collect::<Vec<_>>()
    };
    assert!(missing(survivor).is_empty(), "lost: {:?}", missing(survivor));
    // The cluster goes on: leaders elsewhere, the machine given up.
    machines.until_within(Duration::from_secs(90), survivor, "kubectl get nodes --no-headers", |seen| {
        seen.out.matches(" Ready ").count() == 2 && seen.out.contains("NotReady")
    });
    machines.site().power_on(lost).unwrap();
    machines.site().wait_booted(lost).unwrap();
    ready(machines, survivor, 3);
    assert!(missing(lost).is_empty(), "lost on {lost}: {:?}", missing(lost));
}
