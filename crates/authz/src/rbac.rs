//! Role-based access control: an index from users and groups to their bindings, and the roles those refer to.

mod binding;
mod index;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

pub use binding::Binding;
use index::Index;

use crate::rule::Rule;
use crate::{Attributes, User};

/// The kinds that RBAC is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RbacKind {
    /// A role in a namespace.
    Role,
    /// A role for the whole cluster, or for use by role bindings anywhere.
    ClusterRole,
    /// Grants a role, or a cluster role's rules, in one namespace.
    RoleBinding,
    /// Grants a cluster role everywhere.
    ClusterRoleBinding,
}

impl RbacKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Role, Self::ClusterRole, Self::RoleBinding, Self::ClusterRoleBinding];

    /// Reads an object's `kind`.
    pub fn of(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.kind() == kind)
    }

    /// The `kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::ClusterRole => "ClusterRole",
            Self::RoleBinding => "RoleBinding",
            Self::ClusterRoleBinding => "ClusterRoleBinding",
        }
    }

    /// The resource in `rbac.authorization.k8s.io`.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Role => "roles",
            Self::ClusterRole => "clusterroles",
            Self::RoleBinding => "rolebindings",
            Self::ClusterRoleBinding => "clusterrolebindings",
        }
    }
}

/// Why a decision is as it is. Put into words only when somebody asks.
#[derive(Debug, Clone)]
pub enum Reason {
    /// In words; may be empty.
    Text(Cow<'static, str>),
    /// An authoriser could not decide.
    Failed(Cow<'static, str>),
    /// Allowed by a binding, for one of its subjects.
    Binding(Arc<Binding>, usize),
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Failed(text) => f.write_str(text),
            Self::Binding(binding, subject) => write!(f, "RBAC: allowed by {}", binding.describe(*subject)),
        }
    }
}

/// What an authoriser says.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Allowed.
    Allow(Reason),
    /// Refused, whatever others say.
    Deny(Reason),
    /// Not for this authoriser to allow.
    NoOpinion(Reason),
}

impl Decision {
    /// Whether it is allowed.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// What kept an authoriser from deciding.
    pub fn failure(&self) -> Option<&str> {
        match self.reason() {
            Reason::Failed(why) => Some(why),
            Reason::Text(_) | Reason::Binding(..) => None,
        }
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Allow(reason) | Self::Deny(reason) | Self::NoOpinion(reason) => reason,
        }
    }
}

/// The rules that hold for a user.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// The rules of each role that is granted, in the order of bindings.
    pub roles: Vec<Arc<[Rule]>>,
    /// What could not be found, as bindings may name roles that do not exist.
    pub errors: Vec<String>,
}

impl RuleSet {
    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.roles.iter().flat_map(|role| role.iter())
    }
}

/// The RBAC authoriser.
#[derive(Default)]
pub struct Rbac {
    index: RwLock<Index>,
}

impl Rbac {
    /// Takes in a role or a binding, new or changed. Objects of other kinds are left alone.
    pub fn apply(&self, object: &Value) {
        self.index.write().apply(object);
    }

    /// Takes out a role or a binding.
    pub fn delete(&self, object: &Value) {
        self.index.write().delete(object);
    }

    /// Replaces everything of a kind.
    pub fn reset(&self, kind: RbacKind, objects: impl IntoIterator<Item = impl Borrow<Value>>) {
        let mut index = self.index.write();
        index.clear(kind);
        for object in objects {
            index.apply_as(kind, object.borrow());
        }
    }

    /// Decides: allows, or has no opinion.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let index = self.index.read();
        let mut missing: Vec<String> = Vec::new();
        let namespace = if attributes.is_resource { attributes.namespace } else { "" };
        for (binding, subject) in index.bindings(attributes.user, namespace) {
            match index.rules(binding) {
                Some(rules) if rules.iter().any(|rule| rule.allows(attributes)) => {
                    return Decision::Allow(Reason::Binding(binding.clone(), subject));
                }
                Some(_) => {}
                None => missing.push(binding.role_not_found()),
            }
        }
        Decision::NoOpinion(match missing.as_slice() {
            [] => "".into(),
            [one] => format!("RBAC: {one}").into(),
            many => format!("RBAC: [{}]", many.join(", ")).into(),
        })
    }

    /// The rules that a user has in a namespace (empty: those of the whole cluster).
    pub fn rules_for(&self, user: User<'_>, namespace: &str) -> RuleSet {
        let index = self.index.read();
        let mut set = RuleSet::default();
        for (binding, _) in index.bindings(user, namespace) {
            match index.rules(binding) {
                Some(rules) => set.roles.push(rules.clone()),
                None => set.errors.push(binding.role_not_found()),
            }
        }
        set
    }

    /// The rules of one role; `namespace` is empty for a cluster role.
    pub fn role(&self, namespace: &str, name: &str) -> Option<Arc<[Rule]>> {
        self.index.read().role(namespace, name).cloned()
    }
}

#[cfg(test)]
mod tests;
