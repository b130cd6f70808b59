//! NodePorts: a host port can be taken once on a node.

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct NodePorts;

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Filter<'a> {
        if pod.host_ports.is_empty() {
            return Filter::Skip;
        }
        Filter::Check(Box::new(move |info| {
            if pod.host_ports.iter().any(|port| info.is_taken(port)) {
                let reason = "node(s) didn't have free ports for the requested pod ports";
                return Err(Rejection::new(self.name(), reason));
            }
            Ok(())
        }))
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::NodeAdded(_) => true,
            Event::PodGone(gone) => gone
                .host_ports
                .iter()
                .any(|freed| pod.host_ports.iter().any(|wanted| wanted.conflicts(freed))),
            _ => false,
        }
    }
}
