//! DefaultPreemption: which lower pods must go, on which node, so that a pod fits.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use apimachinery::labels::Selector;

use crate::framework::{Misfit, Rejection};
use crate::laps::Laps;
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::schedule::{Nominations, Profile, judge, prepare};
use crate::snapshot::Snapshot;

/// How many nodes are tried at most (upstream: a tenth of the nodes, at least a hundred).
const CANDIDATES: usize = 100;

/// A PodDisruptionBudget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its pods.
    pub selector: Selector,
    /// How many more of them may go now.
    pub allowed: i64,
    /// Those whose eviction was granted and who have not gone yet.
    pub granted: BTreeSet<Box<str>>,
}

/// The pods that must go from a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Victims {
    /// The node.
    pub node: Box<str>,
    /// The pods, the highest first.
    pub pods: Vec<Arc<Pod>>,
    violations: usize,
}

/// Why no room can be made for a pod, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoom {
    /// There are no nodes: it was not in question.
    NoNodes,
    /// The pod may push nobody out now; the node that it was promised stays promised.
    NotEligible(&'static str),
    /// It would help on no node; what it was promised is void.
    NoCandidate(String),
}

/// Finds the node on which the least harm makes room.
pub fn preempt(
    profile: &Profile,
    pod: &Pod,
    snapshot: &Snapshot,
    nominations: &Nominations,
    misfit: &Misfit,
    budgets: &[Arc<Budget>],
) -> Result<Victims, NoRoom> {
    if snapshot.nodes().is_empty() {
        return Err(NoRoom::NoNodes);
    }
    if !pod.preempts {
        return Err(NoRoom::NotEligible("not eligible due to preemptionPolicy=Never."));
    }
    if waits_for_victims(pod, snapshot, misfit) {
        return Err(NoRoom::NotEligible("not eligible due to a terminating pod on the nominated node."));
    }
    let mut findings = Misfit { nodes: misfit.nodes, ..Misfit::default() };
    let unhelpful = misfit.nodes - misfit.resolvable.len();
    if unhelpful > 0 {
        findings.reasons.insert("Preemption is not helpful for scheduling".into(), unhelpful);
    }
    let mut found: Vec<Victims> = Vec::new();
    for name in misfit.resolvable.iter().take(CANDIDATES.max(misfit.nodes / 10)) {
        let Some(info) = snapshot.node(name) else { continue };
        match on_node(profile, pod, snapshot, nominations, info, budgets) {
            Ok(victims) => found.push(victims),
            Err(rejection) => findings.add(name, rejection),
        }
    }
    found.into_iter().min_by_key(harm).ok_or_else(|| NoRoom::NoCandidate(findings.to_string()))
}

/// What makes one choice worse than another, the weightiest first.
fn harm(victims: &Victims) -> (usize, i32, i64, usize, Reverse<Option<jiff::Timestamp>>) {
    let highest = victims.pods.iter().map(|pod| pod.priority).max().unwrap_or(i32::MIN);
    // Shifted, so that one pod of low priority does not count more than two.
    let sum = victims.pods.iter().map(|pod| i64::from(pod.priority) + i64::from(i32::MAX) + 1).sum();
    let latest =
        victims.pods.iter().filter(|pod| pod.priority == highest).filter_map(|pod| pod.started).min();
    (victims.violations, highest, sum, victims.pods.len(), Reverse(latest))
}

/// Tells whether lower pods are already going from the node that is promised to this pod. Where their going could not
/// help any more, another node is looked for.
fn waits_for_victims(pod: &Pod, snapshot: &Snapshot, misfit: &Misfit) -> bool {
    let promised = pod.nominated_node.as_ref().filter(|name| misfit.resolvable.contains(name));
    let Some(info) = promised.and_then(|name| snapshot.node(name)) else { return false };
    info.pods.values().any(|other| other.deleting && other.priority < pod.priority)
}

fn on_node(
    profile: &Profile,
    pod: &Pod,
    snapshot: &Snapshot,
    nominations: &Nominations,
    info: &NodeInfo,
    budgets: &[Arc<Budget>],
) -> Result<Victims, Rejection> {
    let name = &info.node.name;
    let mut lower: Vec<Arc<Pod>> =
        info.pods.values().filter(|other| other.priority < pod.priority).cloned().collect();
    if lower.is_empty() {
        return Err(Rejection::new("DefaultPreemption", "No preemption victims found for incoming pod"));
    }
    let mut trial = snapshot.clone();
    trial.change(name, |info| {
        for pod in &lower {
            info.remove(&pod.uid);
        }
    });
    fits(profile, pod, &trial, nominations, name)?;

    // As many as possible are spared: those whose budget would be violated first, then the highest.
    lower.sort_by_key(|other| (Reverse(other.priority), other.started));
    let mut left: Vec<i64> = budgets.iter().map(|budget| budget.allowed).collect();
    let (violating, other): (Vec<_>, Vec<_>) =
        lower.into_iter().partition(|pod| violates(pod, budgets, &mut left));
    let mut victims = Vec::new();
    let mut violations = 0;
    for (group, counts) in [(violating, true), (other, false)] {
        for candidate in group {
            trial.change(name, |info| info.add(candidate.clone()));
            if fits(profile, pod, &trial, nominations, name).is_err() {
                trial.change(name, |info| {
                    info.remove(&candidate.uid);
                });
                violations += usize::from(counts);
                victims.push(candidate);
            }
        }
    }
    victims.sort_by_key(|victim| Reverse(victim.priority));
    Ok(Victims { node: name.clone(), pods: victims, violations })
}

fn fits(
    profile: &Profile,
    pod: &Pod,
    snapshot: &Snapshot,
    nominations: &Nominations,
    name: &str,
) -> Result<(), Rejection> {
    let checks = prepare(profile, pod, snapshot, Laps::default())?;
    let Some(info) = snapshot.node(name) else { return Ok(()) };
    judge(&checks, pod, info, nominations, Laps::default())
}

/// Counts a pod against its budgets; tells whether one of them is overdrawn.
fn violates(pod: &Pod, budgets: &[Arc<Budget>], left: &mut [i64]) -> bool {
    let mut overdrawn = false;
    for (budget, left) in budgets.iter().zip(left) {
        // A pod whose eviction was granted already is paid for. An empty selector covers nobody here, as upstream.
        let covers = budget.namespace == pod.namespace
            && !pod.labels.is_empty()
            && !budget.selector.is_everything()
            && budget.selector.matches_map(Some(&pod.labels))
            && !budget.granted.contains(&*pod.name);
        if covers {
            *left -= 1;
            overdrawn |= *left < 0;
        }
    }
    overdrawn
}
