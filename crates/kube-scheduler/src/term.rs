//! Terms about other pods: which pods, in which namespaces, over which topology.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::labels::{Operator, Requirement, Selector};
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::pod::Pod;

/// Labels of namespaces, by name.
pub type Namespaces = BTreeMap<Box<str>, BTreeMap<String, String>>;

/// One affinity or anti-affinity term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    selector: Selector,
    namespaces: BTreeSet<String>,
    namespace_selector: Option<Selector>,
    /// The node label whose value makes nodes one place.
    pub topology_key: Box<str>,
}

impl Term {
    /// Reads a term of a pod in this namespace with these labels.
    pub fn from_api(term: &api::PodAffinityTerm, namespace: &str, labels: &BTreeMap<String, String>) -> Self {
        let mut selector = selector(term.label_selector.as_ref());
        require_own_values(&mut selector, term.match_label_keys.as_deref(), labels, Operator::In);
        require_own_values(&mut selector, term.mismatch_label_keys.as_deref(), labels, Operator::NotIn);
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(namespace.to_owned());
        }
        Term {
            selector,
            namespaces,
            namespace_selector: term.namespace_selector.as_ref().map(|given| self::selector(Some(given))),
            topology_key: term.topology_key.as_str().into(),
        }
    }

    /// Tells whether a pod is one of those the term is about.
    pub fn matches(&self, pod: &Pod, namespaces: &Namespaces) -> bool {
        let in_namespace = self.namespaces.contains(&*pod.namespace)
            || self
                .namespace_selector
                .as_ref()
                .is_some_and(|selector| selector.matches_map(namespaces.get(&pod.namespace)));
        in_namespace && self.selector.matches_map(Some(&pod.labels))
    }
}

/// What a spread constraint does when it cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsatisfiable {
    /// The pod waits.
    DoNotSchedule,
    /// The pod goes to the least bad place.
    ScheduleAnyway,
}

/// One topology spread constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadConstraint {
    /// How far the fullest place may be ahead of the emptiest.
    pub max_skew: i64,
    /// The node label whose value makes nodes one place.
    pub topology_key: Box<str>,
    /// What follows when it cannot be kept.
    pub when_unsatisfiable: Unsatisfiable,
    /// Which pods of the namespace are counted.
    pub selector: Selector,
    /// How many places there must be at least.
    pub min_domains: usize,
    /// Whether nodes that the pod's node affinity excludes are left out.
    pub honors_affinity: bool,
    /// Whether nodes with taints that the pod does not bear are left out.
    pub honors_taints: bool,
}

impl SpreadConstraint {
    /// Reads a constraint of a pod with these labels.
    pub fn from_api(constraint: &api::TopologySpreadConstraint, labels: &BTreeMap<String, String>) -> Self {
        let mut selector = selector(constraint.label_selector.as_ref());
        require_own_values(&mut selector, constraint.match_label_keys.as_deref(), labels, Operator::In);
        SpreadConstraint {
            max_skew: i64::from(constraint.max_skew),
            topology_key: constraint.topology_key.as_str().into(),
            when_unsatisfiable: match constraint.when_unsatisfiable.as_str() {
                "ScheduleAnyway" => Unsatisfiable::ScheduleAnyway,
                _ => Unsatisfiable::DoNotSchedule,
            },
            selector,
            min_domains: constraint
                .min_domains
                .and_then(|domains| usize::try_from(domains).ok())
                .unwrap_or(1),
            honors_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        }
    }
}

/// Reads a label selector; an absent one matches nothing.
pub fn selector(selector: Option<&LabelSelector>) -> Selector {
    let Some(selector) = selector else { return Selector::nothing() };
    let mut requirements: Vec<Requirement> = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.clone()],
        })
        .collect();
    for expression in selector.match_expressions.iter().flatten() {
        let operator = match expression.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            // The API server admits no other; one that matches nothing is the safe reading.
            _ => return Selector::nothing(),
        };
        requirements.push(Requirement {
            key: expression.key.clone(),
            operator,
            values: expression.values.clone().unwrap_or_default(),
        });
    }
    Selector { requirements, nothing: false }
}

fn require_own_values(
    selector: &mut Selector,
    keys: Option<&[String]>,
    labels: &BTreeMap<String, String>,
    operator: Operator,
) {
    for key in keys.unwrap_or_default() {
        if let Some(value) = labels.get(key) {
            selector.requirements.push(Requirement {
                key: key.clone(),
                operator,
                values: vec![value.clone()],
            });
        }
    }
}
