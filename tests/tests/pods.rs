//! Chapter "pods": what its page cannot show well.

#![allow(clippy::unwrap_used)]

#[path = "pods/resize.rs"]
mod resize;
#[path = "pods/streams.rs"]
mod streams;

use std::time::{Duration, Instant};

use cluster_tests::{Cluster, PATIENCE, Seen, Shell, page};

#[test]
fn the_chapter_on_pods_works_as_printed() {
    let cluster = Cluster::start("pods", 1).unwrap();
    let shell = cluster.shell();
    // What takes time goes on beside the page, where the page's reader does not look.
    cluster.file("crashing.yaml", include_str!("pods/crashing.yaml")).unwrap();
    shell.types("kubectl create namespace aside").ok();
    shell.types("kubectl create -n aside -f crashing.yaml").ok();

    page::walk_with_both(&cluster, "docs/tutorials/pods.md");
    both_kubectls_name_every_mistake(&cluster);
    limits_are_the_kernels(&cluster, &shell);
    resize::containers_are_resized_together(&cluster);
    resize::what_does_not_fit_waits_for_others_to_go(&cluster);
    streams::go_by_every_protocol(&cluster);
    what_a_node_runs_by_itself_nobody_else_ends(&cluster, &shell);
    a_condition_that_someone_else_takes_back_is_restored(&shell);
    pauses_double(&shell);
    shell.types("kubectl delete namespace aside").ok();
    cluster.end().unwrap();
}

const RIGHT: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: wrong}\nspec:\n  containers:\n  - {name: web, image: nginx}\n";

/// What is changed in the manifest, and what is said of it.
const MISTAKES: [(&str, &str, &str); 14] = [
    ("name: web, ", "", "The Pod \"wrong\" is invalid: spec.containers[0].name: Required value\n"),
    (
        "containers",
        "contaners",
        "Error from server (BadRequest): error when creating \"wrong.yaml\": Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.contaners\"\n",
    ),
    (
        "apiVersion: v1",
        "apiVersion: v2",
        "error: resource mapping not found for name: \"wrong\" namespace: \"\" from \"wrong.yaml\": no matches for kind \"Pod\" in version \"v2\"\nensure CRDs are installed first\n",
    ),
    ("kind: Pod", "kind: Pood", "no matches for kind \"Pood\" in version \"v1\""),
    (
        "apiVersion: v1\n",
        "",
        "error: error validating \"wrong.yaml\": error validating data: apiVersion not set; if you choose to ignore these errors, turn validation off with --validate=false\n",
    ),
    ("kind: Pod\n", "", "error validating data: kind not set;"),
    ("name: wrong", "name: Wrong", "metadata.name: Invalid value: \"Wrong\": a lowercase RFC 1123 subdomain"),
    ("metadata: {name: wrong}\n", "", "from server for: \"wrong.yaml\": resource name may not be empty\n"),
    ("  - {name: web, image: nginx}", "    []", "spec.containers: Required value"),
    (
        "image: nginx",
        "image: nginx, imagePullPolicy: Perhaps",
        "spec.containers[0].imagePullPolicy: Unsupported value: \"Perhaps\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
    ),
    (
        "image: nginx",
        "image: nginx, env: [{name: PORT, value: 80}]",
        "cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
    ),
    (
        "image: nginx",
        "image: nginx, resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}",
        "must be less than or equal to memory limit of 1Gi",
    ),
    ("spec:\n", "restartPolicy: Never\nspec:\n", "strict decoding error: unknown field \"restartPolicy\""),
    (
        "  - {",
        "\t- {",
        "error: error parsing wrong.yaml: error converting YAML to JSON: yaml: line 6: found character that cannot start any token\n",
    ),
];

fn both_kubectls_name_every_mistake(cluster: &Cluster) {
    for (from, to, message) in MISTAKES {
        assert!(RIGHT.contains(from), "{from}");
        cluster.file("wrong.yaml", &RIGHT.replacen(from, to, 1)).unwrap();
        let verb = if to.is_empty() { "apply" } else { "create" };
        let mut said: Vec<String> = Vec::new();
        for shell in [Some(cluster.shell()), cluster.upstream_shell()].into_iter().flatten() {
            let seen = shell.types(&format!("kubectl {verb} -f wrong.yaml"));
            seen.refused(&[message]);
            said.push(seen.err);
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{said:#?}");
    }
    cluster
        .shell()
        .types("kubectl get pod wrong")
        .refused(&["Error from server (NotFound): pods \"wrong\" not found"]);
}

fn limits_are_the_kernels(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("limited.yaml", include_str!("pods/limited.yaml")).unwrap();
    shell.types("kubectl create -f limited.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/limited --timeout=60s").ok();
    let inside = |files: &str| {
        let line = format!("kubectl exec limited -- sh -c 'cat {files} 2>/dev/null; true'");
        shell.types(&line).ok().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let memory = inside("/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes");
    assert_eq!(memory, ["20971520"]);
    let quota = inside("/sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    assert_eq!(quota[0], "50000", "half of each 100 ms: {quota:?}");
    let class = "kubectl get pod limited -o jsonpath='{.status.qosClass}'";
    assert_eq!(shell.types(class).out, "Guaranteed");
    shell.types("kubectl delete pod limited").ok();
}

const MANIFEST: &str = "/etc/kubernetes/manifests/own.yaml";

fn what_a_node_runs_by_itself_nobody_else_ends(cluster: &Cluster, shell: &Shell<'_>) {
    let write = |text: &str| {
        // As a person on the node would: a folder is listened to where it is used.
        shell.run_in("w1-k8s", &["sh", "-c", &format!("cat > {MANIFEST} <<'EOF'\n{text}EOF")]).ok();
    };
    let own = include_str!("pods/own.yaml");
    write(own);
    let field = |path: &str| shell.types(&format!("kubectl get pod own-w1-k8s -o jsonpath='{{{path}}}'"));
    shell.until("kubectl get pod own-w1-k8s", |seen| seen.out.contains("1/1"));
    let container = ".status.containerStatuses[0].containerID";
    let (mirror, first) = (field(".metadata.uid").out, field(container).out);
    shell.types("kubectl delete pod own-w1-k8s").ok();
    let shows = |path: &str, wanted: &dyn Fn(&Seen) -> bool| {
        shell.until(&format!("kubectl get pod own-w1-k8s -o jsonpath='{{{path}}}'"), wanted)
    };
    shows(".metadata.uid", &|seen| seen.code == 0 && seen.out != mirror);
    shows(container, &|seen| seen.out == first);

    // Nor does it need an API server: while there is none, the pod that a changed manifest asks for takes its place.
    cluster.lab().order("m-k8s", "stop kube-apiserver").unwrap();
    write(&own.replace("name: web", "name: other"));
    let running = || {
        let filter =
            "labels.\"io.kubernetes.pod.name\"==own-w1-k8s,labels.\"io.cri-containerd.kind\"==container";
        let seen =
            shell.run_in("w1-k8s", &["ctr", "--namespace=k8s.io", "containers", "list", "--quiet", filter]);
        seen.ok().split_whitespace().map(|id| format!("containerd://{id}")).collect::<Vec<_>>()
    };
    eventually("the changed pod runs instead", || matches!(&running()[..], [only] if *only != first));
    cluster.lab().order("m-k8s", "start kube-apiserver").unwrap();
    shows(".spec.containers[0].name", &|seen| seen.out == "other");
    shell.run_in("w1-k8s", &["rm", MANIFEST]).ok();
    shell.until("kubectl get pod own-w1-k8s", |seen| seen.err.contains("NotFound"));
    // It stays away: nothing makes an image of what has ended.
    eventually("nothing of it is left", || running().is_empty());
    shell.types("kubectl get pod own-w1-k8s").refused(&["NotFound"]);
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// So a pod that was marked as not ready while its node was not heard of gets its requests back.
fn a_condition_that_someone_else_takes_back_is_restored(shell: &Shell<'_>) {
    shell.types("kubectl run ready --image=nginx").ok();
    shell.types("kubectl wait --for=condition=Ready pod/ready --timeout=60s").ok();
    for _ in 0..3 {
        let status = r#"{"status":{"conditions":[{"type":"Ready","status":"False"}]}}"#;
        shell.types(&format!("kubectl patch pod ready --subresource=status -p '{status}'")).ok();
        shell.types("kubectl wait --for=condition=Ready pod/ready --timeout=20s").ok();
    }
    shell.types("kubectl delete pod ready --grace-period=1").ok();
}

/// How a pause is forgotten after ten good minutes, the kubelet's own tests show on a clock of their own.
fn pauses_double(shell: &Shell<'_>) {
    // 10 s, 20 s and 40 s after its ends, it was started again; a slow machine comes here after more of them.
    let waiting = "kubectl get pod -n aside crashing -o jsonpath='{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.waiting.message}'";
    let seen = shell.until_within(Duration::from_secs(100), waiting, |seen| {
        let mut words = seen.out.split(' ');
        let restarts = words.next().and_then(|restarts| restarts.parse().ok()).unwrap_or(0);
        let pause = words.nth(1).unwrap_or("");
        let pauses = ["", "10s", "20s", "40s", "1m20s", "2m40s"];
        let expected = pauses.get(restarts).copied().unwrap_or("5m0s");
        // Between two pauses it runs, or has just ended.
        assert!(pause.is_empty() || pause == expected, "{}", seen.out);
        !pause.is_empty() && restarts >= 3
    });
    println!("   {}", seen.out);
}
