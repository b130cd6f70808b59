//! The form in which the tables state roles: words separated by spaces, `core` for the core group.

use apimachinery::ObjectExt as _;
use serde_json::{Value, json};

use super::{AUTOUPDATE, BOOTSTRAPPING};

/// Verbs that read.
pub(super) const READ: &str = "get list watch";
/// Verbs that write.
pub(super) const WRITE: &str = "create delete deletecollection patch update";
/// Verbs that read and write.
pub(super) const READ_WRITE: &str = "create delete deletecollection get list patch update watch";
/// Writing events, of either group.
pub(super) const EVENTS: Rule = on("core events.k8s.io", "events", "create patch update");

/// One rule.
pub(super) struct Rule {
    groups: &'static str,
    resources: &'static str,
    names: &'static str,
    paths: &'static str,
    verbs: &'static str,
}

/// A rule on resources.
pub(super) const fn on(groups: &'static str, resources: &'static str, verbs: &'static str) -> Rule {
    named(groups, resources, "", verbs)
}

/// A rule on named objects.
pub(super) const fn named(
    groups: &'static str,
    resources: &'static str,
    names: &'static str,
    verbs: &'static str,
) -> Rule {
    Rule { groups, resources, names, paths: "", verbs }
}

/// A rule on paths.
pub(super) const fn paths(paths: &'static str, verbs: &'static str) -> Rule {
    Rule { groups: "", resources: "", names: "", paths, verbs }
}

/// One role.
pub(super) struct Role {
    pub name: &'static str,
    /// The `aggregate-to-…` label whose roles it gathers.
    pub aggregates: Option<&'static str>,
    /// The role that gathers this one.
    pub aggregated_to: Option<&'static str>,
    pub rules: &'static [Rule],
}

/// A role that gathers nothing and is gathered by none.
pub(super) const fn role(name: &'static str, rules: &'static [Rule]) -> Role {
    Role { name, aggregates: None, aggregated_to: None, rules }
}

fn aggregate_label(to: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{to}")
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().map(|word| if word == "core" { "" } else { word }).collect()
}

impl Rule {
    fn to_value(&self) -> Value {
        let mut rule = json!({"verbs": words(self.verbs)});
        for (field, text) in [
            ("apiGroups", self.groups),
            ("resources", self.resources),
            ("resourceNames", self.names),
            ("nonResourceURLs", self.paths),
        ] {
            if !text.is_empty() {
                rule[field] = json!(words(text));
            }
        }
        rule
    }
}

/// The metadata that every bootstrap object has.
pub(super) fn object(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {BOOTSTRAPPING.0: BOOTSTRAPPING.1},
            "annotations": {AUTOUPDATE: "true"},
        },
    })
}

impl Role {
    fn rules(&self) -> Value {
        self.rules.iter().map(Rule::to_value).collect()
    }

    /// The ClusterRole object.
    pub fn cluster_role(&self, name: &str) -> Value {
        let mut object = object("ClusterRole", name);
        object["rules"] = self.rules();
        if let Some(to) = self.aggregates {
            object["aggregationRule"] =
                json!({"clusterRoleSelectors": [{"matchLabels": {aggregate_label(to): "true"}}]});
        }
        if let Some(to) = self.aggregated_to {
            object.map_at_mut(&["metadata", "labels"]).insert(aggregate_label(to), json!("true"));
        }
        object
    }

    /// The Role object.
    pub fn role(&self, namespace: &str) -> Value {
        let mut object = object("Role", self.name);
        object["metadata"]["namespace"] = json!(namespace);
        object["rules"] = self.rules();
        object
    }
}
