//! Has a container's image on the node: pull policy, credentials, back-off, and a bound on pulls at once.

use std::{sync::Arc, time::Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use component::events::{Kind, Recorder};
use cri::{Runtime, v1};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{backoff::Backoff, event::container_event, pod, status::Waiting};

pub mod reference;

/// An image that cannot be had now.
#[derive(Debug)]
pub struct Unavailable {
    /// Why, as the container's status shows it.
    pub waiting: Waiting,
    /// When it makes sense to try again.
    pub retry: SignedDuration,
}

/// Pulls images.
pub struct Images {
    runtime: Arc<dyn Runtime>,
    recorder: Recorder,
    slots: Semaphore,
    backoff: Mutex<Backoff>,
    /// What the last pull of a pod's image failed with, shown while it waits.
    failures: Mutex<std::collections::HashMap<String, (Timestamp, String)>>,
}

impl Images {
    /// Makes a puller that runs at most `parallel` pulls at once.
    pub fn new(runtime: Arc<dyn Runtime>, recorder: Recorder, parallel: usize) -> Self {
        Self {
            runtime,
            recorder,
            slots: Semaphore::new(parallel.max(1)),
            backoff: Mutex::new(Backoff::new(SignedDuration::from_mins(5))),
            failures: Mutex::default(),
        }
    }

    /// Makes sure that a container's image is on the node, as its pull policy says, and answers it.
    pub async fn ensure(
        &self,
        pod: &Pod,
        container: &Container,
        sandbox: &v1::PodSandboxConfig,
        pull_secrets: &[Arc<Secret>],
    ) -> Result<v1::Image, Unavailable> {
        let asked = container.image.as_deref().unwrap_or_default();
        let tell = |kind, reason: &str, message: String| {
            container_event(&self.recorder, pod, &container.name, kind, reason, message);
        };
        let name = reference::with_default_tag(asked).map_err(|why| {
            let message = format!(
                "Failed to apply default image tag {asked:?}: couldn't parse image name {asked:?}: {why}"
            );
            tell(Kind::Warning, "InspectFailed", message.clone());
            tell(Kind::Warning, "Failed", "Error: InvalidImageName".into());
            unavailable("InvalidImageName", message, 300)
        })?;
        let present = self.runtime.image_status(&name).await.map_err(|error| {
            let message = format!("Failed to inspect image {name:?}: {error}");
            tell(Kind::Warning, "InspectFailed", message.clone());
            unavailable("ImageInspectError", message, 10)
        })?;
        let policy =
            container.image_pull_policy.as_deref().unwrap_or_else(|| reference::default_policy(&name));
        match (policy, present) {
            ("Never" | "IfNotPresent", Some(image)) => {
                tell(Kind::Normal, "Pulled", format!("Container image {asked:?} already present on machine"));
                return Ok(image);
            }
            ("Never", None) => {
                let message = format!("Container image {asked:?} is not present with pull policy of Never");
                tell(Kind::Warning, "ErrImageNeverPull", message.clone());
                tell(Kind::Warning, "Failed", "Error: ErrImageNeverPull".into());
                return Err(unavailable("ErrImageNeverPull", message, 60));
            }
            _ => {}
        }
        self.pull(pod, container, &name, sandbox, pull_secrets).await
    }

    async fn pull(
        &self,
        pod: &Pod,
        container: &Container,
        name: &str,
        sandbox: &v1::PodSandboxConfig,
        pull_secrets: &[Arc<Secret>],
    ) -> Result<v1::Image, Unavailable> {
        let asked = container.image.as_deref().unwrap_or_default();
        let key = format!("{}_{name}", pod::uid(pod));
        let tell = |kind, reason: &str, message: String| {
            container_event(&self.recorder, pod, &container.name, kind, reason, message);
        };
        let failed_before = self.failures.lock().get(&key).cloned();
        if let Some((failed_at, why)) = &failed_before {
            let waiting = self.backoff.lock().waiting(&key, *failed_at, Timestamp::now());
            if let Some(waiting) = waiting {
                let message = format!("Back-off pulling image {asked:?}");
                tell(Kind::Normal, "BackOff", message.clone());
                tell(Kind::Warning, "Failed", "Error: ImagePullBackOff".into());
                let message = format!("{message}: {why}");
                let waiting_now = Waiting { reason: "ImagePullBackOff".into(), message };
                return Err(Unavailable { waiting: waiting_now, retry: waiting.remaining });
            }
        }
        tell(Kind::Normal, "Pulling", format!("Pulling image {asked:?}"));
        let queued = Instant::now();
        // Closed never: the semaphore lives as long as this.
        let _slot = self.slots.acquire().await;
        let started = Instant::now();
        let pulled = self.try_credentials(name, sandbox, pull_secrets).await;
        match pulled {
            Ok(image_ref) => {
                let image = match self.runtime.image_status(&image_ref).await {
                    Ok(Some(image)) => image,
                    _ => v1::Image { id: image_ref, ..v1::Image::default() },
                };
                tell(
                    Kind::Normal,
                    "Pulled",
                    format!(
                        "Successfully pulled image {asked:?} in {} ({} including waiting). Image size: {} bytes.",
                        go_duration(started),
                        go_duration(queued),
                        image.size
                    ),
                );
                self.backoff.lock().forget(&key);
                self.failures.lock().remove(&key);
                Ok(image)
            }
            Err(error) => {
                let message = error.to_string();
                tell(Kind::Warning, "Failed", format!("Failed to pull image {asked:?}: {message}"));
                tell(Kind::Warning, "Failed", "Error: ErrImagePull".into());
                let now = Timestamp::now();
                self.backoff.lock().advance(&key, failed_before.map_or(now, |(failed_at, _)| failed_at), now);
                self.failures.lock().insert(key, (now, format!("ErrImagePull: {message}")));
                Err(unavailable("ErrImagePull", message, 10))
            }
        }
    }

    /// Pulls with each matching credential until one works, or without any.
    async fn try_credentials(
        &self,
        name: &str,
        sandbox: &v1::PodSandboxConfig,
        pull_secrets: &[Arc<Secret>],
    ) -> Result<String, cri::Error> {
        let mut last = None;
        for auth in credentials(name, pull_secrets) {
            match self.runtime.pull_image(name, Some(auth), sandbox.clone()).await {
                Ok(image_ref) => return Ok(image_ref),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error),
            None => self.runtime.pull_image(name, None, sandbox.clone()).await,
        }
    }

    /// Forgets what failed for a pod that is gone.
    pub fn forget(&self, uid: &str) {
        let prefix = format!("{uid}_");
        let mut failures = self.failures.lock();
        let gone: Vec<String> = failures.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        for key in gone {
            failures.remove(&key);
            self.backoff.lock().forget(&key);
        }
    }
}

fn unavailable(reason: &str, message: String, retry: i64) -> Unavailable {
    Unavailable {
        waiting: Waiting { reason: reason.to_owned(), message },
        retry: SignedDuration::from_secs(retry),
    }
}

fn go_duration(since: Instant) -> String {
    // Whole milliseconds, as upstream truncates them.
    let millis = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX / 1_000_000);
    apimachinery::time::format_go_duration(millis.saturating_mul(1_000_000))
}

/// The credentials that a pod's pull secrets hold for an image's registry.
pub fn credentials(name: &str, secrets: &[Arc<Secret>]) -> Vec<v1::AuthConfig> {
    let mut found = Vec::new();
    for secret in secrets {
        let data = secret.data.as_ref();
        let modern = data.and_then(|data| data.get(".dockerconfigjson"));
        let parsed: Option<serde_json::Value> = match modern {
            Some(bytes) => {
                serde_json::from_slice(&bytes.0).ok().map(|config: serde_json::Value| config["auths"].clone())
            }
            None => data
                .and_then(|data| data.get(".dockercfg"))
                .and_then(|bytes| serde_json::from_slice(&bytes.0).ok()),
        };
        let Some(serde_json::Value::Object(registries)) = parsed else { continue };
        for (registry, entry) in registries {
            if reference::matches_registry(name, &registry) {
                found.push(auth(&registry, &entry));
            }
        }
    }
    found
}

fn auth(registry: &str, entry: &serde_json::Value) -> v1::AuthConfig {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let (mut username, mut password) = (text("username"), text("password"));
    // `auth` is user and password in one, and wins.
    if let Some((user, word)) = STANDARD
        .decode(text("auth"))
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|pair| pair.split_once(':').map(|(user, word)| (user.to_owned(), word.to_owned())))
    {
        (username, password) = (user, word);
    }
    v1::AuthConfig {
        username,
        password,
        server_address: registry.to_owned(),
        identity_token: text("identitytoken"),
        registry_token: text("registrytoken"),
        ..v1::AuthConfig::default()
    }
}
