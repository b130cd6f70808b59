//! VolumeBinding: a pod goes where its bound volumes can be used; unbound claims make it wait.

use podrules::node_affinity;

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct VolumeBinding;

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Filter<'a> {
        let volumes = &snapshot.around.volumes;
        let mut needed = Vec::new();
        let mut waiting = false;
        for name in &pod.wants().claims {
            let Some(claim) = volumes.claims.get(format!("{}/{name}", pod.namespace).as_str()) else {
                let reason = format!("persistentvolumeclaim \"{name}\" not found");
                return Filter::Reject(Rejection::unresolvable(self.name(), reason));
            };
            if claim.deleting {
                let reason = format!("persistentvolumeclaim \"{name}\" is being deleted");
                return Filter::Reject(Rejection::unresolvable(self.name(), reason));
            }
            match &claim.volume {
                Some(volume) => needed.push(volume),
                None if claim.class.as_ref().is_some_and(|class| volumes.waiting_classes.contains(class)) => {
                    waiting = true;
                }
                None => {
                    let reason = "pod has unbound immediate PersistentVolumeClaims";
                    return Filter::Reject(Rejection::unresolvable(self.name(), reason));
                }
            }
        }
        if needed.is_empty() && !waiting {
            return Filter::Skip;
        }
        Filter::Check(Box::new(move |info| {
            if waiting {
                let reason = "node(s) didn't find available persistent volumes to bind";
                return Err(Rejection::unresolvable(self.name(), reason));
            }
            for name in &needed {
                let Some(volume) = volumes.volumes.get(*name) else {
                    let reason = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
                    return Err(Rejection::unresolvable(self.name(), reason));
                };
                let usable = volume
                    .nodes
                    .as_ref()
                    .is_none_or(|nodes| node_affinity::selector_matches(nodes, &info.node.view()));
                if !usable {
                    let reason = "node(s) didn't match PersistentVolume's node affinity";
                    return Err(Rejection::unresolvable(self.name(), reason));
                }
            }
            Ok(())
        }))
    }

    fn may_help(&self, event: Event<'_>, _: &Pod) -> bool {
        match event {
            Event::Volumes | Event::NodeAdded(_) => true,
            Event::NodeChanged { old, new } => old.labels != new.labels,
            Event::PodPlaced(_) | Event::PodGone(_) | Event::Namespaces => false,
        }
    }
}
