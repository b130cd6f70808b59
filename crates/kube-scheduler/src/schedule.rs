//! The decision: which node a pod goes to. Pure over a snapshot; ties are broken by the randomness given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::framework::{Check, Filter, MAX_SCORE, Misfit, Plugin, Rejection, Scorer};
use crate::laps::{Laps, Point, Status};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// Below so many nodes all are looked at (upstream's value).
const LEAST_NODES: usize = 100;

/// The plugins of a profile at each point.
#[derive(Clone)]
pub struct Profile {
    /// The `spec.schedulerName` it serves.
    pub scheduler_name: String,
    /// Those that gate.
    pub gates: Vec<Arc<dyn Plugin>>,
    /// Those that filter, in order.
    pub filters: Vec<Arc<dyn Plugin>>,
    /// Those that score, with their weights.
    pub scores: Vec<(Arc<dyn Plugin>, i64)>,
    /// Whether lower pods may be pushed out.
    pub preempts: bool,
    /// Of how many nodes in a hundred enough must be found; 0 means by the cluster's size.
    pub percentage_of_nodes_to_score: usize,
    /// How long a pod's claims may take to be bound; none if nobody sees to them.
    pub bind_timeout: Option<Duration>,
}

/// Pods that a node has been promised to while lower ones leave it, by node.
pub type Nominations = BTreeMap<Box<str>, Vec<Arc<Pod>>>;

/// Chooses a node. `start` is where the look at the nodes begins and is moved on, so that each gets its turn.
pub fn decide(
    profile: &Profile,
    pod: &Pod,
    snapshot: &Snapshot,
    nominations: &Nominations,
    start: &mut usize,
    random: &mut dyn FnMut(usize) -> usize,
    laps: Laps<'_>,
) -> Result<Box<str>, Box<Misfit>> {
    let mut misfit = Box::new(Misfit { nodes: snapshot.nodes().len(), ..Misfit::default() });
    let scheduler = &*profile.scheduler_name;
    let began = laps.begin();
    let prepared = prepare(profile, pod, snapshot, laps);
    let status = prepared.as_ref().map_or_else(Status::of, |_| Status::Success);
    laps.point(began, scheduler, Point::PreFilter, status);
    let checks = match prepared {
        Ok(checks) => checks,
        Err(rejection) => {
            misfit.plugins.insert(rejection.plugin);
            misfit.whole = Some(rejection.reasons.join(", "));
            return Err(misfit);
        }
    };
    let began = laps.begin();
    // The node that was cleared for this pod is asked first.
    if let Some(nominated) = pod.nominated_node.as_ref().and_then(|name| snapshot.node(name))
        && checks.has_in_question(&nominated.node.name)
        && judge(&checks, pod, nominated, nominations, laps).is_ok()
    {
        laps.point(began, scheduler, Point::Filter, Status::Success);
        return Ok(nominated.node.name.clone());
    }

    let named: Vec<Arc<NodeInfo>>;
    let nodes = match &checks.among {
        None => snapshot.nodes(),
        Some(among) => {
            named = among.names.iter().filter_map(|name| snapshot.node(name)).cloned().collect();
            misfit.add_absent(misfit.nodes - named.len(), &among.plugins);
            &named
        }
    };
    let enough = enough_nodes(nodes.len(), profile.percentage_of_nodes_to_score);
    let mut feasible: Vec<&NodeInfo> = Vec::new();
    let mut looked_at = 0;
    while looked_at < nodes.len() && feasible.len() < enough {
        let info = &nodes[(*start + looked_at) % nodes.len()];
        looked_at += 1;
        match judge(&checks, pod, info, nominations, laps) {
            Ok(()) => feasible.push(info),
            Err(rejection) => misfit.add(&info.node.name, rejection),
        }
    }
    // As upstream: of all nodes together, whatever was found.
    laps.point(began, scheduler, Point::Filter, Status::Success);
    if !nodes.is_empty() {
        *start = (*start + looked_at) % nodes.len();
    }
    match feasible.as_slice() {
        [] => Err(misfit),
        [only] => Ok(only.node.name.clone()),
        _ => Ok(best(profile, pod, snapshot, &feasible, random, laps).node.name.clone()),
    }
}

/// What all filtering plugins made of a pod.
pub struct Checks<'a> {
    each: Vec<(&'static str, Check<'a>)>,
    among: Option<Among<'a>>,
}

/// The only nodes in question.
struct Among<'a> {
    names: BTreeSet<&'a str>,
    /// Who says so.
    plugins: BTreeSet<&'static str>,
}

impl Checks<'_> {
    fn has_in_question(&self, node: &str) -> bool {
        self.among.as_ref().is_none_or(|among| among.names.contains(node))
    }
}

/// Makes the checks of all filtering plugins.
pub fn prepare<'a>(
    profile: &'a Profile,
    pod: &'a Pod,
    snapshot: &'a Snapshot,
    laps: Laps<'_>,
) -> Result<Checks<'a>, Rejection> {
    let mut checks = Checks { each: Vec::with_capacity(profile.filters.len()), among: None };
    for plugin in &profile.filters {
        let began = laps.begin_each();
        let filter = plugin.filter(pod, snapshot);
        if began.is_some() {
            let status = match &filter {
                Filter::Skip => Status::Skip,
                Filter::Reject(rejection) => Status::of(rejection),
                Filter::Check(_) | Filter::Among(..) => Status::Success,
            };
            laps.plugin(began, plugin.name(), Point::PreFilter, status);
        }
        match filter {
            Filter::Skip => {}
            Filter::Reject(rejection) => return Err(rejection),
            Filter::Check(check) => checks.each.push((plugin.name(), check)),
            Filter::Among(names, check) => {
                checks.each.push((plugin.name(), check));
                let among = checks
                    .among
                    .get_or_insert_with(|| Among { names: names.clone(), plugins: BTreeSet::new() });
                among.names.retain(|name| names.contains(name));
                among.plugins.insert(plugin.name());
            }
        }
    }
    Ok(checks)
}

/// Judges a node as it is, and as it will be with the pods of the same or a higher rank that it is promised to.
pub fn judge(
    checks: &Checks<'_>,
    pod: &Pod,
    info: &NodeInfo,
    nominations: &Nominations,
    laps: Laps<'_>,
) -> Result<(), Rejection> {
    let run = |info: &NodeInfo| {
        checks.each.iter().try_for_each(|(plugin, check)| {
            let began = laps.begin_each();
            let verdict = check(info);
            if began.is_some() {
                let status = verdict.as_ref().map_or_else(Status::of, |()| Status::Success);
                laps.plugin(began, plugin, Point::Filter, status);
            }
            verdict
        })
    };
    let promised: Vec<&Arc<Pod>> = nominations
        .get(&info.node.name)
        .into_iter()
        .flatten()
        .filter(|other| other.priority >= pod.priority && other.uid != pod.uid)
        .collect();
    if !promised.is_empty() {
        let mut filled = info.clone();
        promised.into_iter().for_each(|other| filled.add(other.clone()));
        run(&filled)?;
    }
    run(info)
}

fn best<'a>(
    profile: &Profile,
    pod: &Pod,
    snapshot: &Snapshot,
    feasible: &[&'a NodeInfo],
    random: &mut dyn FnMut(usize) -> usize,
    laps: Laps<'_>,
) -> &'a NodeInfo {
    let mut totals = vec![0i64; feasible.len()];
    let began = laps.begin();
    let mut scorers: Vec<(&'static str, i64, Scorer<'_>)> = Vec::with_capacity(profile.scores.len());
    for (plugin, weight) in &profile.scores {
        let began = laps.begin_each();
        let scorer = plugin.score(pod, snapshot, feasible);
        let status = if scorer.is_some() { Status::Success } else { Status::Skip };
        laps.plugin(began, plugin.name(), Point::PreScore, status);
        scorers.extend(scorer.map(|scorer| (plugin.name(), *weight, scorer)));
    }
    laps.point(began, &profile.scheduler_name, Point::PreScore, Status::Success);
    let began = laps.begin();
    for (plugin, weight, scorer) in scorers {
        let score = |info: &&NodeInfo| {
            let began = laps.begin_each();
            let score = (scorer.score)(info);
            laps.plugin(began, plugin, Point::Score, Status::Success);
            score
        };
        let mut scores: Vec<Option<i64>> = feasible.iter().map(score).collect();
        let began = laps.begin_each();
        (scorer.normalize)(&mut scores);
        laps.plugin(began, plugin, Point::ScoreExtensionNormalize, Status::Success);
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += weight * score.unwrap_or(0).clamp(0, MAX_SCORE);
        }
    }
    laps.point(began, &profile.scheduler_name, Point::Score, Status::Success);
    let highest = totals.iter().copied().max().unwrap_or(0);
    let ties: Vec<usize> = (0..feasible.len()).filter(|index| totals[*index] == highest).collect();
    feasible[ties[random(ties.len()).min(ties.len() - 1)]]
}

/// How many feasible nodes are enough, so that large clusters are not searched whole for each pod.
fn enough_nodes(nodes: usize, percentage: usize) -> usize {
    if nodes < LEAST_NODES {
        return nodes;
    }
    let percentage = match percentage {
        // Upstream's curve: half of 100 nodes, a tenth of 5,000, never less than a twentieth.
        0 => 50usize.saturating_sub(nodes / 125).max(5),
        given => given.min(100),
    };
    (nodes * percentage / 100).max(LEAST_NODES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_clusters_are_not_searched_whole() {
        for (nodes, percentage, expected) in [
            (3, 0, 3),
            (99, 0, 99),
            (100, 0, 100),
            (1000, 0, 420),
            (5000, 0, 500),
            (1000, 100, 1000),
            (200, 1, 100),
        ] {
            assert_eq!(enough_nodes(nodes, percentage), expected);
        }
    }
}
