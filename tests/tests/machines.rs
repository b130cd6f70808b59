//! A cluster on machines that boot: made by kubeadm, lived in, broken and mended, and taken away without a trace.

#![allow(clippy::unwrap_used)]

#[path = "machines/backup.rs"]
mod backup;
#[path = "machines/certificates.rs"]
mod certificates;
#[path = "machines/upgrade.rs"]
mod upgrade;

use std::path::Path;

use cluster_tests::{docs::document, machines::Machines, page::workspace, release};
use machines::{Software, topology::COURSE};

const INIT: &str = "kubeadm init --token 123456.1234567890123456 --token-ttl 0 \
    --pod-network-cidr=172.16.0.0/16 --apiserver-advertise-address=192.168.1.10";
const JOIN: &str = "kubeadm join 192.168.1.10:6443 --token 123456.1234567890123456 \
    --discovery-token-unsafe-skip-ca-verification";
const CONTROL_PLANE: &str = "m-k8s";
const WORKERS: [&str; 2] = ["w1-k8s", "w2-k8s"];

#[test]
fn three_machines_live_through_what_machines_live_through() {
    let packages = release::packed(1).unwrap();
    let machines = Machines::start("course", &COURSE, Software::Packages(packages)).unwrap();
    init_and_join(&machines);
    the_first_transcript(&machines);
    each_unit_comes_back(&machines);
    each_machine_comes_back(&machines);
    tokens_expire(&machines);
    reset_leaves_nothing(&machines);
    machines.end().unwrap();
}

#[test]
fn a_cluster_is_kept_over_the_years() {
    let (now, next) = (release::packed(1).unwrap(), release::packed(2).unwrap());
    let shared = vec![(next, upgrade::NEXT.into())];
    let machines = Machines::start_with("kept", &COURSE, Software::Packages(now), shared).unwrap();
    init_and_join(&machines);
    upgrade::a_client_sees_nothing_of_it(&machines);
    certificates::nobody_dies_of_a_calendar(&machines);
    backup::what_was_saved_comes_back(&machines);
    machines.end().unwrap();
}

/// Types a kubectl line as root of the control plane, whose home has the administrator's kubeconfig.
fn nodes_are_ready(machines: &Machines, count: usize) {
    machines.until(CONTROL_PLANE, "kubectl get nodes --no-headers", |seen| {
        seen.out.matches(" Ready ").count() == count
    });
}

fn init_and_join(machines: &Machines) {
    // As its package leaves it: Debian's own instance runs.
    machines.types(CONTROL_PLANE, "systemctl enable --quiet --now etcd").ok();
    let (init, took) = machines.timed(CONTROL_PLANE, INIT);
    init.shows(&[
        "[init] Using Kubernetes version: v1.36.0",
        "Your Kubernetes control-plane has initialized successfully!",
        "kubeadm join 192.168.1.10:6443 --token 123456.1234567890123456",
        "--discovery-token-ca-cert-hash sha256:",
    ]);
    machines
        .types(CONTROL_PLANE, "mkdir -p $HOME/.kube && cp -i /etc/kubernetes/admin.conf $HOME/.kube/config")
        .ok();
    let begun = std::time::Instant::now();
    nodes_are_ready(machines, 1);
    let ready = took + begun.elapsed();
    println!("── init to node Ready: {ready:.1?}");
    for (number, worker) in WORKERS.iter().enumerate() {
        let (join, took) = machines.timed(worker, JOIN);
        join.shows(&["This node has joined the cluster:"]);
        let begun = std::time::Instant::now();
        nodes_are_ready(machines, number + 2);
        println!("── join of {worker} to node Ready: {:.1?}", took + begun.elapsed());
    }
    let private = "find /etc/kubernetes \\( -name '*.key' -o -name '*.conf' \\) ! -perm 600";
    for machine in COURSE {
        assert_eq!(machines.types(machine, private).ok(), "", "{machine}: readable by others");
        assert_eq!(machines.types(machine, "systemctl --failed --no-legend").ok(), "", "{machine}");
    }
    machines.until(CONTROL_PLANE, "kubectl get csr --no-headers", |seen| {
        seen.code == 0 && seen.out.lines().all(|line| line.contains("Approved,Issued"))
    });
    machines
        .types(CONTROL_PLANE, "kubectl -n kube-system rollout status deployment/cluster-dns --timeout=60s")
        .shows(&["successfully rolled out"]);
}

fn the_first_transcript(machines: &Machines) {
    println!("── the first hour");
    let page = document(&workspace(), Path::new("docs/tutorials/first-hour.md")).unwrap();
    let breaches = machines.walk(CONTROL_PLANE, "/root", &page);
    assert!(breaches.is_empty(), "the page shows something else:\n{}", breaches.join("\n"));
}

/// The units of a machine that are to run, by what is enabled.
fn units(machines: &Machines, machine: &str) -> Vec<String> {
    let listed = "systemctl list-unit-files --state=enabled --no-legend --plain \
        'kube*.service' 'cloud-controller-manager.service' 'podnet.service' containerd.service";
    let seen = machines.types(machine, listed);
    let names = seen.ok().lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    // These end when they have done their work.
    names.filter(|name| !name.starts_with("kubeadm")).collect()
}

fn each_unit_comes_back(machines: &Machines) {
    println!("── each unit killed");
    machines
        .types(CONTROL_PLANE, "kubectl create deployment app --image=sysnet4admin/chk-hn --replicas=2")
        .ok();
    machines.types(CONTROL_PLANE, "kubectl rollout status deployment/app --timeout=60s").ok();
    for machine in [CONTROL_PLANE, WORKERS[0]] {
        let units = units(machines, machine);
        assert!(units.len() >= 4, "{machine}: {units:?}");
        for unit in &units {
            let pid = format!("systemctl show --property=MainPID --value {unit}");
            let before = machines.types(machine, &pid).out;
            machines.types(machine, &format!("systemctl kill --kill-who=main --signal=KILL {unit}")).ok();
            machines.until(machine, &format!("systemctl is-active {unit} && {pid}"), |seen| {
                seen.code == 0
                    && seen.out.starts_with("active\n")
                    && !seen.out.ends_with(&format!("\n{before}"))
            });
        }
    }
    // The cluster works as before: it makes pods, and those it had were left alone.
    machines.until(CONTROL_PLANE, "kubectl scale deployment/app --replicas=4", |seen| seen.code == 0);
    machines
        .until(CONTROL_PLANE, "kubectl rollout status deployment/app --timeout=60s", |seen| seen.code == 0);
    let restarts =
        "kubectl get pods -l app=app -o jsonpath='{.items[*].status.containerStatuses[0].restartCount}'";
    assert_eq!(machines.types(CONTROL_PLANE, restarts).ok(), "0 0 0 0");
    nodes_are_ready(machines, 3);
}

fn each_machine_comes_back(machines: &Machines) {
    println!("── each machine rebooted");
    for machine in COURSE {
        let begun = std::time::Instant::now();
        machines.site().reboot(machine).unwrap();
        nodes_are_ready(machines, 3);
        let ready = "kubectl get deployment app -o jsonpath='{.status.readyReplicas}'";
        machines.until(CONTROL_PLANE, ready, |seen| seen.out == "4");
        println!("   {machine}: Ready again {:.1?} after its reboot began", begun.elapsed());
        assert_eq!(machines.types(machine, "systemctl --failed --no-legend").ok(), "", "{machine}");
    }
    // One loses its power, and a write that was acknowledged is there when it is back.
    machines.types(CONTROL_PLANE, "kubectl create configmap kept --from-literal=a=b").ok();
    machines.site().power_off(CONTROL_PLANE).unwrap();
    machines.site().power_on(CONTROL_PLANE).unwrap();
    machines.site().wait_booted(CONTROL_PLANE).unwrap();
    machines
        .until(CONTROL_PLANE, "kubectl get configmap kept -o jsonpath='{.data.a}'", |seen| seen.out == "b");
    nodes_are_ready(machines, 3);
    machines.types(CONTROL_PLANE, "kubectl delete deployment/app configmap/kept").ok();
}

fn tokens_expire(machines: &Machines) {
    println!("── a token that expires");
    machines
        .types(CONTROL_PLANE, "kubeadm token create abcdef.0123456789abcdef --ttl 2s")
        .shows(&["abcdef.0123456789abcdef"]);
    machines.until(CONTROL_PLANE, "kubeadm token list", |seen| !seen.out.contains("abcdef"));
    let join = "kubeadm join 192.168.1.10:6443 --token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification";
    // A machine that has a node already would be refused for that.
    machines.types(WORKERS[1], "kubeadm reset --force").ok();
    let refused = machines.types(WORKERS[1], &format!("timeout 60 {join}"));
    assert_ne!(refused.code, 0, "{refused:?}");
    machines.types(CONTROL_PLANE, "kubectl delete node w2-k8s").ok();
    machines.types(WORKERS[1], "kubeadm reset --force").ok();
    machines.types(WORKERS[1], JOIN).ok();
    nodes_are_ready(machines, 3);
}

/// After a reset, a machine has what it had before, and can be part of a cluster again.
fn reset_leaves_nothing(machines: &Machines) {
    println!("── reset");
    for machine in COURSE.iter().rev() {
        machines.timed(machine, "kubeadm reset --force").0.ok();
        let left = "find /etc/kubernetes /var/lib/kubelet /var/lib/etcd /etc/cni/net.d /run/netns -mindepth 1 2>/dev/null; \
            ctr -n k8s.io containers ls -q; \
            iptables-save | grep -i kube; nft list tables | grep -i kube; \
            ip -o link | grep -Eo '(cni0|veth[0-9a-f]+|vxlan[^ ]*|podnet[^ ]*)'; \
            systemctl list-units --no-legend --plain --state=active 'kube*' podnet.service cloud-controller-manager.service; \
            mount | grep kubelet; true";
        assert_eq!(machines.types(machine, left).ok(), "", "{machine}: left behind");
    }
    machines.types(CONTROL_PLANE, INIT).ok();
    machines.types(CONTROL_PLANE, "cp /etc/kubernetes/admin.conf $HOME/.kube/config").ok();
    nodes_are_ready(machines, 1);
}
