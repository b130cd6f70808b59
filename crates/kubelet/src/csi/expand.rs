//! Volumes that have grown, and what is in them, which has to follow.

use std::path::Path;

use anyhow::Context as _;
use apimachinery::Quantity;
use component::events::{Kind as EventKind, Recorder};
use csi::v1;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Csi;
use super::request::Mount;
use crate::event::pod_event;

/// A claim whose volume has grown beyond what the claim shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The volume's size, as it is written.
    pub size: String,
    /// The same in bytes.
    pub bytes: i64,
}

fn storage(
    amounts: Option<
        &std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    >,
) -> Option<(&str, Quantity)> {
    let text = amounts?.get("storage")?.0.as_str();
    Some((text, text.parse().ok()?))
}

/// Decides whether a volume has grown since the claim was last told.
pub fn growth(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Growth> {
    let (_, told) = storage(claim.status.as_ref()?.capacity.as_ref())?;
    let (text, size) = storage(volume.spec.as_ref()?.capacity.as_ref())?;
    (told < size).then(|| Growth { size: text.to_owned(), bytes: size.value() })
}

impl Csi {
    /// Has what is in a volume grow, and tells the claim.
    pub async fn expand(
        &self,
        mount: &Mount,
        target: &Path,
        growth: &Growth,
        secrets: std::collections::BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let _turn = self.turns.take(&mount.spec.id).await;
        let driver = self.drivers.get(&mount.spec.id.driver)?;
        if !driver.abilities.expands {
            // Then there is nothing to do here.
            return Ok(());
        }
        let staging = match driver.abilities.stages {
            true => self.layout.global_mount(&mount.spec.id).display().to_string(),
            false => String::new(),
        };
        let request = v1::NodeExpandVolumeRequest {
            volume_id: mount.spec.id.handle.clone(),
            volume_path: target.display().to_string(),
            capacity_range: Some(v1::CapacityRange { required_bytes: growth.bytes, limit_bytes: 0 }),
            staging_target_path: staging,
            volume_capability: Some(mount.capability(driver.abilities)),
            secrets,
        };
        driver.client.expand(request).await.context("NodeExpandVolume failed")?;
        Ok(())
    }

    /// Writes a claim's new size, and says so.
    pub async fn tell_grown(
        &self,
        pod: &Pod,
        claim: &PersistentVolumeClaim,
        volume: &str,
        growth: &Growth,
        recorder: &Recorder,
    ) -> anyhow::Result<()> {
        let client = self.client.clone().context("no API server to tell of a volume's size")?;
        let namespace = claim.metadata.namespace.clone().unwrap_or_default();
        let name = claim.metadata.name.clone().unwrap_or_default();
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client, &namespace);
        let patch = json!({
            "metadata": {"uid": claim.metadata.uid},
            "status": {
                "capacity": {"storage": growth.size},
                "allocatedResourceStatuses": null,
                "conditions": [
                    {"$patch": "delete", "type": "FileSystemResizePending"},
                    {"$patch": "delete", "type": "Resizing"},
                ],
            },
        });
        claims.patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
        let message = format!("MountVolume.NodeExpandVolume succeeded for volume {volume:?} {}", self.node);
        pod_event(recorder, pod, EventKind::Normal, "FileSystemResizeSuccessful", message.clone());
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("PersistentVolumeClaim".into()),
            name: Some(name),
            namespace: Some(namespace),
            uid: claim.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        recorder.record(about, EventKind::Normal, "FileSystemResizeSuccessful", message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_grown_when_it_is_larger_than_the_claim_was_told() {
        let claim = |size: Option<&str>| -> PersistentVolumeClaim {
            serde_json::from_value(json!({"status": {"capacity": size.map(|size| json!({"storage": size}))}}))
                .unwrap()
        };
        let volume: PersistentVolume =
            serde_json::from_value(json!({"spec": {"capacity": {"storage": "2Gi"}}})).unwrap();
        assert_eq!(growth(&claim(Some("1Gi")), &volume), Some(Growth { size: "2Gi".into(), bytes: 2 << 30 }));
        assert_eq!(growth(&claim(Some("2048Mi")), &volume), None);
        assert_eq!(growth(&claim(Some("3Gi")), &volume), None);
        assert_eq!(growth(&claim(None), &volume), None);
    }
}
