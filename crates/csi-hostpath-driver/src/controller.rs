//! Volumes made, attached, made larger and removed.

use std::collections::BTreeMap;

use csi::tonic::{self, Request, Response, Status};
use csi::v1::{
    CapacityRange, ControllerExpandVolumeRequest, ControllerExpandVolumeResponse,
    ControllerGetCapabilitiesRequest, ControllerGetCapabilitiesResponse, ControllerPublishVolumeRequest,
    ControllerPublishVolumeResponse, ControllerServiceCapability, ControllerUnpublishVolumeRequest,
    ControllerUnpublishVolumeResponse, CreateVolumeRequest, CreateVolumeResponse, DeleteVolumeRequest,
    DeleteVolumeResponse, Topology, TopologyRequirement, ValidateVolumeCapabilitiesRequest,
    ValidateVolumeCapabilitiesResponse, Volume, VolumeCapability,
    controller_server::Controller,
    controller_service_capability::{Rpc, Type, rpc},
    validate_volume_capabilities_response::Confirmed,
    volume_capability::{AccessType, access_mode::Mode},
};

use crate::state::{self, Error};
use crate::{Driver, TOPOLOGY, blocking, note};

/// What a volume holds when nobody says.
const DEFAULT_CAPACITY: i64 = 1 << 30;
/// Tells the node's part that the volume is attached to it.
pub const ATTACHED: &str = "attachedTo";

fn capacity(range: Option<&CapacityRange>) -> Result<i64, Error> {
    let Some(range) = range else { return Ok(DEFAULT_CAPACITY) };
    if range.required_bytes < 0 || range.limit_bytes < 0 {
        return Err(Error::Invalid("a capacity must not be negative".into()));
    }
    if range.limit_bytes != 0 && range.limit_bytes < range.required_bytes {
        return Err(Error::Invalid("the limit is below what is required".into()));
    }
    Ok(match (range.required_bytes, range.limit_bytes) {
        (0, 0) => DEFAULT_CAPACITY,
        (0, limit) => limit.min(DEFAULT_CAPACITY),
        (required, _) => required,
    })
}

fn check(capability: &VolumeCapability) -> Result<(), Error> {
    match capability.access_type {
        Some(AccessType::Mount(_)) => Ok(()),
        Some(AccessType::Block(_)) => Err(Error::Invalid("volumes are directories, not devices".into())),
        None => Err(Error::Invalid("a capability without an access type".into())),
    }
}

fn many_nodes(capability: Option<&VolumeCapability>) -> bool {
    let mode = capability.and_then(|capability| capability.access_mode.as_ref());
    matches!(
        mode.and_then(|mode| Mode::try_from(mode.mode).ok()),
        Some(Mode::MultiNodeReaderOnly | Mode::MultiNodeSingleWriter | Mode::MultiNodeMultiWriter)
    )
}

/// The node for which a volume is wanted: the one that is preferred, else any that will do.
fn wanted_node(requirement: Option<&TopologyRequirement>) -> Option<&str> {
    let requirement = requirement?;
    let mut all = requirement.preferred.iter().chain(&requirement.requisite);
    all.find_map(|topology| topology.segments.get(TOPOLOGY)).map(String::as_str)
}

#[tonic::async_trait]
impl Controller for Driver {
    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Result<Response<CreateVolumeResponse>, Status> {
        let request = request.into_inner();
        note("CreateVolume", &request.name, "");
        if request.volume_capabilities.is_empty() {
            return Err(Status::invalid_argument("no capability is asked for"));
        }
        if request.volume_content_source.is_some() {
            return Err(Status::invalid_argument("volumes are not made of others"));
        }
        request.volume_capabilities.iter().try_for_each(check)?;
        let capacity = capacity(request.capacity_range.as_ref())?;
        let node = self.config.topology.then(|| self.config.node.clone());
        if let Some(wanted) = wanted_node(request.accessibility_requirements.as_ref())
            && node.as_deref().is_some_and(|own| own != wanted)
        {
            let message = format!("here are the volumes of {}, not of {wanted}", self.config.node);
            return Err(Status::resource_exhausted(message));
        }
        let (volumes, id) = (self.volumes.clone(), request.name.clone());
        let made = state::Volume { capacity, node, attached: BTreeMap::new(), ephemeral: false, user: None };
        let volume = blocking(move || volumes.make(&id, made)).await?;
        let topology = |node| Topology { segments: BTreeMap::from([(TOPOLOGY.to_owned(), node)]) };
        Ok(Response::new(CreateVolumeResponse {
            volume: Some(Volume {
                capacity_bytes: volume.capacity,
                volume_id: request.name,
                volume_context: request.parameters,
                content_source: None,
                accessible_topology: volume.node.into_iter().map(topology).collect(),
            }),
        }))
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        let id = request.into_inner().volume_id;
        note("DeleteVolume", &id, "");
        let volumes = self.volumes.clone();
        blocking(move || match volumes.find(&id) {
            Ok(volume) if !volume.attached.is_empty() => {
                Err(Error::Precondition(format!("volume {id:?} is still attached")))
            }
            Ok(_) => volumes.remove(&id),
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        })
        .await?;
        Ok(Response::new(DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        request: Request<ControllerPublishVolumeRequest>,
    ) -> Result<Response<ControllerPublishVolumeResponse>, Status> {
        let request = request.into_inner();
        note("ControllerPublishVolume", &request.volume_id, &request.node_id);
        if request.node_id.is_empty() {
            return Err(Status::invalid_argument("a node must be named"));
        }
        let context = BTreeMap::from([(ATTACHED.to_owned(), request.node_id.clone())]);
        let volumes = self.volumes.clone();
        blocking(move || {
            let (id, node) = (&request.volume_id, &request.node_id);
            volumes.change(id, |volume| {
                if volume.node.as_ref().is_some_and(|own| own != node) {
                    return Err(Error::Precondition(format!("volume {id:?} cannot be reached from {node}")));
                }
                let other = volume.attached.keys().find(|other| *other != node);
                if let Some(other) = other.filter(|_| !many_nodes(request.volume_capability.as_ref())) {
                    return Err(Error::Precondition(format!("volume {id:?} is attached to {other}")));
                }
                volume.attached.insert(node.clone(), request.readonly);
                Ok(())
            })
        })
        .await?;
        Ok(Response::new(ControllerPublishVolumeResponse { publish_context: context }))
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<ControllerUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        note("ControllerUnpublishVolume", &request.volume_id, &request.node_id);
        let volumes = self.volumes.clone();
        blocking(move || {
            let detached = volumes.change(&request.volume_id, |volume| {
                // Without a node, it is detached from all.
                match request.node_id.as_str() {
                    "" => volume.attached.clear(),
                    node => drop(volume.attached.remove(node)),
                }
                Ok(())
            });
            match detached {
                Err(Error::NotFound(_)) => Ok(()),
                other => other,
            }
        })
        .await?;
        Ok(Response::new(ControllerUnpublishVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        let (volumes, id) = (self.volumes.clone(), request.volume_id.clone());
        blocking(move || volumes.find(&id)).await?;
        let answer = match request.volume_capabilities.iter().try_for_each(check) {
            Ok(()) => ValidateVolumeCapabilitiesResponse {
                confirmed: Some(Confirmed {
                    volume_context: request.volume_context,
                    volume_capabilities: request.volume_capabilities,
                    parameters: request.parameters,
                    mutable_parameters: request.mutable_parameters,
                }),
                message: String::new(),
            },
            Err(why) => ValidateVolumeCapabilitiesResponse { confirmed: None, message: why.to_string() },
        };
        Ok(Response::new(answer))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<ControllerGetCapabilitiesResponse>, Status> {
        let mut types =
            vec![rpc::Type::CreateDeleteVolume, rpc::Type::ExpandVolume, rpc::Type::SingleNodeMultiWriter];
        if self.config.attach {
            types.push(rpc::Type::PublishUnpublishVolume);
            types.push(rpc::Type::PublishReadonly);
        }
        let capability = |kind: rpc::Type| ControllerServiceCapability {
            r#type: Some(Type::Rpc(Rpc { r#type: kind.into() })),
        };
        let capabilities = types.into_iter().map(capability).collect();
        Ok(Response::new(ControllerGetCapabilitiesResponse { capabilities }))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<ControllerExpandVolumeRequest>,
    ) -> Result<Response<ControllerExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        note("ControllerExpandVolume", &request.volume_id, "");
        let wanted = capacity(request.capacity_range.as_ref())?;
        let volumes = self.volumes.clone();
        let capacity_bytes = blocking(move || {
            volumes.change(&request.volume_id, |volume| {
                volume.capacity = volume.capacity.max(wanted);
                Ok(volume.capacity)
            })
        })
        .await?;
        let node_expansion_required = self.config.node_expansion;
        Ok(Response::new(ControllerExpandVolumeResponse { capacity_bytes, node_expansion_required }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_as_large_as_is_required() {
        let of = |required_bytes, limit_bytes| capacity(Some(&CapacityRange { required_bytes, limit_bytes }));
        assert_eq!(capacity(None).unwrap(), DEFAULT_CAPACITY);
        assert_eq!(of(0, 0).unwrap(), DEFAULT_CAPACITY);
        assert_eq!(of(5, 0).unwrap(), 5);
        assert_eq!(of(0, 5).unwrap(), 5);
        assert!(of(7, 5).is_err() && of(-1, 0).is_err());
    }

    #[test]
    fn the_preferred_node_counts_before_those_that_would_do() {
        let topology = |node: &str| Topology { segments: BTreeMap::from([(TOPOLOGY.into(), node.into())]) };
        let requirement = TopologyRequirement {
            requisite: vec![topology("a"), topology("b")],
            preferred: vec![topology("b")],
        };
        assert_eq!(wanted_node(Some(&requirement)), Some("b"));
        assert_eq!(wanted_node(None), None);
    }
}
