//! What the runtime is told about a sandbox and a container.

pub mod dns;
pub mod downward;
pub mod env;
pub mod expansion;
pub mod hosts;
pub mod resources;
pub mod sandbox;
mod security;

use std::{collections::BTreeMap, path::Path};

use cri::v1;
use k8s_openapi::api::core::v1::{Container, Pod};

pub use security::check_non_root;

use crate::{
    observed::{annotation, label},
    pod::{self, Kind},
};

/// What the kubelet has found out and made before a container can be described.
pub struct Parts {
    /// Resolved environment.
    pub env: Vec<(String, String)>,
    /// Mounts of volumes, hosts file and termination message.
    pub mounts: Vec<v1::Mount>,
    /// Devices.
    pub devices: Vec<v1::Device>,
    /// Its limits.
    pub resources: v1::LinuxContainerResources,
    /// The image as the runtime knows it.
    pub image_ref: String,
    /// The numeric user of the image, where the image names one.
    pub image_user: Option<i64>,
    /// The container whose process namespace an ephemeral container joins.
    pub target_id: Option<String>,
}

/// Describes a container to the runtime.
pub fn config(
    pod: &Pod,
    kind: Kind,
    container: &Container,
    restarts: u32,
    parts: Parts,
) -> v1::ContainerConfig {
    let lookup =
        |name: &str| parts.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let expand = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expansion::expand(word, lookup)).collect()
    };
    let labels = BTreeMap::from([
        (label::CONTAINER_NAME.to_owned(), container.name.clone()),
        (label::POD_NAME.to_owned(), pod::name(pod).to_owned()),
        (label::POD_NAMESPACE.to_owned(), pod::namespace(pod).to_owned()),
        (label::POD_UID.to_owned(), pod::uid(pod).to_owned()),
    ]);
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: container.name.clone(), attempt: restarts }),
        image: Some(v1::ImageSpec {
            image: parts.image_ref.clone(),
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..v1::ImageSpec::default()
        }),
        command: expand(&container.command),
        args: expand(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: parts
            .env
            .iter()
            .map(|(key, value)| v1::KeyValue { key: key.clone(), value: value.clone() })
            .collect(),
        mounts: parts.mounts,
        devices: parts.devices,
        labels,
        annotations: annotations(pod, container, restarts),
        log_path: log_path(&container.name, restarts),
        stdin: container.stdin.unwrap_or_default(),
        stdin_once: container.stdin_once.unwrap_or_default(),
        tty: container.tty.unwrap_or_default(),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(parts.resources),
            security_context: Some(security::context(
                pod,
                kind,
                container,
                parts.target_id,
                parts.image_user,
            )),
        }),
        cdi_devices: Vec::new(),
        stop_signal: stop_signal(container).into(),
    }
}

/// A container's log file below its pod's log folder.
pub fn log_path(name: &str, restarts: u32) -> String {
    Path::new(name).join(format!("{restarts}.log")).display().to_string()
}

fn annotations(pod: &Pod, container: &Container, restarts: u32) -> BTreeMap<String, String> {
    let message_path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    let message_policy = container.termination_message_policy.as_deref().unwrap_or("File");
    let mut annotations = BTreeMap::from([
        (annotation::HASH.to_owned(), pod::container_hash(container)),
        (annotation::RESTART_COUNT.to_owned(), restarts.to_string()),
        (annotation::MESSAGE_PATH.to_owned(), message_path.to_owned()),
        (annotation::MESSAGE_POLICY.to_owned(), message_policy.to_owned()),
    ]);
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            annotations.insert(key.to_owned(), value);
        }
    };
    put(
        annotation::POD_DELETION_GRACE,
        pod.metadata.deletion_grace_period_seconds.map(|grace| grace.to_string()),
    );
    put(
        annotation::POD_GRACE,
        pod::spec(pod).termination_grace_period_seconds.map(|grace| grace.to_string()),
    );
    let pre_stop = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    // A handler or port list read from the API can always be written as JSON again.
    put(annotation::PRE_STOP, pre_stop.and_then(|handler| serde_json::to_string(handler).ok()));
    let ports = container.ports.as_ref().filter(|ports| !ports.is_empty());
    put(annotation::PORTS, ports.and_then(|ports| serde_json::to_string(ports).ok()));
    annotations
}

fn stop_signal(container: &Container) -> v1::Signal {
    let name = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    // The contract spells SIGRTMIN+1 as SIGRTMINPLUS1.
    let spelled = name.map(|name| name.replace('+', "PLUS").replace('-', "MINUS"));
    spelled.and_then(|name| v1::Signal::from_str_name(&name)).unwrap_or(v1::Signal::RuntimeDefault)
}
