//! The runtime's own share: the same sandboxes and containers, asked of containerd directly.

use std::{path::Path, time::Instant};

use anyhow::Context as _;
use cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, LinuxContainerConfig, LinuxPodSandboxConfig,
    PodSandboxConfig, PodSandboxMetadata,
};
use cri::{Client, Runtime as _};
use futures::future::try_join_all;
use lab::Lab;

use crate::{
    cluster::{AT_ONCE, IMAGE, PODS, REST},
    table::median,
};

const WORKERS: [&str; 2] = ["w1-k8s", "w2-k8s"];
const ROUNDS: usize = 3;

/// The containerd of a node.
struct Node {
    client: Client,
    cgroup: String,
}

impl Node {
    fn of(lab: &Lab, name: &str) -> anyhow::Result<Self> {
        let kubelet = lab.host_pid(name, "kubelet")?;
        let socket = format!("unix:///proc/{kubelet}/root/run/containerd/containerd.sock");
        let node = lab.topology().node(name).context("a worker of the lab")?;
        Ok(Self {
            client: Client::new(&socket, cri::Timeouts::default()),
            cgroup: lab.topology().cgroup(node),
        })
    }

    /// Starts a sandbox with one container; the sandbox's id.
    async fn start(&self, uid: &str) -> anyhow::Result<String> {
        let sandbox = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: uid.to_owned(),
                uid: uid.to_owned(),
                namespace: "bench".into(),
                attempt: 0,
            }),
            log_directory: Path::new("/var/log/pods/bench").join(uid).to_string_lossy().into_owned(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup.clone(),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        };
        let container = ContainerConfig {
            metadata: Some(ContainerMetadata { name: "main".into(), attempt: 0 }),
            image: Some(ImageSpec { image: IMAGE.into(), ..ImageSpec::default() }),
            command: vec!["sleep".into(), "3600".into()],
            log_path: "main.log".into(),
            linux: Some(LinuxContainerConfig::default()),
            ..ContainerConfig::default()
        };
        let id = self.client.run_pod_sandbox(sandbox.clone(), String::new()).await?;
        let container = self.client.create_container(&id, container, sandbox).await?;
        self.client.start_container(&container).await?;
        Ok(id)
    }

    async fn remove(&self, sandbox: &str) -> anyhow::Result<()> {
        self.client.stop_pod_sandbox(sandbox).await?;
        self.client.remove_pod_sandbox(sandbox).await?;
        Ok(())
    }
}

/// Milliseconds for each of several pods, one after another.
pub async fn one_after_another(lab: &Lab) -> anyhow::Result<Vec<f64>> {
    let node = Node::of(lab, WORKERS[0])?;
    let mut times = Vec::new();
    for number in 0..PODS {
        let begun = Instant::now();
        let sandbox = node.start(&format!("bench-{number}")).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        node.remove(&sandbox).await?;
    }
    Ok(times)
}

/// Seconds for all pods at once, spread over the workers.
pub async fn at_once(lab: &Lab) -> anyhow::Result<f64> {
    let nodes = WORKERS.iter().map(|name| Node::of(lab, name)).collect::<anyhow::Result<Vec<_>>>()?;
    let nodes: Vec<&Node> = nodes.iter().cycle().take(AT_ONCE).collect();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        tokio::time::sleep(REST).await;
        let begun = Instant::now();
        let started = nodes
            .iter()
            .enumerate()
            .map(|(number, node)| async move { node.start(&format!("bench-{round}-{number}")).await });
        let sandboxes = try_join_all(started).await?;
        times.push(begun.elapsed().as_secs_f64());
        try_join_all(nodes.iter().zip(&sandboxes).map(|(node, sandbox)| node.remove(sandbox))).await?;
    }
    Ok(median(times))
}
