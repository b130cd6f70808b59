//! Carries out a resize: what the node grants, then the pod's cgroup and its containers, the wider limits first.

use std::{collections::BTreeSet, sync::Arc};

use component::events::Kind as EventKind;
use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::{
    container::resources,
    event::pod_event,
    observed::Observed,
    plan::Kill,
    pod,
    resize::{self, Answer, Change},
    volume::blocking,
};

impl Worker {
    /// The pod with what the node has granted of what it asks for. A pod that was just let in, or that the node finds
    /// running without knowing better, has all of it.
    pub(super) fn granted(&mut self, pod: &Arc<Pod>, observed: &Observed) -> Arc<Pod> {
        let held = self.state.granted.lock().clone();
        let before = held.unwrap_or_else(|| {
            if observed.sandboxes.is_empty() || pod::is_static(pod) {
                Arc::clone(pod)
            } else {
                Arc::new(resize::as_shown(pod, &self.state.status.lock()))
            }
        });
        let answer = if resize::is_same(pod, &before) { Answer::Granted } else { self.ask_for_more(pod) };
        let (granted, pending) = match answer {
            Answer::Granted => (Arc::clone(pod), None),
            Answer::Deferred(why) => {
                (Arc::new(resize::with_resources_of(pod, &before)), Some(("Deferred", why)))
            }
            Answer::Infeasible(why) => {
                (Arc::new(resize::with_resources_of(pod, &before)), Some(("Infeasible", why)))
            }
        };
        if pending != self.resizing.pending
            && let Some((reason, why)) = &pending
        {
            pod_event(
                &self.kubelet.recorder,
                pod,
                EventKind::Warning,
                &format!("Resize{reason}"),
                why.clone(),
            );
        }
        *self.state.granted.lock() = Some(Arc::clone(&granted));
        self.state.set_resize_deferred(matches!(&pending, Some(("Deferred", _))));
        self.resizing.pending = pending;
        if !resize::is_same(&granted, &before) {
            // What it gives back may be what another waits for.
            self.kubelet.pods.wake_deferred();
        }
        granted
    }

    fn ask_for_more(&self, pod: &Pod) -> Answer {
        let kubelet = &self.kubelet;
        let _gate = kubelet.pods.gate.lock();
        let others = kubelet.pods.admitted(&self.state.names.uid);
        let allocatable = kubelet.facts.read().allocatable.clone();
        resize::decide(pod, others.iter().map(|other| &**other), &allocatable)
    }

    /// The containers that do not have yet what was granted.
    fn changes(&self, pod: &Pod, observed: &Observed) -> Vec<Change> {
        let kubelet = &self.kubelet;
        let v2 = kubelet.cgroups.as_ref().is_some_and(|cgroups| cgroups.version() == cgroups::Version::V2);
        resize::changes(pod, observed, kubelet.machine, v2)
    }

    /// Gives the pod and its containers what was granted. Answers whether the runtime has to be asked again.
    pub(super) async fn resize(&mut self, pod: &Arc<Pod>, observed: &Observed) -> bool {
        let changes = self.changes(pod, observed);
        let limits = {
            let settings = &self.kubelet.settings;
            resources::pod(pod, settings.cpu_cfs_quota, settings.pod_pids_limit)
        };
        let before = self.limits.replace(limits.clone()).unwrap_or_else(|| limits.clone());
        if changes.is_empty() && before == limits {
            self.resizing.unsettled = BTreeSet::new();
            self.resizing.error = None;
            return false;
        }
        if self.resizing.unsettled.is_empty() {
            let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
            let message = format!("Pod resize started: containers {names:?}");
            pod_event(&self.kubelet.recorder, pod, EventKind::Normal, "ResizeStarted", message);
        }
        self.resizing.unsettled = changes.iter().map(|change| change.name.clone()).collect();
        let outcome = self.carry_out_resize(pod, observed, &changes, [before, limits]).await;
        self.resizing.error = match outcome {
            Ok(()) => None,
            Err(error) => {
                // The pod's own limits are set again with the next try.
                self.limits = None;
                let message = format!("{error:#}");
                if self.resizing.error.as_ref() != Some(&message) {
                    pod_event(
                        &self.kubelet.recorder,
                        pod,
                        EventKind::Warning,
                        "ResizeError",
                        message.clone(),
                    );
                }
                Some(message)
            }
        };
        true
    }

    /// Notes what is left to do of a resize once the runtime was asked again.
    pub(super) fn note_resized(&mut self, pod: &Pod, observed: &Observed) {
        let left: BTreeSet<String> =
            self.changes(pod, observed).into_iter().map(|change| change.name).collect();
        if left.is_empty() && !self.resizing.unsettled.is_empty() && self.resizing.error.is_none() {
            let message = "Pod resize completed".to_owned();
            pod_event(&self.kubelet.recorder, pod, EventKind::Normal, "ResizeCompleted", message);
        }
        self.resizing.unsettled = left;
    }

    async fn carry_out_resize(
        &self,
        pod: &Arc<Pod>,
        observed: &Observed,
        changes: &[Change],
        [before, after]: [cgroups::Limits; 2],
    ) -> anyhow::Result<()> {
        let cgroup = self.kubelet.pod_cgroup(pod);
        self.fits_in_less(&cgroup, changes).await?;
        self.limit(&cgroup, resize::wider(&before, &after)).await?;
        let restarts: Vec<Kill> = changes
            .iter()
            .filter(|change| change.restart)
            .map(|change| Kill {
                id: change.id.clone(),
                name: change.name.clone(),
                message: format!("Container {} resize requires restart", change.name),
                failed: None,
            })
            .collect();
        if !restarts.is_empty() {
            self.kill(pod, observed, &restarts).await;
            self.state.wake.notify_one();
        }
        for change in changes.iter().filter(|change| !change.restart) {
            let runtime = &self.kubelet.runtime;
            let updated = runtime.update_container_resources(&change.id, change.resources.clone()).await;
            updated.map_err(|error| {
                anyhow::anyhow!("updating the resources of container {}: {error}", change.name)
            })?;
        }
        self.limit(&cgroup, after).await
    }

    /// Refuses a memory limit below what a container uses: the kernel would end it instead.
    async fn fits_in_less(&self, cgroup: &str, changes: &[Change]) -> anyhow::Result<()> {
        let Some(cgroups) = self.kubelet.cgroups.clone() else { return Ok(()) };
        let less: Vec<(String, String, i64)> = changes
            .iter()
            .filter(|change| !change.restart)
            .filter_map(|change| {
                let path = cgroups.of_container(cgroup, &change.id);
                Some((change.name.clone(), path, change.less_memory?))
            })
            .collect();
        blocking(move || {
            for (name, path, limit) in less {
                let used = cgroups.usage(&path).map_or(0, |usage| usage.working_set);
                anyhow::ensure!(
                    i64::try_from(used).unwrap_or(i64::MAX) < limit,
                    "attempting to set container {name} memory limit ({limit}) below current usage ({used})"
                );
            }
            Ok(())
        })
        .await
    }

    async fn limit(&self, cgroup: &str, limits: cgroups::Limits) -> anyhow::Result<()> {
        let Some(cgroups) = self.kubelet.cgroups.clone() else { return Ok(()) };
        let (kubelet, cgroup) = (Arc::clone(&self.kubelet), cgroup.to_owned());
        blocking(move || {
            cgroups.limit(&cgroup, &limits)?;
            Ok(kubelet.weigh_burstable()?)
        })
        .await
    }
}
