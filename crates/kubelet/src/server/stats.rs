//! What the node, its pods and their containers use: `/stats/summary`, under upstream's names.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use cgroups::Usage;
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Body, json_answer,
    network::{self, Interface},
    rates::Rates,
};
use crate::{kubelet::Kubelet, node::machine, observed::State, pod, pods::PodState, volume::blocking};

/// A measured container.
pub(super) struct Measured {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
    pub started: Option<Timestamp>,
    pub usage: Usage,
    id: String,
    cgroup: String,
}

/// A measured pod.
pub(super) struct MeasuredPod {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub started: Option<Timestamp>,
    pub usage: Usage,
    cgroup: String,
    state: Arc<PodState>,
    host_network: bool,
}

/// Everything measured at one time.
pub(super) struct Sample {
    pub time: Timestamp,
    pub node: Usage,
    pub pods: Vec<MeasuredPod>,
    pub containers: Vec<Measured>,
}

/// Measures processor and memory.
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
                let cgroup = cgroups.of_container(&parent, &container.id);
                if let Ok(usage) = cgroups.usage(&cgroup) {
                    containers.push(Measured {
                        namespace: names.namespace.clone(),
                        pod: names.name.clone(),
                        uid: names.uid.clone(),
                        container: container.name.clone(),
                        started: container.started_at,
                        usage,
                        id: container.id.clone(),
                        cgroup,
                    });
                }
            }
            pods.push(MeasuredPod {
                namespace: names.namespace.clone(),
                pod: names.name.clone(),
                uid: names.uid.clone(),
                started,
                usage,
                cgroup: parent,
                host_network: pod::is_host_network(&pod),
                state,
            });
        }
    }
    // The machine's own count holds what no cgroup does.
    node.working_set = memory.saturating_sub(available);
    node.memory_limit = Some(memory);
    Sample { time, node, pods, containers }
}

/// A part of a filesystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    bytes: u64,
    inodes: u64,
}

impl Used {
    fn add(&mut self, other: Used) {
        self.bytes += other.bytes;
        self.inodes += other.inodes;
    }
}

/// What the containers and pods have beyond processor and memory.
#[derive(Default)]
struct Rest {
    /// Writable layers, by container id.
    layers: HashMap<String, Used>,
    /// Logs, by container id.
    logs: HashMap<String, Used>,
    /// Interfaces, by pod uid.
    networks: HashMap<String, Vec<Interface>>,
    /// The filesystem that the runtime keeps images and layers on, and what they take of it.
    runtime: Option<(machine::Disk, Used)>,
    node_network: Vec<Interface>,
}

async fn rest(kubelet: &Arc<Kubelet>, sample: &Sample) -> Rest {
    let used = |filesystem: &cri::v1::FilesystemUsage| Used {
        bytes: filesystem.used_bytes.as_ref().map_or(0, |bytes| bytes.value),
        inodes: filesystem.inodes_used.as_ref().map_or(0, |inodes| inodes.value),
    };
    let (containers, filesystems) =
        futures::join!(kubelet.runtime.list_container_stats(), kubelet.runtime.image_fs_info());
    let mut layers = HashMap::new();
    for container in containers.unwrap_or_default() {
        if let (Some(attributes), Some(layer)) = (container.attributes, &container.writable_layer) {
            layers.insert(attributes.id, used(layer));
        }
    }
    let filesystem = filesystems.unwrap_or_default().into_iter().next();
    let runtime = filesystem.map(|filesystem| {
        let mountpoint = filesystem.fs_id.as_ref().map_or("/", |id| id.mountpoint.as_str()).to_owned();
        (machine::disk(Path::new(&mountpoint)), used(&filesystem))
    });
    let of_pods: Vec<_> = sample
        .pods
        .iter()
        .map(|pod| {
            let containers = sample.containers.iter().filter(|container| container.uid == pod.uid);
            let containers: Vec<_> =
                containers.map(|found| (found.id.clone(), found.container.clone())).collect();
            let cgroup = if pod.host_network { String::new() } else { pod.cgroup.clone() };
            (pod.uid.clone(), cgroup, kubelet.settings.log_dir(&pod.state.names), containers)
        })
        .collect();
    let kubelet = Arc::clone(kubelet);
    let found = blocking(move || {
        let (mut logs, mut networks) = (HashMap::new(), HashMap::new());
        for (uid, cgroup, folder, containers) in of_pods {
            for (id, name) in containers {
                logs.insert(id, files(&folder.join(name)));
            }
            let process = kubelet.cgroups.as_ref().filter(|_| !cgroup.is_empty());
            if let Some(pid) = process.and_then(|cgroups| cgroups.any_process(&cgroup)) {
                networks.insert(uid, network::of_process(&pid.to_string()));
            }
        }
        Ok((logs, networks, network::of_process("self")))
    });
    let (logs, networks, node_network) = found.await.unwrap_or_default();
    Rest { layers, logs, networks, runtime, node_network }
}

/// The size of the files in a folder.
fn files(folder: &Path) -> Used {
    let mut used = Used::default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(metadata) = entry.metadata() {
            used.add(Used { bytes: metadata.len(), inodes: 1 });
        }
    }
    used
}

fn cpu(time: &str, usage: &Usage, nano_cores: Option<u64>) -> Value {
    let mut cpu = json!({"time": time, "usageCoreNanoSeconds": usage.cpu_nanos});
    if let Some(nano_cores) = nano_cores {
        cpu["usageNanoCores"] = nano_cores.into();
    }
    cpu
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

fn filesystem(time: &str, disk: machine::Disk, used: Used) -> Value {
    json!({
        "time": time,
        "availableBytes": disk.available,
        "capacityBytes": disk.capacity,
        "usedBytes": used.bytes,
        "inodesFree": disk.inodes_free,
        "inodes": disk.inodes,
        "inodesUsed": used.inodes,
    })
}

fn whole(disk: machine::Disk) -> Used {
    Used {
        bytes: disk.capacity.saturating_sub(disk.available),
        inodes: disk.inodes.saturating_sub(disk.inodes_free),
    }
}

/// Serves `/stats/summary`.
pub(super) async fn summary(
    kubelet: &Arc<Kubelet>,
    rates: &Rates,
    only_cpu_and_memory: bool,
) -> Response<Body> {
    let sample = sample(kubelet).await;
    let rest = if only_cpu_and_memory { Rest::default() } else { rest(kubelet, &sample).await };
    let stamp = |time: Timestamp| apimachinery::time::rfc3339(time);
    let time = stamp(sample.time);
    let counts = std::iter::once(("/", sample.node.cpu_nanos))
        .chain(sample.pods.iter().map(|pod| (pod.cgroup.as_str(), pod.usage.cpu_nanos)))
        .chain(sample.containers.iter().map(|found| (found.cgroup.as_str(), found.usage.cpu_nanos)));
    let mut rates = rates.take(sample.time.as_millisecond(), counts).into_iter();
    let node_rate = rates.next().flatten();
    let pod_rates: Vec<Option<u64>> = rates.by_ref().take(sample.pods.len()).collect();

    let disk = machine::disk(&kubelet.settings.root_dir);
    let mut by_pod: BTreeMap<&str, (Vec<Value>, Used)> = BTreeMap::new();
    for (container, rate) in sample.containers.iter().zip(rates) {
        let (containers, ephemeral) = by_pod.entry(&container.uid).or_default();
        let mut entry = json!({
            "name": container.container,
            "startTime": container.started.map(stamp),
            "cpu": cpu(&time, &container.usage, rate),
            "memory": memory(&time, &container.usage),
        });
        if let (Some(layer), Some((disk, _))) = (rest.layers.get(&container.id), rest.runtime) {
            entry["rootfs"] = filesystem(&time, disk, *layer);
            ephemeral.add(*layer);
        }
        if let Some(logs) = rest.logs.get(&container.id) {
            entry["logs"] = filesystem(&time, disk, *logs);
            ephemeral.add(*logs);
        }
        containers.push(entry);
    }
    let pods: Vec<Value> = sample
        .pods
        .iter()
        .zip(pod_rates)
        .map(|(pod, rate)| {
            let (containers, ephemeral) = by_pod.remove(pod.uid.as_str()).unwrap_or_default();
            let mut entry = json!({
                "podRef": {"name": pod.pod, "namespace": pod.namespace, "uid": pod.uid},
                "startTime": pod.started.map(stamp),
                "containers": containers,
                "cpu": cpu(&time, &pod.usage, rate),
                "memory": memory(&time, &pod.usage),
                "process_stats": {"process_count": pod.usage.pids},
            });
            if !only_cpu_and_memory {
                entry["ephemeral-storage"] = filesystem(&time, disk, ephemeral);
                let interfaces = rest.networks.get(&pod.uid).map(Vec::as_slice).unwrap_or_default();
                if let Some(network) = network::summary(&time, interfaces) {
                    entry["network"] = network;
                }
            }
            entry
        })
        .collect();
    let mut node = json!({
        "nodeName": kubelet.settings.node_name,
        "startTime": machine::booted().map(stamp),
        "cpu": cpu(&time, &sample.node, node_rate),
        "memory": memory(&time, &sample.node),
    });
    if !only_cpu_and_memory {
        node["fs"] = filesystem(&time, disk, whole(disk));
        if let Some((disk, used)) = rest.runtime {
            let images = filesystem(&time, disk, used);
            node["runtime"] = json!({"imageFs": images, "containerFs": filesystem(&time, disk, whole(disk))});
        }
        if let Some(network) = network::summary(&time, &rest.node_network) {
            node["network"] = network;
        }
        let (limit, current) = machine::processes();
        node["rlimit"] = json!({"time": time, "maxpid": limit, "curproc": current});
    }
    json_answer(&json!({"node": node, "pods": pods}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_all_files_of_the_containers_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0.log"), "12345").unwrap();
        fs::write(folder.path().join("1.log"), "123").unwrap();
        assert_eq!(files(folder.path()), Used { bytes: 8, inodes: 2 });
        assert_eq!(files(&folder.path().join("none")), Used::default());
    }
}
