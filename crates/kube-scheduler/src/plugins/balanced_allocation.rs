//! NodeResourcesBalancedAllocation: prefers nodes on which CPU and memory would be used up alike.

use crate::framework::{MAX_SCORE, Plugin, Scorer, as_they_are};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct BalancedAllocation;

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn score<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot, _: &[&'a NodeInfo]) -> Option<Scorer<'a>> {
        // A pod that asks for nothing balances nothing.
        if pod.requests.milli_cpu == 0 && pod.requests.memory == 0 {
            return None;
        }
        let score = move |info: &NodeInfo| {
            let share = |resource: &str| {
                let capacity = info.node.allocatable.get(resource);
                let taken = info.requested.get(resource).saturating_add(pod.requests.get(resource));
                (capacity > 0).then(|| (taken as f64 / capacity as f64).min(1.0))
            };
            let deviation = match (share("cpu"), share("memory")) {
                // Of two shares, the standard deviation is half their difference.
                (Some(cpu), Some(memory)) => (cpu - memory).abs() / 2.0,
                _ => 0.0,
            };
            Some(((1.0 - deviation) * MAX_SCORE as f64) as i64)
        };
        Some(Scorer { score: Box::new(score), normalize: as_they_are })
    }
}
