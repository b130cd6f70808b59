//! Events about pods and the node, in upstream's words.

use component::events::{Kind, Recorder};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use crate::pod;

/// Records that something happened to a pod.
pub fn pod_event(recorder: &Recorder, pod: &Pod, kind: Kind, reason: &str, message: impl Into<String>) {
    recorder.record(about(pod, None), kind, reason, message);
}

/// Records that something happened to one container of a pod.
pub fn container_event(
    recorder: &Recorder,
    pod: &Pod,
    container: &str,
    kind: Kind,
    reason: &str,
    message: impl Into<String>,
) {
    let list = match pod::container(pod, container).map(|(kind, _)| kind) {
        Some(pod::Kind::Init | pod::Kind::Sidecar) => "initContainers",
        Some(pod::Kind::Ephemeral) => "ephemeralContainers",
        Some(pod::Kind::Regular) | None => "containers",
    };
    recorder.record(about(pod, Some(format!("spec.{list}{{{container}}}"))), kind, reason, message);
}

/// Records that something happened to the node.
pub fn node_event(recorder: &Recorder, name: &str, kind: Kind, reason: &str, message: impl Into<String>) {
    // Upstream's events about a node carry its name as uid: they may come before the node is known.
    let about = ObjectReference {
        kind: Some("Node".into()),
        name: Some(name.to_owned()),
        uid: Some(name.to_owned()),
        ..ObjectReference::default()
    };
    recorder.record(about, kind, reason, message);
}

fn about(pod: &Pod, field_path: Option<String>) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: Some(pod::namespace(pod).to_owned()),
        name: Some(pod::name(pod).to_owned()),
        uid: Some(pod::uid(pod).to_owned()),
        resource_version: pod.metadata.resource_version.clone(),
        field_path,
    }
}
