//! An upgrade to the next build, while a client asks an application without a pause.

use std::process::Stdio;

use cluster_tests::machines::Machines;
use machines::topology::COURSE;

use super::{CONTROL_PLANE, WORKERS, nodes_are_ready};

/// Where machines see the next release.
pub const NEXT: &str = "/opt/next-release";

/// Asks both workers in turn, each request on a connection of its own, until it is told to stop; prints how many
/// requests there were, and each that failed.
const CLIENT: &str = "rm -f /root/stop; n=0
    while [ ! -e /root/stop ]; do
        for node in 192.168.1.101 192.168.1.102; do
            n=$((n + 1))
            curl -sf -m 3 -o /dev/null http://$node:30080/ || echo failed: $node after $n
        done
    done; echo requests: $n";

pub fn a_client_sees_nothing_of_it(machines: &Machines) {
    println!("── upgrade to the next build");
    machines
        .types(CONTROL_PLANE, "kubectl create deployment polled --image=sysnet4admin/chk-hn --replicas=2")
        .ok();
    machines.types(CONTROL_PLANE, "kubectl create service nodeport polled --tcp=80 --node-port=30080").ok();
    machines.types(CONTROL_PLANE, "kubectl rollout status deployment/polled --timeout=60s").ok();
    // From outside the nodes' own units: the client is a machine's program that nothing restarts.
    machines.until(CONTROL_PLANE, "curl -sf -m 3 http://192.168.1.102:30080/", |seen| seen.code == 0);
    let pods = "kubectl get pods -l app=polled -o jsonpath='{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{end}'";
    let before = machines.types(CONTROL_PLANE, pods).out;

    let plan = machines.types(CONTROL_PLANE, &format!("kubeadm upgrade plan --release {NEXT}"));
    plan.shows(&["kube-apiserver", "v1.36.0-1", "v1.36.0-2"]);
    let client = machines
        .site()
        .command(CONTROL_PLANE, "bash")
        .unwrap()
        .args(["-c", CLIENT])
        .stdout(Stdio::piped())
        .spawn();
    let client = client.unwrap();
    machines
        .timed(CONTROL_PLANE, &format!("kubeadm upgrade apply v1.36.0-2 --release {NEXT} --yes"))
        .0
        .shows(&["[upgrade] SUCCESS!", "v1.36.0-2"]);
    for worker in WORKERS {
        machines
            .timed(worker, &format!("kubeadm upgrade node --release {NEXT} --yes"))
            .0
            .shows(&["The machine was upgraded", "v1.36.0-2"]);
    }
    nodes_are_ready(machines, 3);
    machines.types(CONTROL_PLANE, "touch /root/stop").ok();
    let polled = String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap();
    println!("   {}", polled.trim());
    assert!(polled.contains("requests:") && !polled.contains("failed"), "{polled}");
    assert_eq!(machines.types(CONTROL_PLANE, pods).out, before, "pods were touched");
    for machine in COURSE {
        let deleted =
            "for pid in $(pgrep '^(kube|podnet|cloud)'); do readlink /proc/$pid/exe; done | grep deleted";
        assert_eq!(machines.types(machine, deleted).out, "", "{machine}: an old program runs");
        assert_eq!(machines.types(machine, "systemctl --failed --no-legend").ok(), "", "{machine}");
    }
    let plan = machines.types(CONTROL_PLANE, &format!("kubeadm upgrade plan --release {NEXT}"));
    assert!(!plan.ok().contains("v1.36.0-1 "), "{}", plan.out);
    machines.types(CONTROL_PLANE, "kubectl delete deployment/polled service/polled").ok();
}
