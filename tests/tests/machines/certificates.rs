//! Certificates that are due, and machines that slept until theirs had expired.
//!
//! All machines of a site share one clock, which is the host's. So time is not moved: certificates are, to where the
//! machine would find them had it slept.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cluster_tests::machines::Machines;
use jiff::{SignedDuration, Timestamp};
use kubeadm::{
    certs::held::{Place, all},
    paths::Paths,
};
use machines::topology::COURSE;
use pki::{Authority, Described, cluster::Signer};

use super::{CONTROL_PLANE, nodes_are_ready};

const DAY: SignedDuration = SignedDuration::from_hours(24);

pub fn nobody_dies_of_a_calendar(machines: &Machines) {
    println!("── certificates that are due, and that expired in sleep");
    due_ones_are_renewed(machines);
    machines_wake_up_after_a_year(machines);
}

/// A machine's files, as the host sees them.
fn files(machines: &Machines, machine: &str) -> PathBuf {
    let topology = machines.site().topology();
    topology.machine_state(topology.machine(machine).unwrap()).join("upper")
}

fn authority(root: &Path, signer: Signer) -> Authority {
    let read = |end: &str| {
        fs::read_to_string(root.join("etc/kubernetes/pki").join(signer.file()).with_extension(end))
    };
    Authority::from_pem(&read("crt").unwrap(), &read("key").unwrap()).unwrap()
}

/// Gives a machine leaves of a day's life that began some time ago.
fn age(machines: &Machines, machine: &str, began: Timestamp) {
    let (root, signers) = (files(machines, machine), files(machines, CONTROL_PLANE));
    let paths = Paths::under(&root);
    for held in all().into_iter().filter(|held| held.place != Place::Kubelet && held.is_here(&paths)) {
        let leaf = held.read(&paths).unwrap().leaf(1);
        let issued = authority(&signers, held.signer).issue(&leaf, began).unwrap();
        held.replace(&paths, &issued, began).unwrap();
    }
    for entry in fs::read_dir(root.join("var/lib/kubelet/pki")).unwrap().flatten() {
        if !entry.file_type().unwrap().is_file() || entry.path().extension().is_none_or(|end| end != "pem") {
            continue;
        }
        let leaf = Described::of_pem(&fs::read_to_string(entry.path()).unwrap()).unwrap().leaf(1);
        let issued = authority(&signers, Signer::Cluster).issue(&leaf, began).unwrap();
        fs::write(entry.path(), [issued.certificate, issued.key].concat()).unwrap();
    }
}

fn take_the_new_kubeconfig(machines: &Machines) {
    machines.types(CONTROL_PLANE, "cp /etc/kubernetes/admin.conf .kube/config").ok();
}

/// The daily unit renews what has a third of its life left, and restarts who uses it.
fn due_ones_are_renewed(machines: &Machines) {
    let pid = "systemctl show --property=MainPID --value kube-apiserver";
    let nothing = machines.types(CONTROL_PLANE, "kubeadm certs renew all --due");
    nothing.shows(&["Nothing is due to be renewed."]);
    let before = machines.types(CONTROL_PLANE, pid).out;
    // The daemon reads its files when it starts: what it has is still good.
    let paths = Paths::under(&files(machines, CONTROL_PLANE));
    let held = all().into_iter().find(|held| held.name == "apiserver").unwrap();
    let began = Timestamp::now() - DAY * 9 / 10;
    let leaf = held.read(&paths).unwrap().leaf(1);
    let issued = authority(&files(machines, CONTROL_PLANE), held.signer).issue(&leaf, began).unwrap();
    machines
        .site()
        .put(CONTROL_PLANE, "/etc/kubernetes/pki/apiserver.crt", issued.certificate.as_bytes())
        .unwrap();
    machines.site().put(CONTROL_PLANE, "/etc/kubernetes/pki/apiserver.key", issued.key.as_bytes()).unwrap();
    machines.timed(CONTROL_PLANE, "systemctl start kubeadm-renew.service").0.ok();
    let after = machines.types(CONTROL_PLANE, pid).out;
    assert_ne!(before, after, "the API server was not restarted");
    let served = "echo | openssl s_client -connect 192.168.1.10:6443 2>/dev/null | openssl x509 -noout -checkend 25920000";
    machines.until(CONTROL_PLANE, served, |seen| seen.code == 0);
    nodes_are_ready(machines, 3);
}

/// Every machine is off while every leaf expires; switched on, they are a cluster again without anybody's help.
fn machines_wake_up_after_a_year(machines: &Machines) {
    machines
        .types(CONTROL_PLANE, "kubectl create deployment sleeper --image=sysnet4admin/chk-hn --replicas=2")
        .ok();
    machines.types(CONTROL_PLANE, "kubectl rollout status deployment/sleeper --timeout=60s").ok();
    for machine in COURSE {
        // What lies in memory would lie on disk after a proper shutdown.
        machines.types(machine, "sync").ok();
        machines.site().power_off(machine).unwrap();
    }
    for machine in COURSE {
        age(machines, machine, Timestamp::now() - DAY * 2);
    }
    let begun = std::time::Instant::now();
    for machine in COURSE {
        machines.site().power_on(machine).unwrap();
    }
    for machine in COURSE {
        machines.site().wait_booted(machine).unwrap();
    }
    machines.until(CONTROL_PLANE, "cp /etc/kubernetes/admin.conf .kube/config; kubectl get nodes", |seen| {
        seen.code == 0
    });
    take_the_new_kubeconfig(machines);
    nodes_are_ready(machines, 3);
    println!(
        "   three nodes Ready {:.1?} after they were switched on with expired certificates",
        begun.elapsed()
    );
    // Ready may be what the nodes said before they slept: a pod on each says that they live.
    machines.types(CONTROL_PLANE, "kubectl rollout restart deployment/sleeper").ok();
    machines.until(CONTROL_PLANE, "kubectl rollout status deployment/sleeper --timeout=60s", |seen| {
        seen.code == 0
    });
    for machine in COURSE {
        machines.until(machine, "kubeadm certs check-expiration", |seen| {
            seen.code == 0 && !seen.out.contains("<invalid>") && !seen.out.contains("EXPIRED")
        });
    }
    // The kubelet serves by a new certificate, too.
    let logs = "kubectl logs deployment/sleeper --tail=1";
    machines.until(CONTROL_PLANE, logs, |seen| seen.code == 0);
    machines.types(CONTROL_PLANE, "kubectl delete deployment/sleeper").ok();
}
