//! Volumes staged, published, and taken back.
//!
//! What is written down on disk says who uses a volume, before the driver is asked for anything: whatever happens in
//! between, also to this process, the next look finds what is to be undone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use csi::v1;

use super::drivers::Driver;
use super::layout::{self, Published, VolumeId};
use super::request::Mount;
use super::{Csi, Lifecycle};
use crate::volume::blocking;

/// What must be undone for a volume that a pod leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// The pod's mount, and then the node's.
    Everything,
    /// The pod's mount: others use the volume, or it was never one of the node's.
    Publication,
}

/// Decides what is undone when a pod leaves a volume that these pods have.
fn leave(pod_uid: &str, published: &Published, all: &[Published]) -> Leave {
    let others =
        all.iter().any(|other| other.pod_uid != pod_uid && other.record.id() == published.record.id());
    match published.record.lifecycle {
        Lifecycle::Persistent if !others => Leave::Everything,
        Lifecycle::Persistent | Lifecycle::Ephemeral => Leave::Publication,
    }
}

fn is_mounted(path: &Path) -> anyhow::Result<bool> {
    Ok(volumes::mount::is_mount_point(path)?)
}

impl Csi {
    /// Mounts a volume for a pod and answers where. What is mounted already stays as it is, unless the driver's terms
    /// have it published again.
    pub async fn mount(&self, mount: &Mount) -> anyhow::Result<PathBuf> {
        let spec = &mount.spec;
        let _turn = self.turns.take(&spec.id).await;
        let directory = self.layout.publishing(&mount.pod_uid, &spec.name);
        let target = directory.join("mount");
        let there = target.clone();
        let is_there = blocking(move || is_mounted(&there)).await?;
        if is_there && !mount.terms.republish {
            return Ok(target);
        }
        let driver = self.driver(&spec.id.driver)?;
        self.write_down(directory, spec.record(&self.node, &mount.terms)).await?;
        let staged = spec.lifecycle == Lifecycle::Persistent && driver.abilities.stages;
        if staged && !is_there {
            self.stage(&driver, mount).await?;
        }
        let staging = if staged { self.layout.global_mount(&spec.id) } else { PathBuf::new() };
        let request = v1::NodePublishVolumeRequest {
            volume_id: spec.id.handle.clone(),
            publish_context: mount.publish_context.clone(),
            staging_target_path: staging.display().to_string(),
            target_path: target.display().to_string(),
            volume_capability: Some(mount.capability(driver.abilities)),
            readonly: spec.read_only,
            secrets: mount.publish_secrets.clone(),
            volume_context: mount.context(),
        };
        driver.client.publish(request).await?;
        if let Some((group, policy)) = mount.own_group(driver.abilities).filter(|_| !is_there) {
            let owned = target.clone();
            blocking(move || Ok(volumes::set_group(&owned, group, false, policy)?)).await?;
        }
        Ok(target)
    }

    /// Tells whether a pod has a volume mounted.
    pub async fn is_mounted(&self, pod_uid: &str, spec_name: &str) -> anyhow::Result<bool> {
        let target = self.layout.publishing(pod_uid, spec_name).join("mount");
        blocking(move || is_mounted(&target)).await
    }

    /// Mounts a volume for the node, once.
    async fn stage(&self, driver: &Driver, mount: &Mount) -> anyhow::Result<()> {
        let spec = &mount.spec;
        if self.is_staged(&mount.pod_uid, &spec.id).await? {
            return Ok(());
        }
        let global_mount = self.layout.global_mount(&spec.id);
        self.write_down(self.layout.staging(&spec.id), spec.record(&self.node, &mount.terms)).await?;
        let made = global_mount.clone();
        blocking(move || Ok(std::fs::create_dir_all(made)?)).await?;
        let request = v1::NodeStageVolumeRequest {
            volume_id: spec.id.handle.clone(),
            publish_context: mount.publish_context.clone(),
            staging_target_path: global_mount.display().to_string(),
            volume_capability: Some(mount.capability(driver.abilities)),
            secrets: mount.stage_secrets.clone(),
            volume_context: spec.attributes.clone(),
        };
        driver.client.stage(request).await.context("MountVolume.MountDevice failed")?;
        self.staged.lock().insert(spec.id.clone());
        Ok(())
    }

    /// Tells whether a volume is staged: this process has done it, or one before it had and a pod has it mounted.
    async fn is_staged(&self, pod_uid: &str, id: &VolumeId) -> anyhow::Result<bool> {
        if self.staged.lock().contains(id) {
            return Ok(true);
        }
        let (layout, uid, id) = (self.layout.clone(), pod_uid.to_owned(), id.clone());
        blocking(move || {
            for other in layout.all_published()? {
                if other.pod_uid != uid && other.record.id() == id && is_mounted(&other.target())? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// Takes all volumes of drivers from a pod that has ended.
    pub async fn unmount_pod(&self, pod_uid: &str) -> anyhow::Result<()> {
        let (layout, uid) = (self.layout.clone(), pod_uid.to_owned());
        for published in blocking(move || Ok(layout.published(&uid)?)).await? {
            let name = &published.record.spec_name;
            self.unmount(&published)
                .await
                .with_context(|| format!("UnmountVolume.TearDown failed for volume {name:?}"))?;
        }
        Ok(())
    }

    async fn unmount(&self, published: &Published) -> anyhow::Result<()> {
        let id = published.record.id();
        let _turn = self.turns.take(&id).await;
        let target = published.target();
        let there = target.clone();
        let is_there = blocking(move || Ok(there.exists() || is_mounted(&there)?)).await?;
        match self.driver(&id.driver) {
            Ok(driver) => {
                let request = v1::NodeUnpublishVolumeRequest {
                    volume_id: id.handle.clone(),
                    target_path: target.display().to_string(),
                };
                driver.client.unpublish(request).await?;
            }
            // A driver that never came has mounted nothing.
            Err(error) if is_there => return Err(error),
            Err(_) => {}
        }
        let there = target.clone();
        let still_there = blocking(move || is_mounted(&there)).await?;
        ensure!(!still_there, "the driver has left {} mounted", target.display());
        let layout = self.layout.clone();
        let all = blocking(move || Ok(layout.all_published()?)).await?;
        if leave(&published.pod_uid, published, &all) == Leave::Everything {
            self.unstage(&id).await?;
        }
        // Last: until then the volume is in use.
        let directory = published.directory.clone();
        blocking(move || Ok(layout::remove(&directory, &target)?)).await?;
        self.look().await
    }

    /// Takes a volume from the node. Its turn is the caller's.
    async fn unstage(&self, id: &VolumeId) -> anyhow::Result<()> {
        let (staging, global_mount) = (self.layout.staging(id), self.layout.global_mount(id));
        let (there, mounted) = (staging.clone(), global_mount.clone());
        let (is_there, was_mounted) = blocking(move || Ok((there.exists(), is_mounted(&mounted)?))).await?;
        if !is_there {
            return Ok(());
        }
        match self.driver(&id.driver) {
            Ok(driver) if driver.abilities.stages => {
                let request = v1::NodeUnstageVolumeRequest {
                    volume_id: id.handle.clone(),
                    staging_target_path: global_mount.display().to_string(),
                };
                driver.client.unstage(request).await.context("UnmountDevice failed")?;
            }
            Ok(_) => {}
            Err(error) if was_mounted => return Err(error),
            Err(_) => {}
        }
        let mounted = global_mount.clone();
        let still_there = blocking(move || is_mounted(&mounted)).await?;
        ensure!(!still_there, "the driver has left {} mounted", global_mount.display());
        self.staged.lock().remove(id);
        blocking(move || Ok(layout::remove(&staging, &global_mount)?)).await
    }

    /// Takes from the node what no pod has: left by a process that ended between two steps.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        let layout = self.layout.clone();
        for record in blocking(move || Ok(layout.all_staged()?)).await? {
            let id = record.id();
            let _turn = self.turns.take(&id).await;
            let layout = self.layout.clone();
            let all = blocking(move || Ok(layout.all_published()?)).await?;
            if !all.iter().any(|published| published.record.id() == id) {
                tracing::info!(driver = id.driver, volume = id.handle, "unstaging a volume that no pod has");
                self.unstage(&id).await?;
                self.look().await?;
            }
        }
        Ok(())
    }

    fn driver(&self, name: &str) -> anyhow::Result<Arc<Driver>> {
        Ok(self.drivers.get(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Record;
    use super::*;

    #[test]
    fn the_last_pod_takes_the_volume_from_the_node() {
        let published = |uid: &str, handle: &str, lifecycle| Published {
            pod_uid: uid.into(),
            directory: PathBuf::from("/x"),
            record: Record {
                volume_handle: handle.into(),
                driver_name: "d".into(),
                lifecycle,
                ..Record::default()
            },
        };
        let all = [
            published("a", "shared", Lifecycle::Persistent),
            published("b", "shared", Lifecycle::Persistent),
            published("a", "own", Lifecycle::Persistent),
            published("a", "inline", Lifecycle::Ephemeral),
        ];
        for (of, expected) in
            [(&all[0], Leave::Publication), (&all[2], Leave::Everything), (&all[3], Leave::Publication)]
        {
            assert_eq!(leave("a", of, &all), expected, "{}", of.record.volume_handle);
        }
        assert_eq!(leave("b", &all[1], &all[1..]), Leave::Everything);
    }
}
