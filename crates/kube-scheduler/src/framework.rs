//! What a plugin is, and how its verdicts are put together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::node::{Node, NodeInfo};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The best score a plugin gives.
pub const MAX_SCORE: i64 = 100;

/// Why a plugin refuses a node, or the pod altogether.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The plugin.
    pub plugin: &'static str,
    /// What people read, each counted over the nodes.
    pub reasons: Vec<String>,
    /// Whether removing other pods could not help.
    pub unresolvable: bool,
}

impl Rejection {
    /// A refusal that removing other pods could lift.
    pub fn new(plugin: &'static str, reason: impl Into<String>) -> Self {
        Rejection { plugin, reasons: vec![reason.into()], unresolvable: false }
    }

    /// A refusal that removing other pods could not lift.
    pub fn unresolvable(plugin: &'static str, reason: impl Into<String>) -> Self {
        Rejection { plugin, reasons: vec![reason.into()], unresolvable: true }
    }
}

/// Judges one node for the pod it was made for.
pub type Check<'a> = Box<dyn Fn(&NodeInfo) -> Result<(), Rejection> + 'a>;

/// What a plugin's look at pod and snapshot gives, before any node is judged.
pub enum Filter<'a> {
    /// The plugin has nothing to say about this pod.
    Skip,
    /// No node will do.
    Reject(Rejection),
    /// Each node is judged by this.
    Check(Check<'a>),
    /// Only the nodes of these names are in question, and each of them is judged by this.
    Among(BTreeSet<&'a str>, Check<'a>),
}

impl fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::Skip => f.write_str("Skip"),
            Filter::Reject(rejection) => write!(f, "Reject({rejection:?})"),
            Filter::Check(_) => f.write_str("Check"),
            Filter::Among(names, _) => write!(f, "Among({names:?})"),
        }
    }
}

/// Gives one node's raw score; none leaves the node at 0.
pub type Score<'a> = Box<dyn Fn(&NodeInfo) -> Option<i64> + 'a>;

/// Scores one node for the pod it was made for, and brings the scores of all nodes to 0..=100.
pub struct Scorer<'a> {
    /// Scores a node.
    pub score: Score<'a>,
    /// Brings raw scores to 0..=100.
    pub normalize: fn(&mut [Option<i64>]),
}

/// Leaves scores that are in 0..=100 already.
pub fn as_they_are(_: &mut [Option<i64>]) {}

/// The highest becomes 100, the others in proportion.
pub fn highest_is_best(scores: &mut [Option<i64>]) {
    let highest = scores.iter().flatten().copied().max().unwrap_or(0);
    if highest > 0 {
        scores.iter_mut().flatten().for_each(|score| *score = *score * MAX_SCORE / highest);
    }
}

/// The highest becomes 0, zero becomes 100.
pub fn lowest_is_best(scores: &mut [Option<i64>]) {
    highest_is_best(scores);
    scores.iter_mut().flatten().for_each(|score| *score = MAX_SCORE - *score);
}

/// Something that happened and may make room for a pod.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A node is new.
    NodeAdded(&'a Node),
    /// A node changed.
    NodeChanged {
        /// Before.
        old: &'a Node,
        /// Now.
        new: &'a Node,
    },
    /// A pod came to be on a node, or changed there.
    PodPlaced(&'a Pod),
    /// A pod on a node ended or went.
    PodGone(&'a Pod),
    /// The claim with this `namespace/name` changed.
    Claim(&'a str),
    /// A volume, a storage class or a node's drivers changed, or a volume that was promised is free again; upstream's name of
    /// that.
    Volumes(&'static str),
    /// Labels of a namespace changed.
    Namespaces,
}

impl Event<'_> {
    /// How upstream names it.
    pub fn label(&self) -> &'static str {
        match self {
            Event::NodeAdded(_) => "NodeAdd",
            Event::NodeChanged { old, new } if old.unschedulable && !new.unschedulable => {
                "NodeUpdateNodeTaint"
            }
            Event::NodeChanged { old, new } if old.allocatable != new.allocatable => {
                "NodeUpdateNodeAllocatable"
            }
            Event::NodeChanged { old, new } if old.labels != new.labels => "NodeUpdateNodeLabel",
            Event::NodeChanged { old, new } if old.taints != new.taints => "NodeUpdateNodeTaint",
            Event::NodeChanged { .. } => "NodeUpdate",
            Event::PodPlaced(_) => "AssignedPodAdd",
            Event::PodGone(_) => "AssignedPodDelete",
            Event::Claim(_) => "PersistentVolumeClaimUpdate",
            Event::Volumes(what) => what,
            Event::Namespaces => "NamespaceUpdate",
        }
    }
}

/// One concern of scheduling. A plugin takes part where it implements a method.
pub trait Plugin: Send + Sync {
    /// Its name in configuration and messages.
    fn name(&self) -> &'static str;

    /// Says why the pod may not even be considered yet (PreEnqueue).
    fn gate(&self, _pod: &Pod) -> Option<String> {
        None
    }

    /// Looks at the pod and the whole snapshot once, and gives what judges each node (PreFilter and Filter).
    fn filter<'a>(&'a self, _pod: &'a Pod, _snapshot: &'a Snapshot) -> Filter<'a> {
        Filter::Skip
    }

    /// Looks at the pod and the nodes that are left once, and gives what scores each (PreScore and Score).
    fn score<'a>(
        &'a self,
        _pod: &'a Pod,
        _snapshot: &'a Snapshot,
        _feasible: &[&'a NodeInfo],
    ) -> Option<Scorer<'a>> {
        None
    }

    /// Tells whether a pod that this plugin refused may fit after the event (queueing hint).
    fn may_help(&self, _event: Event<'_>, _pod: &Pod) -> bool {
        false
    }
}

/// Why no node will do, over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfit {
    /// How many nodes there are.
    pub nodes: usize,
    /// Said of the pod altogether.
    pub whole: Option<String>,
    /// How many nodes each reason was given for.
    pub reasons: BTreeMap<String, usize>,
    /// Who refused.
    pub plugins: BTreeSet<&'static str>,
    /// The nodes that removing pods might help on.
    pub resolvable: Vec<Box<str>>,
    /// What preemption found.
    pub preemption: Option<String>,
}

impl Misfit {
    /// Adds the refusal of one node.
    pub fn add(&mut self, node: &str, rejection: Rejection) {
        self.plugins.insert(rejection.plugin);
        if !rejection.unresolvable {
            self.resolvable.push(node.into());
        }
        for reason in rejection.reasons {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Adds the nodes that were not looked at because these plugins named others.
    pub fn add_absent(&mut self, nodes: usize, plugins: &BTreeSet<&'static str>) {
        self.plugins.extend(plugins);
        if nodes > 0 {
            let plugins = plugins.iter().copied().collect::<Vec<_>>().join(" ");
            self.reasons.insert(format!("node(s) didn't satisfy plugin(s) [{plugins}]"), nodes);
        }
    }
}

impl fmt::Display for Misfit {
    /// Upstream's words, which people and tests search for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            f.write_str("no nodes available to schedule pods")?;
        } else {
            write!(f, "0/{} nodes are available", self.nodes)?;
            if let Some(whole) = &self.whole {
                write!(f, ": {whole}.")?;
            } else if !self.reasons.is_empty() {
                let mut counted: Vec<String> =
                    self.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
                counted.sort();
                write!(f, ": {}.", counted.join(", "))?;
            }
        }
        match &self.preemption {
            Some(preemption) => write!(f, " preemption: {preemption}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misfit_reads_as_upstreams() {
        let mut misfit = Misfit { nodes: 3, ..Misfit::default() };
        misfit.add("m", Rejection::unresolvable("TaintToleration", "node(s) had untolerated taint(s)"));
        misfit.add("w1", Rejection::new("NodeResourcesFit", "Insufficient cpu"));
        misfit.add("w2", Rejection::new("NodeResourcesFit", "Insufficient cpu"));
        assert_eq!(
            misfit.to_string(),
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu."
        );
        assert_eq!(misfit.resolvable.len(), 2);
        assert_eq!(Misfit::default().to_string(), "no nodes available to schedule pods");
    }

    #[test]
    fn normalizing() {
        let mut scores = [Some(1), Some(4), None, Some(0)];
        highest_is_best(&mut scores);
        assert_eq!(scores, [Some(25), Some(100), None, Some(0)]);
        let mut scores = [Some(0), Some(2), Some(1)];
        lowest_is_best(&mut scores);
        assert_eq!(scores, [Some(100), Some(0), Some(50)]);
        let mut none = [Some(0), Some(0)];
        lowest_is_best(&mut none);
        assert_eq!(none, [Some(100), Some(100)]);
    }
}
