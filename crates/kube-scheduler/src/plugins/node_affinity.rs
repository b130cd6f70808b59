//! NodeAffinity: node selector and required node affinity filter, preferred node affinity scores.

use podrules::node_affinity;

use crate::framework::{Event, Filter, Plugin, Rejection, Scorer, highest_is_best};
use crate::node::{Node, NodeInfo};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct NodeAffinity;

fn allows(pod: &Pod, node: &Node) -> bool {
    node_affinity::allows(&pod.wants().nodes, &node.view())
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Filter<'a> {
        let wanted = &pod.wants().nodes;
        if wanted.node_selector.is_none() && wanted.affinity.is_none() {
            return Filter::Skip;
        }
        Filter::Check(Box::new(move |info| {
            if allows(pod, &info.node) {
                return Ok(());
            }
            Err(Rejection::unresolvable(self.name(), "node(s) didn't match Pod's node affinity/selector"))
        }))
    }

    fn score<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot, _: &[&'a NodeInfo]) -> Option<Scorer<'a>> {
        let preferred = &pod.wants().preferred_nodes;
        if preferred.is_empty() {
            return None;
        }
        let score = move |info: &NodeInfo| {
            let view = info.node.view();
            let matching =
                preferred.iter().filter(|term| node_affinity::term_matches(&term.preference, &view));
            Some(matching.map(|term| i64::from(term.weight)).sum())
        };
        Some(Scorer { score: Box::new(score), normalize: highest_is_best })
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::NodeAdded(node) => allows(pod, node),
            Event::NodeChanged { old, new } => !allows(pod, old) && allows(pod, new),
            _ => false,
        }
    }
}
