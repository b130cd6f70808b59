//! A cluster that is saved, lost and brought back.

use cluster_tests::machines::Machines;

use super::{CONTROL_PLANE, WORKERS, nodes_are_ready};

const FILE: &str = "/root/cluster.tar.gz";

pub fn what_was_saved_comes_back(machines: &Machines) {
    println!("── backup and restore");
    machines
        .types(CONTROL_PLANE, "kubectl create deployment kept --image=sysnet4admin/chk-hn --replicas=2")
        .ok();
    machines.types(CONTROL_PLANE, "kubectl rollout status deployment/kept --timeout=60s").ok();
    machines.types(CONTROL_PLANE, "kubectl create configmap saved --from-literal=a=b").ok();
    machines.timed(CONTROL_PLANE, &format!("kubeadm backup {FILE}")).0.shows(&["[backup] Wrote"]);
    assert_eq!(machines.types(CONTROL_PLANE, &format!("stat -c %a {FILE}")).ok(), "600\n");
    let pods = "kubectl get pods -l app=kept -o jsonpath='{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount} {end}'";
    let before = machines.types(CONTROL_PLANE, pods).out;
    // What happens after it is not in it.
    machines.types(CONTROL_PLANE, "kubectl delete configmap saved && kubectl create configmap later").ok();
    // The control plane's machine loses everything but its packages.
    machines.types(CONTROL_PLANE, "kubeadm reset --force").ok();
    machines.timed(CONTROL_PLANE, &format!("kubeadm restore {FILE}")).0.ok();
    machines.types(CONTROL_PLANE, "cp /etc/kubernetes/admin.conf .kube/config").ok();
    machines
        .until(CONTROL_PLANE, "kubectl get configmap saved -o jsonpath='{.data.a}'", |seen| seen.out == "b");
    machines.types(CONTROL_PLANE, "kubectl get configmap later").refused(&["configmaps \"later\" not found"]);
    for worker in WORKERS {
        machines.types(worker, "systemctl restart kubelet kube-proxy podnet").ok();
    }
    nodes_are_ready(machines, 3);
    machines.until(CONTROL_PLANE, pods, |seen| seen.out == before);
    // The cluster lives on: it makes pods and removes them.
    machines.types(CONTROL_PLANE, "kubectl scale deployment/kept --replicas=3").ok();
    machines
        .until(CONTROL_PLANE, "kubectl rollout status deployment/kept --timeout=60s", |seen| seen.code == 0);
    machines.types(CONTROL_PLANE, "kubectl delete deployment/kept configmap/saved").ok();
}
