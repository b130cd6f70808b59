//! TaintToleration: keeps pods off nodes whose taints they do not bear, and rather off those that prefer so.

use k8s_openapi::api::core::v1::Taint;
use podrules::tolerations;

use crate::framework::{Event, Filter, Plugin, Rejection, Scorer, lowest_is_best};
use crate::node::{Node, NodeInfo};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct TaintToleration;

fn untolerated<'n>(pod: &Pod, node: &'n Node) -> Option<&'n Taint> {
    tolerations::first_untolerated(&node.taints, &pod.wants().tolerations, &["NoSchedule", "NoExecute"])
}

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Filter<'a> {
        Filter::Check(Box::new(move |info| match untolerated(pod, &info.node) {
            None => Ok(()),
            // Which taint is nobody's business who may only see the pod; upstream says it no more since 1.35.
            Some(_) => Err(Rejection::unresolvable(self.name(), "node(s) had untolerated taint(s)")),
        }))
    }

    fn score<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot, _: &[&'a NodeInfo]) -> Option<Scorer<'a>> {
        let score = move |info: &NodeInfo| {
            let against = info
                .node
                .taints
                .iter()
                .filter(|taint| taint.effect == "PreferNoSchedule")
                .filter(|taint| !tolerations::any_tolerates(&pod.wants().tolerations, taint));
            i64::try_from(against.count()).ok()
        };
        Some(Scorer { score: Box::new(score), normalize: lowest_is_best })
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::NodeAdded(node) => untolerated(pod, node).is_none(),
            Event::NodeChanged { old, new } => {
                untolerated(pod, old).is_some() && untolerated(pod, new).is_none()
            }
            _ => false,
        }
    }
}
