//! The roles and bindings that every cluster starts with, and how they are kept.

mod bindings;
mod reconcile;
mod roles;

use apimachinery::{ObjectExt as _, cluster_role};
use serde_json::Value;

pub use reconcile::{Change, reconcile};

use crate::rule::Rule;
use roles::{COMPONENTS, CONTROLLERS, NAMESPACED, PEOPLE};

/// Label of everything here.
pub const BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// Annotation by which an operator says whether an object may be brought up to date at start.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

const CONTROLLER: &str = "system:controller:";

/// The ClusterRoles as the tables state them.
fn stated() -> impl Iterator<Item = Value> {
    let tables = [(PEOPLE, ""), (COMPONENTS, ""), (CONTROLLERS, CONTROLLER)];
    tables
        .into_iter()
        .flat_map(|(table, prefix)| roles::read(table).into_iter().map(move |role| role.into_object(prefix)))
}

/// The ClusterRoles. Those that gather others (`admin`, `edit`, `view`) hold what the others here give, as the
/// aggregation controller would fill them in.
pub fn cluster_roles() -> Vec<Value> {
    let mut roles: Vec<Value> = stated().collect();
    // `admin` gathers `edit`, which gathers `view`: three rounds reach the end.
    for _ in 0..3 {
        for number in 0..roles.len() {
            if let Some(rules) = cluster_role::aggregate(&roles[number], &roles) {
                roles[number]["rules"] = Value::Array(rules);
            }
        }
    }
    roles
}

/// The Roles in `kube-system` and `kube-public`.
pub fn roles() -> Vec<Value> {
    roles::read(NAMESPACED).into_iter().map(|role| role.into_object("")).collect()
}

/// The ClusterRoleBindings.
pub fn cluster_role_bindings() -> Vec<Value> {
    bindings::cluster_role_bindings(roles::read(CONTROLLERS).into_iter().map(|role| role.name))
}

/// The RoleBindings in `kube-system` and `kube-public`.
pub fn role_bindings() -> Vec<Value> {
    bindings::role_bindings()
}

/// The rules of one built-in ClusterRole.
pub(crate) fn rules(name: &str) -> Vec<Rule> {
    stated().find(|role| role.name() == name).as_ref().map(Rule::read_all).unwrap_or_default()
}

#[cfg(test)]
mod tests;
