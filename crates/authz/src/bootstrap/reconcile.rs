//! Brings a bootstrap object up to date without taking away what an operator added.

use apimachinery::ObjectExt as _;
use serde_json::{Map, Value};

use super::AUTOUPDATE;
use crate::rbac::RbacKind;
use crate::rule::{Rule, missing};

/// What is to be done about one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing.
    None,
    /// Write it: it is not there.
    Create(Value),
    /// Write this over what is there.
    Update(Value),
    /// Delete what is there and write this: a binding's role cannot be changed.
    Recreate(Value),
}

/// Compares what is there with what should be. Rules, subjects, selectors, labels and annotations that are
/// missing are added; nothing is removed; an object whose `autoupdate` annotation is `false` is left alone.
pub fn reconcile(existing: Option<&Value>, expected: &Value) -> Change {
    let Some(existing) = existing else { return Change::Create(expected.clone()) };
    if existing.annotation(AUTOUPDATE) == Some("false") {
        return Change::None;
    }
    let is_binding =
        matches!(RbacKind::of(expected.kind()), Some(RbacKind::RoleBinding | RbacKind::ClusterRoleBinding));
    // Whom a binding to another role names were given that role, not this one.
    if is_binding && !same_role(existing, expected) {
        return Change::Recreate(expected.clone());
    }
    let mut updated = existing.clone();
    add_metadata(&mut updated, expected);
    if is_binding {
        add_items(&mut updated, expected, &["subjects"]);
    } else if expected.at(&["aggregationRule"]).is_some() {
        add_items(&mut updated, expected, &["aggregationRule", "clusterRoleSelectors"]);
    } else {
        add_rules(&mut updated, expected);
    }
    if updated == *existing { Change::None } else { Change::Update(updated) }
}

fn same_role(one: &Value, other: &Value) -> bool {
    let field = |object: &Value, field| object.str_at(&["roleRef", field]).map(str::to_owned);
    ["kind", "name"].into_iter().all(|name| field(one, name) == field(other, name))
}

/// Labels and annotations that are there keep their values.
fn add_metadata(target: &mut Value, from: &Value) {
    for field in ["labels", "annotations"] {
        let Some(wanted) = from.map_at(&["metadata", field]) else { continue };
        let present: Map<String, Value> = target.map_at(&["metadata", field]).cloned().unwrap_or_default();
        let absent: Vec<_> = wanted.iter().filter(|(key, _)| !present.contains_key(*key)).collect();
        for (key, value) in absent {
            target.map_at_mut(&["metadata", field]).insert(key.clone(), value.clone());
        }
    }
}

fn add_items(target: &mut Value, from: &Value, path: &[&str]) {
    let mut items = target.list_at(path).to_vec();
    let before = items.len();
    for item in from.list_at(path) {
        if !items.iter().any(|known| same_item(known, item)) {
            items.push(item.clone());
        }
    }
    if items.len() > before {
        target.set_at(path, Value::Array(items));
    }
}

/// Subjects are equal whether or not their API group is spelled out.
fn same_item(one: &Value, other: &Value) -> bool {
    let plain = |item: &Value| {
        let mut item = item.clone();
        if let Some(fields) = item.as_object_mut() {
            fields.remove("apiGroup");
        }
        item
    };
    plain(one) == plain(other)
}

fn add_rules(target: &mut Value, from: &Value) {
    let held = Rule::read_all(target);
    let held: Vec<&Rule> = held.iter().collect();
    let Some(missing) = missing(&held, &Rule::read_all(from)) else { return };
    if missing.is_empty() {
        return;
    }
    let mut rules = target.list_at(&["rules"]).to_vec();
    rules.extend(missing.iter().map(Rule::to_value));
    target.set_at(&["rules"], Value::Array(rules));
}
