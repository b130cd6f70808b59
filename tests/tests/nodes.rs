//! Chapter "nodes and scheduling": beside and beyond its page, what of it takes a watch, a clock or a node that is short.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Child, time::Duration};

use cluster_tests::{Cluster, Shell, docs::document, page};
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

/// Three pods that fill what a node has left for pods, one of each quality of service.
const FILLERS: &str = include_str!("nodes/fillers.yaml");
/// Pods that write to the node's disk.
const WRITERS: &str = include_str!("nodes/writers.yaml");

#[test]
fn the_chapter_on_nodes_works_as_printed() {
    // A silent node takes its forty seconds whoever looks at it: each kubectl has a lab of its own.
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let cluster = Cluster::start("upstream-nodes", 1).unwrap();
            if let Some(shell) = cluster.upstream_shell() {
                walk(&cluster, &shell);
            }
            who_was_not_heard_says_how_it_is_when_it_is_heard_again(&cluster);
            cluster.end().unwrap();
        });
        let cluster = Cluster::start("nodes", 1).unwrap();
        let shell = cluster.shell();
        let beside = Beside::start(&shell);
        walk(&cluster, &shell);
        beside.end();
        whoever_goes_is_told_why(&shell);
        a_silent_node_is_not_ready_after_forty_seconds(&shell);
        nothing_is_left_of_pods_that_were_given_up(&shell);
        a_pod_that_names_its_node_must_match_it(&cluster, &shell);
        nodes_run_short(&cluster, &shell);
        cluster.end().unwrap();
        other.join().unwrap();
    });
}

fn walk(cluster: &Cluster, shell: &Shell<'_>) {
    let document = document(&page::workspace(), Path::new("docs/tutorials/nodes.md")).unwrap();
    let breaches = page::walk(cluster, shell, &document);
    assert!(breaches.is_empty(), "{} prints something else:\n{}", shell.which(), breaches.join("\n"));
}

/// Memory on the one worker and disk on the other at once: each kubelet looks every ten seconds.
fn nodes_run_short(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("fillers.yaml", FILLERS).unwrap();
    cluster.file("writers.yaml", WRITERS).unwrap();
    bound_the_memory_of_pods(cluster, "w1-k8s");
    bound_the_disk(cluster, shell, "w2-k8s");
    shell.types("kubectl create -f fillers.yaml -f writers.yaml").ok();
    who_asked_for_nothing_goes_when_memory_is_short(shell);
    who_fills_the_disk_goes_after_the_grace(shell);
    enough_is_left_after_a_while(shell);
}

/// Watches beside the page.
struct Beside(Vec<Child>);

impl Beside {
    fn start(shell: &Shell<'_>) -> Self {
        let watches = [
            "kubectl get pods -w -o jsonpath='{.metadata.name} {.status.conditions[?(@.type==\"DisruptionTarget\")].reason}{\"\\n\"}' > disrupted",
            "kubectl get lease -n kube-node-lease w2-k8s -w -o jsonpath='{.spec.renewTime}{\"\\n\"}' > renewed",
            "kubectl get node w2-k8s -w -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status} {.status.conditions[?(@.type==\"Ready\")].lastTransitionTime}{\"\\n\"}' > states",
        ];
        Self(watches.iter().map(|line| shell.starts(line)).collect())
    }

    fn end(mut self) {
        for child in &mut self.0 {
            child.kill().and_then(|()| child.wait()).unwrap();
        }
    }
}

/// Whoever ends a pod for reasons that are not its own says so in its conditions first.
fn whoever_goes_is_told_why(shell: &Shell<'_>) {
    let seen = shell.types("sort -u disrupted").out;
    for (pod, reason) in [
        ("leaves", "DeletionByTaintManager"),
        ("lingers", "DeletionByTaintManager"),
        ("site-", "EvictionByEvictionAPI"),
        ("seated-", "PreemptionByScheduler"),
        ("steady-", "DeletionByTaintManager"),
    ] {
        let told = seen.lines().any(|line| line.starts_with(pod) && line.ends_with(reason));
        assert!(told, "{pod} {reason} is not among\n{seen}");
    }
    let undisturbed = seen.lines().filter(|line| line.starts_with("stays ") || line.starts_with("urgent "));
    assert!(undisturbed.clone().count() > 0 && undisturbed.clone().all(|line| line.ends_with(' ')), "{seen}");
}

fn a_silent_node_is_not_ready_after_forty_seconds(shell: &Shell<'_>) {
    let states = shell.types("cat states").out;
    let lost: Vec<Timestamp> =
        states.lines().filter_map(|line| line.strip_prefix("Unknown ")?.parse().ok()).collect();
    assert!(!lost.is_empty(), "{states}");
    let renewed = shell.types("cat renewed").out;
    let renewed: Vec<Timestamp> = renewed.lines().map(|line| line.parse().unwrap()).collect();
    for lost in lost {
        let last = renewed.iter().filter(|renewed| **renewed < lost).max().unwrap();
        let silent = lost.duration_since(*last).as_secs();
        // The condition's time has whole seconds.
        assert!((39..=45).contains(&silent), "silent for {silent} s: {states}");
    }
}

/// The node that came back ended what ran on there, and removed it.
fn nothing_is_left_of_pods_that_were_given_up(shell: &Shell<'_>) {
    let of_default = r#"labels."io.kubernetes.pod.namespace"==default"#;
    let line = format!("lab exec --name nodes w2-k8s -- ctr -n k8s.io containers ls -q '{of_default}'");
    shell.until(&line, |seen| seen.ok().is_empty());
}

/// A kubelet that hung, or was cut off, was never started anew: it sees what was written about its node meanwhile.
fn who_was_not_heard_says_how_it_is_when_it_is_heard_again(cluster: &Cluster) {
    let shell = cluster.shell();
    let ready = "kubectl get node w1-k8s -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}'";
    let kubelet = cluster.lab().host_pid("w1-k8s", "kubelet").unwrap();
    kill(kubelet, Signal::SIGSTOP).unwrap();
    shell.until(ready, |seen| seen.out == "Unknown");
    kill(kubelet, Signal::SIGCONT).unwrap();
    shell.until_within(Duration::from_secs(20), ready, |seen| seen.out == "True");
    shell
        .types("kubectl get events --field-selector=involvedObject.name=w1-k8s")
        .shows(&["Node w1-k8s status is now: NodeNotReady", "Node w1-k8s status is now: NodeReady"]);
}

/// Past the scheduler is not past the kubelet.
fn a_pod_that_names_its_node_must_match_it(cluster: &Cluster, shell: &Shell<'_>) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "forced"}, "spec": {
        "nodeName": "w1-k8s", "nodeSelector": {"disk": "ssd"},
        "containers": [{"name": "main", "image": "nginx"}]}});
    cluster.file("forced.json", &pod.to_string()).unwrap();
    shell.types("kubectl create -f forced.json").ok();
    shell.until("kubectl get pod forced", |seen| seen.out.contains("NodeAffinity"));
    shell.types("kubectl get pod forced -o jsonpath='{.status.phase}: {.status.message}'").shows(&[
        "Failed: Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    ]);
    shell.types("kubectl delete pod forced").ok();
}

/// Changes a kubelet's configuration file, and has it started with it.
fn reconfigure(cluster: &Cluster, node: &str, more: &Value, before_start: impl FnOnce()) {
    let lab = cluster.lab();
    lab.order(node, "stop kubelet").unwrap();
    let topology = lab.topology();
    let file = topology.node_state(topology.node(node).unwrap()).join("kubelet/config.yaml");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    fs::write(&file, config.to_string()).unwrap();
    before_start();
    lab.order(node, "start kubelet").unwrap();
}

/// Leaves pods 400 MiB together: all else is kept for the system. The machine itself has plenty.
fn bound_the_memory_of_pods(cluster: &Cluster, node: &str) {
    let all = fs::read_to_string("/proc/meminfo").unwrap();
    let line = all.lines().find(|line| line.starts_with("MemTotal:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let config = json!({
        "systemReserved": {"memory": format!("{}Mi", kibibytes / 1024 - 400)},
        "evictionHard": {"memory.available": "100Mi"},
        "evictionPressureTransitionPeriod": "30s",
    });
    reconfigure(cluster, node, &config, || {});
}

/// Puts the kubelet's folder on a filesystem of its own, of 200 MiB, of which half must stay free for long.
fn bound_the_disk(cluster: &Cluster, shell: &Shell<'_>, node: &str) {
    let config = json!({
        "evictionHard": {"memory.available": "100Mi"},
        "evictionSoft": {"nodefs.available": "50%"},
        "evictionSoftGracePeriod": {"nodefs.available": "8s"},
        "evictionMaxPodGracePeriod": 1,
        "evictionPressureTransitionPeriod": "5s",
    });
    reconfigure(cluster, node, &config, || {
        let line = "cp -a /var/lib/kubelet /var/lib/kubelet-before && mount -t tmpfs -o size=200m,mode=755 nodefs /var/lib/kubelet && \
                    cp -a /var/lib/kubelet-before/config.yaml /var/lib/kubelet-before/pki /var/lib/kubelet/";
        shell.run_in(node, &["sh", "-c", line]).ok();
    });
}

fn who_asked_for_nothing_goes_when_memory_is_short(shell: &Shell<'_>) {
    shell.until("kubectl get pod asks-nothing -o jsonpath={.status.reason}", |seen| seen.out == "Evicted");
    let pod = object(shell, "pod asks-nothing");
    assert_eq!(
        (pod["status"]["phase"].as_str(), pod["status"]["qosClass"].as_str()),
        (Some("Failed"), Some("BestEffort"))
    );
    let message = pod["status"]["message"].as_str().unwrap();
    let (about, rest) = message.split_once(" available: ").unwrap();
    assert_eq!(about, "The node was low on resource: memory. Threshold quantity: 100Mi,");
    let (available, rest) = rest.split_once(". ").unwrap();
    assert!(available.ends_with("Ki"), "{message}");
    assert!(
        rest.starts_with("Container main was using ")
            && rest.ends_with(", request is 0, has larger consumption of memory. "),
        "{message}"
    );
    assert_eq!(disruption(&pod), ("TerminationByKubelet", message));
    let node = "kubectl get node w1-k8s -o jsonpath='{.status.conditions[?(@.type==\"MemoryPressure\")].reason} {.spec.taints[*].key}'";
    shell.until(node, |seen| seen.out == "KubeletHasInsufficientMemory node.kubernetes.io/memory-pressure");
    shell
        .types("kubectl get events --field-selector=involvedObject.name=asks-nothing")
        .shows(&["Evicted", "The node was low on resource: memory."]);
    shell
        .types("kubectl get events --field-selector=involvedObject.name=w1-k8s")
        .shows(&["EvictionThresholdMet", "Attempting to reclaim memory"]);
    // Who asks for memory was promised it; who asks for none is not let in now, also past the scheduler.
    shell.types("kubectl run late --image=nginx --overrides='{\"spec\":{\"nodeName\":\"w1-k8s\"}}'").ok();
    shell.until("kubectl get pod late -o jsonpath='{.status.reason}: {.status.message}'", |seen| {
        seen.out == "Evicted: Pod was rejected: The node had condition: [MemoryPressure]. "
    });
}

fn who_fills_the_disk_goes_after_the_grace(shell: &Shell<'_>) {
    // A volume's own limit needs no shortage.
    shell.until("kubectl get pod outgrows -o jsonpath={.status.reason}", |seen| seen.out == "Evicted");
    shell
        .types("kubectl get pod outgrows -o jsonpath='{.status.message}'")
        .shows(&["Usage of EmptyDir volume \"data\" exceeds the limit \"10Mi\". "]);
    shell.until("kubectl get pod fills -o jsonpath={.status.reason}", |seen| seen.out == "Evicted");
    let pod = object(shell, "pod fills");
    let message = pod["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "The node was low on resource: ephemeral-storage. Threshold quantity: 100Mi, available: "
        ),
        "{message}"
    );
    assert_eq!(disruption(&pod), ("TerminationByKubelet", message));
    let ended: Timestamp = pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    // The node may have enough again by now; that it was short is told.
    let told = "events --field-selector=involvedObject.name=w2-k8s,reason=NodeHasDiskPressure";
    shell.until(&format!("kubectl get {told} -o name"), |seen| !seen.out.is_empty());
    let since: Timestamp =
        object(shell, told)["items"][0]["firstTimestamp"].as_str().unwrap().parse().unwrap();
    assert!(ended.duration_since(since).as_secs() >= 8, "short since {since}, evicted at {ended}");
    // One that takes little stays.
    shell.types("kubectl get pod little").shows(&["Running"]);
}

/// When enough is left for a while, the node says so, and takes pods again.
fn enough_is_left_after_a_while(shell: &Shell<'_>) {
    for (node, reason) in [("w1-k8s", "KubeletHasSufficientMemory"), ("w2-k8s", "KubeletHasNoDiskPressure")] {
        shell.until(
            &format!(
                "kubectl get node {node} -o jsonpath='{{.status.conditions[*].reason}} {{.spec.taints}}'"
            ),
            |seen| seen.out.contains(reason) && !seen.out.contains("pressure"),
        );
    }
    // Those that asked for what they use, and those below what was short, never ended.
    for pod in ["asks-all", "asks-some"] {
        shell.types(&format!("kubectl get pod {pod}")).shows(&["1/1", "Running"]);
    }
}

fn object(shell: &Shell<'_>, what: &str) -> Value {
    serde_json::from_str(shell.types(&format!("kubectl get {what} -o json")).ok()).unwrap()
}

/// Reason and message of the condition that says why a pod was ended.
fn disruption(pod: &Value) -> (&str, &str) {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    (found["reason"].as_str().unwrap(), found["message"].as_str().unwrap())
}
