//! Volumes behind a claim: the bound PersistentVolume's own source, mounted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::{NFSVolumeSource, PersistentVolume, PersistentVolumeClaim};
use kube::Api;
use volumes::{ChangePolicy, HostPathType, Nfs};

use super::{Mounted, Setup, blocking, folder, group};
use crate::pod;

/// Mounts what a claim is bound to.
pub(super) async fn claim(
    setup: &Setup<'_>,
    volume: &str,
    claim_name: &str,
    read_only: bool,
) -> anyhow::Result<(Mounted, Option<Duration>)> {
    let client = setup.client.context("no API server to read claims from")?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), pod::namespace(setup.pod));
    let claim = claims.get(claim_name).await?;
    let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).filter(|_| bound);
    let name = name.with_context(|| format!("PVC {claim_name:?} is not bound"))?;
    let persistent: Api<PersistentVolume> = Api::all(client.clone());
    let found = persistent.get(&name).await?;
    let spec = found.spec.clone().context("a PersistentVolume without a spec")?;
    anyhow::ensure!(
        spec.volume_mode.as_deref() != Some("Block"),
        "PersistentVolume {name:?} is a raw device (volumeMode Block), which this node cannot give to pods"
    );
    let at = |path: PathBuf| (Mounted { path, read_only, image: None }, None);
    if let Some(source) = &spec.csi {
        return super::driver::persistent(setup, &found, source, &claim, read_only).await;
    }

    if let Some(source) = spec.host_path {
        let path = PathBuf::from(source.path);
        let kind = HostPathType::parse(source.type_.as_deref().unwrap_or_default());
        let (checked, kind) = (path.clone(), kind.context("unknown hostPath type")?);
        blocking(move || Ok(volumes::host_path(&checked, kind)?)).await?;
        return Ok(at(path));
    }
    if let Some(source) = spec.local {
        let path = folder(setup, "local-volume", volume);
        local(setup, &path, Path::new(&source.path)).await?;
        return Ok(at(path));
    }
    if let Some(mut source) = spec.nfs {
        let path = folder(setup, "nfs", volume);
        source.read_only = Some(read_only || source.read_only.unwrap_or_default());
        nfs(path.clone(), &source, spec.mount_options.unwrap_or_default()).await?;
        return Ok(at(path));
    }
    anyhow::bail!("PersistentVolume {name:?} has a source this node has no plugin for")
}

async fn local(setup: &Setup<'_>, path: &Path, source: &Path) -> anyhow::Result<()> {
    let (path, source, group) = (path.to_owned(), source.to_owned(), group(setup.pod));
    blocking(move || {
        anyhow::ensure!(source.exists(), "path {:?} does not exist", source.display().to_string());
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        if !volumes::mount::is_mount_point(&path)? {
            volumes::mount::bind(&source, &path)?;
        }
        match group {
            Some((group, ChangePolicy::OnRootMismatch)) => {
                Ok(volumes::set_group(&path, group, false, ChangePolicy::OnRootMismatch)?)
            }
            Some((group, policy)) => Ok(volumes::set_group(&path, group, false, policy)?),
            None => Ok(()),
        }
    })
    .await
}

/// Mounts an NFS export.
pub(super) async fn nfs(path: PathBuf, source: &NFSVolumeSource, options: Vec<String>) -> anyhow::Result<()> {
    let nfs = Nfs {
        server: source.server.clone(),
        export: source.path.clone(),
        read_only: source.read_only.unwrap_or_default(),
        options,
    };
    blocking(move || Ok(volumes::nfs(&nfs, &path)?)).await
}
