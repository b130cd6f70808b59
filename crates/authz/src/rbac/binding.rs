//! A binding: the subjects it grants a role to.

use apimachinery::ObjectExt as _;
use serde_json::Value;

/// Whom a binding grants to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user by name.
    User(Box<str>),
    /// Everyone in a group.
    Group(Box<str>),
    /// A service account.
    ServiceAccount {
        /// Its namespace.
        namespace: Box<str>,
        /// Its name.
        name: Box<str>,
        /// The user name that it comes with.
        user: Box<str>,
    },
}

/// A RoleBinding or ClusterRoleBinding.
#[derive(Debug, PartialEq, Eq)]
pub struct Binding {
    /// Empty for a ClusterRoleBinding.
    pub namespace: Box<str>,
    /// Name of the binding.
    pub name: Box<str>,
    /// Whether the role it refers to is a ClusterRole.
    pub cluster_role: bool,
    /// Name of the role.
    pub role: Box<str>,
    /// Whom it grants to.
    pub subjects: Box<[Subject]>,
}

impl Binding {
    pub(super) fn read(object: &Value) -> Self {
        let namespace = object.namespace();
        let subjects = object.list_at(&["subjects"]).iter().filter_map(|subject| read(subject, namespace));
        Self {
            namespace: namespace.into(),
            name: object.name().into(),
            cluster_role: object.str_at(&["roleRef", "kind"]) == Some("ClusterRole"),
            role: object.str_at(&["roleRef", "name"]).unwrap_or("").into(),
            subjects: subjects.collect(),
        }
    }

    /// Where its role is: the namespace, empty for a cluster role.
    pub(super) fn role_namespace(&self) -> &str {
        if self.cluster_role { "" } else { &self.namespace }
    }

    fn role_kind(&self) -> &'static str {
        if self.cluster_role { "ClusterRole" } else { "Role" }
    }

    pub(super) fn role_not_found(&self) -> String {
        let kind = if self.cluster_role { "clusterrole" } else { "role" };
        format!("{kind}.rbac.authorization.k8s.io {:?} not found", self.role)
    }

    /// `ClusterRoleBinding "b" of ClusterRole "r" to User "u"`
    pub(super) fn describe(&self, subject: usize) -> String {
        let subject = match self.subjects.get(subject) {
            Some(Subject::User(name)) => format!("User {name:?}"),
            Some(Subject::Group(name)) => format!("Group {name:?}"),
            Some(Subject::ServiceAccount { namespace, name, .. }) => {
                format!("ServiceAccount \"{name}/{namespace}\"")
            }
            None => String::new(),
        };
        let (kind, role) = (self.role_kind(), &self.role);
        match &*self.namespace {
            "" => format!("ClusterRoleBinding {:?} of {kind} {role:?} to {subject}", self.name),
            namespace => format!("RoleBinding \"{}/{namespace}\" of {kind} {role:?} to {subject}", self.name),
        }
    }
}

fn read(subject: &Value, binding_namespace: &str) -> Option<Subject> {
    let name = subject.str_at(&["name"])?;
    match subject.str_at(&["kind"])? {
        "User" => Some(Subject::User(name.into())),
        "Group" => Some(Subject::Group(name.into())),
        "ServiceAccount" => {
            let namespace = subject.str_at(&["namespace"]).filter(|namespace| !namespace.is_empty());
            let namespace = namespace.unwrap_or(binding_namespace);
            (!namespace.is_empty()).then(|| Subject::ServiceAccount {
                namespace: namespace.into(),
                name: name.into(),
                user: format!("system:serviceaccount:{namespace}:{name}").into(),
            })
        }
        _ => None,
    }
}
