//! InterPodAffinity: pods near or away from other pods, from both sides.

use std::collections::BTreeMap;

use crate::framework::{Event, Filter, MAX_SCORE, Plugin, Rejection, Scorer};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;
use crate::term::Term;

/// The plugin.
#[derive(Debug)]
pub struct InterPodAffinity {
    /// How much a required term of a placed pod attracts a pod it matches.
    pub hard_weight: i64,
    /// Whether what placed pods rather have near or far counts when nodes are scored.
    pub heeds_preferences_of_others: bool,
}

/// Counts by place: a label and its value.
type Places<'a> = BTreeMap<(&'a str, &'a str), i64>;

fn add<'a>(places: &mut Places<'a>, term: &'a Term, info: &'a NodeInfo, amount: i64) {
    if let Some(value) = info.label(&term.topology_key) {
        *places.entry((&term.topology_key, value)).or_default() += amount;
    }
}

fn at(places: &Places<'_>, term: &Term, info: &NodeInfo) -> i64 {
    info.label(&term.topology_key)
        .and_then(|value| places.get(&(&*term.topology_key, value)))
        .copied()
        .unwrap_or(0)
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Filter<'a> {
        let namespaces = &snapshot.around.namespaces;
        let own = &pod.affinity;
        let mut refused_by_others = Places::new();
        let mut near = Places::new();
        let mut far = Places::new();
        for info in snapshot.nodes() {
            if info.with_required_anti > 0 {
                for other in info.pods.values() {
                    for term in
                        other.affinity.required_anti.iter().filter(|term| term.matches(pod, namespaces))
                    {
                        add(&mut refused_by_others, term, info, 1);
                    }
                }
            }
            if own.required.is_empty() && own.required_anti.is_empty() {
                continue;
            }
            for other in info.pods.values().filter(|other| !other.terminal) {
                // A pod counts as near only if it matches all terms, as upstream has it.
                if !own.required.is_empty() && own.required.iter().all(|term| term.matches(other, namespaces))
                {
                    own.required.iter().for_each(|term| add(&mut near, term, info, 1));
                }
                for term in own.required_anti.iter().filter(|term| term.matches(other, namespaces)) {
                    add(&mut far, term, info, 1);
                }
            }
        }
        if refused_by_others.is_empty() && own.required.is_empty() && own.required_anti.is_empty() {
            return Filter::Skip;
        }
        // The first of a group that wants to be together has nobody to be near to.
        let is_first = near.is_empty() && own.required.iter().all(|term| term.matches(pod, namespaces));
        Filter::Check(Box::new(move |info| {
            for term in &own.required {
                let has_place = info.label(&term.topology_key).is_some();
                if !has_place || (!is_first && at(&near, term, info) == 0) {
                    let reason = "node(s) didn't match pod affinity rules";
                    return Err(Rejection::unresolvable(self.name(), reason));
                }
            }
            if own.required_anti.iter().any(|term| at(&far, term, info) > 0) {
                return Err(Rejection::new(self.name(), "node(s) didn't match pod anti-affinity rules"));
            }
            if refused_by_others.keys().any(|(key, value)| info.label(key) == Some(value)) {
                let reason = "node(s) didn't satisfy existing pods anti-affinity rules";
                return Err(Rejection::new(self.name(), reason));
            }
            Ok(())
        }))
    }

    fn score<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot, _: &[&'a NodeInfo]) -> Option<Scorer<'a>> {
        let namespaces = &snapshot.around.namespaces;
        let own = &pod.affinity.preferred;
        let mut places = Places::new();
        for info in snapshot.nodes() {
            if own.is_empty() && info.with_affinity == 0 {
                continue;
            }
            for other in info.pods.values() {
                for (weight, term) in own.iter().filter(|(_, term)| term.matches(other, namespaces)) {
                    add(&mut places, term, info, *weight);
                }
                for term in other.affinity.required.iter().filter(|term| term.matches(pod, namespaces)) {
                    add(&mut places, term, info, self.hard_weight);
                }
                let theirs = other.affinity.preferred.iter().filter(|_| self.heeds_preferences_of_others);
                for (weight, term) in theirs.filter(|(_, term)| term.matches(pod, namespaces)) {
                    add(&mut places, term, info, *weight);
                }
            }
        }
        if places.is_empty() {
            return None;
        }
        let score = move |info: &NodeInfo| {
            let here = places.iter().filter(|((key, value), _)| info.label(key) == Some(value));
            Some(here.map(|(_, weight)| weight).sum())
        };
        Some(Scorer { score: Box::new(score), normalize: between_extremes })
    }

    fn may_help(&self, event: Event<'_>, _: &Pod) -> bool {
        match event {
            Event::NodeAdded(_) | Event::PodPlaced(_) | Event::PodGone(_) | Event::Namespaces => true,
            Event::NodeChanged { old, new } => old.labels != new.labels,
            Event::Volumes(_) | Event::Claim(_) => false,
        }
    }
}

/// The lowest becomes 0, the highest 100.
fn between_extremes(scores: &mut [Option<i64>]) {
    let least = scores.iter().flatten().copied().min().unwrap_or(0);
    let most = scores.iter().flatten().copied().max().unwrap_or(0);
    for score in scores.iter_mut().flatten() {
        *score = if most == least { 0 } else { MAX_SCORE * (*score - least) / (most - least) };
    }
}
