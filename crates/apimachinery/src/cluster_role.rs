//! ClusterRoles that gather the rules of others by label, as the server and the aggregation controller see them.

use serde_json::Value;

use crate::labels;
use crate::object::ObjectExt as _;

/// The rules that an aggregating ClusterRole should have: those of every other role that one of its selectors
/// matches, by name, each rule once. `None` when the role gathers nothing (it has no `aggregationRule`).
pub fn aggregate<'a>(role: &Value, all: impl IntoIterator<Item = &'a Value>) -> Option<Vec<Value>> {
    role.at(&["aggregationRule"])?;
    let all: Vec<&Value> = all.into_iter().filter(|other| other.name() != role.name()).collect();
    let mut rules: Vec<Value> = Vec::new();
    for selector in role.list_at(&["aggregationRule", "clusterRoleSelectors"]) {
        let Ok(selector) = labels::Selector::from_label_selector(selector) else { continue };
        let mut chosen: Vec<&Value> =
            all.iter().filter(|other| selector.matches(|key| other.label(key))).copied().collect();
        chosen.sort_by_key(|other| other.name());
        for rule in chosen.iter().flat_map(|other| other.list_at(&["rules"])) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_of_matching_roles_are_gathered_once_in_order_of_names() {
        let role = |name: &str, label: &str, rules: Value| json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": rules});
        let (a, b, c) = (json!({"verbs": ["a"]}), json!({"verbs": ["b"]}), json!({"verbs": ["c"]}));
        let mut view = role("view", "view", json!([c]));
        view["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]});
        let all = [
            view.clone(),
            role("z", "view", json!([b, a])),
            role("y", "view", json!([a])),
            role("x", "", json!([c])),
        ];
        assert_eq!(aggregate(&view, &all), Some(vec![a, b]));
        assert_eq!(aggregate(&all[1], &all), None);
    }
}
