//! Stops containers: preStop, then the runtime's stop with what is left of the grace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use component::events::Kind as EventKind;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};

use super::{Worker, hook};
use crate::{
    event::container_event,
    observed::{Observed, State},
    plan::{Failed, Kill},
    pod::{self, Kind},
};

/// The least a container gets, whatever the pod's grace: it should not be killed without a chance. Upstream's value.
const LEAST: i64 = 2;

impl Worker {
    /// Stops some containers, side by side.
    pub(super) async fn kill(&self, pod: &Arc<Pod>, observed: &Observed, kills: &[Kill]) {
        let each = kills.iter().map(|kill| {
            let grace = own_grace(pod, kill);
            let deadline = Instant::now() + Duration::from_secs(grace.max(0).unsigned_abs());
            self.stop_one(pod, observed, &kill.id, &kill.name, &kill.message, deadline, grace)
        });
        join_all(each).await;
    }

    /// Stops everything of a pod: ordinary containers side by side, then sidecars from the last to the first, then
    /// the sandboxes.
    pub(super) async fn stop_all(&self, pod: &Arc<Pod>, observed: &Observed, grace: i64) {
        let deadline = Instant::now() + Duration::from_secs(grace.max(0).unsigned_abs());
        let sidecars: Vec<&Container> = pod::spec(pod)
            .init_containers
            .iter()
            .flatten()
            .filter(|init| pod::init_kind(init) == Kind::Sidecar)
            .collect();
        let is_sidecar = |name: &str| sidecars.iter().any(|sidecar| sidecar.name == name);
        let first =
            observed.running().filter(|container| !is_sidecar(&container.name)).map(|container| async move {
                let message = format!("Stopping container {}", container.name);
                self.stop_one(pod, observed, &container.id, &container.name, &message, deadline, grace).await;
            });
        join_all(first).await;
        for sidecar in sidecars.iter().rev() {
            for container in observed.running().filter(|container| container.name == sidecar.name) {
                let message = format!("Stopping container {}", container.name);
                self.stop_one(pod, observed, &container.id, &container.name, &message, deadline, grace).await;
            }
        }
        for sandbox in observed.sandboxes.iter().filter(|sandbox| sandbox.ready) {
            if let Err(error) = self.kubelet.runtime.stop_pod_sandbox(&sandbox.id).await {
                tracing::warn!(pod = %self.state.names.full(), %error, "cannot stop a sandbox");
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each says one thing about the one container")]
    async fn stop_one(
        &self,
        pod: &Arc<Pod>,
        observed: &Observed,
        id: &str,
        name: &str,
        message: &str,
        deadline: Instant,
        grace: i64,
    ) {
        let kubelet = &self.kubelet;
        container_event(&kubelet.recorder, pod, name, EventKind::Normal, "Killing", message);
        let running = observed
            .containers
            .iter()
            .any(|container| container.id == id && container.state == State::Running);
        let handler = pre_stop(pod, name).filter(|_| running && grace > 0);
        if let (Some(handler), Some((_, container))) = (handler, pod::container(pod, name)) {
            let ips = observed.sandbox().map(|sandbox| sandbox.ips.clone()).unwrap_or_default();
            let ip = kubelet.facts_for(pod, &ips).pod_ips.first().cloned().unwrap_or_default();
            let limit = deadline.saturating_duration_since(Instant::now());
            if let Err(why) = hook::run(kubelet, &container, id, &ip, &handler, Some(limit)).await {
                let text = format!("PreStopHook failed: {why}");
                container_event(&kubelet.recorder, pod, name, EventKind::Warning, "FailedPreStopHook", text);
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up: a grace of 1 s, looked at a moment later, is still one.
        let left = i64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let timeout = left.max(LEAST);
        if let Err(error) = kubelet.runtime.stop_container(id, timeout).await
            && !error.is_not_found()
        {
            tracing::warn!(pod = %self.state.names.full(), container = name, %error, "cannot stop a container");
        }
    }
}

fn pre_stop(pod: &Pod, name: &str) -> Option<LifecycleHandler> {
    pod::container(pod, name)?.1.lifecycle?.pre_stop
}

/// The grace of one container's stop: its failed probe's own, else the pod's.
fn own_grace(pod: &Pod, kill: &Kill) -> i64 {
    let container = pod::container(pod, &kill.name).map(|(_, container)| container);
    let probe = match kill.failed {
        Some(Failed::Liveness) => container.and_then(|container| container.liveness_probe),
        Some(Failed::Startup) => container.and_then(|container| container.startup_probe),
        None => None,
    };
    probe.and_then(|probe| probe.termination_grace_period_seconds).unwrap_or_else(|| pod::grace(pod))
}
