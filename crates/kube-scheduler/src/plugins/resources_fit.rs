//! NodeResourcesFit: a node takes what it has room for; scored by how much stays free, or how little.

use crate::amounts::Amounts;
use crate::framework::{Event, Filter, MAX_SCORE, Plugin, Rejection, Scorer, as_they_are};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// Which nodes are better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Empty ones.
    LeastAllocated,
    /// Full ones.
    MostAllocated,
    /// As a line through these points says: percent used and score, by rising use; level before and after.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

impl Scoring {
    fn score(&self, capacity: i64, taken: i64) -> i64 {
        let percent = |part: i64| {
            i64::try_from(i128::from(part) * i128::from(MAX_SCORE) / i128::from(capacity))
                .unwrap_or(MAX_SCORE)
        };
        match self {
            Scoring::LeastAllocated => percent((capacity - taken).max(0)),
            Scoring::MostAllocated => percent(capacity.min(taken)),
            Scoring::RequestedToCapacityRatio(points) => along(points, percent(capacity.min(taken))),
        }
    }
}

/// The height of a line through points at a place.
fn along(points: &[(i64, i64)], place: i64) -> i64 {
    let next = points.iter().position(|(at, _)| place <= *at);
    match next {
        None => points.last().map_or(0, |(_, score)| *score),
        Some(0) => points[0].1,
        Some(next) => {
            let ((from, low), (to, high)) = (points[next - 1], points[next]);
            low + (high - low) * (place - from) / (to - from)
        }
    }
}

/// Whether empty or full nodes are better, and by which resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// Which nodes are better.
    pub scoring: Scoring,
    /// Resources and their weights.
    pub resources: Vec<(String, i64)>,
}

impl Default for Strategy {
    fn default() -> Self {
        Strategy {
            scoring: Scoring::LeastAllocated,
            resources: vec![("cpu".into(), 1), ("memory".into(), 1)],
        }
    }
}

/// The plugin.
#[derive(Debug, Default)]
pub struct ResourcesFit {
    /// How nodes are scored.
    pub strategy: Strategy,
}

/// The resources that are short when `requests` come to what is `requested` already.
fn lacking(requests: &Amounts, requested: &Amounts, allocatable: &Amounts) -> (Vec<String>, bool) {
    let mut reasons = Vec::new();
    let mut never = false;
    if requested.pods + requests.pods > allocatable.pods {
        reasons.push("Too many pods".to_owned());
    }
    let named = [
        ("cpu", requests.milli_cpu),
        ("memory", requests.memory),
        ("ephemeral-storage", requests.ephemeral_storage),
    ];
    let extended = requests.extended.iter().map(|(name, amount)| (&**name, *amount));
    for (name, amount) in named.into_iter().chain(extended) {
        if amount > 0 && amount > allocatable.get(name).saturating_sub(requested.get(name)) {
            reasons.push(format!("Insufficient {name}"));
            // Not even an empty node of this size would do.
            never |= amount > allocatable.get(name);
        }
    }
    (reasons, never)
}

/// What a node offers and what is taken of a resource, this pod included; with defaults for CPU and memory.
pub fn scored_share(info: &NodeInfo, pod: &Pod, resource: &str) -> (i64, i64) {
    let capacity = info.node.allocatable.get(resource);
    let taken = match resource {
        "cpu" => info.scored.0 + pod.scored.0,
        "memory" => info.scored.1.saturating_add(pod.scored.1),
        other => info.requested.get(other).saturating_add(pod.requests.get(other)),
    };
    (capacity, taken)
}

impl Plugin for ResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Filter<'a> {
        Filter::Check(Box::new(move |info| {
            let (reasons, unresolvable) = lacking(&pod.requests, &info.requested, &info.node.allocatable);
            if reasons.is_empty() {
                return Ok(());
            }
            Err(Rejection { plugin: self.name(), reasons, unresolvable })
        }))
    }

    fn score<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot, _: &[&'a NodeInfo]) -> Option<Scorer<'a>> {
        let score = move |info: &NodeInfo| {
            let (mut sum, mut weights) = (0, 0);
            for (resource, weight) in &self.strategy.resources {
                let (capacity, taken) = scored_share(info, pod, resource);
                // An extended resource that neither asks nor has says nothing.
                if capacity == 0 {
                    continue;
                }
                sum += weight * self.strategy.scoring.score(capacity, taken);
                weights += weight;
            }
            (weights > 0).then(|| sum / weights)
        };
        Some(Scorer { score: Box::new(score), normalize: as_they_are })
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        let could_hold = |allocatable| lacking(&pod.requests, &Amounts::default(), allocatable).0.is_empty();
        match event {
            Event::NodeAdded(node) => could_hold(&node.allocatable),
            Event::NodeChanged { old, new } => {
                old.allocatable != new.allocatable && could_hold(&new.allocatable)
            }
            Event::PodGone(_) => true,
            _ => false,
        }
    }
}
