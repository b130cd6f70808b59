//! Volumes mounted on this node.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use csi::tonic::{self, Request, Response, Status};
use csi::v1::{
    NodeExpandVolumeRequest, NodeExpandVolumeResponse, NodeGetCapabilitiesRequest,
    NodeGetCapabilitiesResponse, NodeGetInfoRequest, NodeGetInfoResponse, NodeGetVolumeStatsRequest,
    NodeGetVolumeStatsResponse, NodePublishVolumeRequest, NodePublishVolumeResponse, NodeServiceCapability,
    NodeStageVolumeRequest, NodeStageVolumeResponse, NodeUnpublishVolumeRequest, NodeUnpublishVolumeResponse,
    NodeUnstageVolumeRequest, NodeUnstageVolumeResponse, Topology, VolumeUsage,
    node_server::Node,
    node_service_capability::{Rpc, Type, rpc},
    volume_capability::AccessType,
    volume_usage::Unit,
};
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::statvfs;

use crate::controller::ATTACHED;
use crate::state::{self, Error, User};
use crate::{Driver, TOPOLOGY, blocking, note};

/// Set by the kubelet for volumes that go with their pod.
const EPHEMERAL: &str = "csi.storage.k8s.io/ephemeral";

/// The tokens of the pod's account, by audience.
const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";

/// Reads whose a volume is. Tokens themselves are kept nowhere.
fn user(context: &BTreeMap<String, String>) -> Option<User> {
    let of = |name: &str| context.get(&format!("csi.storage.k8s.io/pod.{name}"));
    let tokens = context.get(TOKENS).and_then(|tokens| serde_json::from_str(tokens).ok());
    let tokens: BTreeMap<String, serde_json::Value> = tokens.unwrap_or_default();
    let expires = tokens.values().filter_map(|token| token["expirationTimestamp"].as_str()).min();
    Some(User {
        pod: format!("{}/{}", of("namespace")?, of("name")?),
        expires: expires.map(str::to_owned),
        audiences: tokens.keys().cloned().collect(),
    })
}

/// Binds a directory to a path, once.
fn bind(source: &Path, target: &Path, read_only: bool) -> Result<(), Error> {
    fs::create_dir_all(target)?;
    if !volumes::mount::is_mount_point(target)? {
        volumes::mount::bind(source, target)?;
    }
    if read_only {
        // A bind mount becomes read-only by a second call only.
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, target, None::<&str>, flags, None::<&str>).map_err(io::Error::from)?;
    }
    Ok(())
}

fn existing(path: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(path);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(Error::Invalid("a path must be absolute".into())),
    }
}

#[tonic::async_trait]
impl Node for Driver {
    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        note("NodeStageVolume", &request.volume_id, &request.staging_target_path);
        if self.config.attach && request.publish_context.get(ATTACHED) != Some(&self.config.node) {
            return Err(Status::failed_precondition("the volume is not attached to this node"));
        }
        let capability = request.volume_capability.and_then(|capability| capability.access_type);
        if !matches!(capability, Some(AccessType::Mount(_))) {
            return Err(Status::invalid_argument("volumes are directories"));
        }
        let volumes = self.volumes.clone();
        blocking(move || {
            volumes.find(&request.volume_id)?;
            bind(&volumes.data(&request.volume_id)?, &existing(&request.staging_target_path)?, false)
        })
        .await?;
        Ok(Response::new(NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        note("NodeUnstageVolume", &request.volume_id, &request.staging_target_path);
        blocking(move || Ok(volumes::mount::unmount_all(&existing(&request.staging_target_path)?)?)).await?;
        Ok(Response::new(NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        note("NodePublishVolume", &request.volume_id, &request.target_path);
        let ephemeral = request.volume_context.get(EPHEMERAL).is_some_and(|value| value == "true");
        let volumes = self.volumes.clone();
        let node = self.config.topology.then(|| self.config.node.clone());
        blocking(move || {
            let target = existing(&request.target_path)?;
            let source = if ephemeral {
                let own =
                    state::Volume { capacity: 0, node, attached: BTreeMap::new(), ephemeral, user: None };
                volumes.make(&request.volume_id, own)?;
                volumes.data(&request.volume_id)?
            } else {
                volumes.find(&request.volume_id)?;
                existing(&request.staging_target_path)?
            };
            bind(&source, &target, request.readonly)?;
            volumes.change(&request.volume_id, |volume| {
                volume.user = user(&request.volume_context);
                Ok(())
            })
        })
        .await?;
        Ok(Response::new(NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        note("NodeUnpublishVolume", &request.volume_id, &request.target_path);
        let volumes = self.volumes.clone();
        blocking(move || {
            let target = existing(&request.target_path)?;
            volumes::mount::unmount_all(&target)?;
            match fs::remove_dir(&target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            match volumes.find(&request.volume_id) {
                Ok(volume) if volume.ephemeral => volumes.remove(&request.volume_id),
                Ok(_) | Err(Error::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await?;
        Ok(Response::new(NodeUnpublishVolumeResponse {}))
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        let request = request.into_inner();
        let volumes = self.volumes.clone();
        let usage = blocking(move || {
            volumes.find(&request.volume_id)?;
            let stat = statvfs(&existing(&request.volume_path)?).map_err(io::Error::from)?;
            let usage = |unit: Unit, size: u64, total: u64, free: u64, available: u64| {
                let bytes = |count: u64| i64::try_from(count.saturating_mul(size)).unwrap_or(i64::MAX);
                VolumeUsage {
                    unit: unit.into(),
                    total: bytes(total),
                    used: bytes(total.saturating_sub(free)),
                    available: bytes(available),
                }
            };
            let size = stat.fragment_size();
            Ok(vec![
                usage(Unit::Bytes, size, stat.blocks(), stat.blocks_free(), stat.blocks_available()),
                usage(Unit::Inodes, 1, stat.files(), stat.files_free(), stat.files_available()),
            ])
        })
        .await?;
        Ok(Response::new(NodeGetVolumeStatsResponse { usage, volume_condition: None }))
    }

    async fn node_expand_volume(
        &self,
        request: Request<NodeExpandVolumeRequest>,
    ) -> Result<Response<NodeExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        note("NodeExpandVolume", &request.volume_id, &request.volume_path);
        let volumes = self.volumes.clone();
        let capacity_bytes = blocking(move || {
            if !volumes::mount::is_mount_point(&existing(&request.volume_path)?)? {
                return Err(Error::NotFound(request.volume_id));
            }
            Ok(volumes.find(&request.volume_id)?.capacity)
        })
        .await?;
        Ok(Response::new(NodeExpandVolumeResponse { capacity_bytes }))
    }

    async fn node_get_capabilities(
        &self,
        _: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        let types = [
            rpc::Type::StageUnstageVolume,
            rpc::Type::GetVolumeStats,
            rpc::Type::ExpandVolume,
            rpc::Type::SingleNodeMultiWriter,
        ];
        let capability =
            |kind: rpc::Type| NodeServiceCapability { r#type: Some(Type::Rpc(Rpc { r#type: kind.into() })) };
        let capabilities = types.into_iter().map(capability).collect();
        Ok(Response::new(NodeGetCapabilitiesResponse { capabilities }))
    }

    async fn node_get_info(
        &self,
        _: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        let topology =
            Topology { segments: BTreeMap::from([(TOPOLOGY.to_owned(), self.config.node.clone())]) };
        Ok(Response::new(NodeGetInfoResponse {
            node_id: self.config.node.clone(),
            max_volumes_per_node: self.config.max_volumes,
            accessible_topology: self.config.topology.then_some(topology),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volumes_user_is_noted_and_its_tokens_are_not() {
        let context = |tokens: &str| {
            let pairs = [("pod.name", "web"), ("pod.namespace", "shop"), ("serviceAccount.tokens", tokens)];
            pairs.map(|(key, value)| (format!("csi.storage.k8s.io/{key}"), value.to_owned())).into()
        };
        let tokens = r#"{"vault": {"token": "secret", "expirationTimestamp": "2026-01-01T00:00:00Z"}}"#;
        let expected = User {
            pod: "shop/web".into(),
            audiences: vec!["vault".into()],
            expires: Some("2026-01-01T00:00:00Z".into()),
        };
        assert_eq!(user(&context(tokens)), Some(expected));
        let untold = User { pod: "shop/web".into(), audiences: Vec::new(), expires: None };
        assert_eq!(user(&context("")), Some(untold));
        assert_eq!(user(&BTreeMap::new()), None);
    }
}
