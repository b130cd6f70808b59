//! Ends a pod: everything of it is stopped, its status is final, nothing of it is left on the node.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Pod;

use super::{Next, RETRY, Worker};
use crate::{
    observed::{Observed, State},
    pod,
    pods::Order,
    status::Stage,
    volume,
};

/// How many ended containers of one name are kept for `logs --previous` (`--maximum-dead-containers-per-container`).
const KEPT_TRACES: usize = 1;

impl Worker {
    /// Takes a pod that is over another step towards nothing.
    pub(super) async fn end(&mut self, order: &Order, observed: &Observed) -> Next {
        let pod = order.pod();
        self.probes.stop();
        if observed.is_alive() {
            self.publish(pod, observed, Stage::Stopping);
            self.stop_within_grace(pod, observed).await;
            return match self.look().await {
                // The runtime has not managed it: again, but not at once.
                Ok(observed) if observed.is_alive() => Next::Wait(RETRY),
                Ok(_) => Next::Now,
                Err(_) => Next::Wait(RETRY),
            };
        }
        if !self.stopped {
            self.publish(pod, observed, Stage::Stopped);
            if let Err(error) = self.leave_place(pod).await {
                tracing::warn!(pod = %self.state.names.full(), %error, "cannot clean up after a pod");
                return Next::Wait(RETRY);
            }
            self.stopped = true;
        }
        if !order.ends() {
            // Its logs and its status stay until the pod is deleted.
            self.publish(pod, observed, Stage::Stopped);
            return Next::Wait(super::RELIST);
        }
        self.publish(pod, observed, Stage::Stopped);
        if pod::is_deleting(pod) && matches!(order, Order::Run(_)) {
            self.statuses.send_modify(|wanted| wanted.delete = true);
        }
        if let Err(error) = self.remove_traces(observed).await {
            tracing::warn!(pod = %self.state.names.full(), %error, "cannot remove a pod from the runtime");
            return Next::Wait(RETRY);
        }
        Next::Done
    }

    /// Stops everything, again and with less patience when the pod's grace is cut short meanwhile.
    async fn stop_within_grace(&self, pod: &Arc<Pod>, observed: &Observed) {
        let mut orders = self.orders.clone();
        let mut pod = Arc::clone(pod);
        loop {
            // The node's own need may leave it less.
            let most = self.state.verdict.lock().as_ref().and_then(|verdict| verdict.grace);
            let grace = most.map_or_else(|| pod::grace(&pod), |most| most.min(pod::grace(&pod)));
            tokio::select! {
                () = self.stop_all(&pod, observed, grace) => return,
                shorter = cut_short(&mut orders, grace) => pod = shorter,
            }
        }
    }

    /// Unmounts volumes and removes the pod's folder and cgroup.
    async fn leave_place(&mut self, pod: &Arc<Pod>) -> anyhow::Result<()> {
        self.volumes = None;
        self.volumes_refresh = None;
        volume::tear_down(&self.kubelet.settings, &self.kubelet.csi, &self.state.names.uid).await?;
        if let Some(cgroups) = self.kubelet.cgroups.clone() {
            let path = self.kubelet.pod_cgroup(pod);
            volume::blocking(move || Ok(cgroups.remove(&path)?)).await?;
        }
        Ok(())
    }

    /// Removes sandboxes with their containers, and the logs.
    async fn remove_traces(&self, observed: &Observed) -> anyhow::Result<()> {
        for sandbox in &observed.sandboxes {
            match self.kubelet.runtime.remove_pod_sandbox(&sandbox.id).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        let settings = &self.kubelet.settings;
        let logs = settings.log_dir(&self.state.names);
        let flat = settings.pod_logs_dir.parent().map(|parent| parent.join("containers"));
        let prefix = format!("{}_{}_", self.state.names.name, self.state.names.namespace);
        let ids: Vec<String> =
            observed.containers.iter().map(|container| format!("-{}.log", container.id)).collect();
        volume::blocking(move || {
            match std::fs::remove_dir_all(&logs) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            let entries = flat.and_then(|flat| std::fs::read_dir(flat).ok()).into_iter().flatten().flatten();
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(&prefix) && ids.iter().any(|id| name.ends_with(id)) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes ended containers beyond those kept, and sandboxes that were replaced.
    pub(super) async fn clean_traces(&self, pod: &Pod, observed: &Observed) {
        let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
        for container in observed.containers.iter().filter(|container| container.state == State::Exited) {
            let newest = observed.latest(&container.name).is_some_and(|latest| latest.id == container.id);
            let count = kept.entry(&container.name).or_default();
            *count += usize::from(!newest);
            if !newest && *count > KEPT_TRACES {
                if let Err(error) = self.kubelet.runtime.remove_container(&container.id).await {
                    tracing::debug!(%error, "cannot remove an ended container");
                    continue;
                }
                self.state.observed.lock().containers.retain(|known| known.id != container.id);
                self.remove_log(&container.log_path).await;
            }
        }
        for sandbox in observed.sandboxes.iter().skip(1).filter(|sandbox| !sandbox.ready) {
            // While it holds the last trace of a container, it stays: removing it removes that too.
            let needed = pod::containers(pod).iter().any(|(_, container)| {
                observed.latest(&container.name).is_some_and(|latest| latest.sandbox_id == sandbox.id)
            });
            if !needed {
                let _ = self.kubelet.runtime.remove_pod_sandbox(&sandbox.id).await;
            }
        }
    }

    async fn remove_log(&self, path: &str) {
        // The runtime answers with the whole path.
        let path = std::path::PathBuf::from(path);
        if path.starts_with(&self.kubelet.settings.pod_logs_dir) {
            let _ = tokio::fs::remove_file(path).await;
        }
    }
}

/// Waits until the pod gets less time than it is being stopped with.
async fn cut_short(orders: &mut tokio::sync::watch::Receiver<Order>, grace: i64) -> Arc<Pod> {
    loop {
        {
            let order = orders.borrow_and_update();
            if pod::grace(order.pod()) < grace {
                return Arc::clone(order.pod());
            }
        }
        if orders.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
