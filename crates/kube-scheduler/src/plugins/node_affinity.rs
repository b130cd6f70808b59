//! NodeAffinity: node selector and required node affinity filter, preferred node affinity scores. The profile may add
//! affinity of its own.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1 as api;
use podrules::node_affinity;

use crate::framework::{Event, Filter, Plugin, Rejection, Scorer, highest_is_best};
use crate::node::{Node, NodeInfo};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// Affinity that every pod of a profile has (`addedAffinity`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddedAffinity {
    /// Only such nodes.
    required: Option<api::NodeSelector>,
    /// Rather such nodes.
    preferred: Vec<api::PreferredSchedulingTerm>,
}

impl From<api::NodeAffinity> for AddedAffinity {
    fn from(affinity: api::NodeAffinity) -> Self {
        AddedAffinity {
            required: affinity.required_during_scheduling_ignored_during_execution,
            preferred: affinity.preferred_during_scheduling_ignored_during_execution.unwrap_or_default(),
        }
    }
}

/// The plugin.
#[derive(Debug, Default)]
pub struct NodeAffinity {
    /// What the profile adds.
    pub added: AddedAffinity,
}

impl NodeAffinity {
    fn is_enforced_on(&self, node: &Node) -> bool {
        let required = self.added.required.as_ref();
        required.is_none_or(|required| node_affinity::selector_matches(required, &node.view()))
    }

    fn allows(&self, pod: &Pod, node: &Node) -> bool {
        self.is_enforced_on(node) && node_affinity::allows(&pod.wants().nodes, &node.view())
    }
}

/// The nodes that the pod's required affinity names, where each of its terms names some. Pods of DaemonSets do: no
/// other node need be looked at.
fn named(pod: &Pod) -> Option<BTreeSet<&str>> {
    let affinity = pod.wants().nodes.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let mut names = BTreeSet::new();
    for term in &required.node_selector_terms {
        let fields = term.match_fields.iter().flatten();
        let lists = fields.filter(|field| field.key == "metadata.name" && field.operator == "In");
        let sets = lists.map(|field| field.values.iter().flatten().map(String::as_str).collect());
        let all_of: Option<BTreeSet<&str>> = sets.reduce(|one: BTreeSet<&str>, other| &one & &other);
        names.extend(all_of?);
    }
    (!required.node_selector_terms.is_empty()).then_some(names)
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Filter<'a> {
        let wanted = &pod.wants().nodes;
        if wanted.node_selector.is_none() && wanted.affinity.is_none() && self.added.required.is_none() {
            return Filter::Skip;
        }
        let check = Box::new(move |info: &NodeInfo| {
            if !self.is_enforced_on(&info.node) {
                let reason = "node(s) didn't match scheduler-enforced node affinity";
                return Err(Rejection::unresolvable(self.name(), reason));
            }
            if self.allows(pod, &info.node) {
                return Ok(());
            }
            Err(Rejection::unresolvable(self.name(), "node(s) didn't match Pod's node affinity/selector"))
        });
        match named(pod) {
            None => Filter::Check(check),
            Some(names) if names.is_empty() => {
                Filter::Reject(Rejection::unresolvable(self.name(), "pod affinity terms conflict"))
            }
            Some(names) => Filter::Among(names, check),
        }
    }

    fn score<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot, _: &[&'a NodeInfo]) -> Option<Scorer<'a>> {
        let own = &pod.wants().preferred_nodes;
        if own.is_empty() && self.added.preferred.is_empty() {
            return None;
        }
        let score = move |info: &NodeInfo| {
            let view = info.node.view();
            let preferred = own.iter().chain(&self.added.preferred);
            let matching = preferred.filter(|term| node_affinity::term_matches(&term.preference, &view));
            Some(matching.map(|term| i64::from(term.weight)).sum())
        };
        Some(Scorer { score: Box::new(score), normalize: highest_is_best })
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::NodeAdded(node) => self.allows(pod, node),
            Event::NodeChanged { old, new } => !self.allows(pod, old) && self.allows(pod, new),
            _ => false,
        }
    }
}
