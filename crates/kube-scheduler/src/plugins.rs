//! The plugins, one file each, in the order in which they filter.

mod balanced_allocation;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_unschedulable;
mod node_volume_limits;
mod pod_topology_spread;
mod resources_fit;
mod scheduling_gates;
mod taint_toleration;
#[cfg(test)]
mod tests;
pub mod volume_binding;
mod volume_restrictions;
mod volume_zone;

use std::sync::Arc;
use std::time::Duration;

pub use balanced_allocation::BalancedAllocation;
pub use image_locality::ImageLocality;
pub use inter_pod_affinity::InterPodAffinity;
pub use node_affinity::{AddedAffinity, NodeAffinity};
pub use node_name::NodeName;
pub use node_ports::NodePorts;
pub use node_unschedulable::NodeUnschedulable;
pub use node_volume_limits::NodeVolumeLimits;
pub use pod_topology_spread::{DefaultConstraints, PodTopologySpread};
pub use resources_fit::{ResourcesFit, Scoring, Strategy};
pub use scheduling_gates::SchedulingGates;
pub use taint_toleration::TaintToleration;
pub use volume_binding::VolumeBinding;
pub use volume_restrictions::VolumeRestrictions;
pub use volume_zone::VolumeZone;

use crate::framework::Plugin;

/// What `pluginConfig` says.
#[derive(Clone, Debug, Default)]
pub struct PluginArgs {
    /// How free resources are scored.
    pub fit: Strategy,
    /// How pods without constraints of their own are spread.
    pub spread: DefaultConstraints,
    /// How much a required term of a placed pod attracts, 1 upstream.
    pub hard_pod_affinity_weight: Option<i64>,
    /// Whether what placed pods rather have near or far counts for nothing when nodes are scored.
    pub ignore_preferred_terms_of_existing_pods: bool,
    /// Affinity that every pod of the profile has.
    pub node_affinity: AddedAffinity,
    /// How long a pod's claims may take to be bound, ten minutes upstream.
    pub bind_timeout: Option<Duration>,
}

/// Makes all plugins, each with upstream's default weight for scoring.
pub fn all(arguments: &PluginArgs) -> Vec<(Arc<dyn Plugin>, i64)> {
    vec![
        (Arc::new(SchedulingGates), 0),
        (Arc::new(NodeUnschedulable), 0),
        (Arc::new(NodeName), 0),
        (Arc::new(TaintToleration), 3),
        (Arc::new(NodeAffinity { added: arguments.node_affinity.clone() }), 2),
        (Arc::new(NodePorts), 0),
        (Arc::new(ResourcesFit { strategy: arguments.fit.clone() }), 1),
        (Arc::new(VolumeRestrictions), 0),
        (Arc::new(NodeVolumeLimits), 0),
        (Arc::new(VolumeBinding), 0),
        (Arc::new(VolumeZone), 0),
        (Arc::new(PodTopologySpread { defaults: arguments.spread.clone() }), 2),
        (
            Arc::new(InterPodAffinity {
                hard_weight: arguments.hard_pod_affinity_weight.unwrap_or(1),
                heeds_preferences_of_others: !arguments.ignore_preferred_terms_of_existing_pods,
            }),
            2,
        ),
        (Arc::new(BalancedAllocation), 1),
        (Arc::new(ImageLocality), 1),
    ]
}

/// Plugins of upstream's default profile that this scheduler does without, or whose work is not in a plugin.
pub const ELSEWHERE: [&str; 6] = [
    "PrioritySort",
    "DefaultPreemption",
    "DefaultBinder",
    "DynamicResources",
    "NodeDeclaredFeatures",
    "GangScheduling",
];
