//! Chapter "pods": containers side by side, their beginnings and ends, probes, and pods that a node runs by itself.

#![allow(clippy::unwrap_used)]

use cluster_tests::{Cluster, Shell};

const MANIFEST: &str = "/etc/kubernetes/manifests/static-web.yaml";

#[test]
fn the_chapter_on_pods_works_as_printed() {
    let cluster = Cluster::start("pods", 1).unwrap();
    for (name, text) in [
        ("neighbours.yaml", include_str!("pods/neighbours.yaml")),
        ("probes.yaml", include_str!("pods/probes.yaml")),
        ("stages.yaml", include_str!("pods/stages.yaml")),
        ("ends.yaml", include_str!("pods/ends.yaml")),
    ] {
        cluster.file(name, text).unwrap();
    }
    let shell = cluster.shell();
    // What takes time begins first.
    shell.types("kubectl create -f ends.yaml").shows(&["pod/hungry created", "pod/crashing created"]);
    shell.types("kubectl create -f neighbours.yaml -f probes.yaml -f stages.yaml").ok();
    mistakes_are_named(&cluster, &shell);
    containers_of_a_pod_are_neighbours(&shell);
    probes_decide(&shell);
    a_pod_begins_and_ends_in_stages(&shell);
    ends_have_reasons(&shell);
    a_node_runs_pods_of_its_own(&shell);
    cluster.end().unwrap();
}

fn mistakes_are_named(cluster: &Cluster, shell: &Shell<'_>) {
    let right = "apiVersion: v1\nkind: Pod\nmetadata: {name: wrong}\nspec:\n  containers:\n  - {name: web, image: nginx}\n";
    let cases = [
        ("name: web, ", "", "The Pod \"wrong\" is invalid: spec.containers[0].name: Required value"),
        (
            "containers",
            "contaners",
            "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.contaners\"",
        ),
        (
            "apiVersion: v1",
            "apiVersion: v2",
            "error: resource mapping not found for name: \"wrong\" namespace: \"\" from \"wrong.yaml\": no matches for kind \"Pod\" in version \"v2\"\nensure CRDs are installed first",
        ),
        (
            "image: nginx",
            "image: nginx, imagePullPolicy: Perhaps",
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Perhaps\"",
        ),
    ];
    for (from, to, message) in cases {
        cluster.file("wrong.yaml", &right.replace(from, to)).unwrap();
        shell.types("kubectl create -f wrong.yaml").refused(&[message]);
    }
    shell.types("kubectl get pod wrong").refused(&["Error from server (NotFound): pods \"wrong\" not found"]);
}

fn containers_of_a_pod_are_neighbours(shell: &Shell<'_>) {
    shell.types("kubectl wait --for=condition=Ready pod/neighbours --timeout=60s").ok();
    shell.until("kubectl logs neighbours -c app", |seen| seen.out == "+PONG\n");
    shell.until("kubectl logs neighbours -c reader", |seen| seen.out == "heard\n");
    shell.types("kubectl exec neighbours -c reader -- touch /seen/mine").refused(&["Read-only file system"]);
    let chosen = shell.types("kubectl logs neighbours");
    assert_eq!(chosen.err, "Defaulted container \"cache\" out of: cache, app, reader\n");
    shell.types("kubectl delete pod neighbours").shows(&["pod \"neighbours\" deleted"]);
}

fn probes_decide(shell: &Shell<'_>) {
    let status = |field: &str| {
        format!(
            "kubectl get pod probed -o jsonpath='{{.status.containerStatuses[?(@.name==\"web\")].{field}}}'"
        )
    };
    let endpoints = "kubectl get endpointslices -l kubernetes.io/service-name=probed -o jsonpath='{.items[*].endpoints[*].conditions.ready}'";
    shell.types("kubectl expose pod probed --port=80").ok();
    shell.until(&status("state.running.startedAt"), |seen| !seen.out.is_empty());
    // Nothing else is asked until the start is over.
    assert_eq!(shell.types(&status("started")).out, "false");
    assert_eq!(shell.types(&status("ready")).out, "false");
    assert_eq!(shell.until(endpoints, |seen| !seen.out.is_empty()).out, "false");
    shell.types("kubectl exec probed -c web -- touch /tmp/started").ok();
    shell.types("kubectl wait --for=condition=Ready pod/probed --timeout=20s").ok();
    shell.until(endpoints, |seen| seen.out == "true");
    shell.types("kubectl exec probed -c web -- touch /tmp/tired").ok();
    shell.until(endpoints, |seen| seen.out == "false");
    assert_eq!(shell.types(&status("restartCount")).out, "0");
    shell.types("kubectl exec probed -c web -- touch /tmp/sick").ok();
    shell.until(&status("restartCount"), |seen| seen.out == "1");
    let steady = "kubectl get pod probed -o jsonpath='{.status.containerStatuses[?(@.name==\"steady\")].restartCount}'";
    assert_eq!(shell.types(steady).out, "0");
    shell.until("kubectl describe pod probed", |seen| {
        seen.out.contains("Liveness probe failed:")
            && seen.out.contains("Container web failed liveness probe, will be restarted")
    });
    shell.types("kubectl delete pod/probed service/probed").ok();
}

fn a_pod_begins_and_ends_in_stages(shell: &Shell<'_>) {
    let said = |shell: &Shell<'_>| shell.run_in("w1-k8s", &["cat", "/var/tmp/stages/all"]).out;
    shell.types("kubectl wait --for=condition=Ready pod/stages --timeout=60s").ok();
    shell.types("kubectl get pod stages").shows(&["2/2"]);
    let begun = said(shell);
    let lines: Vec<&str> = begun.lines().collect();
    assert_eq!(lines[..2], ["first", "sidecar"], "{begun}");
    // The hook and the process begin together.
    assert!(lines.contains(&"main") && lines.contains(&"after-start") && lines.len() == 4, "{begun}");
    shell.types("kubectl delete pod stages").ok();
    let ended = said(shell);
    assert_eq!(ended.lines().skip(4).collect::<Vec<_>>(), ["before-stop", "sidecar-stops"], "{ended}");
}

fn ends_have_reasons(shell: &Shell<'_>) {
    shell.until("kubectl get pod hungry", |seen| seen.out.contains("OOMKilled"));
    shell.types("kubectl describe pod hungry").shows(&["Reason:       OOMKilled", "Exit Code:    137"]);
    shell.until("kubectl get pod crashing", |seen| seen.out.contains("CrashLoopBackOff"));
    // The pause doubles: 10 s, 20 s.
    let waiting = "kubectl get pod crashing -o jsonpath='{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.waiting.message}'";
    shell.until(waiting, |seen| seen.out.starts_with("1 back-off 10s restarting failed container=main"));
    shell.until(waiting, |seen| seen.out.starts_with("2 back-off 20s restarting failed container=main"));
    shell.types("kubectl logs crashing --previous").shows(&["here I go"]);
    shell.types("kubectl get pod crashing -o jsonpath='{.status.containerStatuses[0].lastState.terminated.exitCode}'").shows(&["3"]);
    shell.types("kubectl delete pod hungry crashing").ok();
}

fn a_node_runs_pods_of_its_own(shell: &Shell<'_>) {
    // As a person on the node would: a folder is listened to where it is used.
    let write = format!("cat > {MANIFEST} <<'EOF'\n{}EOF", include_str!("pods/static.yaml"));
    shell.run_in("w1-k8s", &["sh", "-c", &write]).ok();
    shell.until("kubectl get pod static-web-w1-k8s", |seen| seen.out.contains("1/1"));
    let uid = "kubectl get pod static-web-w1-k8s -o jsonpath='{.metadata.uid}'";
    let started =
        "kubectl get pod static-web-w1-k8s -o jsonpath='{.status.containerStatuses[0].containerID}'";
    let (mirror, container) = (shell.types(uid).out, shell.types(started).out);
    // Only the image of it can be deleted: it comes back, and the container never noticed.
    shell.types("kubectl delete pod static-web-w1-k8s").ok();
    shell.until(uid, |seen| seen.code == 0 && seen.out != mirror);
    shell.until(started, |seen| seen.out == container);
    shell.run_in("w1-k8s", &["rm", MANIFEST]).ok();
    shell.until("kubectl get pod static-web-w1-k8s", |seen| seen.err.contains("NotFound"));
    // It stays away: nothing makes an image of what has ended.
    let pods = shell.run_in("w1-k8s", &["ctr", "--namespace=k8s.io", "containers", "list"]);
    assert!(!pods.out.contains("static-web"), "{}", pods.out);
    shell.types("kubectl get pod static-web-w1-k8s").refused(&["NotFound"]);
}
