//! Cluster roles made of others.
//!
//! Keeps true: a cluster role with an aggregation rule has the rules of all that the rule selects.
//! Woken by: changes of cluster roles.
//! Reads: cluster roles. Writes: rules of cluster roles.
//! Gives up when: never.

use std::sync::Arc;

use apimachinery::labels::Selector;
use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Error, Patch};
use controller_runtime::context::Context;
use controller_runtime::resource;
use informer::{Key, Metadata, Object, Outcome, Store, WorkQueue, null_is_default, run_workers};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClusterRole {
    metadata: Metadata,
    aggregation_rule: Option<AggregationRule>,
    #[serde(deserialize_with = "null_is_default")]
    rules: Vec<Rule>,
}

/// A rule as JSON text with its fields in order: a cluster has hundreds, and as trees they are a tenth of the process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
struct Rule(Box<str>);

impl From<Value> for Rule {
    fn from(rule: Value) -> Self {
        Self(rule.to_string().into())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AggregationRule {
    #[serde(deserialize_with = "null_is_default")]
    cluster_role_selectors: Vec<Value>,
}

resource!(ClusterRole, "rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles");

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let roles: Store<ClusterRole> = context.stores.of();
    let queue = WorkQueue::new("ClusterRoleAggregator");
    context.stores.close_at_shutdown(&queue);
    let on_role = queue.clone();
    let all = roles.clone();
    roles.on_change(move |_| {
        // Any role may be part of any aggregate; there are few of those.
        for role in all.list().iter().filter(|role| role.aggregation_rule.is_some()) {
            on_role.add(role.key());
        }
    });
    let shell = Arc::new((context, roles));
    Some(Box::pin(async move {
        shell.1.ready().await;
        run_workers("clusterrole-aggregation", &queue, 1, |key| reconcile(&shell.0, &shell.1, key)).await;
    }))
}

async fn reconcile(context: &Context, roles: &Store<ClusterRole>, key: Key) -> Result<Outcome, Error> {
    let Some(role) = roles.get(key.as_str()) else { return Ok(Outcome::Done) };
    let Some(rules) = aggregate(&role, &roles.list()) else { return Ok(Outcome::Done) };
    if same(&rules, &role.rules) {
        return Ok(Outcome::Done);
    }
    let rules: Vec<Value> = rules.iter().filter_map(|rule| serde_json::from_str(&rule.0).ok()).collect();
    let patch = json!({"metadata": {"resourceVersion": role.metadata.resource_version}, "rules": rules});
    match context.api.patch(&path_of(&*role), Patch::Merge, &patch).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(Outcome::Done),
    }
}

/// Returns the rules of everything that a role selects, each once, in the order of the roles' names.
fn aggregate(role: &ClusterRole, roles: &[Arc<ClusterRole>]) -> Option<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    for selector in &role.aggregation_rule.as_ref()?.cluster_role_selectors {
        let selector = Selector::from_label_selector(selector).unwrap_or_else(|_| Selector::nothing());
        for part in roles.iter().filter(|part| part.metadata.name != role.metadata.name) {
            if selector.matches_map(Some(&part.metadata.labels)) {
                rules.extend(
                    part.rules.iter().filter(|rule| !rules.contains(rule)).cloned().collect::<Vec<_>>(),
                );
            }
        }
    }
    Some(rules)
}

/// Tells whether two lists allow the same, in whatever order.
fn same(rules: &[Rule], present: &[Rule]) -> bool {
    rules.len() == present.len() && rules.iter().all(|rule| present.contains(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_the_rules_of_what_it_selects_each_once() {
        let role = |name: &str, label: &str, verbs: &[&str]| -> Arc<ClusterRole> {
            let rules: Vec<Value> = verbs.iter().map(|verb| json!({"verbs": [verb]})).collect();
            let role = json!({"metadata": {"name": name, "labels": {label: "true"}}, "rules": rules});
            Arc::new(serde_json::from_value(role).unwrap())
        };
        let roles = [
            role("a", "to-admin", &["get", "list"]),
            role("b", "to-admin", &["list", "watch"]),
            role("c", "other", &["delete"]),
        ];
        let mut admin = (*role("admin", "to-admin", &[])).clone();
        admin.aggregation_rule = Some(AggregationRule {
            cluster_role_selectors: vec![json!({"matchLabels": {"to-admin": "true"}})],
        });
        let rules: Vec<Rule> = aggregate(&admin, &roles).unwrap();
        let expected = ["get", "list", "watch"].map(|verb| Rule::from(json!({"verbs": [verb]})));
        assert_eq!(rules, expected);
        assert!(aggregate(&roles[0], &roles).is_none());
        let [one, two] = [1, 2].map(|number| Rule::from(json!(number)));
        assert!(same(&[one.clone(), two.clone()], &[two, one.clone()]) && !same(&[one], &[]));
    }
}
