//! What happens when components are killed, and who is refused: on a cluster with three etcd members.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use cluster_tests::{Cluster, Shell};

#[test]
fn every_component_recovers_and_strangers_are_refused() {
    let cluster = Cluster::start("recovery", 3).unwrap();
    let shell = cluster.shell();
    strangers_are_refused(&cluster, &shell);
    shell
        .types("kubectl create deployment web --image=sysnet4admin/chk-hn --replicas=2")
        .shows(&["deployment.apps/web created"]);
    shell.types("kubectl rollout status deployment web --timeout=90s").ok();
    shell.types("kubectl expose deployment web --port=80").ok();

    controllers_and_scheduler_come_back(&cluster, &shell);
    the_node_comes_back(&cluster, &shell);
    the_api_and_its_store_come_back(&cluster, &shell);
    cluster.end().unwrap();
}

fn strangers_are_refused(cluster: &Cluster, shell: &Shell<'_>) {
    let stranger = cluster.lab().topology().state.join("stranger.conf");
    shell.types(&format!("kubectl --kubeconfig {} get pods", stranger.display())).refused(&["Unauthorized"]);
    shell.types("kubectl --kubeconfig /dev/null --server=$(kubectl config view -o jsonpath='{.clusters[0].cluster.server}') --insecure-skip-tls-verify get pods --token=nonsense").refused(&["Unauthorized"]);
    shell.types("kubectl get pods --as=jane").refused(&[
        "Error from server (Forbidden): pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
    ]);
    assert_eq!(shell.types("kubectl auth can-i list pods --as=jane").out, "no\n");
    shell
        .types("kubectl create role reads --verb=get,list --resource=pods")
        .shows(&["role.rbac.authorization.k8s.io/reads created"]);
    shell.types("kubectl create rolebinding jane-reads --role=reads --user=jane").ok();
    shell.until("kubectl auth can-i list pods --as=jane", |seen| seen.out == "yes\n");
    shell.types("kubectl get pods --as=jane").ok();

    // A service account's token is good until it expires or its account is gone.
    shell.types("kubectl create serviceaccount robot").ok();
    let token = shell.types("kubectl create token robot").ok().trim().to_owned();
    let ask = format!(
        "kubectl --kubeconfig /dev/null --insecure-skip-tls-verify --server=$(kubectl config view -o jsonpath='{{.clusters[0].cluster.server}}') --token={token} get pods"
    );
    shell
        .types(&ask)
        .refused(&["User \"system:serviceaccount:default:robot\" cannot list resource \"pods\""]);
    shell.types("kubectl delete serviceaccount robot").ok();
    shell.until(&ask, |seen| seen.err.contains("Unauthorized"));
}

fn restarts(cluster: &Cluster, node: &str, unit: &str) {
    let before = cluster.lab().unit_pid(node, unit).unwrap();
    assert!(before.is_some(), "{unit} does not run on {node}");
    cluster.lab().order(node, &format!("kill {unit}")).unwrap();
    let begun = std::time::Instant::now();
    loop {
        let after = cluster.lab().unit_pid(node, unit).unwrap();
        if after.is_some() && after != before {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{unit} on {node} does not start again");
    }
}

fn controllers_and_scheduler_come_back(cluster: &Cluster, shell: &Shell<'_>) {
    for unit in ["kube-controller-manager", "kube-scheduler"] {
        restarts(cluster, "m-k8s", unit);
    }
    // Both were leaders: a successor waits for the lease, then everything goes on.
    shell.types("kubectl scale deployment web --replicas=4").ok();
    shell
        .until_within(Duration::from_secs(90), "kubectl get deployment web", |seen| seen.out.contains("4/4"));
}

fn the_node_comes_back(cluster: &Cluster, shell: &Shell<'_>) {
    let pods = "kubectl get pods -l app=web -o jsonpath='{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}'";
    let before = shell.types(pods).ok().to_owned();
    for unit in ["kubelet", "kube-proxy", "podnet"] {
        restarts(cluster, "w1-k8s", unit);
    }
    shell.types("kubectl run after --image=nginx --overrides='{\"spec\":{\"nodeName\":\"w1-k8s\"}}'").ok();
    shell.types("kubectl wait --for=condition=Ready pod/after --timeout=60s").ok();
    // A kubelet that starts again leaves running containers alone.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(shell.types(pods).ok()), sorted(&before));
    let address = shell.types("kubectl get service web -o jsonpath='{.spec.clusterIP}'").out;
    let answers = shell.run_in("w1-k8s", &["curl", "-s", "-m", "5", &format!("http://{address}/")]);
    answers.shows(&["web-"]);
}

fn the_api_and_its_store_come_back(cluster: &Cluster, shell: &Shell<'_>) {
    let create = |name: &str| {
        shell.until(&format!("kubectl create configmap {name} --from-literal=a=b"), |seen| {
            seen.code == 0 || seen.err.contains("already exists")
        })
    };
    for number in 0..20 {
        create(&format!("before-{number}"));
    }
    restarts(cluster, "m-k8s", "kube-apiserver");
    create("after-apiserver");
    // One of three members may be gone.
    cluster.lab().order("w2-k8s", "stop etcd").unwrap();
    create("with-two-members");
    cluster.lab().order("w2-k8s", "start etcd").unwrap();
    restarts(cluster, "m-k8s", "etcd");
    create("after-etcd");
    let names = shell.until("kubectl get configmaps -o name", |seen| seen.code == 0).out;
    for number in 0..20 {
        assert!(names.contains(&format!("configmap/before-{number}\n")), "before-{number} is lost: {names}");
    }
    for name in ["after-apiserver", "with-two-members", "after-etcd"] {
        assert!(names.contains(&format!("configmap/{name}\n")), "{name} is lost: {names}");
    }
    // Controllers, scheduler and kubelets have found the API server again.
    shell.types("kubectl scale deployment web --replicas=2").ok();
    shell.until("kubectl get pods -l app=web --no-headers", |seen| {
        seen.out.lines().count() == 2 && seen.out.matches("Running").count() == 2
    });
}
