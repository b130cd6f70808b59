//! The roles and bindings that every cluster starts with, and how they are kept.

mod bindings;
mod components;
mod controllers;
mod namespaced;
mod reconcile;
mod table;
mod user_facing;

use apimachinery::cluster_role;
use serde_json::Value;

pub use reconcile::{Change, reconcile};

use crate::rule::Rule;
use table::Role;

/// Label of everything here.
pub const BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// Annotation by which an operator says whether an object may be brought up to date at start.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

const CONTROLLER: &str = "system:controller:";

fn all_cluster_roles() -> impl Iterator<Item = (String, &'static Role)> {
    let plain = user_facing::ROLES.iter().chain(components::ROLES).map(|role| (role.name.to_owned(), role));
    let controllers = controllers::ROLES.iter().map(|role| (format!("{CONTROLLER}{}", role.name), role));
    plain.chain(controllers)
}

/// The ClusterRoles. Those that gather others (`admin`, `edit`, `view`) hold what the others here give, as the
/// aggregation controller would fill them in.
pub fn cluster_roles() -> Vec<Value> {
    let mut roles: Vec<Value> = all_cluster_roles().map(|(name, role)| role.cluster_role(&name)).collect();
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
    namespaced::ROLES.iter().map(|(namespace, role)| role.role(namespace)).collect()
}

/// The ClusterRoleBindings.
pub fn cluster_role_bindings() -> Vec<Value> {
    bindings::cluster_role_bindings(controllers::ROLES.iter().map(|role| role.name))
}

/// The RoleBindings in `kube-system` and `kube-public`.
pub fn role_bindings() -> Vec<Value> {
    bindings::role_bindings()
}

/// The rules of one built-in ClusterRole.
pub(crate) fn rules(name: &str) -> Vec<Rule> {
    let role = all_cluster_roles().find(|(known, _)| known == name);
    role.map(|(name, role)| Rule::read_all(&role.cluster_role(&name))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
