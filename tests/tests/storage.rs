//! Chapter "storage": volumes of every kind, from those that go with their pod to those that outlive everything.

#![allow(clippy::unwrap_used)]

#[path = "storage/csi.rs"]
mod csi;
#[path = "storage/shared.rs"]
mod shared;

use cluster_tests::{Cluster, Shell, page};

#[test]
fn the_chapter_on_storage_works_as_printed() {
    let cluster = Cluster::start("storage", 1).unwrap();
    let shell = cluster.shell();
    shell.types("kubectl -n kube-system rollout status daemonset local-path-provisioner --timeout=60s").ok();
    page::walk_with_both(&cluster, "docs/tutorials/storage.md");
    three_pods_write_one_log(&cluster, &shell);
    static_volumes_are_chosen_with_the_pods_node(&cluster, &shell);
    a_claim_that_cannot_be_served_says_why(&cluster, &shell);
    directories_are_made_for_everybody_and_removed(&cluster, &shell);
    an_ephemeral_volume_goes_with_its_pod(&cluster, &shell);
    a_claim_for_one_pod_is_not_shared(&cluster, &shell);
    csi::a_volume_moves_from_node_to_node(&cluster, &shell);
    cluster.end().unwrap();
}

/// The course's Deployment, with a real file system that all nodes mount in place of the NFS export.
fn three_pods_write_one_log(cluster: &Cluster, shell: &Shell<'_>) {
    let share = shared::Share::mount(cluster, shell);
    println!("the shared log is on {}", share.what());
    let manifest = shell.types("cat dpy-chk-log.yaml").ok().to_owned();
    let nfs = "nfs:\n          server: 192.168.1.10\n          path: /nfs_shared/dpy-chk-log";
    assert!(manifest.contains(nfs), "the page's manifest has the course's volume");
    let directory = format!("hostPath:\n          path: {}\n          type: Directory", shared::MOUNTED);
    cluster.file("dpy-chk-log-shared.yaml", &manifest.replace(nfs, &directory)).unwrap();
    shell.types("kubectl apply -f dpy-chk-log-shared.yaml").ok();
    shell.types("kubectl rollout status deployment dpy-chk-log --timeout=60s").ok();
    let listed = shell.types("kubectl get pods -l app=dpy-chk-log -o jsonpath='{range .items[*]}{.metadata.name} {.status.podIP} {.spec.nodeName}{\"\\n\"}{end}'");
    let pods: Vec<Vec<&str>> = listed.ok().lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(pods.len(), 3);
    let mut nodes: Vec<&str> = pods.iter().map(|pod| pod[2]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert!(nodes.len() > 1, "the pods are on several nodes: {nodes:?}");
    for pod in &pods {
        shell.run_in("m-k8s", &["curl", "-s", "-m", "5", &format!("http://{}/", pod[1])]).shows(&[pod[0]]);
    }
    // Each pod sees what the others wrote.
    for pod in &pods {
        let log = shell.types(&format!("kubectl exec {} -- cat /audit/audit.log", pod[0]));
        log.shows(&pods.iter().map(|pod| pod[0]).collect::<Vec<_>>());
    }
    shell.types("kubectl delete -f dpy-chk-log-shared.yaml").ok();
    shell.until("kubectl get pods -l app=dpy-chk-log -o name", |seen| seen.out.is_empty());
    let log = shell.run_in("w1-k8s", &["cat", &format!("{}/audit.log", shared::MOUNTED)]);
    assert_eq!(log.ok().lines().count(), 3, "one line for each visit is still there:\n{}", log.out);
}

/// A class without a provisioner whose claims wait: the scheduler takes the volume that the pod's node can use.
fn static_volumes_are_chosen_with_the_pods_node(cluster: &Cluster, shell: &Shell<'_>) {
    let volume = |node: &str, size: &str| {
        format!(
            "apiVersion: v1
kind: PersistentVolume
metadata: {{name: disk-of-{node}}}
spec:
  capacity: {{storage: {size}}}
  accessModes: [ReadWriteOnce]
  storageClassName: by-hand
  persistentVolumeReclaimPolicy: Retain
  local: {{path: /var/disk}}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [
    {{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]}}]}}}}
---
"
        )
    };
    let class = "apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: by-hand}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
";
    // The smaller one fits too, but the pod cannot go there.
    let volumes = format!("{class}{}{}", volume("w1-k8s", "1Gi"), volume("w2-k8s", "2Gi"));
    cluster.file("by-hand.yaml", &volumes).unwrap();
    cluster.file("waiting.yaml", &claim("waiting", "by-hand", "ReadWriteOnce")).unwrap();
    cluster.file("chooser.yaml", &pod("chooser", "waiting", "nodeSelector: {disk: here}")).unwrap();
    for node in ["w1-k8s", "w2-k8s"] {
        shell.run_in(node, &["mkdir", "-p", "/var/disk"]).ok();
    }
    shell.types("kubectl label node w2-k8s disk=here").ok();
    shell.types("kubectl apply -f by-hand.yaml -f waiting.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=waiting", |seen| {
        seen.out.contains("waiting for first consumer to be created before binding")
    });
    shell.types("kubectl apply -f chooser.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/chooser --timeout=60s").ok();
    shell.types("kubectl get pvc waiting -o jsonpath={.spec.volumeName}").shows(&["disk-of-w2-k8s"]);
    // A container is ready as soon as it runs, and writes a moment later.
    shell.until("kubectl exec chooser -- cat /data/log", |seen| seen.out.contains("chooser"));
    shell.run_in("w2-k8s", &["cat", "/var/disk/log"]).shows(&["chooser"]);

    // With its volume bound to one node, a pod that must be on another has no place.
    cluster
        .file(
            "elsewhere.yaml",
            &pod("elsewhere", "waiting", "nodeSelector: {kubernetes.io/hostname: w1-k8s}"),
        )
        .unwrap();
    shell.types("kubectl apply -f elsewhere.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=elsewhere", |seen| {
        seen.out.contains("node(s) didn't match PersistentVolume's node affinity")
            || seen.out.contains("node(s) didn't match Pod's node affinity/selector")
    });
    // What no volume fits waits, until one comes.
    cluster.file("second.yaml", &claim("second", "by-hand", "ReadWriteOnce")).unwrap();
    cluster.file("late.yaml", &pod("late", "second", "nodeSelector: {disk: here}")).unwrap();
    shell.types("kubectl apply -f second.yaml -f late.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=late", |seen| {
        seen.out.contains("1 node(s) didn't find available persistent volumes to bind")
    });
    cluster.file("another.yaml", &volume("w2-k8s", "1Gi").replace("disk-of-w2-k8s", "another-disk")).unwrap();
    shell.types("kubectl apply -f another.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/late --timeout=60s").ok();
    shell.types("kubectl delete pod chooser elsewhere late").ok();
    shell.types("kubectl delete pvc waiting second").ok();
    shell.types("kubectl delete -f by-hand.yaml -f another.yaml").ok();
    shell.types("kubectl label node w2-k8s disk-").ok();
}

fn a_claim_that_cannot_be_served_says_why(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("many.yaml", &claim("many", "local-path", "ReadWriteMany")).unwrap();
    cluster.file("user.yaml", &pod("user", "many", "")).unwrap();
    shell.types("kubectl apply -f many.yaml -f user.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=many", |seen| {
        seen.out.contains("failed to provision volume with StorageClass \"local-path\": NodePath only supports ReadWriteOnce")
    });
    cluster.file("unknown.yaml", &claim("unknown", "nowhere", "ReadWriteOnce")).unwrap();
    cluster.file("waits.yaml", &pod("waits", "unknown", "")).unwrap();
    shell.types("kubectl apply -f unknown.yaml -f waits.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=unknown", |seen| {
        seen.out.contains("storageclass.storage.k8s.io \"nowhere\" not found")
    });
    shell.until("kubectl get events --field-selector=involvedObject.name=waits", |seen| {
        seen.out.contains("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
    });
    cluster.file("lonely.yaml", &pod("lonely", "missing", "")).unwrap();
    shell.types("kubectl apply -f lonely.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=lonely", |seen| {
        seen.out.contains("persistentvolumeclaim \"missing\" not found")
    });
    // The claim that it waits for comes: it is scheduled at once.
    cluster.file("missing.yaml", &claim("missing", "local-path", "ReadWriteOnce")).unwrap();
    shell.types("kubectl apply -f missing.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/lonely --timeout=60s").ok();
    shell.types("kubectl delete pod user waits lonely").ok();
    shell.types("kubectl delete pvc many unknown missing").ok();
}

/// The directory behind a dynamic volume: who may write, what is left in it, and that it goes.
fn directories_are_made_for_everybody_and_removed(cluster: &Cluster, shell: &Shell<'_>) {
    let user = "securityContext: {runAsUser: 1234}";
    cluster.file("own.yaml", &claim("own", "local-path", "ReadWriteOnce")).unwrap();
    cluster.file("someone.yaml", &pod("someone", "own", user)).unwrap();
    shell.types("kubectl apply -f own.yaml -f someone.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/someone --timeout=60s").ok();
    let hidden = "kubectl exec someone -- sh -c 'mkdir /data/mine && echo x > /data/mine/file && chmod 0500 /data/mine'";
    shell.types(hidden).ok();
    let node = shell.types("kubectl get pod someone -o jsonpath={.spec.nodeName}").ok().to_owned();
    let volume = shell.types("kubectl get pvc own -o jsonpath={.spec.volumeName}").ok().to_owned();
    let path = shell.types(&format!("kubectl get pv {volume} -o jsonpath={{.spec.hostPath.path}}"));
    assert_eq!(path.ok(), format!("/opt/local-path-provisioner/{volume}_default_own"));
    shell.run_in(&node, &["stat", "-c", "%a", &path.out]).shows(&["777"]);
    shell.types("kubectl delete pod someone").ok();
    shell.types("kubectl delete pvc own").ok();
    shell.until("kubectl get pv -o name", |seen| seen.out.is_empty());
    let left = shell.run_in(&node, &["ls", "/opt/local-path-provisioner"]);
    assert_eq!(left.ok(), "", "nothing of it is left on {node}");
}

fn an_ephemeral_volume_goes_with_its_pod(cluster: &Cluster, shell: &Shell<'_>) {
    let manifest = "apiVersion: v1
kind: Pod
metadata: {name: passing}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    command: [sh, -c, 'echo x > /data/log; sleep infinity']
    volumeMounts: [{name: scratch, mountPath: /data}]
  volumes:
  - name: scratch
    ephemeral:
      volumeClaimTemplate:
        spec:
          accessModes: [ReadWriteOnce]
          resources: {requests: {storage: 16Mi}}
";
    cluster.file("passing.yaml", manifest).unwrap();
    shell.types("kubectl apply -f passing.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/passing --timeout=60s").ok();
    shell.types("kubectl get pvc").shows(&["passing-scratch", "Bound"]);
    shell.types("kubectl delete pod passing").ok();
    shell.until("kubectl get pvc,pv -o name", |seen| seen.out.is_empty());
}

fn a_claim_for_one_pod_is_not_shared(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("single.yaml", &claim("single", "local-path", "ReadWriteOncePod")).unwrap();
    cluster.file("first.yaml", &pod("first", "single", "")).unwrap();
    cluster.file("next.yaml", &pod("next", "single", "")).unwrap();
    shell.types("kubectl apply -f single.yaml -f first.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/first --timeout=60s").ok();
    shell.types("kubectl apply -f next.yaml").ok();
    shell.until("kubectl get events --field-selector=involvedObject.name=next", |seen| {
        seen.out.contains(
            "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
        )
    });
    shell.types("kubectl delete pod first").ok();
    shell.types("kubectl wait --for=condition=Ready pod/next --timeout=60s").ok();
    shell.types("kubectl delete pod next").ok();
    shell.types("kubectl delete pvc single").ok();
    shell.until("kubectl get pv -o name", |seen| seen.out.is_empty());
}

fn claim(name: &str, class: &str, mode: &str) -> String {
    format!(
        "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec:
  storageClassName: {class}
  accessModes: [{mode}]
  resources: {{requests: {{storage: 16Mi}}}}
"
    )
}

fn pod(name: &str, claim: &str, more: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  {more}
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    command: [sh, -c, 'hostname >> /data/log; sleep infinity']
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes:
  - name: data
    persistentVolumeClaim: {{claimName: {claim}}}
"
    )
}
