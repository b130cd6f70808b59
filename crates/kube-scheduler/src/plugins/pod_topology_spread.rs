//! PodTopologySpread: keeps a pod's like spread evenly over zones, hosts or other places.

use std::borrow::Cow;
use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use podrules::{node_affinity, tolerations};

use crate::framework::{Event, Filter, MAX_SCORE, Plugin, Rejection, Scorer};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;
use crate::term::{SpreadConstraint, Unsatisfiable};

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// The constraints of pods that have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultConstraints {
    /// Upstream's: over hosts (skew 3) and zones (skew 5), if it can be, for pods of one service or controller.
    #[default]
    System,
    /// These, for pods of one service or controller.
    List(Vec<SpreadConstraint>),
}

/// The plugin.
#[derive(Debug, Default)]
pub struct PodTopologySpread {
    /// The constraints of pods that have none.
    pub defaults: DefaultConstraints,
}

/// Counts of a pod's like by place, for one constraint.
struct Counted<'a> {
    constraint: Cow<'a, SpreadConstraint>,
    by_place: BTreeMap<&'a str, i64>,
}

impl PodTopologySpread {
    /// The constraints of a kind, and whether a node must have all topology keys to be counted.
    fn constraints<'a>(
        &self,
        pod: &'a Pod,
        snapshot: &Snapshot,
        kind: Unsatisfiable,
    ) -> (Vec<Cow<'a, SpreadConstraint>>, bool) {
        let own = &pod.wants().spread;
        if !own.is_empty() {
            let own = own.iter().filter(|constraint| constraint.when_unsatisfiable == kind);
            return (own.map(Cow::Borrowed).collect(), true);
        }
        let of_like = |constraint: SpreadConstraint, selector: &Selector| {
            Cow::Owned(SpreadConstraint { selector: selector.clone(), ..constraint })
        };
        match &self.defaults {
            DefaultConstraints::System if kind == Unsatisfiable::DoNotSchedule => (Vec::new(), true),
            DefaultConstraints::System => {
                let Some(like) = snapshot.like(pod) else { return (Vec::new(), true) };
                let list = [(HOSTNAME, 3), (ZONE, 5)];
                (list.map(|(key, skew)| of_like(system_default(key, skew), &like)).into(), false)
            }
            DefaultConstraints::List(list) => {
                let Some(like) = snapshot.like(pod) else { return (Vec::new(), true) };
                let list = list.iter().filter(|constraint| constraint.when_unsatisfiable == kind);
                (list.map(|constraint| of_like(constraint.clone(), &like)).collect(), true)
            }
        }
    }
}

fn system_default(key: &str, max_skew: i64) -> SpreadConstraint {
    SpreadConstraint {
        max_skew,
        topology_key: key.into(),
        when_unsatisfiable: Unsatisfiable::ScheduleAnyway,
        selector: Selector::nothing(),
        min_domains: 1,
        honors_affinity: true,
        honors_taints: false,
    }
}

fn count_like(info: &NodeInfo, pod: &Pod, constraint: &SpreadConstraint) -> i64 {
    let like = info.pods.values().filter(|other| {
        !other.deleting
            && other.namespace == pod.namespace
            && constraint.selector.matches_map(Some(&other.labels))
    });
    i64::try_from(like.count()).unwrap_or(i64::MAX)
}

/// Tells whether a node counts for a constraint at all.
fn is_counted(info: &NodeInfo, pod: &Pod, constraint: &SpreadConstraint) -> bool {
    let wants = pod.wants();
    (!constraint.honors_affinity || node_affinity::allows(&wants.nodes, &info.node.view()))
        && (!constraint.honors_taints
            || tolerations::first_untolerated(
                &info.node.taints,
                &wants.tolerations,
                &["NoSchedule", "NoExecute"],
            )
            .is_none())
}

fn count<'a>(
    constraints: Vec<Cow<'a, SpreadConstraint>>,
    pod: &Pod,
    snapshot: &'a Snapshot,
    require_all_keys: bool,
) -> Vec<Counted<'a>> {
    let mut counted: Vec<Counted<'a>> =
        constraints.into_iter().map(|constraint| Counted { constraint, by_place: BTreeMap::new() }).collect();
    for info in snapshot.nodes() {
        let has_all = counted.iter().all(|counted| info.label(&counted.constraint.topology_key).is_some());
        if require_all_keys && !has_all {
            continue;
        }
        for Counted { constraint, by_place } in &mut counted {
            if let Some(place) = info.label(&constraint.topology_key)
                && is_counted(info, pod, constraint)
            {
                *by_place.entry(place).or_default() += count_like(info, pod, constraint);
            }
        }
    }
    counted
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Filter<'a> {
        let (constraints, require_all_keys) = self.constraints(pod, snapshot, Unsatisfiable::DoNotSchedule);
        if constraints.is_empty() {
            return Filter::Skip;
        }
        let counted = count(constraints, pod, snapshot, require_all_keys);
        Filter::Check(Box::new(move |info| {
            for Counted { constraint, by_place } in &counted {
                let Some(place) = info.label(&constraint.topology_key) else {
                    let reason =
                        "node(s) didn't match pod topology spread constraints (missing required label)";
                    return Err(Rejection::unresolvable(self.name(), reason));
                };
                // Where there are too few places, a new one is to come, and it will be empty.
                let least = if by_place.len() < constraint.min_domains {
                    0
                } else {
                    by_place.values().copied().min().unwrap_or(0)
                };
                let own = i64::from(constraint.selector.matches_map(Some(&pod.labels)));
                let here = by_place.get(place).copied().unwrap_or(0);
                if here + own - least > constraint.max_skew {
                    let reason = "node(s) didn't match pod topology spread constraints";
                    return Err(Rejection::new(self.name(), reason));
                }
            }
            Ok(())
        }))
    }

    fn score<'a>(
        &'a self,
        pod: &'a Pod,
        snapshot: &'a Snapshot,
        feasible: &[&'a NodeInfo],
    ) -> Option<Scorer<'a>> {
        let (constraints, require_all_keys) = self.constraints(pod, snapshot, Unsatisfiable::ScheduleAnyway);
        if constraints.is_empty() {
            return None;
        }
        let counted = count(constraints, pod, snapshot, require_all_keys);
        // The more places there are, the less one pod more matters in each: upstream weighs by the logarithm.
        let weights: Vec<f64> = counted
            .iter()
            .map(|counted| {
                let key = &counted.constraint.topology_key;
                let places: std::collections::BTreeSet<_> =
                    feasible.iter().filter_map(|info| info.label(key)).collect();
                let size = if **key == *HOSTNAME { feasible.len() } else { places.len() };
                ((size + 2) as f64).ln()
            })
            .collect();
        let score = move |info: &NodeInfo| {
            if require_all_keys
                && counted.iter().any(|counted| info.label(&counted.constraint.topology_key).is_none())
            {
                return None;
            }
            let mut score = 0.0;
            for (Counted { constraint, by_place }, weight) in counted.iter().zip(&weights) {
                if let Some(place) = info.label(&constraint.topology_key) {
                    let here = by_place.get(place).copied().unwrap_or(0);
                    score += here as f64 * weight + (constraint.max_skew - 1) as f64;
                }
            }
            Some(score.round() as i64)
        };
        Some(Scorer { score: Box::new(score), normalize: fewest_is_best })
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::NodeAdded(_) => true,
            Event::NodeChanged { old, new } => old.labels != new.labels || old.taints != new.taints,
            Event::PodPlaced(other) | Event::PodGone(other) => other.namespace == pod.namespace,
            Event::Volumes(_) | Event::Claim(_) | Event::Namespaces => false,
        }
    }
}

/// The lowest becomes 100, the others less by how much they are above it.
fn fewest_is_best(scores: &mut [Option<i64>]) {
    let least = scores.iter().flatten().copied().min().unwrap_or(0);
    let most = scores.iter().flatten().copied().max().unwrap_or(0);
    for score in scores.iter_mut().flatten() {
        *score = if most == 0 { MAX_SCORE } else { MAX_SCORE * (most + least - *score) / most };
    }
}
