//! The Container Storage Interface v1 and plugin registration: messages, client, and the serving of both on sockets.
//!
//! Callers are the kubelet and `csi-sidecar`; the driver of the tests serves.

mod capability;
mod client;
mod endpoint;
mod error;
mod serve;

/// The messages of the contract `csi.v1`, generated from `proto/csi.proto`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("csi.v1");
}

/// The messages of the contract `pluginregistration`, generated from `proto/pluginregistration.proto`.
#[allow(missing_docs, clippy::all)]
pub mod registration {
    tonic::include_proto!("pluginregistration");
}

pub use capability::{AccessType, Driver, access_mode, capability};
pub use client::{Client, Registrant};
pub use endpoint::socket_path;
pub use error::Error;
pub use serve::{listen, remove};

/// gRPC as servers of these contracts need it.
pub use tonic;

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::{registration, v1};

    /// The tag of each field of a message, in order, with nothing but what was set.
    fn tags(message: &impl Message) -> Vec<u32> {
        let bytes = message.encode_to_vec();
        let (mut tags, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let (tag, wire) = prost::encoding::decode_key(&mut rest).unwrap();
            tags.push(tag);
            let context = prost::encoding::DecodeContext::default();
            prost::encoding::skip_field(wire, tag, &mut rest, context).unwrap();
        }
        tags
    }

    fn map() -> std::collections::BTreeMap<String, String> {
        [("k".to_owned(), "v".to_owned())].into()
    }

    #[test]
    fn fields_have_upstreams_numbers() {
        let capability = super::capability(
            &super::AccessType::Block,
            super::access_mode("ReadWriteMany", super::Driver::Plain),
        );
        let publish = v1::NodePublishVolumeRequest {
            volume_id: "v".into(),
            publish_context: map(),
            staging_target_path: "s".into(),
            target_path: "t".into(),
            volume_capability: Some(capability.clone()),
            readonly: true,
            secrets: map(),
            volume_context: map(),
        };
        assert_eq!(tags(&publish), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(tags(&capability), [1, 3]);
        let create = v1::CreateVolumeRequest {
            name: "v".into(),
            capacity_range: Some(v1::CapacityRange { required_bytes: 1, limit_bytes: 2 }),
            volume_capabilities: vec![capability],
            parameters: map(),
            secrets: map(),
            accessibility_requirements: Some(v1::TopologyRequirement::default()),
            ..v1::CreateVolumeRequest::default()
        };
        assert_eq!(tags(&create), [1, 2, 3, 4, 5, 7]);
        let expanded =
            v1::ControllerExpandVolumeResponse { capacity_bytes: 1, node_expansion_required: true };
        assert_eq!(expanded.encode_to_vec(), [8, 1, 16, 1]);
        let info = v1::NodeGetInfoResponse {
            node_id: "n".into(),
            max_volumes_per_node: 1,
            accessible_topology: Some(v1::Topology { segments: map() }),
        };
        assert_eq!(tags(&info), [1, 2, 3]);
        // A wrapped bool is a message with one field.
        assert_eq!(v1::ProbeResponse { ready: Some(true) }.encode_to_vec(), [10, 2, 8, 1]);
        let plugin = registration::PluginInfo {
            r#type: "CSIPlugin".into(),
            name: "d".into(),
            endpoint: "/e".into(),
            supported_versions: vec!["1.0.0".into()],
        };
        assert_eq!(tags(&plugin), [1, 2, 3, 4]);
    }
}
