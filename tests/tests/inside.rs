//! Chapter "the inside": what its page cannot show well.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use cluster_tests::{Cluster, PATIENCE, Shell, page};
use serde_json::Value;

#[test]
fn the_chapter_on_the_inside_works_as_printed() {
    let cluster = Cluster::start("inside", 1).unwrap();
    page::walk_with_both(&cluster, "docs/tutorials/inside.md");

    let shell = cluster.shell();
    shell.types("kubectl create deployment web --image=sysnet4admin/chk-hn --replicas=2").ok();
    shell.types("kubectl create service nodeport web --tcp=80 --node-port=30080").ok();
    shell.types("kubectl rollout status deployment web --timeout=60s").ok();
    etcd_holds_what_the_api_shows(&shell);
    the_kubelet_needs_no_api_server_to_keep_pods(&cluster, &shell);
    nothing_restarts_when_the_store_is_away(&cluster, &shell);
    shell.types("kubectl delete deployment/web service/web").ok();
    cluster.end().unwrap();
}

/// What a login shell on the control plane's node prints.
fn etcd(shell: &Shell<'_>, command: &str) -> String {
    shell.run_in("m-k8s", &["sh", "-lc", command]).ok().to_owned()
}

/// Keys as upstream lays them out, and the revision of the last write as resourceVersion.
fn etcd_holds_what_the_api_shows(shell: &Shell<'_>) {
    for (kind, key) in [
        ("deployment/web", "/registry/deployments/default/web"),
        ("service/web", "/registry/services/specs/default/web"),
        ("endpoints/web", "/registry/services/endpoints/default/web"),
        ("node/w1-k8s", "/registry/minions/w1-k8s"),
        ("namespace/default", "/registry/namespaces/default"),
        ("serviceaccount/default", "/registry/serviceaccounts/default/default"),
        ("clusterrole/admin", "/registry/clusterroles/admin"),
        ("storageclass/local-path", "/registry/storageclasses/local-path"),
    ] {
        let in_etcd = etcd(shell, &format!("etcdctl get {key} --write-out=json"));
        let found: Value = serde_json::from_str(&in_etcd).unwrap();
        assert_eq!(found["count"], 1, "{key}: {in_etcd}");
        // A node is written all the time.
        if !kind.starts_with("node/") {
            let line = format!("kubectl get {kind} -o jsonpath='{{.metadata.resourceVersion}}'");
            assert_eq!(found["kvs"][0]["mod_revision"].to_string(), shell.types(&line).ok(), "{kind}");
        }
    }
    for prefix in [
        "/registry/pods/default/web-",
        "/registry/replicasets/default/web-",
        "/registry/endpointslices/default/web-",
        "/registry/events/default/web",
        "/registry/leases/kube-system/kube-scheduler",
        "/registry/leases/kube-node-lease/w1-k8s",
        "/registry/masterleases/",
    ] {
        let keys = etcd(shell, &format!("etcdctl get {prefix} --prefix --keys-only"));
        assert!(keys.contains(prefix), "{prefix}: {keys}");
    }
    // Events leave by themselves, at the end of a lease.
    let event = etcd(shell, "etcdctl get /registry/events/default/web --prefix --limit=1 --write-out=json");
    let event: Value = serde_json::from_str(&event).unwrap();
    assert!(event["kvs"][0]["lease"].as_i64().is_some_and(|lease| lease != 0), "{event}");
}

fn answers(shell: &Shell<'_>) -> bool {
    shell.outside(&["curl", "-s", "--max-time", "2", "http://192.168.1.101:30080"]).out.starts_with("web-")
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Ids of the running containers of the deployment on both workers, with their node.
fn containers(shell: &Shell<'_>) -> Vec<(&'static str, String)> {
    let filter = "labels.\"io.kubernetes.container.name\"==chk-hn";
    let mut found = Vec::new();
    for node in ["w1-k8s", "w2-k8s"] {
        let ours = shell.run_in(node, &["ctr", "-n", "k8s.io", "containers", "list", "-q", filter]);
        let tasks = shell.run_in(node, &["ctr", "-n", "k8s.io", "tasks", "list"]);
        let running =
            |id: &&str| tasks.out.lines().any(|task| task.starts_with(id) && task.ends_with("RUNNING"));
        found.extend(ours.out.split_whitespace().filter(running).map(|id| (node, id.to_owned())));
    }
    found.sort();
    found
}

fn the_kubelet_needs_no_api_server_to_keep_pods(cluster: &Cluster, shell: &Shell<'_>) {
    let restarts =
        "kubectl get pods -l app=web -o jsonpath='{.items[*].status.containerStatuses[0].restartCount}'";
    assert_eq!(shell.types(restarts).out, "0 0");
    let before = containers(shell);
    assert_eq!(before.len(), 2, "{before:?}");
    cluster.lab().order("m-k8s", "stop kube-apiserver").unwrap();
    let (node, id) = before[0].clone();
    shell.run_in(node, &["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", &id]).ok();
    eventually("another container is started in its place", || {
        let now = containers(shell);
        now.len() == 2 && !now.contains(&before[0])
    });
    eventually("the service answers", || answers(shell));
    cluster.lab().order("m-k8s", "start kube-apiserver").unwrap();
    // What happened meanwhile is told as soon as somebody listens.
    shell.until(restarts, |seen| ["0 1", "1 0"].contains(&seen.out.as_str()));
    shell.types("kubectl wait --for=condition=Ready pod -l app=web --timeout=60s").ok();
}

fn nothing_restarts_when_the_store_is_away(cluster: &Cluster, shell: &Shell<'_>) {
    let before = containers(shell);
    let pid = |node: &str, unit: &str| cluster.lab().unit_pid(node, unit).unwrap();
    let units = [("m-k8s", "kube-apiserver"), ("w1-k8s", "kubelet"), ("w1-k8s", "kube-proxy")];
    let pids = units.map(|(node, unit)| pid(node, unit));
    cluster.lab().order("m-k8s", "stop etcd").unwrap();
    let why = "rpc error: code = Unavailable desc = connection error";
    shell.types("kubectl create configmap lost --from-literal=a=b").refused(&[why]);
    shell.types("kubectl get pod nobody").refused(&["Error from server: ", why]);
    assert!(answers(shell));
    cluster.lab().order("m-k8s", "start etcd").unwrap();
    shell.until("kubectl get --raw /readyz", |seen| seen.out == "ok");
    assert_eq!(containers(shell), before);
    assert_eq!(units.map(|(node, unit)| pid(node, unit)), pids);
    // What was refused was not done, and what was done is still there.
    shell.types("kubectl get configmap lost").refused(&["NotFound"]);
    shell.types("kubectl get deployment web").shows(&["2/2"]);
}
