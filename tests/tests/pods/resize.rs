//! Containers that are resized where they run: what the kernel holds them to, what waits, what counts.

use cluster_tests::{Cluster, Shell};

/// What a container of a pod is held to: its memory in bytes, and microseconds of CPU in each tenth of a second.
fn held_to(shell: &Shell<'_>, pod: &str, container: &str) -> (String, String) {
    let inside = |files: &str| {
        let line = format!("kubectl exec {pod} -c {container} -- sh -c 'cat {files} 2>/dev/null; true'");
        shell.types(&line).ok().split_whitespace().next().unwrap_or_default().to_owned()
    };
    (
        inside("/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"),
        inside("/sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    )
}

fn patch(containers: &[(&str, &str, &str)]) -> String {
    let resources = |(name, cpu, memory): &(&str, &str, &str)| {
        let list = format!(r#"{{"cpu":"{cpu}","memory":"{memory}"}}"#);
        format!(r#"{{"name":"{name}","resources":{{"requests":{list},"limits":{list}}}}}"#)
    };
    let containers: Vec<String> = containers.iter().map(resources).collect();
    format!(r#"{{"spec":{{"containers":[{}]}}}}"#, containers.join(","))
}

const ALLOCATED: &str = "jsonpath='{range .status.containerStatuses[*]}{.name}={.resources.limits.cpu}/{.allocatedResources.memory}/{.restartCount} {end}'";

/// One container gets more, two get less, and back again, by each kubectl.
pub fn containers_are_resized_together(cluster: &Cluster) {
    cluster.file("three.yaml", include_str!("three.yaml")).unwrap();
    for shell in [Some(cluster.shell()), cluster.upstream_shell()].into_iter().flatten() {
        shell.types("kubectl create -f three.yaml").ok();
        shell.types("kubectl wait --for=condition=Ready pod/three --timeout=60s").ok();
        let show = format!("kubectl get pod three -o {ALLOCATED}");
        let resize = |sizes: [(&str, &str, &str); 3], held: [(&str, &str); 3]| {
            let patch = patch(&sizes);
            shell.types(&format!("kubectl patch pod three --subresource=resize -p '{patch}'")).ok();
            let shown = sizes.map(|(name, cpu, memory)| format!("{name}={cpu}/{memory}/0 ")).concat();
            shell.until(&show, |seen| seen.out == shown);
            for ((name, ..), (memory, cpu)) in sizes.iter().zip(held) {
                assert_eq!(held_to(&shell, "three", name), (memory.to_owned(), cpu.to_owned()), "{name}");
            }
        };
        resize(
            [("c1", "40m", "40Mi"), ("c2", "15m", "20Mi"), ("c3", "20m", "24Mi")],
            [("41943040", "4000"), ("20971520", "1500"), ("25165824", "2000")],
        );
        resize(
            [("c1", "30m", "30Mi"), ("c2", "30m", "30Mi"), ("c3", "30m", "30Mi")],
            [("31457280", "3000"), ("31457280", "3000"), ("31457280", "3000")],
        );
        // Less than a container uses is refused by the node, and the container lives on.
        let patch = patch(&[("c2", "30m", "64Ki")]);
        shell.types(&format!("kubectl patch pod three --subresource=resize -p '{patch}'")).ok();
        let condition = r#"kubectl get pod three -o jsonpath='{.status.conditions[?(@.type=="PodResizeInProgress")].message}'"#;
        shell.until(condition, |seen| seen.out.contains("memory limit (65536) below current usage"));
        assert_eq!(held_to(&shell, "three", "c2").0, "31457280");
        shell.types("kubectl delete pod three").ok();
    }
}

/// A pod of one container on a certain node.
fn pod(name: &str, cpu: u64) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: w1-k8s
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
    resources: {{requests: {{cpu: {cpu}m, memory: 20Mi}}, limits: {{cpu: {cpu}m, memory: 20Mi}}}}
"
    )
}

/// Two pods of one node: what the first asks for is there once the second is gone. A quota counts what is asked for.
pub fn what_does_not_fit_waits_for_others_to_go(cluster: &Cluster) {
    let shell = cluster.shell();
    let cpus = shell.types("kubectl get node w1-k8s -o jsonpath='{.status.allocatable.cpu}'").out;
    let cpus = match cpus.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<u64>().unwrap(),
        None => cpus.parse::<u64>().unwrap() * 1000,
    };
    shell.types("kubectl create namespace sized").ok();
    shell.types("kubectl create quota -n sized all --hard=requests.memory=64Mi").ok();
    cluster.file("pair.yaml", &[pod("first", 10), pod("second", cpus * 3 / 4)].join("---\n")).unwrap();
    shell.types("kubectl create -n sized -f pair.yaml").ok();
    shell.types("kubectl wait -n sized --for=condition=Ready pod --all --timeout=60s").ok();

    let resize = |cpu: &str, memory: &str| {
        let patch = patch(&[("main", cpu, memory)]);
        shell.types(&format!("kubectl patch -n sized pod first --subresource=resize -p '{patch}'"))
    };
    resize("10m", "60Mi").refused(&["exceeded quota: all, requested: requests.memory=40Mi"]);
    resize("10m", "30Mi").ok();
    let used = r"kubectl get quota -n sized all -o jsonpath='{.status.used.requests\.memory}'";
    shell.until(used, |seen| seen.out == "50Mi");

    let half = format!("{}m", cpus / 2);
    resize(&half, "30Mi").ok();
    let pending = r#"kubectl get -n sized pod first -o jsonpath='{.status.conditions[?(@.type=="PodResizePending")].reason}'"#;
    shell.until(pending, |seen| seen.out == "Deferred");
    shell.types("kubectl delete -n sized pod second").ok();
    shell.until(pending, |seen| seen.out.is_empty());
    let (_, quota) = held_to(&shell, "-n sized first", "main");
    assert_eq!(quota, (cpus / 2 * 100).to_string());
    shell.types("kubectl delete namespace sized").ok();
}
