//! Reads the tables of roles, and makes the objects that they state.
//!
//! A line at the margin begins a role: its name, then perhaps `gathers LABEL`, `into LABEL` or `in NAMESPACE`. Lines
//! below it are its rules, `VERBS on [GROUPS:] RESOURCES [named NAMES]` or `VERBS at PATHS`; those further in continue
//! the line before. `read` and `write` stand for all verbs of that kind, `report events` for writing events.

use apimachinery::ObjectExt as _;
use serde_json::{Map, Value, json};

use super::{AUTOUPDATE, BOOTSTRAPPING};

/// Roles for people, and the parts that `admin`, `edit` and `view` are gathered from.
pub(super) const PEOPLE: &str = include_str!("roles/people.txt");
/// Roles of the cluster's components.
pub(super) const COMPONENTS: &str = include_str!("roles/components.txt");
/// Roles of the controller manager's loops, without the `system:controller:` that all their names begin with.
pub(super) const CONTROLLERS: &str = include_str!("roles/controllers.txt");
/// Roles inside `kube-system` and `kube-public`.
pub(super) const NAMESPACED: &str = include_str!("roles/namespaced.txt");

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const REPORT_EVENTS: &str = "create patch update on core events.k8s.io: events";

/// A role as its table states it.
#[derive(Debug, Default)]
pub(super) struct Role {
    /// Its name.
    pub name: &'static str,
    /// The `aggregate-to-…` label whose roles it gathers.
    gathers: Option<&'static str>,
    /// The role that gathers this one.
    into: Option<&'static str>,
    namespace: Option<&'static str>,
    rules: Vec<Value>,
}

/// The roles of a table.
pub(super) fn read(table: &'static str) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    let mut lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    while let Some(line) = lines.next() {
        let Some(rule) = line.strip_prefix("    ") else {
            roles.push(heading(line));
            continue;
        };
        let mut rule = rule.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("        ")) {
            rule.extend([" ", more.trim_start()]);
        }
        if let Some(role) = roles.last_mut() {
            role.rules.push(self::rule(&rule));
        }
    }
    roles
}

fn heading(line: &'static str) -> Role {
    let mut words = line.split(' ');
    let mut role = Role { name: words.next().unwrap_or(line), ..Role::default() };
    while let Some(word) = words.next() {
        match word {
            "gathers" => role.gathers = words.next(),
            "into" => role.into = words.next(),
            "in" => role.namespace = words.next(),
            _ => debug_assert!(false, "{line}"),
        }
    }
    role
}

fn rule(text: &str) -> Value {
    let text = if text == "report events" { REPORT_EVENTS } else { text };
    if let Some((verbs, paths)) = text.split_once(" at ") {
        return json!({"verbs": self::verbs(verbs), "nonResourceURLs": words(paths)});
    }
    let (verbs, objects) = text.split_once(" on ").unwrap_or(("", text));
    debug_assert!(!verbs.is_empty(), "{text}");
    let (groups, resources) = objects.split_once(": ").unwrap_or(("core", objects));
    let (resources, names) = resources
        .split_once(" named ")
        .map_or((resources, None), |(resources, names)| (resources, Some(names)));
    let mut rule = Map::new();
    rule.insert("verbs".into(), json!(self::verbs(verbs)));
    rule.insert("apiGroups".into(), json!(words(groups)));
    rule.insert("resources".into(), json!(words(resources)));
    if let Some(names) = names {
        rule.insert("resourceNames".into(), json!(words(names)));
    }
    Value::Object(rule)
}

fn verbs(text: &str) -> Vec<&str> {
    let mut verbs = Vec::new();
    for word in text.split(' ') {
        match word {
            "read" => verbs.extend_from_slice(READ),
            "write" => verbs.extend_from_slice(WRITE),
            verb => verbs.push(verb),
        }
    }
    verbs.sort_unstable();
    verbs
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').map(|word| if word == "core" { "" } else { word }).collect()
}

fn aggregate_label(to: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{to}")
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
    /// The object, its name after a prefix: a Role where the table names a namespace, else a ClusterRole.
    pub fn into_object(self, prefix: &str) -> Value {
        let kind = if self.namespace.is_some() { "Role" } else { "ClusterRole" };
        let mut object = object(kind, &format!("{prefix}{}", self.name));
        object["rules"] = self.rules.into();
        if let Some(namespace) = self.namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        if let Some(label) = self.gathers {
            object["aggregationRule"] =
                json!({"clusterRoleSelectors": [{"matchLabels": {aggregate_label(label): "true"}}]});
        }
        if let Some(label) = self.into {
            object.map_at_mut(&["metadata", "labels"]).insert(aggregate_label(label), json!("true"));
        }
        object
    }
}
