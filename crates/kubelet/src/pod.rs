//! Questions about a pod that many parts of the kubelet ask.

use apimachinery::hash::fnv32a;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

/// Where a pod comes from: `api`, `file` or `http`; upstream's annotation.
pub const SOURCE_ANNOTATION: &str = "kubernetes.io/config.source";
/// When the kubelet first saw a pod; upstream's annotation.
pub const SEEN_ANNOTATION: &str = "kubernetes.io/config.seen";
/// The hash of the static pod a mirror pod stands for.
pub const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
/// The hash of a static pod's manifest; it is also its uid.
pub const HASH_ANNOTATION: &str = "kubernetes.io/config.hash";

/// The grace period of pods that name none.
pub const DEFAULT_GRACE: i64 = 30;

/// The names every log line, event and path of a pod needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid; a static pod's is its manifest's hash.
    pub uid: String,
}

impl PodRef {
    /// Reads the names of a pod.
    pub fn of(pod: &Pod) -> Self {
        Self { namespace: namespace(pod).to_owned(), name: name(pod).to_owned(), uid: uid(pod).to_owned() }
    }

    /// `name_namespace(uid)`, as upstream's messages have it.
    pub fn full(&self) -> String {
        format!("{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// Which list of the spec a container is in, and how it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An init container that must end.
    Init,
    /// An init container that keeps running beside the others.
    Sidecar,
    /// An ordinary container.
    Regular,
    /// One added for debugging.
    Ephemeral,
}

/// The pod's name.
pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The pod's namespace.
pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

/// The pod's uid.
pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// The pod's resourceVersion; 0 for one that the API does not know.
pub fn version(pod: &Pod) -> u64 {
    pod.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// The pod's spec; a pod without one has no containers.
pub fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::OnceLock<PodSpec> = std::sync::OnceLock::new();
    pod.spec.as_ref().unwrap_or_else(|| EMPTY.get_or_init(PodSpec::default))
}

/// Reads an annotation.
pub fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Tells whether a pod comes from a manifest on the node.
pub fn is_static(pod: &Pod) -> bool {
    annotation(pod, SOURCE_ANNOTATION).is_some_and(|source| source != "api")
}

/// Tells whether a pod is the API's image of a static pod.
pub fn is_mirror(pod: &Pod) -> bool {
    annotation(pod, MIRROR_ANNOTATION).is_some()
}

/// Tells whether a pod is being deleted.
pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Tells whether a pod uses the node's network.
pub fn is_host_network(pod: &Pod) -> bool {
    spec(pod).host_network == Some(true)
}

/// The seconds a pod gets to end in: those of its deletion, else its own, else 30.
pub fn grace(pod: &Pod) -> i64 {
    let own = spec(pod).termination_grace_period_seconds;
    let asked = if is_deleting(pod) { pod.metadata.deletion_grace_period_seconds } else { None };
    asked.or(own).unwrap_or(DEFAULT_GRACE)
}

/// The pod's restart policy.
pub fn restart_policy(pod: &Pod) -> &str {
    spec(pod).restart_policy.as_deref().unwrap_or("Always")
}

/// All containers of a pod with their kind: init containers first, then ordinary, then ephemeral ones.
pub fn containers(pod: &Pod) -> Vec<(Kind, Container)> {
    let spec = spec(pod);
    let init =
        spec.init_containers.iter().flatten().map(|container| (init_kind(container), container.clone()));
    let regular = spec.containers.iter().map(|container| (Kind::Regular, container.clone()));
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    init.chain(regular).chain(ephemeral.map(|container| (Kind::Ephemeral, as_container(container)))).collect()
}

/// Finds a container by name.
pub fn container(pod: &Pod, name: &str) -> Option<(Kind, Container)> {
    containers(pod).into_iter().find(|(_, container)| container.name == name)
}

/// Tells an init container that ends from a sidecar.
pub fn init_kind(container: &Container) -> Kind {
    if podrules::requests::is_sidecar(container) { Kind::Sidecar } else { Kind::Init }
}

fn as_container(ephemeral: &EphemeralContainer) -> Container {
    Container {
        args: ephemeral.args.clone(),
        command: ephemeral.command.clone(),
        env: ephemeral.env.clone(),
        env_from: ephemeral.env_from.clone(),
        image: ephemeral.image.clone(),
        image_pull_policy: ephemeral.image_pull_policy.clone(),
        name: ephemeral.name.clone(),
        security_context: ephemeral.security_context.clone(),
        stdin: ephemeral.stdin,
        stdin_once: ephemeral.stdin_once,
        termination_message_path: ephemeral.termination_message_path.clone(),
        termination_message_policy: ephemeral.termination_message_policy.clone(),
        tty: ephemeral.tty,
        volume_devices: ephemeral.volume_devices.clone(),
        volume_mounts: ephemeral.volume_mounts.clone(),
        working_dir: ephemeral.working_dir.clone(),
        ..Container::default()
    }
}

/// The hash by which a changed container is told from the running one. As upstream since 1.31 only what cannot be
/// changed in place counts: name and image.
pub fn container_hash(container: &Container) -> String {
    let picked = serde_json::json!({ "image": container.image, "name": container.name });
    format!("{:x}", fnv32a(picked.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_of_a_deletion_wins_over_the_spec() {
        let mut pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "a"},
            "spec": {"containers": [], "terminationGracePeriodSeconds": 7},
        }))
        .unwrap();
        assert_eq!(grace(&pod), 7);
        pod.metadata.deletion_grace_period_seconds = Some(1);
        assert_eq!(grace(&pod), 7);
        pod.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(grace(&pod), 1);
    }
}
