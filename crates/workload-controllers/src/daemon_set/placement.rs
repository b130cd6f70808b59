//! Which nodes a daemon's pod fits.

use controller_runtime::objects::{Node, Pod};
use k8s_openapi::api::core::v1::{PodSpec, Taint, Toleration};
use podrules::node_affinity::{NodeView, allows};
use podrules::tolerations::first_untolerated;

/// What a node means to a daemon set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// A pod should be started there.
    pub should_run: bool,
    /// A pod that runs there may go on.
    pub may_stay: bool,
}

/// The taints that every daemon tolerates: it is needed on nodes in trouble too.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// Returns the tolerations that a daemon's pod gets besides its template's.
pub fn added_tolerations(host_network: bool) -> Vec<Toleration> {
    let on_host_network = host_network.then_some(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    let tolerated = TOLERATED.into_iter().chain(on_host_network).map(|(key, effect)| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    });
    tolerated.collect()
}

/// Judges a node.
pub fn fit(spec: &PodSpec, node: &Node) -> Fit {
    let named = spec.node_name.as_deref().is_none_or(|name| name.is_empty() || name == node.metadata.name);
    let view = NodeView { name: &node.metadata.name, labels: &node.metadata.labels };
    if !named || !allows(spec, &view) {
        return Fit { should_run: false, may_stay: false };
    }
    let mut tolerations = spec.tolerations.clone().unwrap_or_default();
    tolerations.extend(added_tolerations(spec.host_network == Some(true)));
    let tolerates =
        |taints: &[Taint], effects: &[&str]| first_untolerated(taints, &tolerations, effects).is_none();
    Fit {
        should_run: tolerates(&node.spec.taints, &["NoSchedule", "NoExecute"]),
        may_stay: tolerates(&node.spec.taints, &["NoExecute"]),
    }
}

/// Returns the node that a daemon's pod is on or pinned to.
pub fn node_of(pod: &Pod) -> &str {
    if pod.spec.node_name.is_empty() { &pod.spec.pinned_node } else { &pod.spec.node_name }
}
