//! Volumes behind a claim: the bound PersistentVolume's own source, mounted.

use std::path::{Path, PathBuf};

use anyhow::Context;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Api;
use nix::mount::MsFlags;
use volumes::{ChangePolicy, HostPathType};

use super::{Mounted, Setup, blocking, folder, group};
use crate::pod;

/// Mounts what a claim is bound to.
pub(super) async fn claim(
    setup: &Setup<'_>,
    volume: &str,
    claim_name: &str,
    read_only: bool,
) -> anyhow::Result<Mounted> {
    let client = setup.client.context("no API server to read claims from")?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), pod::namespace(setup.pod));
    let claim = claims.get(claim_name).await?;
    let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).filter(|_| bound);
    let name = name.with_context(|| format!("PVC {claim_name:?} is not bound"))?;
    let persistent: Api<PersistentVolume> = Api::all(client.clone());
    let spec = persistent.get(&name).await?.spec.context("a PersistentVolume without a spec")?;
    let at = |path: PathBuf| Mounted { path, read_only, image: None };

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
    if let Some(source) = spec.nfs {
        let path = folder(setup, "nfs", volume);
        nfs(&path, &source.server, &source.path, read_only || source.read_only.unwrap_or_default()).await?;
        return Ok(at(path));
    }
    anyhow::bail!("PersistentVolume {name:?} has a source this node has no plugin for")
}

async fn local(setup: &Setup<'_>, path: &Path, source: &Path) -> anyhow::Result<()> {
    let (path, source, group) = (path.to_owned(), source.to_owned(), group(setup.pod));
    blocking(move || {
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

/// Mounts an NFS export with the kernel's own client. The server's address must be numeric for the kernel, so a name
/// is looked up first.
pub(super) async fn nfs(path: &Path, server: &str, export: &str, read_only: bool) -> anyhow::Result<()> {
    let address = match server.parse::<std::net::IpAddr>() {
        Ok(address) => address,
        Err(_) => {
            let mut found = tokio::net::lookup_host((server, 2049)).await?;
            found.next().context("the NFS server's name has no address")?.ip()
        }
    };
    let (path, source) = (path.to_owned(), format!("{address}:{export}"));
    blocking(move || {
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        if !volumes::mount::is_mount_point(&path)? {
            let flags = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
            let options = format!("vers=4.2,addr={address},clientaddr=0.0.0.0");
            volumes::mount::filesystem(&source, &path, "nfs4", flags, &options)?;
        }
        Ok(())
    })
    .await
}
