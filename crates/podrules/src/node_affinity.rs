//! Which nodes a pod's node selector and required node affinity allow.

use std::collections::BTreeMap;

use apimachinery::labels::{Operator, Requirement};
use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

/// What a node selector looks at.
pub struct NodeView<'a> {
    /// `metadata.name`, the only field a selector may match.
    pub name: &'a str,
    /// `metadata.labels`.
    pub labels: &'a BTreeMap<String, String>,
}

/// Whether the pod's `nodeSelector` and required node affinity allow the node.
pub fn allows(pod: &PodSpec, node: &NodeView<'_>) -> bool {
    let selected = pod
        .node_selector
        .iter()
        .flatten()
        .all(|(key, value)| node.labels.get(key).is_some_and(|own| own == value));
    let required = pod
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|selector| selector_matches(selector, node))
}

/// Whether any term of a node selector matches; no terms match nothing.
pub fn selector_matches(selector: &NodeSelector, node: &NodeView<'_>) -> bool {
    selector.node_selector_terms.iter().any(|term| term_matches(term, node))
}

/// Whether all requirements of a term match; an empty term matches nothing.
pub fn term_matches(term: &NodeSelectorTerm, node: &NodeView<'_>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    expressions.iter().all(|one| requirement_matches(one, node.labels.get(&one.key).map(String::as_str)))
        && fields.iter().all(|one| one.key == "metadata.name" && requirement_matches(one, Some(node.name)))
}

fn requirement_matches(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let operator = match requirement.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan,
        "Lt" => Operator::LessThan,
        _ => return false,
    };
    Requirement { key: String::new(), operator, values: requirement.values.clone().unwrap_or_default() }
        .matches(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(spec: serde_json::Value) -> bool {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let labels =
            BTreeMap::from([("disk".to_owned(), "ssd".to_owned()), ("cores".to_owned(), "8".to_owned())]);
        allows(&spec, &NodeView { name: "w1", labels: &labels })
    }

    fn required(term: serde_json::Value) -> serde_json::Value {
        serde_json::json!({"containers": [], "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}})
    }

    #[test]
    fn selectors_and_affinity_allow_as_upstream() {
        use serde_json::json;
        assert!(allowed(json!({"containers": []})));
        assert!(allowed(json!({"containers": [], "nodeSelector": {"disk": "ssd"}})));
        assert!(!allowed(json!({"containers": [], "nodeSelector": {"disk": "hdd"}})));
        let expression = |key: &str, operator: &str, values: &[&str]| {
            required(json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
        };
        assert!(allowed(expression("disk", "In", &["ssd", "nvme"])));
        assert!(!allowed(expression("disk", "NotIn", &["ssd"])));
        assert!(allowed(expression("zone", "NotIn", &["a"])));
        assert!(allowed(expression("cores", "Gt", &["4"])));
        assert!(!allowed(expression("zone", "Exists", &[])));
        assert!(!allowed(required(json!({}))));
        assert!(allowed(required(
            json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w1"]}]})
        )));
    }
}
