//! What a pod needs before its first container: folders, cgroup, volumes, sandbox.

use std::{
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

use component::events::Kind as EventKind;
use cri::v1;
use k8s_openapi::api::{core::v1::Pod, node::v1::RuntimeClass};
use kube::Api;

use super::{RETRY, Worker};
use crate::{
    container::{dns, downward::Facts, hosts, resources, sandbox},
    event::pod_event,
    metrics, pod,
    volume::{self, blocking},
};

impl Worker {
    /// Makes folders, cgroup, volumes and a sandbox. An error is how long to wait before the next try.
    ///
    /// Volumes and sandbox are made side by side: neither needs the other, and each waits for something else. What
    /// the downward API tells of addresses is written when they are known.
    pub(super) async fn make_sandbox(&mut self, pod: &Arc<Pod>, attempt: u32) -> Result<(), Duration> {
        let kubelet = Arc::clone(&self.kubelet);
        if let Err(error) = self.make_place(pod).await {
            let message = format!("error making pod data directories: {error:#}");
            pod_event(&kubelet.recorder, pod, EventKind::Warning, "Failed", message);
            return Err(RETRY);
        }
        let config = self.sandbox_config(pod, attempt).await;
        let config = config.map_err(|message| self.sandbox_failed(pod, &message))?;
        let handler =
            self.runtime_handler(pod).await.map_err(|message| self.sandbox_failed(pod, &message))?;
        self.sandbox = Some(config.clone());

        let (runtime, making) = (Arc::clone(&kubelet.runtime), Arc::clone(&self.making));
        let running = {
            let runtime = Arc::clone(&runtime);
            async move { runtime.run_pod_sandbox(config, handler).await }
        };
        let made = making.carry_out(&kubelet.process, running);
        let (volumes, made) = tokio::join!(self.set_up_volumes(pod, &[]), made);
        metrics::sandbox_made(made.is_ok());
        let id = made
            .map_err(|error| self.sandbox_failed(pod, &format!("Failed to create pod sandbox: {error}")))?;
        volumes?;
        if !pod::is_host_network(pod) {
            let answer = runtime.pod_sandbox_status(&id, false).await.ok();
            let network = answer.and_then(|answer| answer.status).and_then(|status| status.network);
            let ips: Vec<String> = network
                .map(|network| {
                    let more = network.additional_ips.into_iter().map(|ip| ip.ip);
                    std::iter::once(network.ip).chain(more).filter(|ip| !ip.is_empty()).collect()
                })
                .unwrap_or_default();
            let mut observed = self.state.observed.lock();
            observed
                .sandboxes
                .insert(0, crate::observed::Sandbox { id, ready: true, attempt, created_at: i64::MAX, ips });
        } else {
            let sandbox =
                crate::observed::Sandbox { id, ready: true, attempt, created_at: i64::MAX, ips: vec![] };
            self.state.observed.lock().sandboxes.insert(0, sandbox);
        }
        Ok(())
    }

    fn sandbox_failed(&self, pod: &Pod, message: &str) -> Duration {
        pod_event(&self.kubelet.recorder, pod, EventKind::Warning, "FailedCreatePodSandBox", message);
        RETRY
    }

    async fn make_place(&self, pod: &Arc<Pod>) -> anyhow::Result<()> {
        let settings = &self.kubelet.settings;
        let (pod_dir, log_dir) =
            (settings.pod_dir(&self.state.names.uid), settings.log_dir(&self.state.names));
        let cgroup = self.kubelet.cgroups.clone().map(|cgroups| {
            let limits = resources::pod(pod, settings.cpu_cfs_quota, settings.pod_pids_limit);
            (cgroups, self.kubelet.pod_cgroup(pod), limits)
        });
        let kubelet = Arc::clone(&self.kubelet);
        blocking(move || {
            for folder in ["volumes", "plugins", "containers"] {
                std::fs::create_dir_all(pod_dir.join(folder))?;
            }
            std::fs::set_permissions(&pod_dir, std::fs::Permissions::from_mode(0o750))?;
            std::fs::create_dir_all(&log_dir)?;
            if let Some((cgroups, path, limits)) = cgroup {
                cgroups.ensure(&path, &limits)?;
                kubelet.weigh_burstable()?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn sandbox_config(
        &self,
        pod: &Pod,
        attempt: u32,
    ) -> Result<v1::PodSandboxConfig, String> {
        let settings = &self.kubelet.settings;
        let node = tokio::fs::read_to_string(&settings.resolv_conf).await.unwrap_or_default();
        let cgroup = self.kubelet.pod_cgroup(pod);
        let cgroups = self.kubelet.cgroups.as_ref();
        let cgroup_parent = cgroups.map(|cgroups| cgroups.parent_for_runtime(&cgroup)).unwrap_or_default();
        let mut config = sandbox::config(pod, attempt, settings, dns::parse(&node), cgroup_parent)?;
        let seen = self.state.status.lock().start_time.as_ref().map(|seen| seen.0);
        for (key, value) in [
            (pod::SOURCE_ANNOTATION, Some("api".to_owned())),
            (pod::SEEN_ANNOTATION, seen.map(apimachinery::time::rfc3339)),
        ] {
            if let Some(value) = value {
                config.annotations.entry(key.to_owned()).or_insert(value);
            }
        }
        Ok(config)
    }

    /// The runtime's handler for the pod's RuntimeClass.
    async fn runtime_handler(&self, pod: &Pod) -> Result<String, String> {
        let Some(class) = pod::spec(pod).runtime_class_name.as_deref().filter(|class| !class.is_empty())
        else {
            return Ok(String::new());
        };
        let Some(client) = self.kubelet.client.clone() else { return Ok(String::new()) };
        match Api::<RuntimeClass>::all(client).get(class).await {
            Ok(class) => Ok(class.handler),
            Err(error) => Err(format!("failed to get sandbox runtime: {error}")),
        }
    }

    /// Sets up the pod's volumes, or brings them up to date. An error is how long to wait before the next try.
    pub(super) async fn set_up_volumes(&mut self, pod: &Arc<Pod>, ips: &[String]) -> Result<(), Duration> {
        let kubelet = Arc::clone(&self.kubelet);
        let facts: Facts = kubelet.facts_for(pod, ips);
        let setup = volume::Setup {
            pod,
            settings: &kubelet.settings,
            objects: &kubelet.objects,
            tokens: &kubelet.tokens,
            facts: &facts,
            client: kubelet.client.as_ref(),
            csi: &kubelet.csi,
            recorder: &kubelet.recorder,
        };
        match volume::set_up(&setup).await {
            Ok(done) => {
                let folder = kubelet.settings.pod_dir(&self.state.names.uid);
                *self.state.claims.lock() = volume::claims(pod, &done.volumes, &folder);
                self.volumes = Some(done.volumes);
                self.volumes_refresh = done.refresh.map(|refresh| Instant::now() + refresh);
                Ok(())
            }
            Err(error) => {
                pod_event(&kubelet.recorder, pod, EventKind::Warning, "FailedMount", format!("{error:#}"));
                // A missing object wakes the worker when it comes; the rest is tried again in a while.
                self.volumes_refresh = Some(Instant::now() + Duration::from_secs(5));
                Err(Duration::from_secs(5))
            }
        }
    }

    /// Writes the pod's hosts file and answers where it is.
    pub(super) async fn hosts_file(
        &self,
        pod: &Arc<Pod>,
        ips: &[String],
    ) -> Result<std::path::PathBuf, String> {
        let path = self.kubelet.settings.pod_dir(&self.state.names.uid).join("etc-hosts");
        let node = match pod::is_host_network(pod) {
            true => tokio::fs::read_to_string("/etc/hosts").await.unwrap_or_default(),
            false => String::new(),
        };
        let text = hosts::file(pod, ips, &self.kubelet.settings.cluster_domain, &node);
        let target = path.clone();
        blocking(move || {
            // A container may have changed its own: the file is one for all, and is written once.
            if !target.exists() {
                std::fs::write(&target, text)?;
                std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o644))?;
            }
            Ok(())
        })
        .await
        .map_err(|error| format!("failed to write the hosts file: {error:#}"))?;
        Ok(path)
    }
}
