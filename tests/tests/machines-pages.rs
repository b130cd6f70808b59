//! What an operator's pages tell is typed, line by line, on machines with nothing but Debian.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use cluster_tests::{docs::document, machines::Machines, page::workspace, release};
use machines::{Software, topology::COURSE};

/// Where machines see the packages of this build and of the next.
const NOW: &str = "/opt/this-release";
const NEXT: &str = "/opt/next-release";

#[test]
fn a_cluster_is_installed_and_kept_as_the_pages_say() {
    let releases =
        [(1, NOW), (2, NEXT)].map(|(build, place)| (release::packed(build).unwrap(), place.into()));
    let machines = Machines::start_with("pages", &COURSE, Software::None, releases.to_vec()).unwrap();
    for machine in COURSE {
        // The packages are where the reader is, the next ones where they were copied to.
        machines.types(machine, &format!("cp {NOW}/*.deb /root && ln -s {NEXT} /root/release")).ok();
    }
    walk(&machines, "docs/how-to/install-on-machines.md", |_| {});
    walk(&machines, "docs/how-to/keep-a-cluster.md", |command| match command {
        // The node that left for good is replaced.
        "kubeadm backup /root/cluster.tar.gz" => join(&machines, "w2-k8s"),
        "kubeadm restore /root/cluster.tar.gz" => lose_the_disk(&machines, "m-k8s"),
        _ => {}
    });
    for machine in COURSE {
        assert_eq!(machines.types(machine, "systemctl --failed --no-legend").ok(), "", "{machine}");
    }
    machines
        .until("m-k8s", "kubectl get nodes --no-headers", |seen| seen.out.matches(" Ready ").count() == 3);
    machines.end().unwrap();
}

fn walk(machines: &Machines, page: &str, before: impl FnMut(&str)) {
    println!("── {page}");
    let page = document(&workspace(), Path::new(page)).unwrap();
    let breaches = machines.walk_with("m-k8s", "/root", &page, before);
    assert!(breaches.is_empty(), "the page shows something else:\n{}", breaches.join("\n"));
}

fn join(machines: &Machines, machine: &str) {
    let join = machines.types("m-k8s", "kubeadm token create --print-join-command");
    machines.types(machine, join.ok().trim()).ok();
}

/// Takes everything of a cluster from a machine; what is installed stays.
fn lose_the_disk(machines: &Machines, machine: &str) {
    machines.types(machine, "kubeadm reset --force").ok();
}
