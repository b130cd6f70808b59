//! Chapter "the runtime": what containerd holds of a pod, asked of it over CRI as `crictl` would.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cluster_tests::{Cluster, PATIENCE, Shell, page};
use cri::{
    Client, Runtime as _, Timeouts,
    v1::{self, ContainerState, PodSandboxState},
};
use serde_json::Value;

const WORKER: &str = "w1-k8s";

/// A pod of each container kind that CRI tells apart, with what upstream passes on as annotations.
const SHOWN: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: shown
  labels: {tier: web}
  annotations: {example.com/note: kept}
spec:
  nodeName: w1-k8s
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: first, image: busybox, command: [echo, begun]}
  containers:
  - name: web
    image: nginx
    ports: [{containerPort: 80, name: http}]
    lifecycle: {preStop: {sleep: {seconds: 1}}}
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}
  - name: talker
    image: busybox
    command: [sh, -c, 'echo hello; echo trouble >&2; sleep infinity']
";

#[test]
fn the_chapter_on_the_runtime_works_as_printed() {
    let cluster = Cluster::start("runtime", 1).unwrap();
    page::walk_with_both(&cluster, "docs/tutorials/runtime.md");
    let shell = cluster.shell();
    cluster.file("shown.yaml", SHOWN).unwrap();
    shell.types("kubectl create -f shown.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/shown --timeout=60s").ok();
    let pod = shown(&shell);
    crictl_shows_it_too(&shell);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let client = containerd(&cluster);
        let sandbox = pods_and_inspectp(&client, &pod).await;
        let containers = ps(&client, &pod, &sandbox).await;
        inspect(&client, &pod, &containers).await;
        logs(&client, &shell, &containers).await;
    });
    a_container_is_made_again_under_the_next_attempt(&cluster, &shell, &tokio);
    shell.types("kubectl delete pod shown").ok();
    // The API lets the pod go when nothing of it runs any more; what the runtime still lists is removed after that.
    tokio.block_on(async {
        let client = containerd(&cluster);
        let begun = Instant::now();
        loop {
            let left = client.list_pod_sandboxes(by_pod()).await.unwrap();
            if left.is_empty() {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{left:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    cluster.end().unwrap();
}

/// A connection to a node's containerd, through that node's root.
fn containerd(cluster: &Cluster) -> Client {
    let pid = cluster.lab().host_pid(WORKER, "containerd").unwrap();
    let socket = format!("unix:///proc/{pid}/root/run/containerd/containerd.sock");
    Client::new(&socket, Timeouts::default())
}

fn shown(shell: &Shell<'_>) -> Value {
    serde_json::from_str(shell.types("kubectl get pod shown -o json").ok()).unwrap()
}

fn by_pod() -> BTreeMap<String, String> {
    [("io.kubernetes.pod.name".to_owned(), "shown".to_owned())].into()
}

/// Where this machine has a `crictl`, it is asked too.
fn crictl_shows_it_too(shell: &Shell<'_>) {
    if shell.types("command -v crictl").code != 0 {
        println!("no crictl on this machine: CRI is asked without it");
        return;
    }
    let in_node = |line: &str| shell.run_in(WORKER, &line.split(' ').collect::<Vec<_>>());
    in_node("crictl pods --name shown").shows(&["shown", "Ready", "default"]);
    in_node("crictl ps --name web").shows(&["web", "Running", "shown"]);
    let id = in_node("crictl ps -q --name talker").out;
    in_node(&format!("crictl inspect {}", id.trim())).shows(&["io.kubernetes.pod.name"]);
    in_node(&format!("crictl logs {}", id.trim())).shows(&["hello"]);
}

/// `crictl pods` and `crictl inspectp`: one ready sandbox with upstream's names.
async fn pods_and_inspectp(client: &Client, pod: &Value) -> v1::PodSandbox {
    let [sandbox] = client.list_pod_sandboxes(by_pod()).await.unwrap().try_into().unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let metadata = sandbox.metadata.clone().unwrap();
    assert_eq!(
        (metadata.name.as_str(), metadata.namespace.as_str(), metadata.uid.as_str(), metadata.attempt),
        ("shown", "default", uid, 0)
    );
    assert_eq!(sandbox.state(), PodSandboxState::SandboxReady);
    let labels = [
        ("io.kubernetes.pod.name", "shown"),
        ("io.kubernetes.pod.namespace", "default"),
        ("io.kubernetes.pod.uid", uid),
        ("tier", "web"),
    ];
    assert_eq!(sandbox.labels, pairs(&labels));
    assert_eq!(sandbox.annotations["example.com/note"], "kept");
    assert_eq!(sandbox.annotations["kubernetes.io/config.source"], "api");
    let seen: jiff::Timestamp = sandbox.annotations["kubernetes.io/config.seen"].parse().unwrap();
    assert!(seen <= jiff::Timestamp::now());
    let status = client.pod_sandbox_status(&sandbox.id, true).await.unwrap();
    let network = status.status.unwrap().network.unwrap();
    assert_eq!(network.ip, pod["status"]["podIP"].as_str().unwrap());
    // `inspectp` shows the runtime's own description too, and in it where the pod's cgroup is.
    let info: Value = serde_json::from_str(&status.info["info"]).unwrap();
    let cgroup = info["runtimeSpec"]["linux"]["cgroupsPath"].as_str().unwrap();
    assert!(cgroup.ends_with(&format!("/kubepods/burstable/pod{uid}/{}", sandbox.id)), "{cgroup}");
    sandbox
}

/// `crictl ps -a`: the containers of the pod, the ended init container among them.
async fn ps(client: &Client, pod: &Value, sandbox: &v1::PodSandbox) -> BTreeMap<String, v1::Container> {
    let containers = client.list_containers(by_pod()).await.unwrap();
    let by_name: BTreeMap<String, v1::Container> = containers
        .into_iter()
        .map(|container| (container.metadata.clone().unwrap().name, container))
        .collect();
    let states: Vec<(&str, ContainerState)> =
        by_name.iter().map(|(name, container)| (name.as_str(), container.state())).collect();
    let (running, ended) = (ContainerState::ContainerRunning, ContainerState::ContainerExited);
    assert_eq!(states, [("first", ended), ("talker", running), ("web", running)]);
    for (name, container) in &by_name {
        assert_eq!(container.pod_sandbox_id, sandbox.id);
        assert_eq!(container.metadata.as_ref().unwrap().attempt, 0);
        let labels = [
            ("io.kubernetes.container.name", name.as_str()),
            ("io.kubernetes.pod.name", "shown"),
            ("io.kubernetes.pod.namespace", "default"),
            ("io.kubernetes.pod.uid", pod["metadata"]["uid"].as_str().unwrap()),
        ];
        assert_eq!(container.labels, pairs(&labels));
    }
    let listed = pod["status"]["containerStatuses"].as_array().unwrap();
    for status in listed.iter().chain(pod["status"]["initContainerStatuses"].as_array().unwrap()) {
        let id = &by_name[status["name"].as_str().unwrap()].id;
        assert_eq!(status["containerID"], format!("containerd://{id}"));
    }
    by_name
}

/// `crictl inspect`: what the kubelet says of a container, under upstream's names.
async fn inspect(client: &Client, pod: &Value, containers: &BTreeMap<String, v1::Container>) {
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    for (name, container) in containers {
        let status = client.container_status(&container.id).await.unwrap();
        assert_eq!(status.log_path, format!("/var/log/pods/default_shown_{uid}/{name}/0.log"));
        let annotations = &status.annotations;
        for (key, value) in [
            ("io.kubernetes.container.restartCount", "0"),
            ("io.kubernetes.container.terminationMessagePath", "/dev/termination-log"),
            ("io.kubernetes.container.terminationMessagePolicy", "File"),
            ("io.kubernetes.pod.terminationGracePeriod", "1"),
        ] {
            assert_eq!(annotations[key], value, "{name}: {key}");
        }
        assert!(annotations["io.kubernetes.container.hash"].bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(annotations.contains_key("io.kubernetes.container.ports"), name == "web");
        assert_eq!(annotations.contains_key("io.kubernetes.container.preStopHandler"), name == "web");
    }
    let web = client.container_status(&containers["web"].id).await.unwrap();
    assert_eq!(web.image.unwrap().image, "docker.io/library/nginx:latest");
    let ports: Value = serde_json::from_str(&web.annotations["io.kubernetes.container.ports"]).unwrap();
    assert_eq!(ports[0]["containerPort"], 80);
    let hook: Value =
        serde_json::from_str(&web.annotations["io.kubernetes.container.preStopHandler"]).unwrap();
    assert_eq!(hook["sleep"]["seconds"], 1);
    let mounts: Vec<(&str, &str)> = web
        .mounts
        .iter()
        .map(|mount| (mount.container_path.as_str(), mount.host_path.as_str()))
        .filter(|(inside, _)| !inside.starts_with("/var/run/secrets"))
        .collect();
    let folder = format!("/var/lib/kubelet/pods/{uid}");
    assert!(mounts.contains(&("/etc/hosts", format!("{folder}/etc-hosts").as_str())), "{mounts:?}");
    let message = mounts.iter().find(|(inside, _)| *inside == "/dev/termination-log").unwrap().1;
    assert!(message.starts_with(&format!("{folder}/containers/web/")), "{message}");
}

/// `crictl logs` reads the file that the container's status names.
async fn logs(client: &Client, shell: &Shell<'_>, containers: &BTreeMap<String, v1::Container>) {
    let status = client.container_status(&containers["talker"].id).await.unwrap();
    let seen = shell.run_in(WORKER, &["cat", &status.log_path]);
    let lines: Vec<(&str, &str)> = seen.ok().lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert!(lines.iter().all(|(time, _)| time.parse::<jiff::Timestamp>().is_ok()), "{lines:?}");
    let mut said: Vec<&str> = lines.iter().map(|(_, rest)| *rest).collect();
    // Two streams are two pipes: which line is read first is not said.
    said.sort_unstable();
    assert_eq!(said, ["stderr F trouble", "stdout F hello"]);
}

fn a_container_is_made_again_under_the_next_attempt(
    cluster: &Cluster,
    shell: &Shell<'_>,
    tokio: &tokio::runtime::Runtime,
) {
    let line =
        "kubectl get pod shown -o jsonpath='{.status.containerStatuses[?(@.name==\"talker\")].restartCount}'";
    let running = async |client: &Client| {
        let all = client.list_containers(by_pod()).await.unwrap();
        let talkers = all.into_iter().filter(|one| one.labels["io.kubernetes.container.name"] == "talker");
        talkers.filter(|one| one.state() == ContainerState::ContainerRunning).collect::<Vec<_>>()
    };
    tokio.block_on(async {
        let client = containerd(cluster);
        let [before] = running(&client).await.try_into().unwrap();
        client.stop_container(&before.id, 0).await.unwrap();
    });
    shell.until(line, |seen| seen.out == "1");
    shell.until("kubectl get pod shown", |seen| seen.out.contains("2/2"));
    tokio.block_on(async {
        let client = containerd(cluster);
        let [after] = running(&client).await.try_into().unwrap();
        assert_eq!(after.metadata.unwrap().attempt, 1);
        let status = client.container_status(&after.id).await.unwrap();
        assert!(status.log_path.ends_with("/talker/1.log"), "{}", status.log_path);
        assert_eq!(status.annotations["io.kubernetes.container.restartCount"], "1");
    });
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
