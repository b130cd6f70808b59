//! Sets up a pod's volumes: resolves what they refer to, and hands it to the `volumes` crate.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use component::events::Recorder;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, KeyToPath, Pod, Secret, Volume};
use volumes::{ChangePolicy, HostPathType, Item, Medium, Payload};

use crate::{
    container::downward::{self, Facts},
    csi::Csi,
    objects::{self, Objects},
    pod,
    settings::Settings,
};

mod claim;
mod driver;
mod mounts;
mod projected;
mod token;

pub use mounts::{Extra, mounts};
pub use token::Tokens;

/// A volume that is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where it is on the node; an image volume has none.
    pub path: PathBuf,
    /// Whether nothing may be written to it.
    pub read_only: bool,
    /// The image, for an image volume.
    pub image: Option<(String, Option<String>)>,
}

/// A pod's volumes by name.
pub type MountedVolumes = BTreeMap<String, Mounted>;

/// A volume that could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume {volume:?} : {source:#}")]
pub struct Error {
    /// Its name in the pod.
    pub volume: String,
    /// Why.
    pub source: anyhow::Error,
}

/// What setting up volumes needs.
pub struct Setup<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Where things are.
    pub settings: &'a Settings,
    /// ConfigMaps and Secrets.
    pub objects: &'a Objects,
    /// Service account tokens.
    pub tokens: &'a Tokens,
    /// Facts for the downward API.
    pub facts: &'a Facts,
    /// The client, for claims and certificates.
    pub client: Option<&'a kube::Client>,
    /// Volumes of CSI drivers.
    pub csi: &'a Csi,
    /// Events.
    pub recorder: &'a Recorder,
}

/// What came of it.
pub struct Done {
    /// The volumes.
    pub volumes: MountedVolumes,
    /// When a token in them must be renewed.
    pub refresh: Option<Duration>,
}

/// Sets up every volume of a pod, or brings it up to date.
pub async fn set_up(setup: &Setup<'_>) -> Result<Done, Error> {
    let mut done = Done { volumes: MountedVolumes::new(), refresh: None };
    for volume in pod::spec(setup.pod).volumes.iter().flatten() {
        let (mounted, refresh) =
            one(setup, volume).await.map_err(|source| Error { volume: volume.name.clone(), source })?;
        done.refresh = match (done.refresh, refresh) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        done.volumes.insert(volume.name.clone(), mounted);
    }
    Ok(done)
}

/// The claims of a pod and where their volumes are mounted below its folder: one that is a folder of the node is none that
/// could fill by itself.
pub fn claims(pod: &Pod, volumes: &MountedVolumes, pod_folder: &Path) -> Vec<(String, PathBuf)> {
    let all = pod::spec(pod).volumes.iter().flatten();
    all.filter_map(|volume| {
        let claim = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => source.claim_name.clone(),
            (None, Some(_)) => format!("{}-{}", pod::name(pod), volume.name),
            (None, None) => return None,
        };
        let path = &volumes.get(&volume.name)?.path;
        path.starts_with(pod_folder).then(|| (claim, path.clone()))
    })
    .collect()
}

/// The folder of a volume below its pod's.
fn folder(setup: &Setup<'_>, plugin: &str, name: &str) -> PathBuf {
    setup
        .settings
        .pod_dir(pod::uid(setup.pod))
        .join("volumes")
        .join(format!("kubernetes.io~{plugin}"))
        .join(name)
}

async fn one(setup: &Setup<'_>, volume: &Volume) -> anyhow::Result<(Mounted, Option<Duration>)> {
    let name = &volume.name;
    let at = |path: PathBuf| Mounted { path, read_only: false, image: None };
    if let Some(source) = &volume.host_path {
        let kind = source.type_.as_deref().unwrap_or_default();
        let kind =
            HostPathType::parse(kind).ok_or_else(|| anyhow::anyhow!("unknown hostPath type {kind:?}"))?;
        let path = PathBuf::from(&source.path);
        let checked = path.clone();
        blocking(move || Ok(volumes::host_path(&checked, kind)?)).await?;
        return Ok((at(path), None));
    }
    if let Some(source) = &volume.empty_dir {
        let path = folder(setup, "empty-dir", name);
        let medium = match source.medium.as_deref() {
            Some("Memory") => {
                let limit = source
                    .size_limit
                    .as_ref()
                    .and_then(|limit| limit.0.parse::<apimachinery::Quantity>().ok());
                Medium::Memory(
                    limit.and_then(|limit| u64::try_from(limit.value()).ok()).filter(|bytes| *bytes > 0),
                )
            }
            _ => Medium::Disk,
        };
        let (made, group) = (path.clone(), group(setup.pod));
        blocking(move || {
            volumes::empty_dir(&made, medium)?;
            match group {
                Some((group, policy)) => Ok(volumes::set_group(&made, group, false, policy)?),
                None => Ok(()),
            }
        })
        .await?;
        return Ok((at(path), None));
    }
    if let Some(source) = &volume.config_map {
        let found = optional(
            setup.objects.config_map(pod::namespace(setup.pod), &source.name).await,
            source.optional,
        )?;
        let payload =
            config_map(found.as_deref(), source.items.as_deref(), source.default_mode, source.optional)?;
        return files(setup, "configmap", name, payload, false).await.map(|mounted| (mounted, None));
    }
    if let Some(source) = &volume.secret {
        let secret_name = source.secret_name.as_deref().unwrap_or_default();
        let found =
            optional(setup.objects.secret(pod::namespace(setup.pod), secret_name).await, source.optional)?;
        let payload =
            secret(found.as_deref(), source.items.as_deref(), source.default_mode, source.optional)?;
        return files(setup, "secret", name, payload, true).await.map(|mounted| (mounted, None));
    }
    if let Some(source) = &volume.downward_api {
        let mut payload = Payload::new();
        let default_mode = source.default_mode.unwrap_or(0o644);
        for item in source.items.iter().flatten() {
            projected::downward_file(setup.pod, item, default_mode, setup.facts, &mut payload)?;
        }
        return files(setup, "downward-api", name, payload, true).await.map(|mounted| (mounted, None));
    }
    if let Some(source) = &volume.projected {
        let (payload, refresh) = projected::payload(setup, source).await?;
        let mounted = files(setup, "projected", name, payload, true).await?;
        return Ok((Mounted { read_only: false, ..mounted }, refresh));
    }
    if let Some(source) = &volume.image {
        let reference = source.reference.clone().unwrap_or_default();
        let image = Some((reference, source.pull_policy.clone()));
        return Ok((Mounted { path: PathBuf::new(), read_only: true, image }, None));
    }
    if let Some(source) = &volume.nfs {
        let path = folder(setup, "nfs", name);
        claim::nfs(path.clone(), source, Vec::new()).await?;
        return Ok((Mounted { read_only: source.read_only.unwrap_or_default(), ..at(path) }, None));
    }
    if let Some(source) = &volume.persistent_volume_claim {
        let read_only = source.read_only.unwrap_or_default();
        return claim::claim(setup, name, &source.claim_name, read_only).await;
    }
    if volume.ephemeral.is_some() {
        // The claim of a generic ephemeral volume is named after pod and volume.
        let claim_name = format!("{}-{name}", pod::name(setup.pod));
        return claim::claim(setup, name, &claim_name, false).await;
    }
    if let Some(source) = &volume.csi {
        return driver::inline(setup, name, source).await;
    }
    anyhow::bail!("no volume plugin matched")
}

/// Writes a volume of files. Secrets and the like live in memory, so that they never reach the disk.
async fn files(
    setup: &Setup<'_>,
    plugin: &str,
    name: &str,
    payload: Payload,
    in_memory: bool,
) -> anyhow::Result<Mounted> {
    let path = folder(setup, plugin, name);
    let (directory, group) = (path.clone(), group(setup.pod));
    blocking(move || {
        volumes::empty_dir(&directory, if in_memory { Medium::Memory(None) } else { Medium::Disk })?;
        volumes::write(&directory, &payload, Timestamp::now(), |written| match group {
            Some((group, _)) => volumes::set_group(written, group, true, ChangePolicy::Always),
            None => Ok(()),
        })?;
        Ok(())
    })
    .await?;
    Ok(Mounted { path, read_only: false, image: None })
}

/// The group a pod's volumes belong to.
fn group(pod: &Pod) -> Option<(u32, ChangePolicy)> {
    let context = pod::spec(pod).security_context.as_ref()?;
    let group = u32::try_from(context.fs_group?).ok()?;
    let policy = match context.fs_group_change_policy.as_deref() {
        Some("OnRootMismatch") => ChangePolicy::OnRootMismatch,
        _ => ChangePolicy::Always,
    };
    Some((group, policy))
}

fn optional<T>(
    answer: Result<Arc<T>, objects::Error>,
    optional: Option<bool>,
) -> anyhow::Result<Option<Arc<T>>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(objects::Error::NotFound { .. }) if optional == Some(true) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn config_map(
    found: Option<&ConfigMap>,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
) -> Result<Payload, volumes::Error> {
    let Some(found) = found else { return Ok(Payload::new()) };
    let binary = found.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    let optional = optional.unwrap_or_default();
    volumes::config_map(found.data.as_ref(), binary, &as_items(items), mode.unwrap_or(0o644), optional)
}

fn secret(
    found: Option<&Secret>,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
) -> Result<Payload, volumes::Error> {
    let Some(found) = found else { return Ok(Payload::new()) };
    let data = found.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    volumes::secret(data, &as_items(items), mode.unwrap_or(0o644), optional.unwrap_or_default())
}

fn as_items(items: Option<&[KeyToPath]>) -> Vec<Item> {
    let items = items.unwrap_or_default().iter();
    items.map(|item| Item { key: item.key.clone(), path: item.path.clone(), mode: item.mode }).collect()
}

/// Undoes a pod's mounts and removes its folder. Drivers undo what they mounted, once no part of it is mounted anywhere.
pub async fn tear_down(settings: &Settings, csi: &Csi, uid: &str) -> anyhow::Result<()> {
    let folder = settings.pod_dir(uid);
    let parts = folder.join("volume-subpaths");
    blocking(move || Ok(volumes::clean_sub_paths(&parts)?)).await?;
    csi.unmount_pod(uid).await?;
    blocking(move || tear_down_folder(&folder)).await
}

fn tear_down_folder(folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    volumes::mount::unmount_all(folder)?;
    // What is still mounted would be emptied by the removal.
    anyhow::ensure!(
        volumes::mount::below(folder)?.is_empty(),
        "volumes are still mounted below {}",
        folder.display()
    );
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs filesystem work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Reads a field of the pod; used where only text is wanted.
pub(crate) fn field(pod: &Pod, path: &str, facts: &Facts) -> anyhow::Result<String> {
    downward::field(pod, path, facts).map_err(anyhow::Error::msg)
}
