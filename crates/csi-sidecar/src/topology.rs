//! Where a volume is to be made: near the node that was chosen for it, or anywhere that its class allows.

use std::collections::{BTreeMap, BTreeSet};

use csi::v1::{Topology, TopologyRequirement};
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use serde_json::{Value, json};

/// A place: labels with their values.
pub type Segments = BTreeMap<String, String>;

/// What is known of places.
#[derive(Debug, Default)]
pub struct View<'a> {
    /// The place of the node that was chosen; none if none was.
    pub chosen: Option<Segments>,
    /// The places of all nodes that have the driver.
    pub all: BTreeSet<Segments>,
    /// What the class allows.
    pub allowed: &'a [TopologySelectorTerm],
    /// Whether only the chosen node's place will do.
    pub strict: bool,
    /// Whether all places count where no node was chosen and the class allows any.
    pub immediate: bool,
}

/// Reads a node's place from its labels; none if it lacks one of the driver's.
pub fn place(labels: &BTreeMap<String, String>, keys: &[String]) -> Option<Segments> {
    keys.iter().map(|key| Some((key.clone(), labels.get(key)?.clone()))).collect()
}

/// Every combination of values that a class's terms allow.
fn expand(terms: &[TopologySelectorTerm]) -> BTreeSet<Segments> {
    let mut found = BTreeSet::new();
    for term in terms {
        let mut places = vec![Segments::new()];
        for expression in term.match_label_expressions.iter().flatten() {
            places = places
                .iter()
                .flat_map(|place| {
                    expression.values.iter().map(|value| {
                        let mut place = place.clone();
                        place.insert(expression.key.clone(), value.clone());
                        place
                    })
                })
                .collect();
        }
        found.extend(places);
    }
    found
}

/// Decides what a driver is told of where a volume is to be; none where it may choose freely.
pub fn requirement(view: &View<'_>) -> Option<TopologyRequirement> {
    let allowed = expand(view.allowed);
    let requisite: Vec<Segments> = match &view.chosen {
        Some(chosen) if view.strict => vec![chosen.clone()],
        _ if !allowed.is_empty() => allowed.into_iter().collect(),
        Some(_) => view.all.iter().cloned().collect(),
        None if view.immediate => view.all.iter().cloned().collect(),
        None => Vec::new(),
    };
    if requisite.is_empty() {
        return None;
    }
    let mut preferred = requisite.clone();
    if let Some(chosen) = &view.chosen {
        // A class may name fewer labels than the node has.
        let is_there = |place: &Segments| place.iter().all(|(key, value)| chosen.get(key) == Some(value));
        preferred.sort_by_key(|place| !is_there(place));
    }
    let topologies =
        |places: Vec<Segments>| places.into_iter().map(|segments| Topology { segments }).collect();
    Some(TopologyRequirement { requisite: topologies(requisite), preferred: topologies(preferred) })
}

/// Writes the places from which a volume can be reached as a volume's node affinity.
pub fn node_affinity(places: &[Topology]) -> Value {
    let terms: Vec<Value> = places
        .iter()
        .filter(|place| !place.segments.is_empty())
        .map(|place| {
            let each =
                |(key, value): (&String, &String)| json!({"key": key, "operator": "In", "values": [value]});
            json!({"matchExpressions": place.segments.iter().map(each).collect::<Vec<_>>()})
        })
        .collect();
    if terms.is_empty() { Value::Null } else { json!({"required": {"nodeSelectorTerms": terms}}) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &str) -> Segments {
        Segments::from([("zone".to_owned(), zone.to_owned())])
    }

    fn terms(values: &[&str]) -> Vec<TopologySelectorTerm> {
        let term = json!({"matchLabelExpressions": [{"key": "zone", "values": values}]});
        vec![serde_json::from_value(term).unwrap()]
    }

    fn told(view: &View<'_>) -> (String, String) {
        let requirement = requirement(view).unwrap_or_default();
        let zones = |topologies: Vec<Topology>| {
            topologies.iter().map(|place| place.segments["zone"].clone()).collect::<Vec<_>>().join(",")
        };
        (zones(requirement.requisite), zones(requirement.preferred))
    }

    #[test]
    fn the_chosen_nodes_place_comes_first() {
        let all: BTreeSet<Segments> = ["a", "b", "c"].map(at).into();
        let (none, some) = (Vec::new(), terms(&["c", "b"]));
        for (chosen, allowed, strict, immediate, expected) in [
            (Some("b"), &none, false, true, ("a,b,c", "b,a,c")),
            (Some("b"), &none, true, true, ("b", "b")),
            (Some("c"), &some, false, true, ("b,c", "c,b")),
            (None, &some, false, true, ("b,c", "b,c")),
            (None, &none, false, true, ("a,b,c", "a,b,c")),
            (None, &none, false, false, ("", "")),
        ] {
            let view = View { chosen: chosen.map(at), all: all.clone(), allowed, strict, immediate };
            let (requisite, preferred) = told(&view);
            assert_eq!((requisite.as_str(), preferred.as_str()), expected, "{chosen:?} {strict} {immediate}");
        }
    }

    #[test]
    fn places_become_node_affinity() {
        assert_eq!(node_affinity(&[]), Value::Null);
        assert_eq!(
            node_affinity(&[Topology { segments: at("a") }]),
            json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a"]}]}]}})
        );
        assert_eq!(place(&at("a"), &["zone".to_owned()]), Some(at("a")));
        assert_eq!(place(&at("a"), &["zone".to_owned(), "rack".to_owned()]), None);
    }
}
