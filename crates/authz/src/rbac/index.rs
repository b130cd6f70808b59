//! The index behind RBAC: roles by name, bindings by subject.

use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::ObjectExt as _;
use serde_json::Value;

use super::RbacKind;
use super::binding::{Binding, Subject};
use crate::User;
use crate::rule::Rule;

/// By namespace (empty at the cluster scope), then by name; so a look-up needs no key of its own.
type ByName<T> = HashMap<Box<str>, HashMap<Box<str>, T>>;

/// A binding, and which of its subjects is meant.
type Grant = (Arc<Binding>, usize);

/// By subject name, then by the binding's namespace.
type BySubject = HashMap<Box<str>, HashMap<Box<str>, Vec<Grant>>>;

#[derive(Default)]
pub(super) struct Index {
    roles: ByName<Arc<[Rule]>>,
    bindings: ByName<Arc<Binding>>,
    users: BySubject,
    groups: BySubject,
}

impl Index {
    pub fn apply(&mut self, object: &Value) {
        if let Some(kind) = RbacKind::of(object.kind()) {
            self.apply_as(kind, object);
        }
    }

    pub fn apply_as(&mut self, kind: RbacKind, object: &Value) {
        match kind {
            RbacKind::Role | RbacKind::ClusterRole => {
                self.roles
                    .entry(object.namespace().into())
                    .or_default()
                    .insert(object.name().into(), Rule::read_all(object).into());
            }
            RbacKind::RoleBinding | RbacKind::ClusterRoleBinding => {
                let binding = Arc::new(Binding::read(object));
                self.remove_binding(&binding.namespace, &binding.name);
                for (number, subject) in binding.subjects.iter().enumerate() {
                    let (index, name) = self.of_subject(subject);
                    let grants = index.entry(name.into()).or_default();
                    let grants = grants.entry(binding.namespace.clone()).or_default();
                    if !grants.iter().any(|(known, _)| Arc::ptr_eq(known, &binding)) {
                        grants.push((binding.clone(), number));
                    }
                }
                let bindings = self.bindings.entry(binding.namespace.clone()).or_default();
                bindings.insert(binding.name.clone(), binding);
            }
        }
    }

    pub fn delete(&mut self, object: &Value) {
        match RbacKind::of(object.kind()) {
            Some(RbacKind::Role | RbacKind::ClusterRole) => {
                take(&mut self.roles, object.namespace(), object.name());
            }
            Some(RbacKind::RoleBinding | RbacKind::ClusterRoleBinding) => {
                self.remove_binding(object.namespace(), object.name());
            }
            None => {}
        }
    }

    pub fn clear(&mut self, kind: RbacKind) {
        match kind {
            RbacKind::Role => self.roles.retain(|namespace, _| namespace.is_empty()),
            RbacKind::ClusterRole => self.roles.retain(|namespace, _| !namespace.is_empty()),
            RbacKind::RoleBinding => self.clear_bindings(|namespace| namespace.is_empty()),
            RbacKind::ClusterRoleBinding => self.clear_bindings(|namespace| !namespace.is_empty()),
        }
    }

    fn clear_bindings(&mut self, keep: impl Fn(&str) -> bool) {
        self.bindings.retain(|namespace, _| keep(namespace));
        for index in [&mut self.users, &mut self.groups] {
            index.retain(|_, grants| {
                grants.retain(|namespace, _| keep(namespace));
                !grants.is_empty()
            });
        }
    }

    fn of_subject<'a>(&mut self, subject: &'a Subject) -> (&mut BySubject, &'a str) {
        match subject {
            Subject::User(name) => (&mut self.users, name),
            Subject::ServiceAccount { user, .. } => (&mut self.users, user),
            Subject::Group(name) => (&mut self.groups, name),
        }
    }

    fn remove_binding(&mut self, namespace: &str, name: &str) {
        let Some(binding) = take(&mut self.bindings, namespace, name) else { return };
        for subject in &binding.subjects {
            let (index, name) = self.of_subject(subject);
            let Some(by_namespace) = index.get_mut(name) else { continue };
            if let Some(grants) = by_namespace.get_mut(namespace) {
                grants.retain(|(known, _)| !Arc::ptr_eq(known, &binding));
                if grants.is_empty() {
                    by_namespace.remove(namespace);
                }
            }
            if by_namespace.is_empty() {
                index.remove(name);
            }
        }
    }

    /// The bindings that hold for a user: those of the whole cluster first, then the namespace's.
    pub fn bindings<'a>(
        &'a self,
        user: User<'a>,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<Binding>, usize)> {
        let scopes = std::iter::once("").chain((!namespace.is_empty()).then_some(namespace));
        scopes.flat_map(move |scope| {
            let own = self.users.get(user.name);
            let groups = user.groups.iter().filter_map(|group| self.groups.get(group.as_str()));
            own.into_iter()
                .chain(groups)
                .filter_map(move |grants| grants.get(scope))
                .flatten()
                .map(|(binding, subject)| (binding, *subject))
        })
    }

    pub fn rules(&self, binding: &Binding) -> Option<&Arc<[Rule]>> {
        self.role(binding.role_namespace(), &binding.role)
    }

    /// How many entries all the maps have.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.roles.len() + self.bindings.len() + self.users.len() + self.groups.len()
    }

    pub fn role(&self, namespace: &str, name: &str) -> Option<&Arc<[Rule]>> {
        self.roles.get(namespace)?.get(name)
    }
}

fn take<T>(index: &mut ByName<T>, namespace: &str, name: &str) -> Option<T> {
    let names = index.get_mut(namespace)?;
    let taken = names.remove(name);
    if names.is_empty() {
        index.remove(namespace);
    }
    taken
}
