//! NodeUnschedulable: a cordoned node takes only pods that bear its taint.

use k8s_openapi::api::core::v1::Taint;
use podrules::tolerations;

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct NodeUnschedulable;

fn admits(pod: &Pod, node: &Node) -> bool {
    let taint = || Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    !node.unschedulable || tolerations::any_tolerates(&pod.wants().tolerations, &taint())
}

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Filter<'a> {
        Filter::Check(Box::new(move |info| {
            if admits(pod, &info.node) {
                return Ok(());
            }
            Err(Rejection::unresolvable(self.name(), "node(s) were unschedulable"))
        }))
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::NodeAdded(node) => admits(pod, node),
            Event::NodeChanged { old, new } => !admits(pod, old) && admits(pod, new),
            _ => false,
        }
    }
}
