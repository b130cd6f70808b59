//! Ends a pod when the node runs out of memory or disk, before the kernel does it at random.

use std::sync::Arc;

use component::events::Kind as EventKind;
use k8s_openapi::api::core::v1::Pod;

use crate::{
    event::pod_event,
    kubelet::Kubelet,
    node::{
        machine,
        pressure::{Left, Pressure, pressure, victim},
    },
    pod,
    status::Verdict,
    volume::blocking,
};

/// Measures, and evicts one pod when there is too little left. Answers what is short.
pub(super) async fn relieve(kubelet: &Arc<Kubelet>) -> Pressure {
    let left = Left {
        memory: machine::memory(),
        disk: machine::disk(&kubelet.settings.root_dir),
        pids: machine::processes(),
    };
    let found = pressure(&left, &kubelet.settings.eviction_hard);
    let resource = match found {
        Pressure { memory: true, .. } => "memory",
        Pressure { disk: true, .. } => "ephemeral-storage",
        _ => return found,
    };
    let (asker, pods) = (Arc::clone(kubelet), kubelet.pods.list());
    let measured = blocking(move || {
        let used = |pod: &Pod| {
            let usage = asker.cgroups.as_ref().and_then(|cgroups| cgroups.usage(&asker.pod_cgroup(pod)).ok());
            usage.map_or(0, |usage| usage.working_set)
        };
        Ok(pods.into_iter().map(|(pod, _)| (used(&pod), pod)).collect::<Vec<_>>())
    });
    let measured = measured.await.unwrap_or_default();
    // One that is already on its way out frees its share soon.
    let ending = measured.iter().any(|(_, pod)| pod::is_deleting(pod));
    if ending {
        return found;
    }
    if let Some(chosen) = victim(measured.iter().map(|(used, pod)| (&**pod, *used))) {
        let message = format!("The node was low on resource: {resource}. ");
        tracing::warn!(pod = pod::name(chosen), resource, "evicting a pod");
        pod_event(&kubelet.recorder, chosen, EventKind::Warning, "Evicted", message.clone());
        kubelet.pods.condemn(pod::uid(chosen), Verdict { reason: "Evicted".into(), message });
    }
    found
}
