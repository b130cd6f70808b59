//! Starts one container: image, configuration, create, start, postStart.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Instant};

use component::events::Kind as EventKind;
use cri::v1;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Container, Pod, Secret};

use super::{Worker, hook};
use crate::{
    container::{self, Parts, env, resources},
    event::container_event,
    image::Unavailable,
    metrics,
    plan::Start,
    pod::{self, Kind},
    status::Waiting,
    volume::{Extra, blocking, mounts},
};

fn failure(reason: &str, message: String) -> Unavailable {
    Unavailable {
        waiting: Waiting { reason: reason.to_owned(), message },
        retry: SignedDuration::from_secs(10),
    }
}

impl Worker {
    /// Starts a container. An error says why it waits now.
    pub(super) async fn start(&mut self, pod: &Arc<Pod>, start: &Start) -> Result<(), Unavailable> {
        let Some((kind, container)) = pod::container(pod, &start.name) else { return Ok(()) };
        let result = self.start_as(pod, start, kind, container).await;
        let failed = result.as_ref().err().map(|failure| failure.waiting.reason.as_str());
        metrics::container_started(kind, failed);
        result
    }

    async fn start_as(
        &mut self,
        pod: &Arc<Pod>,
        start: &Start,
        kind: Kind,
        container: Container,
    ) -> Result<(), Unavailable> {
        let kubelet = Arc::clone(&self.kubelet);
        let tell = |kind, reason: &str, message: String| {
            container_event(&kubelet.recorder, pod, &container.name, kind, reason, message);
        };
        let (sandbox_id, ips, attempt) = {
            let observed = self.state.observed.lock();
            let Some(sandbox) = observed.sandbox() else { return Ok(()) };
            (sandbox.id.clone(), sandbox.ips.clone(), sandbox.attempt)
        };
        let sandbox = match self.sandbox.clone() {
            Some(sandbox) => sandbox,
            // Adopted after a restart of the kubelet.
            None => {
                let config = self.sandbox_config(pod, attempt).await;
                let config = config.map_err(|message| failure("CreateContainerConfigError", message))?;
                self.sandbox.insert(config).clone()
            }
        };
        let secrets = self.pull_secrets(pod).await;
        let asked = Instant::now();
        let image = kubelet.images.ensure(pod, &container, &sandbox, &secrets).await;
        *self.state.pulling.lock() += asked.elapsed();
        let image = image?;

        let config = self.describe(pod, kind, &container, start.restarts, &ips, &image).await;
        let config = config.map_err(|message| {
            tell(EventKind::Warning, "Failed", format!("Error: {message}"));
            failure("CreateContainerConfigError", message)
        })?;
        // A leftover of the same attempt that was never started is in the way.
        let leftover = self.state.observed.lock().current(&container.name).cloned();
        if let Some(leftover) = leftover.filter(|leftover| leftover.state == crate::observed::State::Created)
        {
            let _ = kubelet.runtime.remove_container(&leftover.id).await;
        }
        let making = Arc::clone(&self.making);
        let runtime = Arc::clone(&kubelet.runtime);
        let creating = async move { runtime.create_container(&sandbox_id, config, sandbox).await };
        let id = making.carry_out(&kubelet.process, creating).await.map_err(|error| {
            let message = error.to_string();
            tell(EventKind::Warning, "Failed", format!("Error: {message}"));
            failure("CreateContainerError", message)
        })?;
        kubelet.pods.claim(&self.state.names.uid, std::iter::once(id.as_str()));
        tell(EventKind::Normal, "Created", format!("Created container: {}", container.name));
        let (runtime, started) = (Arc::clone(&kubelet.runtime), id.clone());
        let starting = async move { runtime.start_container(&started).await };
        if let Err(error) = making.carry_out(&kubelet.process, starting).await {
            let message = error.to_string();
            tell(EventKind::Warning, "Failed", format!("Error: {message}"));
            return Err(failure("RunContainerError", message));
        }
        tell(EventKind::Normal, "Started", format!("Started container {}", container.name));
        self.link_log(&container.name, &id, start.restarts).await;
        self.post_start(pod, &container, &id, &ips).await
    }

    async fn pull_secrets(&self, pod: &Pod) -> Vec<Arc<Secret>> {
        let mut secrets = Vec::new();
        for reference in pod::spec(pod).image_pull_secrets.iter().flatten() {
            match self.kubelet.objects.secret(pod::namespace(pod), &reference.name).await {
                Ok(secret) => secrets.push(secret),
                Err(error) => tracing::debug!(%error, "image pull secret"),
            }
        }
        secrets
    }

    /// Gathers all that a container's configuration is made of.
    async fn describe(
        &mut self,
        pod: &Arc<Pod>,
        kind: Kind,
        container: &Container,
        restarts: u32,
        ips: &[String],
        image: &v1::Image,
    ) -> Result<v1::ContainerConfig, String> {
        let kubelet = Arc::clone(&self.kubelet);
        container::check_non_root(pod, container, Some(image))?;
        if self.volumes.is_none() {
            let set_up = self.set_up_volumes(pod, ips).await;
            set_up.map_err(|_| "the pod's volumes are not set up".to_owned())?;
        }
        if kubelet.client.is_some() {
            kubelet.services.ready().await;
        }
        let objects = kubelet.objects.environment(pod, container).await.map_err(|error| error.to_string())?;
        let facts = kubelet.facts_for(pod, ips);
        let env = env::environment(pod, container, &objects, &kubelet.services.list(), &facts)?;
        let extra = Extra {
            hosts: Some(self.hosts_file(pod, ips).await?),
            message: self.message_file(&container.name).await?,
        };
        let volumes = self.volumes.clone().unwrap_or_default();
        let mounts = mounts(pod, container, &volumes, &env, &kubelet.settings, extra).await?;
        let target_id = self.target(pod, &container.name);
        let v2 = kubelet.cgroups.as_ref().is_some_and(|cgroups| cgroups.version() == cgroups::Version::V2);
        let parts = Parts {
            env,
            mounts,
            devices: Vec::new(),
            resources: resources::container(pod, container, kubelet.machine, v2),
            image_ref: image.id.clone(),
            image_user: image.uid.as_ref().map(|uid| uid.value),
            target_id,
        };
        let folder = kubelet.settings.log_dir(&self.state.names).join(&container.name);
        let log_folder = folder.clone();
        blocking(move || Ok(std::fs::create_dir_all(log_folder)?))
            .await
            .map_err(|error| format!("cannot make {}: {error:#}", folder.display()))?;
        Ok(container::config(pod, kind, container, restarts, parts))
    }

    /// The container whose processes an ephemeral container is to see.
    fn target(&self, pod: &Pod, name: &str) -> Option<String> {
        let ephemeral =
            pod::spec(pod).ephemeral_containers.iter().flatten().find(|found| found.name == name)?;
        let target = ephemeral.target_container_name.as_deref()?;
        Some(self.state.observed.lock().current(target)?.id.clone())
    }

    /// Makes the file behind a container's termination message path: a fresh one for each start.
    async fn message_file(&self, container: &str) -> Result<PathBuf, String> {
        let folder = self.kubelet.settings.pod_dir(&self.state.names.uid).join("containers").join(container);
        let file = folder.join(format!("{:08x}", rand::random::<u32>()));
        let made = file.clone();
        blocking(move || {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(&made, b"")?;
            // The container may run as any user.
            std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o666))?;
            Ok(())
        })
        .await
        .map_err(|error| format!("cannot make the termination message file: {error:#}"))?;
        Ok(file)
    }

    /// Links the log under the flat name that log shippers look for.
    async fn link_log(&self, container: &str, id: &str, restarts: u32) {
        let settings = &self.kubelet.settings;
        let names = &self.state.names;
        let Some(parent) = settings.pod_logs_dir.parent() else { return };
        let folder = parent.join("containers");
        let link = folder.join(format!("{}_{}_{container}-{id}.log", names.name, names.namespace));
        let target = settings.log_dir(names).join(container::log_path(container, restarts));
        let linked = blocking(move || {
            std::fs::create_dir_all(&folder)?;
            match std::os::unix::fs::symlink(target, link) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
                _ => Ok(()),
            }
        });
        if let Err(error) = linked.await {
            tracing::debug!(%error, "cannot link a container's log");
        }
    }

    async fn post_start(
        &self,
        pod: &Arc<Pod>,
        container: &Container,
        id: &str,
        ips: &[String],
    ) -> Result<(), Unavailable> {
        let handler = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
        let Some(handler) = handler else { return Ok(()) };
        let ip = self.kubelet.facts_for(pod, ips).pod_ips.first().cloned().unwrap_or_default();
        let Err(why) = hook::run(&self.kubelet, container, id, &ip, handler, None).await else {
            return Ok(());
        };
        let tell = |reason: &str, message: String| {
            container_event(
                &self.kubelet.recorder,
                pod,
                &container.name,
                EventKind::Warning,
                reason,
                message,
            );
        };
        tell("FailedPostStartHook", format!("PostStartHook failed: {why}"));
        let kill = crate::plan::Kill {
            id: id.to_owned(),
            name: container.name.clone(),
            message: "FailedPostStartHook".into(),
            failed: None,
        };
        let observed = self.state.observed.lock().clone();
        self.kill(pod, &observed, std::slice::from_ref(&kill)).await;
        Err(failure("PostStartHookError", format!("PostStartHook failed: {why}")))
    }
}
