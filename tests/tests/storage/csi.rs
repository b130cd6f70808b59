//! A driver whose volumes every node can reach: they are attached to one node after another.

use cluster_tests::{Cluster, Shell};

use super::shared::Share;
use super::{claim, pod};

const ATTACHED_TO: &str = "kubectl get volumeattachments -o jsonpath={.items[*].spec.nodeName}";

/// A pod with a claim, on one node.
fn on(node: &str, name: &str, claim: &str) -> String {
    pod(name, claim, &format!("nodeSelector: {{kubernetes.io/hostname: {node}}}"))
}

pub fn a_volume_moves_from_node_to_node(cluster: &Cluster, shell: &Shell<'_>) {
    let share = Share::mount(cluster, shell);
    println!("volumes are on {}", share.what());
    cluster.file("shared-driver.yaml", include_str!("shared-driver.yaml")).unwrap();
    shell.types("kubectl apply -f shared-driver.yaml").ok();
    shell.types("kubectl -n kube-system rollout status deployment csi-shared --timeout=60s").ok();
    shell.types("kubectl -n kube-system rollout status daemonset csi-shared-node --timeout=60s").ok();

    // A class that does not wait: the volume is there before any pod.
    cluster.file("moving.yaml", &claim("moving", "csi-shared", "ReadWriteOnce")).unwrap();
    shell.types("kubectl apply -f moving.yaml").ok();
    shell.types("kubectl wait --for=jsonpath={.status.phase}=Bound pvc/moving --timeout=60s").ok();
    let volume = shell.types("kubectl get pvc moving -o jsonpath={.spec.volumeName}").ok().to_owned();
    shell.types(&format!("kubectl get pv {volume} -o jsonpath={{.spec.nodeAffinity}}")).shows(&[""]);
    shell.types("kubectl get volumeattachments -o name").shows(&[""]);

    cluster.file("first.yaml", &on("w1-k8s", "first", "moving")).unwrap();
    cluster.file("second.yaml", &on("w2-k8s", "second", "moving")).unwrap();
    shell.types("kubectl apply -f first.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/first --timeout=60s").ok();
    assert_eq!(shell.types(ATTACHED_TO).ok(), "w1-k8s");

    // It is for one node at a time.
    shell.types("kubectl apply -f second.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=second", |seen| {
        seen.out.contains(&format!(
            "Multi-Attach error for volume \"{volume}\" Volume is already used by pod(s) first"
        ))
    });
    shell.types("kubectl delete pod first").ok();
    shell.types("kubectl wait --for=condition=Ready pod/second --timeout=60s").ok();
    assert_eq!(shell.types(ATTACHED_TO).ok(), "w2-k8s");
    assert_eq!(shell.types("kubectl exec second -- cat /data/log").ok(), "first\nsecond\n");

    // The driver is told whose the volume is, and gets a token of the pod's account.
    let told = shell.run_in("w2-k8s", &["cat", &format!("{}/{volume}/volume.json", super::shared::MOUNTED)]);
    told.shows(&["\"pod\":\"default/second\"", "\"audiences\":[\"storage.example\"]", "\"expires\":\"20"]);

    a_restarted_kubelet_takes_back_what_another_mounted(cluster, shell);
    a_full_node_takes_no_more(cluster, shell);
    a_raw_device_is_refused_in_words(cluster, shell);

    shell.types("kubectl delete pvc moving").ok();
    shell.until("kubectl get pv,volumeattachments -o name", |seen| seen.out.is_empty());
    shell.types("kubectl delete -f shared-driver.yaml").ok();
    shell.until("kubectl get csinodes -o jsonpath={.items[*].spec.drivers[*].name}", |seen| {
        seen.out.is_empty()
    });
    shell.until("kubectl -n kube-system get pods -o name", |seen| !seen.out.contains("csi-shared"));
}

/// The pod's volume is not disturbed when the kubelet goes, and is taken back by the one that comes.
fn a_restarted_kubelet_takes_back_what_another_mounted(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.lab().order("w2-k8s", "kill kubelet").unwrap();
    shell.types("kubectl exec second -- sh -c 'echo more >> /data/log'");
    shell.until("kubectl get csinode w2-k8s -o jsonpath={.spec.drivers[*].name}", |seen| {
        seen.out == "shared.csi.example"
    });
    shell.until("kubectl exec second -- cat /data/log", |seen| seen.out.contains("second"));
    let restarts = "kubectl get pod second -o jsonpath={.status.containerStatuses[0].restartCount}";
    assert_eq!(shell.types(restarts).ok(), "0");
    shell.until("kubectl get node w2-k8s -o jsonpath={.status.volumesInUse}", |seen| {
        seen.out.contains("kubernetes.io/csi/shared.csi.example^")
    });
    shell.types("kubectl delete pod second").ok();
    shell.until(ATTACHED_TO, |seen| seen.out.is_empty());
    let left = shell.run_in("w2-k8s", &["sh", "-c", "grep -c shared.csi.example /proc/self/mountinfo"]);
    assert_eq!(left.out.trim(), "0", "nothing of it is mounted any more");
}

/// Each node takes one volume of the driver.
fn a_full_node_takes_no_more(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("another.yaml", &claim("another", "csi-shared", "ReadWriteOnce")).unwrap();
    cluster.file("full.yaml", &on("w1-k8s", "full", "moving")).unwrap();
    cluster.file("over.yaml", &on("w1-k8s", "over", "another")).unwrap();
    shell.types("kubectl apply -f another.yaml -f full.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/full --timeout=60s").ok();
    shell.types("kubectl apply -f over.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=over", |seen| {
        seen.out.contains("1 node(s) exceed max volume count")
    });
    shell.types("kubectl delete pod full").ok();
    shell.types("kubectl wait --for=condition=Ready pod/over --timeout=60s").ok();
    shell.types("kubectl delete pod over").ok();
    shell.types("kubectl delete pvc another").ok();
}

fn a_raw_device_is_refused_in_words(cluster: &Cluster, shell: &Shell<'_>) {
    let raw = claim("raw", "csi-shared", "ReadWriteOnce").replace("spec:\n", "spec:\n  volumeMode: Block\n");
    cluster.file("raw.yaml", &raw).unwrap();
    shell.types("kubectl apply -f raw.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=raw", |seen| {
        seen.out.contains("failed to provision volume with StorageClass \"csi-shared\": rpc error: code = InvalidArgument desc = volumes are directories, not devices")
    });
    shell.types("kubectl delete pvc raw").ok();
}
