//! Measures what the node has left, and what pods use of it.

use std::{
    collections::{BTreeMap, HashMap},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Pod;
use podrules::requests::QosClass;

use super::{
    threshold::Signal,
    tracker::{Observation, Observations},
    usage::{ContainerUsage, Disk, PodUsage, folder},
};
use crate::{kubelet::Kubelet, node::machine, observed::State, pod, pods::PodState, volume::blocking};

/// What the node has left.
#[derive(Debug, Default)]
pub struct Left {
    /// By signal.
    pub observations: Observations,
    /// Whether the runtime has a filesystem of its own.
    pub runtime_is_apart: bool,
}

/// Measures the node.
pub async fn node(kubelet: &Arc<Kubelet>) -> Left {
    let filesystems = kubelet.runtime.image_fs_info().await.unwrap_or_default();
    let images = filesystems.into_iter().find_map(|filesystem| filesystem.fs_id.map(|id| id.mountpoint));
    let kubelet = Arc::clone(kubelet);
    let measured = blocking(move || Ok(left(&kubelet, images.as_deref().map(Path::new))));
    measured.await.unwrap_or_default()
}

fn left(kubelet: &Kubelet, images: Option<&Path>) -> Left {
    let mut observations = Observations::new();
    // What could not be measured is not said to be short.
    let mut note = |signal, available, capacity| {
        if capacity > 0 {
            observations.insert(signal, Observation { available, capacity });
        }
    };
    let (memory, available) = machine::memory();
    note(Signal::Memory, available, memory);
    if let Some(cgroups) = kubelet.cgroups.as_ref().filter(|_| kubelet.settings.cgroups_per_qos)
        && let Ok(usage) = cgroups.usage(&kubelet.qos_cgroup(QosClass::Guaranteed))
        && let Some(limit) = usage.memory_limit
    {
        note(Signal::AllocatableMemory, limit.saturating_sub(usage.working_set), limit);
    }
    let root = kubelet.settings.root_dir.as_path();
    let disk = machine::disk(root);
    note(Signal::Nodefs, disk.available, disk.capacity);
    note(Signal::NodefsInodes, disk.inodes_free, disk.inodes);
    let disk = images.map(machine::disk).unwrap_or(disk);
    note(Signal::Imagefs, disk.available, disk.capacity);
    note(Signal::ImagefsInodes, disk.inodes_free, disk.inodes);
    let (limit, present) = machine::processes();
    note(Signal::Pids, limit.saturating_sub(present), limit);
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    let runtime_is_apart = images.is_some_and(|images| device(images) != device(root));
    Left { observations, runtime_is_apart }
}

/// A pod of this node, with what is known of it.
pub type Known = (Arc<Pod>, Arc<PodState>);

/// Measures pods, their files too where these are asked for; by uid.
pub async fn pods(kubelet: &Arc<Kubelet>, known: &[Known], files: bool) -> HashMap<String, PodUsage> {
    let mut layers = BTreeMap::new();
    if files {
        for stats in kubelet.runtime.list_container_stats().await.unwrap_or_default() {
            if let (Some(attributes), Some(layer)) = (stats.attributes, stats.writable_layer) {
                let bytes = layer.used_bytes.map_or(0, |bytes| bytes.value);
                let inodes = layer.inodes_used.map_or(0, |inodes| inodes.value);
                layers.insert(attributes.id, Disk { bytes, inodes });
            }
        }
    }
    let (kubelet, known) = (Arc::clone(kubelet), known.to_vec());
    let measured = blocking(move || {
        let each = known.iter().filter_map(|(pod, state)| {
            let usage = of_pod(&kubelet, pod, state, files, &layers)?;
            Some((pod::uid(pod).to_owned(), usage))
        });
        Ok(each.collect())
    });
    measured.await.unwrap_or_default()
}

fn of_pod(
    kubelet: &Kubelet,
    pod: &Pod,
    state: &PodState,
    files: bool,
    layers: &BTreeMap<String, Disk>,
) -> Option<PodUsage> {
    let cgroups = kubelet.cgroups.as_ref()?;
    let parent = kubelet.pod_cgroup(pod);
    let whole = cgroups.usage(&parent).ok()?;
    let logs = kubelet.settings.log_dir(&state.names);
    let observed = state.observed.lock().clone();
    let running = observed.containers.iter().filter(|container| container.state == State::Running);
    let containers = running.map(|container| ContainerUsage {
        name: container.name.clone(),
        memory: cgroups
            .usage(&cgroups.of_container(&parent, &container.id))
            .map_or(0, |usage| usage.working_set),
        layer: layers.get(&container.id).copied().unwrap_or_default(),
        logs: if files { folder(&logs.join(&container.name)) } else { Disk::default() },
    });
    let volumes = pod::spec(pod).volumes.iter().flatten().filter(|volume| {
        // What lies in memory is counted there.
        let on_disk = volume
            .empty_dir
            .as_ref()
            .is_some_and(|source| source.medium.as_deref().unwrap_or_default().is_empty());
        files && on_disk
    });
    Some(PodUsage {
        memory: whole.working_set,
        processes: whole.pids,
        containers: containers.collect(),
        volumes: volumes
            .map(|volume| (volume.name.clone(), folder(&empty_dir(kubelet, pod, &volume.name))))
            .collect(),
    })
}

fn empty_dir(kubelet: &Kubelet, pod: &Pod, volume: &str) -> PathBuf {
    kubelet.settings.pod_dir(pod::uid(pod)).join("volumes/kubernetes.io~empty-dir").join(volume)
}
