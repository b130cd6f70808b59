//! NodeName: a pod that names its node goes nowhere else. The API server calls such pods bound, so that only a
//! pod that was read before it was bound comes here.

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Filter<'a> {
        let Some(wanted) = &pod.node_name else { return Filter::Skip };
        Filter::Check(Box::new(move |info| {
            if info.node.name == *wanted {
                return Ok(());
            }
            Err(Rejection::unresolvable(self.name(), "node(s) didn't match the requested node name"))
        }))
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        matches!(event, Event::NodeAdded(node) if Some(&node.name) == pod.node_name.as_ref())
    }
}
