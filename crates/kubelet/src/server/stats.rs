//! What the node, its pods and their containers use: `/stats/summary`, as metrics-server reads it.

use std::{collections::BTreeMap, sync::Arc};

use cgroups::Usage;
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Body, json_answer};
use crate::{kubelet::Kubelet, node::machine, observed::State, volume::blocking};

/// A measured container.
pub(super) struct Measured {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
    pub started: Option<Timestamp>,
    pub usage: Usage,
}

/// A measured pod.
pub(super) struct MeasuredPod {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub started: Option<Timestamp>,
    pub usage: Usage,
}

/// Everything measured at one time.
pub(super) struct Sample {
    pub time: Timestamp,
    pub node: Usage,
    pub pods: Vec<MeasuredPod>,
    pub containers: Vec<Measured>,
}

/// Measures.
pub(super) async fn sample(kubelet: &Arc<Kubelet>) -> Sample {
    let kubelet = Arc::clone(kubelet);
    let measured = blocking(move || Ok(measure(&kubelet))).await;
    measured.unwrap_or_else(|_| Sample {
        time: Timestamp::now(),
        node: Usage::default(),
        pods: Vec::new(),
        containers: Vec::new(),
    })
}

fn measure(kubelet: &Kubelet) -> Sample {
    let time = Timestamp::now();
    let (memory, available) = machine::memory();
    let (mut pods, mut containers) = (Vec::new(), Vec::new());
    let mut node = Usage::default();
    if let Some(cgroups) = &kubelet.cgroups {
        node = cgroups.usage("/").unwrap_or_default();
        for (pod, state) in kubelet.pods.list() {
            let parent = kubelet.pod_cgroup(&pod);
            let Ok(usage) = cgroups.usage(&parent) else { continue };
            let names = &state.names;
            let started = state.status.lock().start_time.as_ref().map(|time| time.0);
            for container in
                state.observed.lock().containers.iter().filter(|found| found.state == State::Running)
            {
                if let Ok(usage) = cgroups.usage(&format!("{parent}/{}", container.id)) {
                    containers.push(Measured {
                        namespace: names.namespace.clone(),
                        pod: names.name.clone(),
                        uid: names.uid.clone(),
                        container: container.name.clone(),
                        started: container.started_at,
                        usage,
                    });
                }
            }
            pods.push(MeasuredPod {
                namespace: names.namespace.clone(),
                pod: names.name.clone(),
                uid: names.uid.clone(),
                started,
                usage,
            });
        }
    }
    // The machine's own count holds what no cgroup does.
    node.working_set = memory.saturating_sub(available);
    node.memory_limit = Some(memory);
    Sample { time, node, pods, containers }
}

fn cpu(time: &str, usage: &Usage) -> Value {
    json!({"time": time, "usageCoreNanoSeconds": usage.cpu_nanos})
}

fn memory(time: &str, usage: &Usage) -> Value {
    let mut memory = json!({
        "time": time,
        "usageBytes": usage.memory,
        "workingSetBytes": usage.working_set,
        "rssBytes": usage.rss,
        "pageFaults": usage.page_faults,
        "majorPageFaults": usage.major_page_faults,
    });
    if let Some(limit) = usage.memory_limit {
        memory["availableBytes"] = limit.saturating_sub(usage.working_set).into();
    }
    memory
}

fn disk(time: &str, disk: machine::Disk) -> Value {
    json!({
        "time": time,
        "availableBytes": disk.available,
        "capacityBytes": disk.capacity,
        "usedBytes": disk.capacity.saturating_sub(disk.available),
        "inodesFree": disk.inodes_free,
        "inodes": disk.inodes,
        "inodesUsed": disk.inodes.saturating_sub(disk.inodes_free),
    })
}

/// Serves `/stats/summary`.
pub(super) async fn summary(kubelet: &Arc<Kubelet>, only_cpu_and_memory: bool) -> Response<Body> {
    let sample = sample(kubelet).await;
    let stamp = |time: Timestamp| apimachinery::time::rfc3339(time);
    let time = stamp(sample.time);
    let mut by_pod: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for container in &sample.containers {
        by_pod.entry(&container.uid).or_default().push(json!({
            "name": container.container,
            "startTime": container.started.map(stamp),
            "cpu": cpu(&time, &container.usage),
            "memory": memory(&time, &container.usage),
        }));
    }
    let pods: Vec<Value> = sample
        .pods
        .iter()
        .map(|pod| {
            json!({
                "podRef": {"name": pod.pod, "namespace": pod.namespace, "uid": pod.uid},
                "startTime": pod.started.map(stamp),
                "containers": by_pod.remove(pod.uid.as_str()).unwrap_or_default(),
                "cpu": cpu(&time, &pod.usage),
                "memory": memory(&time, &pod.usage),
                "process_stats": {"process_count": pod.usage.pids},
            })
        })
        .collect();
    let mut node = json!({
        "nodeName": kubelet.settings.node_name,
        "startTime": time,
        "cpu": cpu(&time, &sample.node),
        "memory": memory(&time, &sample.node),
    });
    if !only_cpu_and_memory {
        node["fs"] = disk(&time, machine::disk(&kubelet.settings.root_dir));
        let (limit, current) = machine::processes();
        node["rlimit"] = json!({"time": time, "maxpid": limit, "curproc": current});
    }
    json_answer(&json!({"node": node, "pods": pods}))
}
