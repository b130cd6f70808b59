//! VolumeBinding: a pod goes where its volumes can be used; claims that wait for their first pod get a volume, or a
//! node to be made for, once that pod has a node.

mod needs;
mod progress;
mod steps;
#[cfg(test)]
mod tests;

pub use progress::{Progress, progress};
pub use steps::{Action, Step};

use needs::Needs;

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::Snapshot;
use crate::volumes::Volumes;

/// The plugin.
#[derive(Debug)]
pub struct VolumeBinding;

/// Its name in configuration and messages.
pub const NAME: &str = "VolumeBinding";

/// Decides what is to become of a pod's unbound claims when it goes to a node that the plugin let through (Reserve).
pub fn plan(pod: &Pod, volumes: &Volumes, node: &Node) -> Vec<Step> {
    match Needs::of(pod, volumes) {
        Ok(Some(needs)) => needs.on(node).unwrap_or_default(),
        Ok(None) | Err(_) => Vec::new(),
    }
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        NAME
    }

    fn filter<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Filter<'a> {
        match Needs::of(pod, &snapshot.around.volumes) {
            Err(reason) => Filter::Reject(Rejection::unresolvable(NAME, reason)),
            Ok(None) => Filter::Skip,
            Ok(Some(needs)) => Filter::Check(Box::new(move |info| {
                needs.on(&info.node).map(drop).map_err(|reasons| Rejection {
                    plugin: NAME,
                    reasons: reasons.into_iter().map(str::to_owned).collect(),
                    unresolvable: true,
                })
            })),
        }
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::Claim(key) => pod.claim_keys().any(|own| own == key),
            Event::Volumes(_) | Event::NodeAdded(_) => true,
            Event::NodeChanged { old, new } => old.labels != new.labels,
            Event::PodPlaced(_) | Event::PodGone(_) | Event::Namespaces => false,
        }
    }
}
