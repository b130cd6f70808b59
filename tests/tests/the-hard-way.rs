//! Kubernetes the hard way, as its page tells it, on four machines with nothing but Debian.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use cluster_tests::{docs::document, machines::Machines, page::workspace};
use machines::Software;

const HERE: &str = "/root/the-hard-way";

#[test]
fn a_cluster_made_by_hand_works() {
    let machines =
        Machines::start("hard-way", &["jumpbox", "server", "node-0", "node-1"], Software::None).unwrap();
    reach_all_from_the_jumpbox(&machines);
    machines.types("jumpbox", &format!("mkdir {HERE} && ln -s /opt/downloads {HERE}/downloads")).ok();
    // Where the page's reader has a registry.
    machines.serve_images(&["node-0", "node-1"]);
    let page = document(&workspace(), Path::new("docs/tutorials/the-hard-way.md")).unwrap();
    let breaches = machines.walk("jumpbox", HERE, &page);
    assert!(breaches.is_empty(), "the page shows something else:\n{}", breaches.join("\n"));
    machines.end().unwrap();
}

/// What the page takes for granted: root of the jumpbox is root everywhere.
fn reach_all_from_the_jumpbox(machines: &Machines) {
    machines
        .types("jumpbox", "mkdir -m 700 -p .ssh && ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519")
        .ok();
    let key = machines.types("jumpbox", "cat .ssh/id_ed25519.pub").out;
    let config = "Host *\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n";
    machines.site().put("jumpbox", "/root/.ssh/config", config.as_bytes()).unwrap();
    for machine in ["server", "node-0", "node-1"] {
        machines.site().put(machine, "/root/.ssh/authorized_keys", key.as_bytes()).unwrap();
        machines.types(machine, "chmod 700 .ssh && chmod 600 .ssh/* && systemctl start ssh").ok();
    }
}
